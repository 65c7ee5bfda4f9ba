import { isDeepStrictEqual } from 'node:util';
import type { PeerOptions, SpeakerApi } from '../bgp/index.ts';
import type { Config } from '../config/index.ts';
import { aFew, type Clock, inSlices, type Logger, type PrefixKey, Slice, type Steps } from '../core/index.ts';
import type { PeerRoute, Topology } from '../kubernetes/index.ts';
import type { ClusterState } from '../node/index.ts';
import { applyIdentity, identifierText, routerIdFrom } from './identity.ts';
import { bgpOf, type NodeState, type SpeakerConfig } from './node-state.ts';
import { applyOriginSteps, diffOriginSteps, type Origins, originSteps, originsOf } from './origins.ts';
import { planPeers } from './peer-plan.ts';
import type { Rooms } from './rooms.ts';

/** Time for which old sessions stay while new ones are established, in milliseconds. */
const mostOverlapMs = 60_000;
const checkMs = 500;
/**
 * Time for which a session with a node of the cluster stays without a resource for it, in
 * milliseconds: a change of topology is several writes.
 */
const secondThoughtsMs = 10_000;
/**
 * Time for which old sessions stay after the last new one is established, in milliseconds: its
 * routes arrive and are selected.
 */
const routesArriveMs = 3000;
/** Delay until the state is applied again after a failed step, in milliseconds. */
const retryMs = 5000;

/**
 * The cluster's sessions except those to an address or with a name of the file, and the routes that
 * they need. Pure.
 */
export function clusterSessions(
	config: Pick<Config, 'bgp'>,
	topology: Pick<Topology, 'peers' | 'peerRoutes'> | undefined,
): Pick<Topology, 'peers' | 'peerRoutes'> {
	const fixed = new Set(config.bgp?.peers.map(({ address }) => address));
	const names = new Set(config.bgp?.peers.map(({ name }) => name));
	const isFree = ({ address }: { readonly address: string }) => !fixed.has(address);
	return {
		peers: topology?.peers.filter((peer) => isFree(peer) && !names.has(peer.name)) ?? [],
		peerRoutes: topology?.peerRoutes.filter(isFree) ?? [],
	};
}

/** The desired routes, and those of sessions that are still ending. Pure. */
export function routesMeanwhile(
	wanted: readonly PeerRoute[],
	before: readonly PeerRoute[],
	leaving: Iterable<string>,
): readonly PeerRoute[] {
	const ending = new Set(leaving);
	const known = new Set(wanted.map(({ address }) => address));
	return [...wanted, ...before.filter(({ address }) => ending.has(address) && !known.has(address))];
}

export interface FollowerDependencies {
	/** The name of this node. */
	readonly node: string;
	readonly rooms: Pick<Rooms, 'speaker' | 'rib' | 'kernel' | 'planes'>;
	readonly clock: Clock;
	readonly log: Logger;
	/** Receives the announced prefixes after each change. */
	readonly announced: (prefixes: ReadonlySet<PrefixKey>) => void;
}

/** A step of a reconfiguration that failed and is retried. */
export interface FollowProblem {
	/** `peer Mesh_10_0_1_3: add`. */
	readonly step: string;
	readonly error: string;
	/** Milliseconds since 1970 of the first failure in a row. */
	readonly sinceMs: number;
}

/**
 * Applies each state of the cluster to the rooms; unaffected parts are not changed. Steps fail
 * independently: the others are executed, the failure is in `problems` and in the log, and the
 * newest state is applied again until no step fails.
 */
export class ClusterFollower {
	readonly #dependencies: FollowerDependencies;
	#config: Config;
	#origins: Origins;
	/** The cluster's sessions by name, without those of the file. */
	readonly #peers = new Map<string, PeerOptions>();
	/** Sessions to be removed, while their replacements are being established. */
	readonly #leaving = new Set<string>();
	/** Routes to peers: desired and actual. */
	#wantedRoutes: readonly PeerRoute[];
	#routes: readonly PeerRoute[];
	#turn: Promise<void> = Promise.resolve();
	#deadlineMs = 0;
	#notBeforeMs = 0;
	/** Since when all sessions that stay are established; `undefined`: not all of them are. */
	#allUpSinceMs: number | undefined;
	/** `#part` will run again. */
	#parting = false;
	#problems: ReadonlyMap<string, FollowProblem> = new Map();
	/** State of the running turn. */
	#failed = new Map<string, FollowProblem>();
	#latest: ClusterState;
	#retry: { cancel(): void } | undefined;

	constructor(config: Config, first: ClusterState, dependencies: FollowerDependencies) {
		this.#dependencies = dependencies;
		this.#config = config;
		this.#latest = first;
		this.#origins = originsOf(bgpOf({ node: dependencies.node, config, cluster: first }));
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

	/** The state in force. */
	get config(): Config {
		return this.#config;
	}

	/** The file or the node's own blocks announce this prefix. */
	originates(prefix: PrefixKey): boolean {
		return this.#origins.has(prefix);
	}

	/** Steps that currently fail. */
	get problems(): readonly FollowProblem[] {
		return [...this.#problems.values()];
	}

	/** One state at a time, in order of arrival. Never rejects. */
	apply(state: ClusterState): Promise<void> {
		this.#latest = state;
		this.#turn = this.#turn.then(() => this.#apply(state));
		return this.#turn;
	}

	/** Stops all retries. */
	stop(): void {
		this.#retry?.cancel();
	}

	async #apply(state: ClusterState): Promise<void> {
		this.#retry?.cancel();
		this.#failed = new Map();
		await this.#step('configuration', () => this.#applySteps(state));
		const { clock, log } = this.#dependencies;
		for (const [step, problem] of this.#failed)
			if (this.#problems.get(step)?.error !== problem.error)
				log.error('a step of following the cluster failed, it is retried', { step, error: problem.error });
		for (const step of this.#problems.keys())
			if (!this.#failed.has(step)) log.info('a step of following the cluster succeeded at last', { step });
		this.#problems = this.#failed;
		if (this.#failed.size > 0) this.#retry = clock.after(retryMs, () => void this.apply(this.#latest));
	}

	/** Runs one step; an exception becomes an entry of `problems`. */
	async #step(step: string, act: () => unknown): Promise<boolean> {
		try {
			await act();
			return true;
		} catch (error) {
			this.#fails(step, error);
			return false;
		}
	}

	#fails(step: string, error: unknown): void {
		const sinceMs = this.#problems.get(step)?.sinceMs ?? this.#dependencies.clock.wallMs();
		this.#failed.set(step, { step, error: error instanceof Error ? error.message : String(error), sinceMs });
	}

	async #applySteps(state: ClusterState): Promise<void> {
		const { rooms, log } = this.#dependencies;
		const node: NodeState = { node: this.#dependencies.node, config: this.#config, cluster: state };
		const bgp = bgpOf(node);
		// Before the sessions: a change of the reflector role applies to each of them.
		if (bgp !== undefined)
			await this.#step('identity', () => applyIdentity(rooms.speaker, this.#withRouterId(bgp, state), log));
		await this.#step('origins', async () => this.#applyOrigins(await inSlices(originSteps(bgp))));
		const { peers, peerRoutes } = clusterSessions(this.#config, state.topology);
		// A new neighbour needs its route before the first connection attempt; an ending session
		// keeps its route until its end.
		this.#wantedRoutes = peerRoutes;
		const addresses = new Set(peers.map(({ address }) => address));
		await this.#step('routes to peers', () =>
			this.#setRoutes([...this.#peers.values()].flatMap(({ address }) => (addresses.has(address) ? [] : [address]))),
		);
		await this.#applyPeers(rooms.speaker, state, peers);
		await this.#step('routes to peers', () => this.#setRoutes(this.#leavingAddresses()));
		await this.#step('data planes', () => {
			rooms.planes.apply(node);
			return rooms.planes.whenIdle();
		});
	}

	#withRouterId(bgp: SpeakerConfig, { topology, nodes }: ClusterState): SpeakerConfig {
		const routerId = routerIdFrom({
			configured: this.#config.bgp?.routerId,
			derived: topology.routerId,
			current: identifierText(this.#dependencies.rooms.speaker.identity.routerId),
			hasSessions: this.#peers.size > 0,
			addressesOfOthers: () =>
				nodes.flatMap(({ name, ipv4 }) =>
					name === this.#dependencies.node || ipv4 === undefined ? [] : [ipv4.address],
				),
		});
		return routerId === undefined ? bgp : { ...bgp, routerId };
	}

	async #applyOrigins(origins: Origins): Promise<void> {
		const { rib } = this.#dependencies.rooms;
		await inSlices(applyOriginSteps(rib, await inSlices(diffOriginSteps(this.#origins, origins))));
		this.#origins = origins;
		this.#dependencies.announced(new Set(origins.keys()));
	}

	#leavingAddresses(): string[] {
		return [...this.#leaving].flatMap((name) => this.#peers.get(name)?.address ?? []);
	}

	#sayUntouched(): void {
		const { rooms, log } = this.#dependencies;
		const resources = [...new Set(this.#routes.map(({ resource }) => resource))];
		if (rooms.kernel === undefined && resources.length > 0)
			log.warn('reachableBy adds no route, since fib.enabled is false: the peers are dialled as the kernel has it', {
				resources,
			});
	}

	async #setRoutes(leaving: readonly string[]): Promise<void> {
		const { rooms, log } = this.#dependencies;
		const routes = routesMeanwhile(this.#wantedRoutes, this.#routes, leaving);
		if (isDeepStrictEqual(routes, this.#routes)) return;
		log.info('neighbours are reached by other ways', {
			routes: routes.map(({ address, gateway }) => `${address} via ${gateway}`),
		});
		this.#routes = routes;
		this.#sayUntouched();
		await rooms.kernel?.setPeerRoutes(routes);
	}

	async #applyPeers(speaker: SpeakerApi, { topology }: ClusterState, wanted: readonly PeerOptions[]): Promise<void> {
		const { clock, log } = this.#dependencies;
		const plan = planPeers(this.#peers, wanted);
		const slice = new Slice();
		const pause = async () => {
			if (slice.isOver) await slice.next();
		};
		for (const name of plan.replace)
			await this.#step(`peer ${name}: remove`, () => {
				if (speaker.peerOptions(name) !== undefined) speaker.removePeer(name);
				this.#peers.delete(name);
				this.#leaving.delete(name);
				return pause();
			});
		for (const options of plan.update)
			await this.#step(`peer ${options.name}: update`, () => {
				speaker.updatePeer(options);
				this.#peers.set(options.name, options);
				if (this.#leaving.delete(options.name) && options.enabled) speaker.enable(options.name);
				return pause();
			});
		for (const options of plan.add)
			await this.#step(`peer ${options.name}: add`, () => {
				// An earlier attempt may have failed midway.
				if (speaker.peerOptions(options.name) === undefined) speaker.addPeer(options);
				else speaker.updatePeer(options);
				this.#peers.set(options.name, options);
				return pause();
			});
		const leaving = plan.remove.filter((name) => !this.#leaving.has(name));
		if (plan.add.length + plan.replace.length + leaving.length > 0)
			log.info('sessions follow the cluster', {
				added: listed(plan.add.map(({ name }) => name)),
				replaced: listed(plan.replace),
				leaving: listed(leaving),
			});
		for (const name of leaving) {
			this.#leaving.add(name);
			await this.#step(`peer ${name}: leave`, () => {
				if (speaker.peerOptions(name) !== undefined) speaker.leave(name);
			});
		}
		if (this.#leaving.size === 0) return;
		// Make before break: from mesh to reflectors and back without a moment without routes.
		const now = clock.monotonicMs();
		const stillThere = leaving.some((name) => topology.nodeAddresses.has(this.#peers.get(name)?.address ?? ''));
		if (plan.add.length > 0) this.#deadlineMs = now + mostOverlapMs;
		if (stillThere) this.#notBeforeMs = now + secondThoughtsMs;
		if (this.#parting) return;
		this.#allUpSinceMs = undefined;
		this.#part();
	}

	/** Ends the old sessions once all others are established, or their time is over. */
	#part(): void {
		const { rooms, clock } = this.#dependencies;
		const isUp = (name: string) => rooms.speaker.stateOf(name) === 'established';
		const others = [...this.#peers.keys()].filter((name) => !this.#leaving.has(name));
		const waiting = new Set(rooms.rib.waitingFor);
		const now = clock.monotonicMs();
		if (!others.every((name) => isUp(name) && !waiting.has(name))) this.#allUpSinceMs = undefined;
		else this.#allUpSinceMs ??= now;
		const areRoutesThere = this.#allUpSinceMs !== undefined && now - this.#allUpSinceMs >= routesArriveMs;
		this.#parting = now < this.#notBeforeMs || (now < this.#deadlineMs && !areRoutesThere);
		if (this.#parting) {
			clock.after(checkMs, () => {
				this.#part();
				// Queued with whole states; the session is removed first, then its route. A failure
				// is retried with the next state.
				this.#turn = this.#turn.then(() => this.#setRoutes(this.#leavingAddresses())).catch(() => undefined);
			});
			return;
		}
		// The next state waits for it.
		const removed = inSlices(this.#removalSteps());
		this.#turn = Promise.all([this.#turn, removed]).then(() => undefined);
	}

	*#removalSteps(): Steps<void> {
		const { speaker } = this.#dependencies.rooms;
		for (const name of this.#leaving) {
			try {
				if (speaker.peerOptions(name) !== undefined) speaker.removePeer(name);
			} catch (error) {
				this.#fails(`peer ${name}: remove`, error);
			}
			this.#peers.delete(name);
			this.#leaving.delete(name);
			yield;
		}
	}
}

/** Names in a field of the log. */
const mostNamesLogged = 50;
const listed = (names: readonly string[]): readonly string[] | string =>
	names.length > mostNamesLogged ? aFew(names, mostNamesLogged) : names;
