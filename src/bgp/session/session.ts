import type { Socket } from 'node:net';
import { CeaseSubcode, ErrorCode, MessageType, type OpenMessage, OpenSubcode, PacketError } from 'bgp-packet';
import { tryEach } from '../../core/index.ts';
import type { Direction } from '../fsm/collision.ts';
import { type EndCause, retention } from '../fsm/retention.ts';
import type { Action, Event, State } from '../fsm/states.ts';
import { transition } from '../fsm/transitions.ts';
import type { Negotiated, SessionSink } from '../model/negotiated.ts';
import type { ConnectionHandler } from './connection.ts';
import type { AttemptHandler } from './dial.ts';
import { Ending } from './ending.ts';
import { Handshake } from './handshake.ts';
import type { SessionDependencies, SessionHost } from './host.ts';
import { readNotification, readRefresh } from './incoming.ts';
import type { MessageSender } from './message-sender.ts';
import { type Cease, type NoticeAction, notificationName } from './notices.ts';
import { RibLink } from './rib-link.ts';
import { SessionTimers, type TimerEvent, type TimerHandler } from './timers.ts';
import { Transport } from './transport.ts';

/**
 * The state machine of one connection: executes what `transition` decides, with its transport,
 * handshake, timers and ending. The host decides what concerns several connections of one
 * neighbour.
 */
export class Session implements ConnectionHandler, AttemptHandler, TimerHandler, SessionSink {
	readonly #dependencies: SessionDependencies;
	readonly #host: SessionHost;
	readonly timers: SessionTimers;
	readonly #transport: Transport;
	readonly #sender: MessageSender;
	readonly #ending = new Ending();
	#handshake = new Handshake();
	#state: State = 'idle';
	#sinceWallMs: number;
	/** On the monotonic clock. */
	#establishedAtMs: number | undefined;
	#rib: RibLink | undefined;

	constructor(dependencies: SessionDependencies, host: SessionHost) {
		this.#dependencies = dependencies;
		this.#host = host;
		this.timers = new SessionTimers(dependencies.wheel, dependencies.random, this);
		this.#transport = new Transport(dependencies, this, host.sent, this.timers);
		this.#sender = this.#transport.sender;
		this.#sinceWallMs = dependencies.clock.wallMs();
	}

	get state(): State {
		return this.#state;
	}
	/** Start of the present state, on the wall clock. */
	get sinceWallMs(): number {
		return this.#sinceWallMs;
	}
	/** Time since it was established; 0 before. */
	get establishedForMs(): number {
		const now = this.#dependencies.clock.monotonicMs();
		return now - (this.#establishedAtMs ?? now);
	}
	/** The side that opened the connection; an attempt is outgoing. */
	get direction(): Direction {
		return this.#transport.direction;
	}
	get socket(): Socket | undefined {
		return this.#transport.socket;
	}
	get negotiated(): Negotiated | undefined {
		return this.#handshake.negotiated;
	}
	get opens(): { readonly sent: OpenMessage | undefined; readonly received: OpenMessage | undefined } {
		return this.#handshake;
	}
	get bufferedBytes(): number {
		return this.#transport.bufferedBytes;
	}

	/** `passive`: waits for the peer to connect. */
	start(passive: boolean): void {
		this.#shielded(() => this.#fire(passive ? 'automatic-start-passive' : 'automatic-start'));
	}

	/** Takes over an established TCP connection; `direction` is the side that opened it. */
	attach(socket: Socket, direction: Direction): void {
		this.#transport.attach(socket, direction);
		this.#handshake = new Handshake();
		this.#ending.attached(direction === 'incoming');
		this.#shielded(() => this.#fire(this.#host.localSide().options.delayOpenSeconds > 0 ? 'tcp-up-delayed' : 'tcp-up'));
	}

	/**
	 * Ends the session administratively; silent without a CEASE, for a restart that the peer
	 * bridges.
	 */
	stop(cease: Cease | undefined, reason: string): void {
		this.#ending.ceased(cease, reason);
		this.#fire('stop');
	}

	/** Another connection to this peer won (RFC 4271 §6.8). */
	loseCollision(): void {
		const subcode = CeaseSubcode.connectionCollisionResolution;
		this.#end('collision-lost', 'lost the collision with another connection', {
			type: 'notification-sent',
			code: ErrorCode.cease,
			subcode,
		});
	}

	/** Ends as if the connection were lost: routes with graceful restart are kept (RFC 4724 §4). */
	abandon(reason: string): void {
		this.#end('tcp-failed', reason, { type: 'tcp-lost' });
	}

	/** Requests all routes of every family (RFC 2918). `false`: the peer does not support it. */
	requestRefresh(): boolean {
		const { negotiated } = this;
		if (this.#state !== 'established' || negotiated?.routeRefresh !== true) return false;
		this.#sender.refresh(negotiated);
		return true;
	}

	/**
	 * Called by the RIB. An UPDATE restarts the timers like a KEEPALIVE (RFC 4271 §8.2.2,
	 * Established, event 27).
	 */
	write(bytes: Uint8Array): boolean {
		if (this.#state !== 'established') return true;
		this.timers.armKeepalive();
		return this.#sender.whole(bytes);
	}

	/** Called by the RIB; takes effect at the latest when its present call has returned. */
	fail(code: number, subcode: number, data: Uint8Array, reason: string): void {
		this.#rib?.soon(() => {
			if (this.#state !== 'established') return;
			if (code === ErrorCode.cease) {
				this.#ending.ceased({ subcode, data }, reason);
				this.#fire('automatic-stop');
			} else this.#reject('update-rejected', { code, subcode, data, message: reason });
		});
	}

	/** The connection attempt succeeded. */
	connected(socket: Socket): void {
		this.#shielded(() => {
			if (this.#host.resolveOnConnect(this)) {
				this.attach(socket, 'outgoing');
				return;
			}
			socket.destroy();
			this.failed('another connection to this peer is ahead');
		});
	}

	/** The connection attempt failed. */
	failed(reason: string): void {
		this.#shielded(() => this.#end('tcp-failed', `connect: ${reason}`, { type: 'tcp-lost' }));
	}

	message(type: number, buffer: Uint8Array, start: number, end: number): void {
		this.#host.received.count(type, end - start);
		if (type === MessageType.update && this.#state === 'established') {
			// The row established/update of the table, without a call of `transition`: this is the
			// hot path.
			this.timers.restartHold();
			this.#rib?.update(buffer, start, end);
			return;
		}
		this.#ending.received(type);
		if (type === MessageType.keepalive) this.#fire('keepalive');
		else if (type === MessageType.update) this.#fire('update');
		else if (type === MessageType.open) this.#open(buffer.subarray(start, end));
		else if (type === MessageType.notification) this.#notification(buffer.subarray(start, end));
		else this.#refresh(buffer.subarray(start, end));
	}

	headerRejected(error: PacketError): void {
		this.#reject('header-rejected', error);
	}

	lost(reason: string): void {
		this.#end(this.timers.delayOpen.armed ? 'tcp-failed-delayed' : 'tcp-failed', `connection ${reason}`, {
			type: 'tcp-lost',
		});
	}

	drained(): void {
		this.#rib?.tell((receiver) => receiver.drained());
	}

	expired(event: TimerEvent): void {
		this.#shielded(() => {
			if (event === 'connect-retry-expired' && this.#state === 'connect') this.#host.interrupted('connect: no answer');
			this.#fire(event);
		});
	}

	/**
	 * Unread messages must not count against the peer: first finish a whole poll phase, and process
	 * our own queue.
	 */
	holdPassed(): void {
		const { connection } = this.#transport;
		const judge = (): void => {
			if (this.#transport.connection !== connection || this.timers.hold.armed || this.#state === 'idle') return;
			if (connection?.busy === true) this.timers.hold.arm(1000);
			else this.#end('hold-expired', 'hold timer expired', { type: 'hold-expired' });
		};
		setImmediate(() => setImmediate(() => this.#shielded(judge)));
	}

	sendHoldPassed(): void {
		this.#shielded(() => {
			if (this.#sender.stalled())
				this.#end('send-hold-expired', 'send hold timer expired', { type: 'send-hold-expired' });
		});
	}

	/** An event failed unexpectedly: the session ends by the shortest way. */
	faulted(error: unknown): void {
		const { onFault } = this.#dependencies;
		if (onFault === undefined) throw error;
		onFault(error);
		const from = this.#state;
		if (from === 'idle') return;
		this.#state = 'idle';
		this.#ending.faulted();
		const changed = () => this.#host.changed(this, from, 'idle');
		const forgotten = () => this.#rib?.end({ type: 'forget' });
		tryEach(
			[() => this.timers.disarmAll(), () => this.#transport.close(), forgotten, changed, () => this.#ended()],
			onFault,
		);
	}

	/** Runs an event without a caller that could handle an exception. */
	#shielded(act: () => void): void {
		try {
			act();
		} catch (error) {
			this.faulted(error);
		}
	}

	#open(frame: Uint8Array): void {
		const delayed = this.timers.delayOpen.armed;
		if (this.#state !== 'open-sent' && !delayed) {
			this.#fire('open-accepted');
			return;
		}
		const local = this.#host.localSide();
		this.#guarded('open-rejected', () => {
			const { interfaces } = this.#dependencies;
			const negotiated = this.#handshake.receive(frame, local, this.#transport.socket, interfaces);
			if (!this.#host.resolveCollision(this, negotiated)) {
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
		if (isOpenError && subcode === OpenSubcode.unsupportedOptionalParameter && this.#state === 'open-sent')
			this.#host.parametersRefused();
		if (isOpenError && subcode === OpenSubcode.badPeerAs) this.#host.asNumberRefused();
		const event =
			isOpenError && subcode === OpenSubcode.unsupportedVersionNumber ? 'version-notification' : 'notification';
		this.#end(event, `received ${notificationName(message)}`, { type: 'notification-received', code, subcode });
	}

	#refresh(frame: Uint8Array): void {
		this.#fire('refresh');
		const { negotiated } = this;
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
			this.#reject(event, error);
		}
	}

	#reject(event: Event, error: Pick<PacketError, 'code' | 'subcode' | 'data' | 'message'>): void {
		this.#ending.rejected(error);
		this.#fire(event);
	}

	/** Processes an event that ends the session, unless the table keeps it in its state. */
	#end(event: Event, reason: string, cause: EndCause): void {
		this.#ending.because(reason, cause);
		this.#fire(event);
	}

	#fire(event: Event): void {
		const from = this.#state;
		const { next, do: actions } = transition(from, event);
		if (next !== from) {
			this.#state = next;
			this.#sinceWallMs = this.#dependencies.clock.wallMs();
			if (next === 'idle' || next === 'active') this.timers.disarmAll();
			this.#host.changed(this, from, next);
		}
		for (const action of actions) this.#act(action, from);
		if (from === 'established' && next !== 'established' && this.negotiated !== undefined)
			this.#rib?.end(retention(this.negotiated, this.#ending.cause));
		if (next === 'active' && from === 'open-sent') this.#interrupted();
		else if (next === 'idle' && from !== 'idle') this.#ended();
	}

	#interrupted(): void {
		if (this.#host.waits(this)) this.#host.interrupted(this.#ending.reason);
		else this.#fire('stop');
	}

	#ended(): void {
		const establishedMs = this.#establishedAtMs === undefined ? undefined : this.establishedForMs;
		this.#host.ended(this, this.#ending.outcome(establishedMs));
	}

	#act(action: Action, from: State): void {
		switch (action) {
			case 'connect':
				this.#transport.dial(this.#host.localSide().options, this.#host.kind);
				break;
			case 'close-tcp':
				this.#transport.close();
				break;
			case 'establish':
				this.#establish();
				break;
			case 'count-retry':
				this.#ending.penalize();
				break;
			case 'send-open':
				this.#sender.open(this.#handshake.open(this.#host.localSide()));
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
			case 'arm-open-hold':
			case 'arm-hold':
			case 'restart-hold':
			case 'arm-keepalive':
			case 'disarm-connect-retry':
			case 'disarm-delay-open':
				this.timers.act(action);
				break;
			case 'send-rejection':
			case 'send-hold-expired':
			case 'send-send-hold-expired':
			case 'send-fsm-error':
			case 'send-cease':
			case 'send-collision':
				this.#notify(action, from);
				break;
			default:
				action satisfies never;
		}
	}

	/** RFC 4271 §6: the NOTIFICATION is the last message; the step closes TCP after it. */
	#notify(action: NoticeAction, state: State): void {
		const established = state === 'established' ? this.negotiated : undefined;
		const notice = this.#ending.notice(action, state, established?.notificationRestart === true);
		if (notice === undefined) return;
		this.#host.notified('sent', notice);
		this.#sender.notification(notice, established?.extendedMessageSend === true);
	}

	#establish(): void {
		const { negotiated } = this;
		if (negotiated === undefined) return;
		this.#establishedAtMs = this.#dependencies.clock.monotonicMs();
		this.#rib = new RibLink((error) => this.#reject('update-rejected', error));
		this.#rib.establish(() => this.#host.established(this, negotiated));
	}
}
