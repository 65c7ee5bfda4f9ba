import type { Socket } from 'node:net';
import { CeaseSubcode, type NotificationMessage } from 'bgp-packet';
import type { LineLimiter, Logger, PeerView } from '../../core/index.ts';
import { canRestart, isReplaced } from '../fsm/collision.ts';
import type { LocalSide } from '../fsm/open-check.ts';
import { connectRetryMs, endsSeries, idleHoldMs } from '../fsm/retry.ts';
import { type State, states } from '../fsm/states.ts';
import type { Negotiated, SessionReceiver, SessionSink } from '../model/negotiated.ts';
import type { PeerOptions } from '../model/peer-options.ts';
import type { RestartOptions } from '../model/speaker-options.ts';
import { resolveCollision, resolveOnConnect } from './collisions.ts';
import { MessageCounters } from './counters.ts';
import { dressAccepted, rekey } from './dial.ts';
import type { SessionDependencies, SessionHost, SessionOutcome } from './host.ts';
import { type Cease, notificationName } from './notices.ts';
import { OpenFallback } from './open-fallback.ts';
import { PeerHistory } from './peer-history.ts';
import { peerView } from './peer-view.ts';
import { refuseConnection } from './refuse.ts';
import { Session } from './session.ts';
import type { CoarseTimer } from './timer-wheel.ts';

/**
 * A connection within this time before the end of the pause after a failure is parked, in
 * milliseconds.
 */
const mostParkedMs = 5000;

/** The speaker from the view of one of its peers. */
export interface PeerHost {
	/** Those of its sessions. */
	readonly dependencies: SessionDependencies;
	readonly log: Logger;
	/** Limits the lines of each peer: sessions come and go as often as the remote side decides. */
	readonly lines: LineLimiter;
	readonly asNumber: number;
	readonly routerId: number;
	restart(): RestartOptions;
	established(negotiated: Negotiated, options: PeerOptions, sink: SessionSink): SessionReceiver;
	/** The visible state changed, or a session ended with a reason. */
	changed(
		peer: Peer,
		event: {
			readonly type: 'state' | 'established' | 'ended' | 'notification-sent' | 'notification-received';
			readonly reason?: string;
		},
	): void;
	/**
	 * A dynamic neighbor has no session any more; `outcome`: of the last session, `undefined`:
	 * there was none.
	 */
	gone(peer: Peer, outcome: SessionOutcome | undefined): void;
}

/**
 * One neighbour: its configuration and its sessions. There is one session, except while two
 * connections collide (RFC 4271 §6.8) or a restarted neighbour connects again (RFC 4724 §5).
 * Decides when the next session starts.
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
	/** The desired state is up: enabled, and the speaker runs. */
	#wanted = false;
	/** The session that stands is the last one. */
	#leaves = false;
	#failures = 0;
	#attempts = 0;
	readonly #fallback = new OpenFallback();
	#parked: Socket | undefined;
	/** The last session exceeded the prefix limit (RFC 4486 §4). */
	#isHeldDown = false;
	readonly #history: PeerHistory;

	constructor(options: PeerOptions, dynamic: boolean, host: PeerHost) {
		this.#options = options;
		this.dynamic = dynamic;
		this.#host = host;
		this.log = host.lines.limit(host.log.child({ peer: options.name }), options.name);
		this.#idleHold = host.dependencies.wheel.timer(() => this.#begin(this.#options.passive));
		this.#history = new PeerHistory(this.log, host.dependencies.clock);
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
	/** The most advanced session; it is the visible one. */
	get foremost(): Session | undefined {
		let foremost: Session | undefined;
		for (const session of this.#sessions)
			if (foremost === undefined || rank(session.state) > rank(foremost.state)) foremost = session;
		return foremost;
	}
	/** The parameters of the established session, if there is one. */
	get negotiated(): Negotiated | undefined {
		const { foremost } = this;
		return foremost?.state === 'established' ? foremost.negotiated : undefined;
	}
	/** The rest of the pause in Idle. */
	get pauseMs(): number | undefined {
		return this.#idleHold.remainingMs;
	}
	get state(): State {
		return this.foremost?.state ?? 'idle';
	}

	/** ManualStart: clears pauses and failures. */
	start(): void {
		this.#wanted = true;
		this.#leaves = false;
		this.#failures = 0;
		this.#attempts = 0;
		if (this.#sessions.length === 0 && !this.dynamic) this.#begin(this.#options.passive);
	}

	/** ManualStop: ends every session; down until `start`. Silent without a CEASE. */
	stop(cease: Cease | undefined, reason: string): void {
		this.#wanted = false;
		this.#idleHold.disarm();
		this.#dropParked();
		for (const session of [...this.#sessions]) session.stop(cease, reason);
	}

	/**
	 * An established session goes on until it ends; after that, and without one, the peer is down
	 * until `start`.
	 */
	leave(): void {
		this.#leaves = true;
		if (this.state !== 'established') this.stop(undefined, 'the peer is about to be removed');
	}

	/** Ends every session and starts again at once. */
	reset(cease: Cease, reason: string): void {
		const wanted = this.#wanted;
		this.stop(cease, reason);
		if (wanted && !this.dynamic) this.start();
	}

	/**
	 * As `reset`, but graceful if both sides support it: TCP is closed without a NOTIFICATION, and
	 * each side keeps the other's routes (RFC 4724 §4).
	 */
	restart(reason: string): void {
		const { foremost } = this;
		if (foremost?.state !== 'established' || !canRestart(foremost.negotiated)) {
			this.reset({ subcode: CeaseSubcode.otherConfigurationChange }, reason);
			return;
		}
		const wanted = this.#wanted;
		this.#wanted = false;
		for (const session of [...this.#sessions]) session.abandon(reason);
		if (wanted && !this.dynamic) this.start();
	}

	/**
	 * The peer's link is down: its sessions over this interface end without a NOTIFICATION.
	 * `false`: none ended.
	 */
	interfaceLost(interfaceName: string): boolean {
		const lost = this.#sessions.filter(
			({ negotiated }) => negotiated?.interfaceName === interfaceName && this.#isOnLink(),
		);
		for (const session of lost) session.abandon(`interface ${interfaceName} is down`);
		return lost.length > 0;
	}

	/**
	 * True for a peer on one link: bound to an interface, or external without multihop (RFC 4271
	 * §5.1.3).
	 */
	#isOnLink(): boolean {
		const { device, multihopTtl, ttlSecurityHops } = this.#options;
		if (device !== undefined) return true;
		return this.kind === 'external' && (multihopTtl ?? 1) === 1 && (ttlSecurityHops ?? 1) === 1;
	}

	/** Requests all routes again. `false`: not established, or the peer does not support it. */
	refresh(): boolean {
		return this.foremost?.requestRefresh() === true;
	}

	/**
	 * Sets new options; the caller resets the sessions if required. A new MD5 key takes effect at
	 * once. @throws SystemCallError
	 */
	reconfigure(options: PeerOptions): void {
		const previous = this.#options;
		this.#options = options;
		this.#fallback.reconfigured(previous, options);
		if (this.#isHeldDown && allowsMore(previous.maxPrefix, options.maxPrefix)) {
			this.log.info('the prefix limit changed: the session starts again', { limit: options.maxPrefix?.limit });
			this.#begin(options.passive);
		}
		if (previous.md5Key === options.md5Key || previous.address !== options.address) return;
		for (const { socket } of this.#sessions) if (socket !== undefined) rekey(socket, options.address, options.md5Key);
	}

	/** A connection from the peer's address. */
	accept(socket: Socket): void {
		const established = this.#sessions.find(({ state }) => state === 'established');
		if (!this.#wanted || this.#leaves) this.#refuse(socket, CeaseSubcode.connectionRejected, 'not enabled');
		// RFC 4724 §5: a peer that may have restarted is accepted; its OPEN decides.
		else if (established !== undefined && !isReplaced(established))
			this.#refuse(socket, CeaseSubcode.connectionCollisionResolution, 'established already');
		else if (!this.#dress(socket)) this.#refuse(socket, CeaseSubcode.outOfResources, 'socket options');
		else if (this.#sessions.length === 0) this.#acceptIdle(socket);
		else this.#acceptBeside(socket);
	}

	#acceptBeside(socket: Socket): void {
		// The peer gave up its older connection, or it would not open a new one.
		for (const session of [...this.#sessions]) {
			if (session.direction === 'incoming' && session.state !== 'established') session.loseCollision();
		}
		(
			this.#sessions.find(({ state, socket: used }) => state === 'active' && used === undefined) ??
			this.#newSession(true)
		).attach(socket, 'incoming');
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

	// SessionHost: the calls of sessions.

	localSide(): LocalSide {
		const { asNumber, routerId } = this.#host;
		return {
			asNumber,
			routerId,
			options: this.#fallback.applied(this.#options),
			restart: this.#host.restart(),
			capabilities: this.#fallback.capabilities,
		};
	}

	connectDelayMs(session: Session): number | undefined {
		// An additional session exists only for its given connection.
		if (this.#options.passive || session !== this.#sessions[0]) return undefined;
		return connectRetryMs(++this.#attempts, this.#options.connectRetrySeconds, this.#host.dependencies.random);
	}

	waits(session: Session): boolean {
		return session === this.#sessions[0] && !this.dynamic;
	}

	resolveOnConnect(session: Session): boolean {
		return resolveOnConnect(this.#others(session));
	}

	resolveCollision(session: Session, negotiated: Negotiated): boolean {
		return resolveCollision(session, negotiated, this.#others(session));
	}

	established(session: Session, negotiated: Negotiated): SessionReceiver {
		for (const other of this.#others(session)) other.stop(undefined, 'another connection is established');
		this.#attempts = 0;
		this.#history.established(session, negotiated);
		this.#host.changed(this, { type: 'established' });
		return this.#host.established(negotiated, this.#options, session);
	}

	changed(session: Session, from: State, to: State): void {
		this.log.debug('state', { from, to, direction: session.direction });
		if (!this.#history.changed(this.state)) return;
		this.#host.changed(this, { type: 'state' });
	}

	notified(direction: 'sent' | 'received', message: NotificationMessage): void {
		this.#history.notified(direction, message);
		this.#host.changed(this, { type: `notification-${direction}`, reason: notificationName(message) });
	}

	parametersRefused(): void {
		this.#fallback.capabilities = false;
		this.log.warn('the peer refuses optional parameters: the next OPEN goes without capabilities');
	}

	asNumberRefused(): void {
		const next = this.#fallback.asNumberRefused(this.#options, this.#host.asNumber);
		if (next !== undefined) this.log.info('the peer expects another AS number of us', { next });
	}

	ended(session: Session, outcome: SessionOutcome): void {
		this.#sessions = this.#sessions.filter((other) => other !== session);
		const { reason, establishedMs } = outcome;
		this.#history.ended(outcome);
		if (establishedMs !== undefined && endsSeries(establishedMs, this.#options.idleHoldSeconds)) this.#failures = 0;
		this.#host.changed(this, { type: 'ended', reason });
		if (this.#sessions.length > 0) return;
		if (this.#wanted) this.interrupted(reason);
		if (this.#leaves) this.#wanted = false;
		if (this.dynamic) this.#host.gone(this, outcome);
		else if (this.#wanted) this.#plan(outcome);
	}

	interrupted(reason: string): void {
		this.#history.interrupted(reason);
	}

	/** Plans the step after the end of the last session. */
	#plan({ ceaseSubcode, penalized }: SessionOutcome): void {
		if (ceaseSubcode === CeaseSubcode.maximumPrefixesReached) this.#holdDown();
		// Not a failed session: keep listening, and retry when ConnectRetryTimer expires (RFC 4271
		// §8.1.2, event 5).
		else if (!penalized) this.#begin(true);
		else
			this.#idleHold.arm(idleHoldMs(++this.#failures, this.#options.idleHoldSeconds, this.#host.dependencies.random));
	}

	/** RFC 4486 §4: no automatic restart after too many prefixes, unless configured. */
	#holdDown(): void {
		this.#isHeldDown = true;
		const seconds = this.#options.maxPrefixRestartSeconds;
		this.log.error(
			'session stays down after too many prefixes',
			seconds === undefined ? {} : { restartSeconds: seconds },
		);
		if (seconds !== undefined) this.#idleHold.arm(seconds * 1000);
	}

	#begin(passive: boolean): void {
		this.#idleHold.disarm();
		if (!this.#wanted || this.#sessions.length > 0) return;
		this.#isHeldDown = false;
		const parked = this.#parked;
		this.#parked = undefined;
		const session = this.#newSession(passive || parked !== undefined);
		if (parked !== undefined && !parked.destroyed) session.attach(parked, 'incoming');
	}

	#newSession(passive: boolean): Session {
		const session = new Session(this.#host.dependencies, this);
		this.#sessions.push(session);
		session.start(passive);
		return session;
	}

	/**
	 * During the pause after a failure no connection is accepted (RFC 4271 §8.2.2, Idle); it may be
	 * parked if the rest is short.
	 */
	#acceptIdle(socket: Socket): void {
		const pause = this.#idleHold.remainingMs;
		if (pause === undefined && this.dynamic) this.#newSession(true).attach(socket, 'incoming');
		else if (pause === undefined || pause > mostParkedMs)
			this.#refuse(socket, CeaseSubcode.connectionRejected, 'held down');
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
		refuseConnection(socket, subcode, this.#host.dependencies);
		if (this.dynamic && this.#sessions.length === 0) this.#host.gone(this, undefined);
	}

	#others(session: Session): Session[] {
		return this.#sessions.filter((other) => other !== session);
	}
}

/** True if the new limit allows the peer more prefixes than before. */
function allowsMore(before: PeerOptions['maxPrefix'], after: PeerOptions['maxPrefix']): boolean {
	if (before === undefined) return false;
	return after === undefined || after.action !== 'shutdown' || after.limit > before.limit;
}

const rank = (state: State): number => states.indexOf(state);
