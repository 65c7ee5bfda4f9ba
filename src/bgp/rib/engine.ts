import {
	type ExplanationView,
	type Family,
	LineLimiter,
	type NextHopView,
	type PrefixCounts,
	type PrefixKey,
	parsePrefix,
	type RouteChange,
	type RouteView,
} from '../../core/index.ts';
import type { Negotiated, SessionReceiver, SessionSink } from '../model/negotiated.ts';
import type { RibPeerOptions } from '../model/peer-options.ts';
import type {
	OriginateAttributes,
	Rib,
	RibDependencies,
	RibIdentity,
	RibOptions,
	RibStatistics,
	RibTuning,
	RouteQuery,
} from '../model/rib.ts';
import { AttributePool } from '../table/attribute-pool.ts';
import { type DecisionStep, decisionSteps } from '../table/decision.ts';
import { NextHops } from '../table/next-hops.ts';
import { compareAddresses } from '../table/peers.ts';
import { RouteTable } from '../table/route-table.ts';
import { Selection } from '../table/selection.ts';
import { ChunkPool, Groups, groupTuning } from '../update-group/index.ts';
import { BestRoutes } from './best-routes.ts';
import { malformedCounts, prefixCounts, ribStatistics } from './counts.ts';
import { Importer } from './importer.ts';
import { Jobs } from './jobs.ts';
import { Limits } from './limits.ts';
import { originate, withdrawOrigin } from './origination.ts';
import { nearLimit, withoutNextHop } from './peer-problems.ts';
import { byFamily, familyNames, PeerRegistry } from './peer-registry.ts';
import { PeerSessions } from './peer-sessions.ts';
import { Reconsideration } from './reconsideration.ts';
import { Settling } from './settling.ts';
import { StaleRoutes } from './stale-routes.ts';
import { Sync } from './sync.ts';
import { coveringPrefixes, eachRoute, explanation, nextHopViews, type ViewDependencies } from './views.ts';

/**
 * Room for a full table of several feeds: unused pages of a column take no memory, while growth
 * copies it and blocks the event loop.
 */
const ribTuning: RibTuning = {
	...groupTuning,
	ipv4Prefixes: 2 ** 21,
	ipv6Prefixes: 2 ** 20,
	attributeSets: 2 ** 19,
	furtherPaths: 2 ** 22,
};

/**
 * Composes tables, selection, sessions and update groups of all families; has no logic of its own.
 */
export class RibEngine implements Rib {
	readonly #options: RibOptions;
	readonly #settling: Settling;
	readonly #pool: AttributePool;
	readonly #nextHops: NextHops;
	readonly #peers: PeerRegistry;
	readonly #importer: Importer;
	readonly #tables: Readonly<Record<Family, RouteTable>>;
	readonly #groups: Readonly<Record<Family, Groups>>;
	readonly #steps: readonly DecisionStep[];
	readonly #stale: StaleRoutes;
	readonly #sync: Sync;
	readonly #best: BestRoutes;
	readonly #sessions: PeerSessions;
	readonly #views: ViewDependencies;
	readonly #reconsideration: Reconsideration;

	constructor(options: RibOptions, dependencies: RibDependencies) {
		const {
			clock,
			log,
			random = Math.random,
			defer = setImmediate,
			interiorCost = () => 0,
			interfaceOf,
			nextHopGone,
			tuning = {},
			onFault,
		} = dependencies;
		this.#options = { ...options };
		const jobs = new Jobs(clock, defer, onFault);
		const sizes = { ...ribTuning, ...tuning };
		this.#pool = new AttributePool(random, sizes.attributeSets);
		this.#nextHops = new NextHops(interiorCost, interfaceOf, nextHopGone);
		this.#pool.onFree((id) => this.#nextHops.release(this.#pool.nextHop[id] ?? 0));
		this.#peers = new PeerRegistry(new Set(options.localAddresses));
		this.#importer = new Importer(this.#pool, this.#options, this.#nextHops);
		this.#steps = decisionSteps(this.#pool, this.#nextHops, (left, right) =>
			compareAddresses(this.#peers.byId(left).address, this.#peers.byId(right).address),
		);
		this.#tables = byFamily((family) => new RouteTable(family, this.#pool, this.#nextHops, random, sizes));
		const chunks = new ChunkPool(64, sizes.chunkBytes);
		const singleUse = new ChunkPool(0, sizes.chunkBytes);
		const lines = new LineLimiter(clock);
		const later = (step: () => boolean) => jobs.add(step);
		this.#groups = byFamily(
			(family) =>
				new Groups({
					pool: this.#pool,
					nextHops: this.#nextHops,
					options: this.#options,
					table: this.#tables[family],
					chunks,
					singleUse,
					tuning: sizes,
					log: lines.limit(log, 'routes not sent'),
					clock,
					later,
					failed: (peers, error) => this.#sessions.failed(peers, error),
					peerName: (peer) => this.#peers.byId(peer).name,
					clusterOf: (peer) =>
						this.#peers.byId(peer).options.clusterId ?? this.#options.clusterId ?? this.#options.routerId,
					attributes: (id) => this.#importer.attributes(id),
					exported: (id, state) => this.#importer.exported(this.#peers.byId(this.#pool.peer[id] ?? 0), id, state),
					priorityOf: (id) => this.#importer.priorityOf(id, family),
				}),
		);
		const changed = () => this.#settling.soon();
		this.#stale = new StaleRoutes({
			clock,
			pool: this.#pool,
			importer: this.#importer,
			tables: this.#tables,
			changed,
			later,
			emptied: (peer) => this.#sessions.releaseLater(peer),
		});
		this.#sync = new Sync(clock, changed);
		this.#best = new BestRoutes(this.#pool, this.#nextHops, this.#peers, this.#importer, {
			limit: options.maximumPaths ?? 1,
			steps: this.#steps,
			onFault,
		});
		this.#settling = new Settling({
			jobs,
			clock,
			pool: this.#pool,
			peers: this.#peers,
			tables: this.#tables,
			selections: byFamily(
				(family) => new Selection(this.#tables[family], this.#steps, (options.maximumPaths ?? 1) > 1),
			),
			groups: this.#groups,
			best: this.#best,
			isDeferred: () => this.#sync.defersSelection,
			settled: () => this.#sessions.settled(),
			onFault,
		});
		this.#reconsideration = new Reconsideration({
			options: this.#options,
			pool: this.#pool,
			nextHops: this.#nextHops,
			peers: this.#peers,
			importer: this.#importer,
			tables: this.#tables,
			groups: this.#groups,
			later,
			changed,
		});
		this.#sessions = new PeerSessions({
			peers: this.#peers,
			tables: this.#tables,
			groups: this.#groups,
			importer: this.#importer,
			limits: new Limits(log, lines),
			stale: this.#stale,
			sync: this.#sync,
			reconsideration: this.#reconsideration,
			changed,
			onFault,
		});
		this.#views = {
			pool: this.#pool,
			importer: this.#importer,
			peers: this.#peers,
			tables: familyNames.map((family) => this.#tables[family]),
			steps: this.#steps,
			groupOf: (table, peer) => this.#groups[table.prefixes.family].of(peer),
		};
	}

	established(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): SessionReceiver {
		return this.#sessions.established(negotiated, options, sink);
	}

	reconfigure(peerName: string, options: RibPeerOptions): void {
		const peer = this.#peers.byName(peerName);
		if (peer !== undefined) this.#reconsideration.reconfigure(peer, options);
	}

	setIdentity(identity: RibIdentity): void {
		this.#reconsideration.setIdentity(identity);
	}

	resend(peerName: string): void {
		const peer = this.#peers.byName(peerName);
		if (peer !== undefined) this.#sessions.resend(peer);
	}

	nextHopsChanged(nextHops?: ReadonlySet<string>): void {
		this.#reconsideration.nextHopsChanged(nextHops);
	}

	forget(peerName: string): void {
		const peer = this.#peers.byName(peerName);
		if (peer !== undefined) this.#sessions.forget(peer);
	}

	originate(prefix: PrefixKey, attributes: OriginateAttributes = {}, path = 0): void {
		const table = this.#tables[parsePrefix(prefix).family];
		originate(table, this.#importer, this.#peers.local, { prefix, path }, attributes);
		this.#settling.soon();
	}

	withdrawOrigin(prefix: PrefixKey, path = 0): void {
		withdrawOrigin(this.#tables[parsePrefix(prefix).family], this.#peers.local, { prefix, path });
		this.#settling.soon();
	}

	onChanges(
		listener: (changes: readonly RouteChange[]) => void,
		{ fromNow = false }: { readonly fromNow?: boolean } = {},
	): () => void {
		return this.#best.subscribe(listener, fromNow ? [] : this.#views.tables);
	}

	onInSync(listener: () => void): void {
		this.#sync.onInSync(listener);
	}

	expectPeers(names: readonly string[], timeoutSeconds: number, deferSelection = false): void {
		this.#sync.expect(names, timeoutSeconds, deferSelection);
	}

	get inSync(): boolean {
		return this.#sync.inSync;
	}

	get waitingFor(): readonly string[] {
		return this.#sync.waitingFor;
	}

	routes(query: RouteQuery): RouteView[] {
		return [...eachRoute(this.#views, query)].filter((route) => route !== undefined);
	}

	eachRoute(query: RouteQuery): Iterable<RouteView | undefined> {
		return eachRoute(this.#views, query);
	}

	covering(address: string): PrefixKey[] {
		return coveringPrefixes(this.#views, address);
	}

	explain(prefix: PrefixKey): ExplanationView {
		return explanation(this.#views, prefix);
	}

	nextHops(): NextHopView[] {
		return nextHopViews(this.#pool, this.#nextHops);
	}

	counts(peerName: string): PrefixCounts[] {
		const peer = this.#peers.byName(peerName);
		return peer === undefined ? [] : prefixCounts(peer, this.#groups);
	}

	withoutNextHop(): ReturnType<Rib['withoutNextHop']> {
		return withoutNextHop(this.#peers);
	}

	nearLimit(): ReturnType<Rib['nearLimit']> {
		return nearLimit(this.#peers);
	}

	malformed(peerName: string): ReturnType<Rib['malformed']> {
		const peer = this.#peers.byName(peerName);
		return peer && malformedCounts(peer);
	}

	statistics(): RibStatistics {
		return ribStatistics(this.#tables, this.#groups, this.#pool);
	}
}
