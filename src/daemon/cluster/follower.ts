import { isDeepStrictEqual } from 'node:util';
import type { PeerOptions, SpeakerApi } from '../../bgp/index.ts';
import type { BgpConfig, Config } from '../../config/index.ts';
import type { Clock, Logger, PrefixKey } from '../../core/index.ts';
import type { PeerRoute, Topology } from '../../kubernetes/index.ts';
import { applyIdentity } from '../identity.ts';
import { diffOrigins, type Origins, originsOf } from '../origins.ts';
import type { Rooms } from '../rooms.ts';
import type { ClusterState } from './state.ts';

/** How long old sessions stay while new ones come up, in milliseconds. */
const mostOverlapMs = 60_000;
const checkMs = 500;
/** A session with a node that is still there stays so long though nothing replaces it: a cluster is rebuilt in several writes, and the next one may want it. */
const secondThoughtsMs = 10_000;

/** Sessions to begin, to change and to end, told apart by address and port: a session that goes by another name now is still the same. */
export interface PeerPlan {
	readonly add: readonly PeerOptions[];
	readonly update: readonly PeerOptions[];
	readonly remove: readonly string[];
}

const addressOf = ({ address, port }: PeerOptions): string => `${address} ${port}`;

/** The difference between the sessions there are and those there should be. Pure; a session keeps the name it began with. */
export function planPeers(current: ReadonlyMap<string, PeerOptions>, wanted: readonly PeerOptions[]): PeerPlan {
	const byAddress = new Map([...current.values()].map((options) => [addressOf(options), options]));
	const kept = new Set(wanted.map(addressOf));
	const update = wanted.flatMap((options) => {
		const known = byAddress.get(addressOf(options));
		return known === undefined ? [] : [{ ...options, name: known.name }];
	});
	return {
		add: wanted.filter((options) => !byAddress.has(addressOf(options))),
		update,
		remove: [...current.values()].filter((options) => !kept.has(addressOf(options))).map(({ name }) => name),
	};
}

/** The running configuration with what the cluster says in it. The file's own values go before the cluster's. Pure. */
export function withCluster(config: Config, state: ClusterState): Config & { readonly bgp: BgpConfig } {
	const { topology, pools, blocks, tunnelAddress } = state;
	const own = config.bgp;
	const fixed = new Set(own?.originate.map(({ prefix }) => prefix));
	const tunnel = config.ipip.tunnelAddress ?? tunnelAddress;
	return {
		...config,
		// With `foreign` where a pool is somebody else's to program.
		pools: [...config.pools, ...pools],
		ipip: { ...config.ipip, ...(tunnel === undefined ? {} : { tunnelAddress: tunnel }) },
		bgp: {
			listen: { address: topology.listenAddress, port: topology.listenPort },
			clientToClientReflection: true,
			ebgpRequiresPolicy: true,
			nextHopTracking: 'auto',
			inSyncTimeoutSeconds: 60,
			peers: [],
			peerRanges: [],
			...(topology.routerId === undefined ? {} : { routerId: topology.routerId }),
			...(topology.clusterId === undefined ? {} : { clusterId: topology.clusterId }),
			asNumber: topology.asNumber,
			...own,
			originate: [...(own?.originate ?? []), ...blocks.filter((prefix) => !fixed.has(prefix)).map((prefix) => ({ prefix }))],
		},
	};
}

/** The cluster's sessions but for those to an address that the file speaks of, and the routes that they need. Pure. */
export function clusterSessions(
	config: Pick<Config, 'bgp'>,
	topology: Pick<Topology, 'peers' | 'peerRoutes'> | undefined,
): Pick<Topology, 'peers' | 'peerRoutes'> {
	const fixed = new Set(config.bgp?.peers.map(({ address }) => address));
	const isFree = ({ address }: { readonly address: string }) => !fixed.has(address);
	return { peers: topology?.peers.filter(isFree) ?? [], peerRoutes: topology?.peerRoutes.filter(isFree) ?? [] };
}

/** The wanted routes, and besides them those that a session which still ends runs over. Pure. */
export function routesMeanwhile(wanted: readonly PeerRoute[], before: readonly PeerRoute[], leaving: Iterable<string>): readonly PeerRoute[] {
	const ending = new Set(leaving);
	const known = new Set(wanted.map(({ address }) => address));
	return [...wanted, ...before.filter(({ address }) => ending.has(address) && !known.has(address))];
}

export interface FollowerOptions {
	readonly rooms: Pick<Rooms, 'speaker' | 'rib' | 'kernel'>;
	readonly clock: Clock;
	readonly log: Logger;
	/** Told what is announced after each change. */
	readonly announced: (prefixes: ReadonlySet<PrefixKey>) => void;
}

/** Brings the rooms to each state of the cluster; what is not affected is not touched. */
export class ClusterFollower {
	readonly #options: FollowerOptions;
	#config: Config;
	#origins: Origins;
	/** The cluster's sessions by name; those of the file are not here. */
	readonly #peers = new Map<string, PeerOptions>();
	/** Sessions on their way out, while the ones that replace them come up. */
	readonly #leaving = new Set<string>();
	/** How neighbours are reached: as the cluster wants it, and as it is. */
	#wantedRoutes: readonly PeerRoute[];
	#routes: readonly PeerRoute[];
	#turn: Promise<void> = Promise.resolve();
	#deadlineMs = 0;
	#notBeforeMs = 0;
	/** `#part` will look again. */
	#parting = false;

	constructor(config: Config, first: ClusterState, options: FollowerOptions) {
		this.#options = options;
		this.#config = config;
		this.#origins = originsOf(withCluster(config, first).bgp);
		const { peers, peerRoutes } = clusterSessions(config, first.topology);
		for (const peer of peers) this.#peers.set(peer.name, peer);
		this.#wantedRoutes = peerRoutes;
		this.#routes = peerRoutes;
		this.#sayUntouched();
	}

	/** The file has changed. */
	setConfig(config: Config): void {
		this.#config = config;
	}

	/** One state at a time, in the order they came. */
	apply(state: ClusterState): Promise<void> {
		const turn = this.#turn.then(() => this.#apply(state));
		this.#turn = turn.catch(() => undefined);
		return turn;
	}

	async #apply(state: ClusterState): Promise<void> {
		const { rooms, log } = this.#options;
		const effective = withCluster(this.#config, state);
		// Before the sessions: to reflect, or no longer, is said of each of them.
		await applyIdentity(rooms.speaker, effective.bgp, log);
		const origins = originsOf(effective.bgp);
		const { withdraw, originate } = diffOrigins(this.#origins, origins);
		// A block taken away is withdrawn before its routes go.
		for (const prefix of withdraw) rooms.rib.withdrawOrigin(prefix);
		for (const [prefix, attributes] of originate) rooms.rib.originate(prefix, attributes);
		this.#origins = origins;
		this.#options.announced(new Set(origins.keys()));
		const { peers, peerRoutes } = clusterSessions(this.#config, state.topology);
		// Whoever is new is dialled by the right way from the first attempt; whoever goes keeps its way till its session is over.
		this.#wantedRoutes = peerRoutes;
		const addresses = new Set(peers.map(({ address }) => address));
		await this.#setRoutes([...this.#peers.values()].flatMap(({ address }) => (addresses.has(address) ? [] : [address])));
		this.#applyPeers(rooms.speaker, state, peers);
		await this.#setRoutes(this.#leavingAddresses());
		await rooms.kernel?.reconfigure(effective, state.refusal);
	}

	#leavingAddresses(): string[] {
		return [...this.#leaving].flatMap((name) => this.#peers.get(name)?.address ?? []);
	}

	#sayUntouched(): void {
		const { rooms, log } = this.#options;
		const resources = [...new Set(this.#routes.map(({ resource }) => resource))];
		if (rooms.kernel === undefined && resources.length > 0)
			log.warn('reachableBy adds no route, since fib.enabled is false: the peers are dialled as the kernel has it', { resources });
	}

	async #setRoutes(leaving: readonly string[]): Promise<void> {
		const { rooms, log } = this.#options;
		const routes = routesMeanwhile(this.#wantedRoutes, this.#routes, leaving);
		if (isDeepStrictEqual(routes, this.#routes)) return;
		log.info('neighbours are reached by other ways', { routes: routes.map(({ address, gateway }) => `${address} via ${gateway}`) });
		this.#routes = routes;
		this.#sayUntouched();
		await rooms.kernel?.setPeerRoutes(routes);
	}

	#applyPeers(speaker: SpeakerApi, { topology }: ClusterState, wanted: readonly PeerOptions[]): void {
		const { clock, log } = this.#options;
		const plan = planPeers(this.#peers, wanted);
		for (const options of plan.update) {
			speaker.updatePeer(options);
			this.#peers.set(options.name, options);
			this.#leaving.delete(options.name);
		}
		for (const options of plan.add) {
			speaker.addPeer(options);
			this.#peers.set(options.name, options);
		}
		const leaving = plan.remove.filter((name) => !this.#leaving.has(name));
		if (plan.add.length > 0 || leaving.length > 0) log.info('sessions follow the cluster', { added: plan.add.map(({ name }) => name), leaving });
		for (const name of leaving) this.#leaving.add(name);
		if (this.#leaving.size === 0) return;
		// Make before break: from mesh to reflectors and back without a moment without routes.
		const now = clock.monotonicMs();
		const stillThere = leaving.some((name) => topology.nodeAddresses.has(this.#peers.get(name)?.address ?? ''));
		if (plan.add.length > 0) this.#deadlineMs = now + mostOverlapMs;
		if (stillThere) this.#notBeforeMs = now + secondThoughtsMs;
		if (!this.#parting) this.#part();
	}

	/** Ends the old sessions once every other one is established, or their time is over. */
	#part(): void {
		const { rooms, clock } = this.#options;
		const isUp = (name: string) => rooms.speaker.peer(name)?.state === 'established';
		const others = [...this.#peers.keys()].filter((name) => !this.#leaving.has(name));
		const waiting = rooms.rib.waitingFor;
		const now = clock.monotonicMs();
		this.#parting = now < this.#notBeforeMs || (now < this.#deadlineMs && !others.every((name) => isUp(name) && !waiting.includes(name)));
		if (this.#parting) {
			clock.after(checkMs, () => {
				this.#part();
				// In turn with whole states; the session goes first, then its way.
				this.#turn = this.#turn.then(() => this.#setRoutes(this.#leavingAddresses())).catch(() => undefined);
			});
			return;
		}
		for (const name of this.#leaving) {
			rooms.speaker.removePeer(name);
			this.#peers.delete(name);
		}
		this.#leaving.clear();
	}
}
