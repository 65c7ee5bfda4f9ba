import type { Socket } from 'node:net';
import { CeaseSubcode, ErrorCode, MessageType, type NotificationMessage, notificationMessage, type OpenMessage, OpenSubcode, PacketError } from 'bgp-packet';
import type { Direction } from '../fsm/collision.ts';
import { ownOpen } from '../fsm/open-check.ts';
import { type EndCause, retention } from '../fsm/retention.ts';
import type { Action, Event, State } from '../fsm/states.ts';
import { transition } from '../fsm/transitions.ts';
import type { Negotiated, SessionSink } from '../negotiated.ts';
import { Connection, type ConnectionHandler } from './connection.ts';
import { Attempt, type AttemptHandler } from './dial.ts';
import type { SessionHost, SessionSurroundings } from './host.ts';
import { endpointsOf, negotiate, readNotification, readOpen, readRefresh } from './incoming.ts';
import { MessageSender } from './message-sender.ts';
import { type Cease, ceaseCause, noticeFor, notificationName } from './notices.ts';
import { RibLink } from './rib-link.ts';
import { isTimerAction, SessionTimers, type TimerEvent, type TimerHandler } from './timers.ts';

/**
 * One connection's state machine with its socket and timers: the shell around `transition`. What concerns several connections of one
 * neighbour is asked of the host.
 */
export class Session implements ConnectionHandler, AttemptHandler, TimerHandler, SessionSink {
	readonly #surroundings: SessionSurroundings;
	readonly #host: SessionHost;
	readonly timers: SessionTimers;
	readonly #sender: MessageSender;
	#state: State = 'idle';
	#sinceWallMs: number;
	/** By the monotonic clock. */
	#establishedAtMs: number | undefined;
	#attempt: Attempt | undefined;
	#connection: Connection | undefined;
	#sentOpen: OpenMessage | undefined;
	#receivedOpen: OpenMessage | undefined;
	#negotiated: Negotiated | undefined;
	#rib: RibLink | undefined;
	/** What the next `send-*` action is about, and why the session is going to end. */
	#rejection: NotificationMessage | undefined;
	#messageType: number | undefined;
	#cease: Cease | undefined;
	#cause: EndCause = { type: 'tcp-lost' };
	#reason = '';
	#penalized = false;

	constructor(surroundings: SessionSurroundings, host: SessionHost) {
		this.#surroundings = surroundings;
		this.#host = host;
		this.timers = new SessionTimers(surroundings.wheel, surroundings.random, this);
		this.#sender = new MessageSender(host.sent, this.timers);
		this.#sinceWallMs = surroundings.clock.wallMs();
	}

	get state(): State {
		return this.#state;
	}
	/** When the state began, by the wall clock. */
	get sinceWallMs(): number {
		return this.#sinceWallMs;
	}
	/** Who opened the connection; an attempt is ours. */
	get direction(): Direction {
		return this.#connection?.direction ?? 'outgoing';
	}
	get socket(): Socket | undefined {
		return this.#connection?.socket;
	}
	get negotiated(): Negotiated | undefined {
		return this.#negotiated;
	}
	get opens(): { readonly sent: OpenMessage | undefined; readonly received: OpenMessage | undefined } {
		return { sent: this.#sentOpen, received: this.#receivedOpen };
	}
	get bufferedBytes(): number {
		return this.#connection?.bufferedBytes ?? 0;
	}

	/** `passive`: waits for the peer to connect. */
	start(passive: boolean): void {
		this.#fire(passive ? 'automatic-start-passive' : 'automatic-start');
	}

	/** A TCP connection is there, opened by whom `direction` says. */
	attach(socket: Socket, direction: Direction): void {
		this.#attempt?.cancel();
		this.#attempt = undefined;
		this.#connection = new Connection(socket, direction, this.#surroundings, this);
		this.#sender.connection = this.#connection;
		this.#sentOpen = undefined;
		this.#receivedOpen = undefined;
		this.#negotiated = undefined;
		this.#fire(this.#host.localSide().options.delayOpenSeconds > 0 ? 'tcp-up-delayed' : 'tcp-up');
	}

	/** Ends it by our own will; without a CEASE silently, for a restart that the peer is to bridge. */
	stop(cease: Cease | undefined, reason: string): void {
		this.#cease = cease;
		this.#end('stop', reason, ceaseCause(cease));
	}

	/** Another connection to this peer won (RFC 4271 §6.8). */
	loseCollision(): void {
		const subcode = CeaseSubcode.connectionCollisionResolution;
		this.#end('collision-lost', 'lost the collision with another connection', { type: 'notification-sent', code: ErrorCode.cease, subcode });
	}

	/** Ends as if the connection were lost, without a word: routes that may be held are held (RFC 4724 §4). */
	abandon(reason: string): void {
		this.#end('tcp-failed', reason, { type: 'tcp-lost' });
	}

	/** Asks for all routes of every family (RFC 2918). `false`: the peer can't. */
	requestRefresh(): boolean {
		if (this.#state !== 'established' || this.#negotiated?.routeRefresh !== true) return false;
		this.#sender.refresh(this.#negotiated);
		return true;
	}

	/** For the RIB. An UPDATE is as good as a KEEPALIVE (RFC 4271 §8.2.2, Established, event 27). */
	write(bytes: Uint8Array): boolean {
		if (this.#state !== 'established') return true;
		this.timers.armKeepalive();
		return this.#sender.whole(bytes);
	}

	/** For the RIB; at the latest when the call it is in has returned. */
	fail(code: number, subcode: number, data: Uint8Array, reason: string): void {
		this.#rib?.soon(() => {
			if (this.#state !== 'established') return;
			if (code === ErrorCode.cease) {
				this.#cease = { subcode, data };
				this.#end('automatic-stop', reason, ceaseCause(this.#cease));
			} else this.#reject('update-rejected', notificationMessage({ code, subcode, data }), reason);
		});
	}

	/** The attempt succeeded. */
	connected(socket: Socket): void {
		if (this.#host.connected(this)) {
			this.attach(socket, 'outgoing');
			return;
		}
		socket.destroy();
		this.failed('another connection to this peer is ahead');
	}

	/** The attempt did not. */
	failed(reason: string): void {
		this.#end('tcp-failed', `connect: ${reason}`, { type: 'tcp-lost' });
	}

	message(type: number, buffer: Uint8Array, start: number, end: number): void {
		this.#host.received.count(type, end - start);
		if (type === MessageType.update && this.#state === 'established') {
			// The row established/update of the table, without the way through it: this is the hot path.
			this.timers.restartHold();
			this.#rib?.update(buffer, start, end);
			return;
		}
		this.#messageType = type;
		if (type === MessageType.keepalive) this.#fire('keepalive');
		else if (type === MessageType.update) this.#fire('update');
		else if (type === MessageType.open) this.#open(buffer.subarray(start, end));
		else if (type === MessageType.notification) this.#notification(buffer.subarray(start, end));
		else this.#refresh(buffer.subarray(start, end));
	}

	headerRejected(error: PacketError): void {
		this.#reject('header-rejected', notificationMessage(error), error.message);
	}

	lost(reason: string): void {
		this.#end(this.timers.delayOpen.armed ? 'tcp-failed-delayed' : 'tcp-failed', `connection ${reason}`, { type: 'tcp-lost' });
	}

	drained(): void {
		this.#rib?.tell((receiver) => receiver.drained());
	}

	expired(event: TimerEvent): void {
		if (event === 'connect-retry-expired' && this.#state === 'connect') this.#host.interrupted('connect: no answer');
		this.#fire(event);
	}

	/** The peer is not judged by messages that we did not come to read: first a whole poll phase, and what waits in our own queue. */
	holdPassed(): void {
		const connection = this.#connection;
		const judge = (): void => {
			if (this.#connection !== connection || this.timers.hold.armed || this.#state === 'idle') return;
			if (connection?.busy === true) this.timers.hold.arm(1000);
			else this.#end('hold-expired', 'hold timer expired', { type: 'hold-expired' });
		};
		setImmediate(() => setImmediate(judge));
	}

	sendHoldPassed(): void {
		if (this.#sender.stalled()) this.#end('send-hold-expired', 'send hold timer expired', { type: 'send-hold-expired' });
	}

	#open(frame: Uint8Array): void {
		const delayed = this.timers.delayOpen.armed;
		if (this.#state !== 'open-sent' && !delayed) {
			this.#fire('open-accepted');
			return;
		}
		const local = this.#host.localSide();
		this.#guarded('open-rejected', () => {
			this.#receivedOpen = readOpen(frame);
			this.#sentOpen ??= ownOpen(local);
			const negotiated = negotiate(this.#receivedOpen, this.#sentOpen, local, endpointsOf(this.#connection?.socket, local.options));
			this.#negotiated = negotiated;
			if (!this.#host.survives(this, negotiated)) {
				this.loseCollision();
				return;
			}
			this.timers.negotiated(negotiated.holdTimeSeconds, local.options.sendHoldSeconds);
			this.#fire(delayed ? 'open-accepted-delayed' : 'open-accepted');
		});
	}

	#notification(frame: Uint8Array): void {
		const message = readNotification(frame);
		const { code, subcode } = message;
		this.#host.notified('received', message);
		const isOpenError = code === ErrorCode.openMessage;
		if (isOpenError && subcode === OpenSubcode.unsupportedOptionalParameter && this.#state === 'open-sent') this.#host.parametersRefused();
		if (isOpenError && subcode === OpenSubcode.badPeerAs) this.#host.asNumberRefused();
		const event = isOpenError && subcode === OpenSubcode.unsupportedVersionNumber ? 'version-notification' : 'notification';
		this.#end(event, `received ${notificationName(message)}`, { type: 'notification-received', code, subcode });
	}

	#refresh(frame: Uint8Array): void {
		this.#fire('refresh');
		const negotiated = this.#negotiated;
		if (this.#state !== 'established' || negotiated === undefined) return;
		this.#guarded('update-rejected', () => {
			const refresh = readRefresh(frame, negotiated);
			if (refresh !== undefined) this.#rib?.tell((receiver) => receiver.refresh(refresh.family, refresh.subtype));
		});
	}

	#guarded(event: Event, act: () => void): void {
		try {
			act();
		} catch (error) {
			if (!(error instanceof PacketError)) throw error;
			this.#reject(event, notificationMessage(error), error.message);
		}
	}

	#reject(event: Event, rejection: NotificationMessage, reason: string): void {
		this.#rejection = rejection;
		this.#end(event, reason, { type: 'notification-sent', code: rejection.code, subcode: rejection.subcode });
	}

	/** An event that is going to end the session, unless its state knows better. */
	#end(event: Event, reason: string, cause: EndCause): void {
		this.#reason = reason;
		this.#cause = cause;
		this.#fire(event);
	}

	#fire(event: Event): void {
		const from = this.#state;
		const { next, do: actions } = transition(from, event);
		if (next !== from) {
			this.#state = next;
			this.#sinceWallMs = this.#surroundings.clock.wallMs();
			if (next === 'idle' || next === 'active') this.timers.disarmAll();
			this.#host.changed(this, from, next);
		}
		for (const action of actions) this.#act(action, from);
		if (from === 'established' && next !== 'established' && this.#negotiated !== undefined) this.#rib?.end(retention(this.#negotiated, this.#cause));
		if (next === 'active' && from === 'open-sent') this.#interrupted();
		else if (next === 'idle' && from !== 'idle') this.#ended();
	}

	#interrupted(): void {
		if (this.#host.waits(this)) this.#host.interrupted(this.#reason);
		else this.#fire('stop');
	}

	#ended(): void {
		const establishedMs = this.#establishedAtMs === undefined ? undefined : this.#surroundings.clock.monotonicMs() - this.#establishedAtMs;
		this.#host.ended(this, { reason: this.#reason, penalized: this.#penalized, ceaseSubcode: this.#cease?.subcode, establishedMs });
	}

	#act(action: Action, from: State): void {
		switch (action) {
			case 'connect':
				this.#attempt = new Attempt(this.#host.localSide().options, this.#host.kind, this.#surroundings.wheel, this);
				break;
			case 'close-tcp':
				this.#close();
				break;
			case 'establish':
				this.#establish();
				break;
			case 'count-retry':
				this.#penalized = true;
				break;
			case 'send-open':
				this.#sentOpen = ownOpen(this.#host.localSide());
				this.#sender.open(this.#sentOpen);
				break;
			case 'send-keepalive':
				this.#sender.keepalive();
				break;
			case 'arm-connect-retry':
				this.timers.armConnectRetry(this.#host.connectDelayMs(this));
				break;
			case 'arm-delay-open':
				this.timers.armDelayOpen(this.#host.localSide().options.delayOpenSeconds);
				break;
			default:
				if (isTimerAction(action)) this.timers.act(action);
				else this.#notify(action, from);
		}
	}

	/** RFC 4271 §6: the NOTIFICATION is the last word; the step closes TCP behind it. */
	#notify(action: Action, state: State): void {
		const hardResetKnown = state === 'established' && this.#negotiated?.notificationRestart === true;
		const notice = noticeFor(action, { state, rejection: this.#rejection, cease: this.#cease, messageType: this.#messageType, hardResetKnown });
		if (notice === undefined) return;
		if (action === 'send-fsm-error') {
			this.#reason = `message of type ${this.#messageType} in state ${state}`;
			this.#cause = { type: 'notification-sent', code: notice.code, subcode: notice.subcode };
		}
		this.#host.notified('sent', notice);
		this.#sender.notification(notice, state === 'established' && this.#negotiated?.extendedMessageSend === true);
	}

	#close(): void {
		this.#attempt?.cancel();
		this.#attempt = undefined;
		this.#connection?.close();
		this.#connection = undefined;
		this.#sender.connection = undefined;
	}

	#establish(): void {
		const negotiated = this.#negotiated;
		if (negotiated === undefined) return;
		this.#establishedAtMs = this.#surroundings.clock.monotonicMs();
		this.#rib = new RibLink((error) => this.#reject('update-rejected', notificationMessage(error), error.message));
		this.#rib.establish(() => this.#host.established(this, negotiated));
	}
}
