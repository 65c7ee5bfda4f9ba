import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { CeaseSubcode } from 'bgp-packet';
import type { Logger, PeerView } from '../../core/index.ts';
import { Listener, type ListenerNeighbour } from '../listener.ts';
import type { Negotiated, SessionReceiver, SessionSink } from '../negotiated.ts';
import type { Rib } from '../rib/types.ts';
import { describePeerChange } from '../session/change.ts';
import { minimumTtl, plainAddress } from '../session/dial.ts';
import type { SessionSurroundings } from '../session/host.ts';
import type { PeerOptions, PeerRangeOptions } from '../session/options.ts';
import { addressKey, Peer, type PeerHost } from '../session/peer.ts';
import { ReadTurns } from '../session/read-turns.ts';
import { refuseConnection } from '../session/refuse.ts';
import { TimerWheel } from '../session/timer-wheel.ts';
import { type PeerChange, PeerExistsError, type SpeakerApi, UnknownPeerError } from './api.ts';
import type { ListenAddress, RestartOptions, SessionEvent, SpeakerDependencies, SpeakerIdentity, SpeakerOptions, StopOptions } from './options.ts';
import { dynamicPeerOptions, Ranges } from './ranges.ts';
import { relisten } from './relisten.ts';

const stopPatienceMs = 2000;
/** Calico's restart time: nobody waits longer. */
const bridgeMs = 120_000;

/** Peers, listeners and RIB wired together. Configured peers are known by name and by address; who comes from a range is a peer while its session lives. */
export class Speaker implements SpeakerApi, PeerHost {
	readonly surroundings: SessionSurroundings;
	readonly log: Logger;
	readonly #rib: Rib;
	readonly #options: SpeakerOptions;
	#identity: SpeakerIdentity;
	#listeners: readonly Listener[];
	readonly #peers = new Map<string, Peer>();
	readonly #byAddress = new Map<string, Peer>();
	readonly #watchers = new Set<(event: SessionEvent) => void>();
	readonly #ranges = new Ranges();
	#restarting: boolean;
	#bridged: { cancel(): void } | undefined;
	#running = false;

	constructor(options: SpeakerOptions, { rib, log, clock, random }: SpeakerDependencies) {
		this.#options = options;
		this.#rib = rib;
		this.log = log;
		const { asNumber, routerId, clusterId } = options;
		this.#identity = { asNumber, routerId, clusterId };
		this.#restarting = options.gracefulRestart.restarting;
		this.surroundings = { clock, random, wheel: new TimerWheel(clock), turns: new ReadTurns(), open: new Set() };
		this.#listeners = options.listen.map((where) => this.#listener(where));
		this.setRanges(options.ranges);
		for (const peer of options.peers) this.addPeer(peer);
		// RFC 4724 §4.1: once the tables are complete, what comes up later does not follow a restart of ours.
		rib.onInSync(() => {
			this.#restarting = false;
		});
	}

	async start(): Promise<void> {
		for (const listener of this.#listeners) await listener.open();
		this.#running = true;
		this.#expect();
		for (const peer of this.#peers.values()) if (peer.options.enabled) peer.start();
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
		for (const peer of [...this.#peers.values()]) {
			const { name, localAsNumber, localRouterId } = peer.options;
			const becomesOther = localAsNumber === undefined && before.asNumber !== identity.asNumber;
			if (!becomesOther && (localRouterId !== undefined || before.routerId === identity.routerId)) continue;
			reset.push(name);
			if (becomesOther) peer.reset({ subcode: CeaseSubcode.otherConfigurationChange }, 'our AS number changed');
			else peer.restart('our router ID changed');
		}
		if (before.routerId !== identity.routerId) this.#bridge();
		// The sessions first: nobody must be told by the old OPEN what the new one means.
		const { asNumber: localAsNumber, routerId, clusterId } = identity;
		this.#rib.setIdentity({ localAsNumber, routerId, clusterId });
		return reset;
	}

	get listening(): readonly ListenAddress[] {
		return this.#listeners.map(({ where }) => where);
	}

	async setListen(listen: readonly ListenAddress[]): Promise<void> {
		const { listeners, error } = await relisten(this.#listeners, listen, async (where) => {
			const listener = this.#listener(where);
			if (this.#running) await listener.open();
			return listener;
		});
		this.#listeners = listeners;
		this.#expect();
		if (error !== undefined) throw error;
	}

	/** The ports listened at, in the order of the options. */
	get ports(): number[] {
		return this.#listeners.map(({ port }) => port);
	}

	async stop({ graceful, reason }: StopOptions): Promise<void> {
		this.#running = false;
		this.#bridged?.cancel();
		for (const listener of this.#listeners) listener.close();
		const cease = graceful ? undefined : { subcode: CeaseSubcode.administrativeShutdown, text: reason };
		for (const peer of [...this.#peers.values()]) peer.stop(cease, `speaker stops: ${reason}`);
		await this.#closed();
	}

	addPeer(options: PeerOptions): void {
		const key = addressKey(options.address);
		if (this.#peers.get(options.name)?.dynamic === false) throw new PeerExistsError(options.name);
		const other = this.#byAddress.get(key);
		if (other?.dynamic === false) throw new PeerExistsError(other.options.name);
		// What was configured now came out of a range before.
		other?.stop({ subcode: CeaseSubcode.otherConfigurationChange }, 'the peer is configured by itself now');
		const peer = this.#add(options, false);
		this.#expect();
		if (this.#running && options.enabled) peer.start();
	}

	removePeer(name: string): void {
		const peer = this.#known(name);
		peer.stop({ subcode: CeaseSubcode.peerDeconfigured }, 'removed from the configuration');
		this.#remove(peer);
		this.#rib.forget(name);
		this.#expect();
	}

	updatePeer(options: PeerOptions): PeerChange {
		const peer = this.#known(options.name);
		if (peer.options.address === options.address) return this.#reconfigure(peer, options);
		const change = describePeerChange(peer.options, options);
		this.removePeer(options.name);
		this.addPeer(options);
		return change;
	}

	setRanges(ranges: readonly PeerRangeOptions[]): void {
		this.#ranges.replace(ranges);
		for (const peer of [...this.#peers.values()]) {
			if (!peer.dynamic) continue;
			const range = this.#ranges.find(peer.options.address);
			if (range === undefined) peer.stop({ subcode: CeaseSubcode.peerDeconfigured }, 'its range was removed');
			else this.#reconfigure(peer, dynamicPeerOptions(range, peer.options.address));
		}
		this.#expect();
	}

	enable(name: string): void {
		const peer = this.#known(name);
		if (this.#running) peer.start();
	}

	disable(name: string, text?: string): void {
		this.#disable(this.#known(name), text ?? '');
	}

	reset(name: string, how: 'soft' | 'hard', text?: string): void {
		const peer = this.#known(name);
		if (how === 'soft') {
			peer.refresh();
			this.#rib.resend(name);
		} else peer.reset({ subcode: CeaseSubcode.administrativeReset, ...(text === undefined ? {} : { text }) }, text ?? 'reset by the operator');
	}

	refresh(name: string): boolean {
		return this.#known(name).refresh();
	}

	peers(): PeerView[] {
		const names = [...this.#peers.keys()].sort();
		return names.flatMap((name) => this.peer(name) ?? []);
	}

	peerOptions(name: string): PeerOptions | undefined {
		return this.#peers.get(name)?.options;
	}

	peer(name: string): PeerView | undefined {
		const peer = this.#peers.get(name);
		if (peer === undefined) return undefined;
		const malformed = this.#rib.malformed(name);
		return { ...peer.view(), prefixes: this.#rib.counts(name), ...(malformed === undefined ? {} : { malformed }) };
	}

	onEvent(listener: (event: SessionEvent) => void): () => void {
		this.#watchers.add(listener);
		return () => this.#watchers.delete(listener);
	}

	// PeerHost: what peers ask and tell.

	restart(): RestartOptions {
		// A running speaker forwards.
		return { restarting: this.#restarting, forwardingPreserved: this.#bridged !== undefined || this.#options.gracefulRestart.forwardingPreserved };
	}

	established(negotiated: Negotiated, options: PeerOptions, sink: SessionSink): SessionReceiver {
		return this.#rib.established(negotiated, options, sink);
	}

	changed(peer: Peer, { type, reason }: Parameters<PeerHost['changed']>[1]): void {
		this.#tell(peer, type, reason);
	}

	gone(peer: Peer): void {
		if (this.#peers.get(peer.options.name) === peer) this.#remove(peer);
	}

	#accept(socket: Socket): void {
		const { remoteAddress } = socket;
		if (remoteAddress === undefined) return;
		const address = plainAddress(remoteAddress);
		const peer = this.#byAddress.get(addressKey(address)) ?? this.#welcome(address);
		if (peer !== undefined) peer.accept(socket);
		else {
			this.log.debug('connection from an address that is not configured', { address });
			refuseConnection(socket, CeaseSubcode.connectionRejected, this.surroundings);
		}
	}

	/** A peer for an address of a range, where one is left. */
	#welcome(address: string): Peer | undefined {
		const range = this.#running ? this.#ranges.find(address) : undefined;
		if (range === undefined) return undefined;
		if (this.#ranges.isFull(range)) {
			this.log.warn('a range of neighbours is full', { range: range.name, limit: range.limit, address });
			return undefined;
		}
		const peer = this.#add(dynamicPeerOptions(range, address), true);
		this.#ranges.joined(address, range);
		peer.start();
		return peer;
	}

	#add(options: PeerOptions, dynamic: boolean): Peer {
		const peer = new Peer(options, dynamic, this);
		this.#peers.set(options.name, peer);
		this.#byAddress.set(addressKey(options.address), peer);
		this.#tell(peer, 'peer-added');
		return peer;
	}

	#remove(peer: Peer): void {
		const { name, address } = peer.options;
		this.#peers.delete(name);
		this.#byAddress.delete(addressKey(address));
		this.#ranges.left(address);
		this.#tell(peer, 'peer-removed');
	}

	/** Applies options to a peer whose name and address stay. */
	#reconfigure(peer: Peer, options: PeerOptions): PeerChange {
		const before = peer.options;
		const change = describePeerChange(before, options);
		if (change.effect === 'none') return change;
		peer.reconfigure(options);
		this.#expect();
		if (change.fields.some(({ effect }) => effect === 'routes')) this.#rib.reconfigure(options.name, options);
		if (before.enabled && !options.enabled) this.#disable(peer, 'disabled in the configuration');
		else if (!before.enabled && options.enabled && this.#running) peer.start();
		else if (change.effect === 'reset') {
			const fields = change.fields.map(({ field }) => field).join(', ');
			peer.reset({ subcode: CeaseSubcode.otherConfigurationChange }, `configuration changed: ${fields}`);
		}
		return change;
	}

	#disable(peer: Peer, text: string): void {
		peer.stop({ subcode: CeaseSubcode.administrativeShutdown, text }, text === '' ? 'disabled by the operator' : text);
		// Also what a graceful restart kept from an earlier session.
		this.#rib.forget(peer.options.name);
	}

	#known(name: string): Peer {
		const peer = this.#peers.get(name);
		if (peer === undefined) throw new UnknownPeerError(name);
		return peer;
	}

	#listener(where: ListenAddress): Listener {
		return new Listener(where, this.log, (socket) => this.#accept(socket));
	}

	/** Neighbours hold our routes over sessions that start again by our will: OPENs say so (RFC 4724 §4.1) as long as they may. */
	#bridge(): void {
		this.#restarting = true;
		this.#bridged?.cancel();
		this.#bridged = this.surroundings.clock.after(bridgeMs, () => {
			this.#restarting = false;
			this.#bridged = undefined;
		});
	}

	/** Tells the listeners of whom to expect: keys must be there before the first SYN. */
	#expect(): void {
		if (!this.#running) return;
		const neighbours: ListenerNeighbour[] = [];
		for (const { dynamic, options } of this.#peers.values()) if (!dynamic) neighbours.push(neighbour(options.address, options));
		for (const { prefix, peer } of this.#ranges.options) neighbours.push(neighbour(prefix, peer));
		for (const listener of this.#listeners) listener.expect(neighbours);
	}

	#tell(peer: Peer, type: SessionEvent['type'], reason?: string): void {
		if (this.#watchers.size === 0) return;
		const at = new Date(this.surroundings.clock.wallMs()).toISOString();
		const event: SessionEvent = { type, peer: peer.options.name, at, state: peer.state, ...(reason === undefined ? {} : { reason }) };
		for (const watcher of this.#watchers) watcher(event);
	}

	/** All sockets are closed, or the patience is over. */
	async #closed(): Promise<void> {
		const { open, clock } = this.surroundings;
		const closing = [...open].map((socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve())));
		let patience: { cancel(): void } | undefined;
		const over = new Promise<void>((resolve) => {
			patience = clock.after(stopPatienceMs, resolve);
		});
		await Promise.race([Promise.all(closing), over]);
		patience?.cancel();
	}
}

function neighbour(who: string, { md5Key, ttlSecurityHops }: Pick<PeerOptions, 'md5Key' | 'ttlSecurityHops'>): ListenerNeighbour {
	return { who, md5Key, minimumTtl: minimumTtl(ttlSecurityHops) };
}
