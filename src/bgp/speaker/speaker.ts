import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { CeaseSubcode } from 'bgp-packet';
import { inSlices, LineLimiter, type Logger, type PeerView, type Steps, splitZone } from '../../core/index.ts';
import type { Negotiated, SessionReceiver, SessionSink } from '../model/negotiated.ts';
import type { PeerOptions, PeerRangeOptions } from '../model/peer-options.ts';
import type { Rib } from '../model/rib.ts';
import {
	type PeerChange,
	type PeerCounts,
	PeerExistsError,
	type RefusalReason,
	type SpeakerApi,
	UnknownPeerError,
} from '../model/speaker-api.ts';
import type {
	ListenAddress,
	RestartOptions,
	SessionEvent,
	SpeakerDependencies,
	SpeakerIdentity,
	SpeakerOptions,
	StopOptions,
} from '../model/speaker-options.ts';
import { describePeerChange, hasLocalAddress, needsOnlyConnection } from '../session/change.ts';
import { plainAddress } from '../session/dial.ts';
import type { SessionDependencies, SessionOutcome } from '../session/host.ts';
import { InterfaceAddresses } from '../session/interface-addresses.ts';
import { Peer, type PeerHost } from '../session/peer.ts';
import { ReadTurns } from '../session/read-turns.ts';
import { refuseConnection } from '../session/refuse.ts';
import { TimerWheel } from '../session/timer-wheel.ts';
import { Admission } from './admission.ts';
import { whenClosed } from './closing.ts';
import { countPeers } from './counts.ts';
import { ListeningSockets } from './listening-sockets.ts';
import { OwnRestart } from './own-restart.ts';
import { PeerDirectory } from './peer-directory.ts';
import { dynamicPeerOptions } from './ranges.ts';
import { Watchers } from './watchers.ts';

const stopPatienceMs = 2000;

/**
 * Connects peers, listeners and RIB. Configured peers are identified by name and address; a
 * neighbor from a range is a peer during its session.
 */
export class Speaker implements SpeakerApi, PeerHost {
	readonly dependencies: SessionDependencies;
	readonly log: Logger;
	readonly lines: LineLimiter;
	readonly #rib: Rib;
	#identity: SpeakerIdentity;
	readonly #sockets: ListeningSockets;
	readonly #peers = new PeerDirectory();
	readonly #watchers: Watchers;
	readonly #admission: Admission;
	readonly #restart: OwnRestart;
	#running = false;
	/** A socket update is scheduled at the end of this turn. */
	#expecting = false;

	constructor(options: SpeakerOptions, { rib, log, clock, random, onFault }: SpeakerDependencies) {
		this.#rib = rib;
		this.#watchers = new Watchers(clock, onFault);
		this.log = log;
		this.lines = new LineLimiter(clock);
		const { asNumber, routerId, clusterId } = options;
		this.#identity = { asNumber, routerId, clusterId };
		this.#restart = new OwnRestart(options.gracefulRestart, clock);
		this.dependencies = {
			clock,
			random,
			interfaces: new InterfaceAddresses(clock),
			wheel: new TimerWheel(clock, onFault),
			turns: new ReadTurns(),
			open: new Set(),
			onFault,
		};
		this.#admission = new Admission(clock, random, log);
		this.#sockets = new ListeningSockets(options.listen, { log, accept: (socket) => this.#accept(socket), onFault });
		this.setRanges(options.ranges);
		for (const peer of options.peers) this.addPeer(peer);
		rib.onInSync(() => this.#restart.complete());
	}

	async listen(): Promise<void> {
		this.#expect();
		await this.#sockets.open();
	}

	async start(): Promise<void> {
		await this.listen();
		this.#running = true;
		await inSlices(this.#startSteps());
		this.#sockets.release();
	}

	/** One step per peer: thousands may connect. */
	*#startSteps(): Steps<void> {
		for (const peer of [...this.#peers.all()]) {
			if (peer.options.enabled && !peer.wanted && this.#running) peer.start();
			yield;
		}
	}

	/** For the F bit of the next OPENs (RFC 4724 §4.1): known once the kernel was read. */
	setForwardingPreserved(preserved: boolean): void {
		this.#restart.setForwardingPreserved(preserved);
	}

	get identity(): SpeakerIdentity {
		return this.#identity;
	}
	get asNumber(): number {
		return this.#identity.asNumber;
	}
	get routerId(): number {
		return this.#identity.routerId;
	}

	setIdentity(identity: SpeakerIdentity): readonly string[] {
		const before = this.#identity;
		if (isDeepStrictEqual(before, identity)) return [];
		this.#identity = { ...identity };
		const reset: string[] = [];
		for (const peer of [...this.#peers.all()]) {
			const { name, localAsNumber, localRouterId } = peer.options;
			const becomesOther = localAsNumber === undefined && before.asNumber !== identity.asNumber;
			if (!becomesOther && (localRouterId !== undefined || before.routerId === identity.routerId)) continue;
			reset.push(name);
			if (becomesOther) peer.reset({ subcode: CeaseSubcode.otherConfigurationChange }, 'our AS number changed');
			else peer.restart('our router ID changed');
		}
		if (before.routerId !== identity.routerId) this.#restart.bridge();
		// Sessions first: no UPDATE of the new identity may be sent over a session of the old one.
		const { asNumber: localAsNumber, routerId, clusterId } = identity;
		this.#rib.setIdentity({ localAsNumber, routerId, clusterId });
		return reset;
	}

	get listening(): readonly ListenAddress[] {
		return this.#sockets.addresses;
	}

	async setListen(listen: readonly ListenAddress[]): Promise<void> {
		try {
			await this.#sockets.replace(listen);
		} finally {
			this.#expect();
		}
	}

	/** The bound ports, in the order of the options. */
	get ports(): number[] {
		return this.#sockets.ports;
	}

	async stop({ graceful, reason }: StopOptions): Promise<void> {
		this.#running = false;
		this.#restart.stop();
		this.#sockets.close();
		const cease = graceful ? undefined : { subcode: CeaseSubcode.administrativeShutdown, text: reason };
		for (const peer of [...this.#peers.all()]) peer.stop(cease, `speaker stops: ${reason}`);
		await whenClosed(this.dependencies.open, this.dependencies.clock, stopPatienceMs);
	}

	addPeer(options: PeerOptions): void {
		const other = this.#peers.colliding(options);
		if (other !== undefined) throw new PeerExistsError(other.options.name);
		for (const dynamic of this.#peers.dynamicBeside(options))
			dynamic.stop({ subcode: CeaseSubcode.otherConfigurationChange }, 'the peer is configured by itself now');
		const peer = this.#add(options, false);
		this.#expectSoon(options);
		if (this.#running && options.enabled) peer.start();
	}

	removePeer(name: string): void {
		const peer = this.#known(name);
		peer.stop({ subcode: CeaseSubcode.peerDeconfigured }, 'removed from the configuration');
		this.#remove(peer);
		this.#rib.forget(name);
		this.#expectSoon(peer.options);
	}

	updatePeer(options: PeerOptions): PeerChange {
		const peer = this.#known(options.name);
		// The interface distinguishes connections of link-local peers.
		if (peer.options.address === options.address && peer.options.device === options.device)
			return this.#reconfigure(peer, options);
		const change = describePeerChange(peer.options, options);
		this.removePeer(options.name);
		this.addPeer(options);
		return change;
	}

	setRanges(ranges: readonly PeerRangeOptions[]): void {
		this.#admission.ranges.replace(ranges);
		for (const peer of [...this.#peers.all()]) {
			if (!peer.dynamic) continue;
			const range = this.#admission.ranges.find(peer.options.address);
			if (range === undefined) peer.stop({ subcode: CeaseSubcode.peerDeconfigured }, 'its range was removed');
			else this.#reconfigure(peer, dynamicPeerOptions(range, peer.options.address, peer.options.device));
		}
		this.#expect();
	}

	interfaceLost(interfaceName: string): readonly string[] {
		const ended: string[] = [];
		for (const peer of [...this.#peers.all()]) if (peer.interfaceLost(interfaceName)) ended.push(peer.options.name);
		return ended;
	}

	enable(name: string): void {
		const peer = this.#known(name);
		if (this.#running) peer.start();
	}

	leave(name: string): void {
		this.#known(name).leave();
	}

	disable(name: string, text?: string): void {
		this.#disable(this.#known(name), text ?? '');
	}

	reset(name: string, how: 'soft' | 'hard', text?: string): void {
		const peer = this.#known(name);
		if (how === 'soft') {
			peer.refresh();
			this.#rib.resend(name);
		} else
			peer.reset(
				{ subcode: CeaseSubcode.administrativeReset, ...(text === undefined ? {} : { text }) },
				text ?? 'reset by the operator',
			);
	}

	refresh(name: string): boolean {
		return this.#known(name).refresh();
	}

	peers(): PeerView[] {
		return [...this.eachPeer()];
	}

	*eachPeer(): Generator<PeerView, void, void> {
		for (const name of this.#peers.names()) {
			const view = this.peer(name);
			if (view !== undefined) yield view;
		}
	}

	peerAt(address: string): PeerView | undefined {
		const [peer] = this.#peers.at(address);
		return peer && this.peer(peer.options.name);
	}

	stateOf(name: string): PeerView['state'] | undefined {
		return this.#peers.get(name)?.state;
	}

	peerCounts(): PeerCounts {
		return countPeers(this.#peers.all());
	}

	refusedConnections(): Readonly<Record<RefusalReason, number>> {
		return this.#admission.refused;
	}

	withoutKey(): ReturnType<SpeakerApi['withoutKey']> {
		return this.#sockets.withoutKey;
	}

	peerOptions(name: string): PeerOptions | undefined {
		return this.#peers.get(name)?.options;
	}

	*eachPeerOptions(): Generator<PeerOptions, void, void> {
		for (const { options } of this.#peers.all()) yield options;
	}

	peer(name: string): PeerView | undefined {
		const peer = this.#peers.get(name);
		if (peer === undefined) return undefined;
		const malformed = this.#rib.malformed(name);
		return { ...peer.view(), prefixes: this.#rib.counts(name), ...(malformed === undefined ? {} : { malformed }) };
	}

	onEvent(listener: (event: SessionEvent) => void): () => void {
		return this.#watchers.add(listener);
	}

	// PeerHost: the calls of peers.

	restart(): RestartOptions {
		return this.#restart.options;
	}

	established(negotiated: Negotiated, options: PeerOptions, sink: SessionSink): SessionReceiver {
		return this.#rib.established(negotiated, options, sink);
	}

	changed(peer: Peer, { type, reason }: Parameters<PeerHost['changed']>[1]): void {
		this.#watchers.tell(peer, type, reason);
	}

	gone(peer: Peer, outcome: SessionOutcome | undefined): void {
		if (outcome !== undefined) this.#admission.ended(peer.options.name, outcome, peer.options.idleHoldSeconds);
		if (this.#peers.get(peer.options.name) === peer) this.#remove(peer);
	}

	#accept(socket: Socket): void {
		const { remoteAddress } = socket;
		if (remoteAddress === undefined) return;
		const address = plainAddress(remoteAddress);
		const { interfaceName } = splitZone(remoteAddress);
		const peer = this.#peers.accepting(address, interfaceName) ?? this.#welcome(address, interfaceName);
		if (peer !== undefined) peer.accept(socket);
		else {
			refuseConnection(socket, CeaseSubcode.connectionRejected, this.dependencies);
		}
	}

	/** Creates a peer for an address in a range, if there is room. */
	#welcome(address: string, interfaceName: string | undefined): Peer | undefined {
		const range = this.#running
			? this.#admission.admit(address, interfaceName)
			: this.#admission.refuse('not-configured', address);
		if (range === undefined) return undefined;
		const peer = this.#add(dynamicPeerOptions(range, address, interfaceName), true);
		this.#admission.ranges.joined(peer.options.name, range);
		peer.start();
		return peer;
	}

	#add(options: PeerOptions, dynamic: boolean): Peer {
		const peer = new Peer(options, dynamic, this);
		this.#peers.add(peer);
		this.#watchers.tell(peer, 'peer-added');
		return peer;
	}

	#remove(peer: Peer): void {
		this.#peers.remove(peer);
		this.#admission.ranges.left(peer.options.name);
		this.#watchers.tell(peer, 'peer-removed');
	}

	/** Applies options to a peer with unchanged name and address. */
	#reconfigure(peer: Peer, options: PeerOptions): PeerChange {
		const before = peer.options;
		const change = describePeerChange(before, options);
		if (change.effect === 'none') return change;
		peer.reconfigure(options);
		this.#expectSoon(before, options);
		if (change.fields.some(({ effect }) => effect === 'routes')) this.#rib.reconfigure(options.name, options);
		if (before.enabled && !options.enabled) this.#disable(peer, 'disabled in the configuration');
		else if (!before.enabled && options.enabled && this.#running) peer.start();
		else if (change.effect === 'reset' && !hasLocalAddress(change, options, peer.negotiated)) {
			const reason = `configuration changed: ${change.fields.map(({ field }) => field).join(', ')}`;
			if (needsOnlyConnection(change)) {
				peer.restart(reason);
				this.#restart.bridge();
			} else peer.reset({ subcode: CeaseSubcode.otherConfigurationChange }, reason);
		}
		return change;
	}

	#disable(peer: Peer, text: string): void {
		peer.stop({ subcode: CeaseSubcode.administrativeShutdown, text }, text === '' ? 'disabled by the operator' : text);
		// Also removes routes kept by a graceful restart.
		this.#rib.forget(peer.options.name);
	}

	#known(name: string): Peer {
		const peer = this.#peers.get(name);
		if (peer === undefined) throw new UnknownPeerError(name);
		return peer;
	}

	#expect(): void {
		this.#sockets.expect(this.#peers.all(), this.#admission.ranges);
	}

	/** Once for all peers added or removed in one turn; before the kernel delivers a connection. */
	#expectSoon(...changed: readonly PeerOptions[]): void {
		if (this.#expecting || this.#sockets.isIndifferentTo(changed)) return;
		this.#expecting = true;
		queueMicrotask(() => {
			this.#expecting = false;
			this.#expect();
		});
	}
}
