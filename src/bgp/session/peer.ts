import type { Socket } from 'node:net';
import { CeaseSubcode, type NotificationMessage } from 'bgp-packet';
import { type Logger, type PeerView, parseAddress } from '../../core/index.ts';
import { collisionSurvivor } from '../fsm/collision.ts';
import type { LocalSide } from '../fsm/open-check.ts';
import { connectRetryMs, endsSeries, idleHoldMs } from '../fsm/retry.ts';
import { type State, states } from '../fsm/states.ts';
import type { Negotiated, SessionReceiver, SessionSink } from '../negotiated.ts';
import type { RestartOptions } from '../speaker/options.ts';
import { MessageCounters } from './counters.ts';
import { dressAccepted, rekey } from './dial.ts';
import type { SessionHost, SessionOutcome, SessionSurroundings } from './host.ts';
import { type Cease, notificationName, notificationView } from './notices.ts';
import { OpenFallback } from './open-fallback.ts';
import type { PeerOptions } from './options.ts';
import { type PeerHistory, peerView } from './peer-view.ts';
import { refuseConnection } from './refuse.ts';
import { Session } from './session.ts';
import type { CoarseTimer } from './timer-wheel.ts';

/** A connection that arrives this long before the pause after a failure is over may wait for it. */
const mostParkedMs = 5000;

/** The speaker, seen from one of its peers. */
export interface PeerHost {
	readonly surroundings: SessionSurroundings;
	readonly log: Logger;
	readonly asNumber: number;
	readonly routerId: number;
	restart(): RestartOptions;
	established(negotiated: Negotiated, options: PeerOptions, sink: SessionSink): SessionReceiver;
	/** The state people see changed, or a session ended with a reason. */
	changed(
		peer: Peer,
		event: { readonly type: 'state' | 'established' | 'ended' | 'notification-sent' | 'notification-received'; readonly reason?: string },
	): void;
	/** A dynamic neighbour has no session any more. */
	gone(peer: Peer): void;
}

/**
 * One neighbour: what is configured of it, and its sessions. There is one, except while two connections collide (RFC 4271 §6.8) or a neighbour that
 * restarted connects anew (RFC 4724 §5). Decides when the next one starts.
 */
export class Peer implements SessionHost {
	readonly log: Logger;
	readonly sent = new MessageCounters();
	readonly received = new MessageCounters();
	readonly dynamic: boolean;
	readonly #host: PeerHost;
	readonly #idleHold: CoarseTimer;
	#options: PeerOptions;
	#sessions: Session[] = [];
	/** Wanted up: enabled, and the speaker runs. */
	#wanted = false;
	#failures = 0;
	#attempts = 0;
	readonly #fallback = new OpenFallback();
	#parked: Socket | undefined;
	readonly #history: PeerHistory = { establishedCount: 0, idleSinceWallMs: 0, shownState: 'idle' };

	constructor(options: PeerOptions, dynamic: boolean, host: PeerHost) {
		this.#options = options;
		this.dynamic = dynamic;
		this.#host = host;
		this.log = host.log.child({ peer: options.name });
		this.#idleHold = host.surroundings.wheel.timer(() => this.#begin(this.#options.passive));
		this.#history.idleSinceWallMs = host.surroundings.clock.wallMs();
	}

	get options(): PeerOptions {
		return this.#options;
	}
	get kind(): 'internal' | 'external' {
		return (this.#options.localAsNumber ?? this.#host.asNumber) === this.#options.asNumber ? 'internal' : 'external';
	}
	get wanted(): boolean {
		return this.#wanted;
	}
	/** The session that is furthest; people see this one. */
	get foremost(): Session | undefined {
		let foremost: Session | undefined;
		for (const session of this.#sessions) if (foremost === undefined || rank(session.state) > rank(foremost.state)) foremost = session;
		return foremost;
	}
	/** What is left of the pause in Idle. */
	get pauseMs(): number | undefined {
		return this.#idleHold.remainingMs;
	}
	get state(): State {
		return this.foremost?.state ?? 'idle';
	}

	/** ManualStart: forgets pauses and failures. */
	start(): void {
		this.#wanted = true;
		this.#failures = 0;
		this.#attempts = 0;
		if (this.#sessions.length === 0 && !this.dynamic) this.#begin(this.#options.passive);
	}

	/** ManualStop: ends every session; down until `start`. Without a CEASE silently. */
	stop(cease: Cease | undefined, reason: string): void {
		this.#wanted = false;
		this.#idleHold.disarm();
		this.#dropParked();
		for (const session of [...this.#sessions]) session.stop(cease, reason);
	}

	/** Ends every session; starts again at once. */
	reset(cease: Cease, reason: string): void {
		const wanted = this.#wanted;
		this.stop(cease, reason);
		if (wanted && !this.dynamic) this.start();
	}

	/** The same, but bridged where both sides agreed on graceful restart: TCP just closes, and each keeps the other's routes meanwhile (RFC 4724 §4). */
	restart(reason: string): void {
		const { foremost } = this;
		if (foremost?.state !== 'established' || !canRestart(foremost)) {
			this.reset({ subcode: CeaseSubcode.otherConfigurationChange }, reason);
			return;
		}
		const wanted = this.#wanted;
		this.#wanted = false;
		for (const session of [...this.#sessions]) session.abandon(reason);
		if (wanted && !this.dynamic) this.start();
	}

	/** Asks for all routes again. `false`: not established, or the peer can't be asked. */
	refresh(): boolean {
		return this.foremost?.requestRefresh() === true;
	}

	/** New options; the caller resets the sessions where that is due. The MD5 key counts at once. @throws SystemCallError */
	reconfigure(options: PeerOptions): void {
		const previous = this.#options;
		this.#options = options;
		this.#fallback.reconfigured(previous, options);
		if (previous.md5Key === options.md5Key || previous.address !== options.address) return;
		for (const { socket } of this.#sessions) if (socket !== undefined) rekey(socket, options.address, options.md5Key);
	}

	/** A connection from the peer's address. */
	accept(socket: Socket): void {
		const established = this.#sessions.find(({ state }) => state === 'established');
		if (!this.#wanted) this.#refuse(socket, CeaseSubcode.connectionRejected, 'not enabled');
		// RFC 4724 §5: a peer that may have restarted is heard; its OPEN decides.
		else if (established !== undefined && !canRestart(established)) this.#refuse(socket, CeaseSubcode.connectionCollisionResolution, 'established already');
		else if (!this.#dress(socket)) this.#refuse(socket, CeaseSubcode.outOfResources, 'socket options');
		else if (this.#sessions.length === 0) this.#acceptIdle(socket);
		else this.#acceptBeside(socket);
	}

	#acceptBeside(socket: Socket): void {
		// The peer gave up an older connection of its own, or it would not open another one.
		for (const session of [...this.#sessions]) {
			if (session.direction === 'incoming' && session.state !== 'established') session.loseCollision();
		}
		(this.#sessions.find(({ state, socket: used }) => state === 'active' && used === undefined) ?? this.#newSession(true)).attach(socket, 'incoming');
	}

	#dress(socket: Socket): boolean {
		try {
			dressAccepted(socket, this.#options, this.kind);
			return true;
		} catch (error) {
			this.log.error('a connection could not be given its TTL', { error: String(error) });
			return false;
		}
	}

	view(): PeerView {
		return peerView(this, this.#history);
	}

	// SessionHost: what sessions ask and tell.

	localSide(): LocalSide {
		const { asNumber, routerId } = this.#host;
		return { asNumber, routerId, options: this.#fallback.applied(this.#options), restart: this.#host.restart(), capabilities: this.#fallback.capabilities };
	}

	connectDelayMs(session: Session): number | undefined {
		// A session beside the first one is there for the connection it was given.
		if (this.#options.passive || session !== this.#sessions[0]) return undefined;
		return connectRetryMs(++this.#attempts, this.#options.connectRetrySeconds, this.#host.surroundings.random);
	}

	waits(session: Session): boolean {
		return session === this.#sessions[0] && !this.dynamic;
	}

	connected(session: Session): boolean {
		for (const other of this.#others(session)) {
			if (other.state === 'established') return false;
			if (other.state !== 'open-confirm' || other.negotiated === undefined) continue;
			if (collisionSurvivor(other.negotiated) === 'incoming') return false;
			other.loseCollision();
		}
		return true;
	}

	survives(session: Session, negotiated: Negotiated): boolean {
		for (const other of this.#others(session)) {
			const { state } = other;
			if (state === 'established') {
				if (session.direction === 'outgoing' || !canRestart(other)) return false;
				other.abandon('superseded by a new connection of the peer');
			} else if (state === 'open-sent' || state === 'open-confirm') {
				// RFC 4271 §6.8: the identifiers decide; of two by the same side the newer is meant.
				const isRival = other.direction !== session.direction;
				if (isRival && collisionSurvivor(negotiated) !== session.direction) return false;
				other.loseCollision();
			}
		}
		return true;
	}

	established(session: Session, negotiated: Negotiated): SessionReceiver {
		for (const other of this.#others(session)) other.stop(undefined, 'another connection is established');
		this.#attempts = 0;
		this.#history.establishedCount++;
		const { holdTimeSeconds, families } = negotiated;
		this.log.info('session established', { holdTimeSeconds, families: families.map(({ family }) => family), direction: session.direction });
		this.#host.changed(this, { type: 'established' });
		return this.#host.established(negotiated, this.#options, session);
	}

	changed(session: Session, from: State, to: State): void {
		this.log.debug('state', { from, to, direction: session.direction });
		const { state } = this;
		if (state === this.#history.shownState) return;
		this.#history.shownState = state;
		if (state === 'idle') this.#history.idleSinceWallMs = this.#host.surroundings.clock.wallMs();
		this.#host.changed(this, { type: 'state' });
	}

	notified(direction: 'sent' | 'received', message: NotificationMessage): void {
		const view = notificationView(message, this.#now());
		if (direction === 'sent') this.#history.lastNotificationSent = view;
		else this.#history.lastNotificationReceived = view;
		const { name, text, dataHex } = view;
		this.log.info(`notification ${direction}`, { code: message.code, subcode: message.subcode, name, ...(text === undefined ? { dataHex } : { text }) });
		this.#host.changed(this, { type: `notification-${direction}`, reason: notificationName(message) });
	}

	parametersRefused(): void {
		this.#fallback.capabilities = false;
		this.log.warn('the peer knows no optional parameters: the next OPEN goes without capabilities');
	}

	asNumberRefused(): void {
		const next = this.#fallback.asNumberRefused(this.#options, this.#host.asNumber);
		if (next !== undefined) this.log.info('the peer expects another AS number of us', { next });
	}

	ended(session: Session, outcome: SessionOutcome): void {
		this.#sessions = this.#sessions.filter((other) => other !== session);
		const { reason, establishedMs } = outcome;
		if (establishedMs !== undefined) {
			this.log.info('session ended', { reason, establishedSeconds: Math.round(establishedMs / 1000) });
			if (endsSeries(establishedMs, this.#options.idleHoldSeconds)) this.#failures = 0;
		} else if (outcome.penalized) this.log.debug('session failed', { reason });
		this.#host.changed(this, { type: 'ended', reason });
		if (this.#sessions.length > 0) return;
		if (this.#wanted) this.interrupted(reason);
		if (this.dynamic) this.#host.gone(this);
		else if (this.#wanted) this.#plan(outcome);
	}

	interrupted(reason: string): void {
		this.#history.lastError = { at: this.#now(), message: reason };
	}

	/** What comes after the last session ended. */
	#plan({ ceaseSubcode, penalized }: SessionOutcome): void {
		if (ceaseSubcode === CeaseSubcode.maximumPrefixesReached) this.#holdDown();
		// No failure of a session: listen on, and try again when ConnectRetryTimer says (RFC 4271 §8.1.2, event 5).
		else if (!penalized) this.#begin(true);
		else this.#idleHold.arm(idleHoldMs(++this.#failures, this.#options.idleHoldSeconds, this.#host.surroundings.random));
	}

	/** RFC 4486 §4: after too many prefixes no restart by itself, unless configured. */
	#holdDown(): void {
		const seconds = this.#options.maxPrefixRestartSeconds;
		this.log.error('session stays down after too many prefixes', seconds === undefined ? {} : { restartSeconds: seconds });
		if (seconds !== undefined) this.#idleHold.arm(seconds * 1000);
	}

	#begin(passive: boolean): void {
		this.#idleHold.disarm();
		if (!this.#wanted || this.#sessions.length > 0) return;
		const parked = this.#parked;
		this.#parked = undefined;
		const session = this.#newSession(passive || parked !== undefined);
		if (parked !== undefined && !parked.destroyed) session.attach(parked, 'incoming');
	}

	#newSession(passive: boolean): Session {
		const session = new Session(this.#host.surroundings, this);
		this.#sessions.push(session);
		session.start(passive);
		return session;
	}

	/** In the pause after a failure nothing is accepted (RFC 4271 §8.2.2, Idle); a connection may wait if it is short. */
	#acceptIdle(socket: Socket): void {
		const pause = this.#idleHold.remainingMs;
		if (pause === undefined && this.dynamic) this.#newSession(true).attach(socket, 'incoming');
		else if (pause === undefined || pause > mostParkedMs) this.#refuse(socket, CeaseSubcode.connectionRejected, 'held down');
		else {
			this.#dropParked();
			socket.on('error', () => {});
			this.#parked = socket;
		}
	}

	#dropParked(): void {
		this.#parked?.destroy();
		this.#parked = undefined;
	}

	#refuse(socket: Socket, subcode: number, reason: string): void {
		this.log.debug('connection refused', { reason });
		refuseConnection(socket, subcode, this.#host.surroundings);
		if (this.dynamic && this.#sessions.length === 0) this.#host.gone(this);
	}

	#others(session: Session): Session[] {
		return this.#sessions.filter((other) => other !== session);
	}

	#now(): string {
		return new Date(this.#host.surroundings.clock.wallMs()).toISOString();
	}
}

const rank = (state: State): number => states.indexOf(state);

/** Did both sides agree on graceful restart for any family? */
function canRestart({ negotiated }: Session): boolean {
	return negotiated?.families.some(({ gracefulRestart }) => gracefulRestart !== undefined) === true;
}

/** The octets of a peer's address, by which connections find it. */
export function addressKey(address: string): string {
	return Buffer.from(parseAddress(address).bytes).toString('hex');
}
