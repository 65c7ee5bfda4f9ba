import {
	type ExplanationView,
	type Family,
	type NextHopView,
	type PrefixCounts,
	type PrefixKey,
	parsePrefix,
	type RouteChange,
	type RouteView,
} from '../../core/index.ts';
import type { Negotiated, SessionEnd, SessionReceiver, SessionSink } from '../negotiated.ts';
import { ChunkPool, endOfRibBytes, Groups, groupTuning } from '../update-group/index.ts';
import { AttributePool } from './attribute-pool.ts';
import { Batch, batchCapacity } from './batch.ts';
import { BestRoutes } from './best-routes.ts';
import { type DecisionStep, decisionSteps } from './decision.ts';
import { Importer } from './importer.ts';
import { Jobs } from './jobs.ts';
import { Limits } from './limits.ts';
import { NextHops } from './next-hops.ts';
import { originate, withdrawOrigin } from './origination.ts';
import { OwedEndOfRib } from './owed-end-of-rib.ts';
import { byFamily, countBest, familyNames, PeerRegistry } from './peer-registry.ts';
import { compareAddresses, type RibPeer } from './peers.ts';
import { Receiver, type ReceiverContext } from './receiver.ts';
import { Reconsideration } from './reconsideration.ts';
import { refreshMark } from './refresh-marks.ts';
import { RouteTable } from './route-table.ts';
import { Selection } from './selection.ts';
import { StaleRoutes } from './stale-routes.ts';
import { Sync } from './sync.ts';
import type { OriginateAttributes, Rib, RibDependencies, RibIdentity, RibOptions, RibPeerOptions, RibStatistics, RibTuning, RouteQuery } from './types.ts';
import { explanation, nextHopViews, routeViews, type ViewContext } from './views.ts';

/** Room for a full table of several feeds: pages of a column take memory only when they are used, while growing copies it and holds everybody up. */
const ribTuning: RibTuning = { ...groupTuning, ipv4Prefixes: 2 ** 21, ipv6Prefixes: 2 ** 20, attributeSets: 2 ** 19, furtherPaths: 2 ** 22 };

/** Wires the tables, selection and the update groups of all families together; each thing it does is done elsewhere. */
export class RibEngine implements Rib {
	readonly #options: RibOptions;
	readonly #jobs: Jobs;
	readonly #pool: AttributePool;
	readonly #nextHops: NextHops;
	readonly #peers: PeerRegistry;
	readonly #importer: Importer;
	readonly #tables: Readonly<Record<Family, RouteTable>>;
	readonly #selections: Readonly<Record<Family, Selection>>;
	readonly #groups: Readonly<Record<Family, Groups>>;
	readonly #steps: readonly DecisionStep[];
	readonly #stale: StaleRoutes;
	readonly #sync: Sync;
	readonly #best: BestRoutes;
	readonly #batch = new Batch();
	readonly #receiverContext: ReceiverContext;
	readonly #views: ViewContext;
	readonly #reconsideration: Reconsideration;
	/** Peers without a session whose last routes are on their way out. */
	readonly #leaving = new Set<RibPeer>();
	#settling = false;
	readonly #owed = new OwedEndOfRib();

	constructor(options: RibOptions, dependencies: RibDependencies) {
		const { clock, log, random = Math.random, defer = setImmediate, interiorCost = () => 0, interfaceOf, nextHopGone, tuning = {} } = dependencies;
		this.#options = { ...options };
		this.#jobs = new Jobs(clock, defer);
		const sizes = { ...ribTuning, ...tuning };
		this.#pool = new AttributePool(random, sizes.attributeSets);
		this.#nextHops = new NextHops(interiorCost, interfaceOf, nextHopGone);
		this.#pool.onFree((id) => this.#nextHops.release(this.#pool.nextHop[id] ?? 0));
		this.#peers = new PeerRegistry(new Set(options.localAddresses));
		this.#importer = new Importer(this.#pool, this.#options, this.#nextHops);
		this.#steps = decisionSteps(this.#pool, this.#nextHops, (left, right) => compareAddresses(this.#peers.byId(left).address, this.#peers.byId(right).address));
		this.#tables = byFamily((family) => new RouteTable(family, this.#pool, this.#nextHops, random, sizes));
		this.#selections = byFamily((family) => new Selection(this.#tables[family], this.#steps));
		const chunks = new ChunkPool(64, sizes.chunkBytes);
		const singleUse = new ChunkPool(0, sizes.chunkBytes);
		const later = (step: () => boolean) => this.#jobs.add(step);
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
					log,
					clock,
					later,
					peerName: (peer) => this.#peers.byId(peer).name,
					clusterOf: (peer) => this.#peers.byId(peer).options.clusterId ?? this.#options.clusterId ?? this.#options.routerId,
					attributes: (id) => this.#importer.attributes(id),
					exported: (id, state) => this.#importer.exported(this.#peers.byId(this.#pool.peer[id] ?? 0), id, state),
					priorityOf: (id) => this.#importer.priorityOf(id),
				}),
		);
		const changed = () => this.#settleSoon();
		this.#stale = new StaleRoutes({
			clock,
			pool: this.#pool,
			importer: this.#importer,
			tables: this.#tables,
			changed,
			later,
			emptied: (peer) => this.#releaseLater(peer),
		});
		this.#sync = new Sync(clock);
		this.#sync.onInSync(changed);
		this.#best = new BestRoutes(this.#pool, this.#nextHops, this.#peers, this.#importer);
		this.#receiverContext = {
			importer: this.#importer,
			tables: this.#tables,
			changed,
			endOfRib: (peer, family) => this.#endOfRib(peer, family),
			refresh: (peer, family, subtype) => this.#refresh(peer, family, subtype),
			drained: (peer) => this.#drained(peer),
			ended: (peer, end) => this.#ended(peer, end),
			limits: new Limits(log),
		};
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
		const peer = this.#peerFor(negotiated);
		this.#leaving.delete(peer);
		peer.attach(negotiated, options, sink);
		this.#reconsideration.clustersChanged(peer);
		for (const { family, addPathReceive } of negotiated.families) if (addPathReceive) this.#tables[family].usePathIds();
		this.#stale.resume(peer);
		const owes = this.#owed.owes(peer, this.#sync.defersSelection);
		for (const family of negotiated.families)
			this.#groups[family.family].join(peer, this.#reconsideration.terms(peer, negotiated, family), owes ? undefined : endOfRibBytes(family.family));
		// A first group that sends more than the best path has everything decided again.
		this.#settleSoon();
		return new Receiver(peer, this.#receiverContext);
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
		if (peer?.sink === undefined) return;
		for (const { family } of peer.negotiated?.families ?? []) this.#refresh(peer, family, 'request');
	}

	nextHopsChanged(nextHops?: ReadonlySet<string>): void {
		this.#reconsideration.nextHopsChanged(nextHops);
	}

	forget(peerName: string): void {
		const peer = this.#peers.byName(peerName);
		if (peer === undefined || peer.sink !== undefined) return;
		this.#peers.forgetName(peer);
		this.#stale.forget(peer);
		this.#releaseLater(peer);
	}

	originate(prefix: PrefixKey, attributes: OriginateAttributes = {}): void {
		originate(this.#tables[parsePrefix(prefix).family], this.#importer, this.#peers.local, prefix, attributes);
		this.#settleSoon();
	}

	withdrawOrigin(prefix: PrefixKey): void {
		withdrawOrigin(this.#tables[parsePrefix(prefix).family], this.#peers.local, prefix);
		this.#settleSoon();
	}

	onChanges(listener: (changes: readonly RouteChange[]) => void): () => void {
		return this.#best.subscribe(listener, this.#views.tables);
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
		return routeViews(this.#views, query);
	}

	explain(prefix: PrefixKey): ExplanationView {
		return explanation(this.#views, prefix);
	}

	nextHops(): NextHopView[] {
		return nextHopViews(this.#pool, this.#nextHops);
	}

	counts(peerName: string): PrefixCounts[] {
		const peer = this.#peers.byName(peerName);
		if (peer === undefined) return [];
		return familyNames
			.filter((family) => peer.families[family].negotiated !== undefined)
			.map((family) => {
				const { received, accepted, best, stale } = peer.families[family];
				return { family, received, accepted, best, stale, advertised: this.#groups[family].of(peer.id)?.outgoing.advertisedTo(peer.id) ?? 0 };
			});
	}

	malformed(peerName: string): ReturnType<Rib['malformed']> {
		const peer = this.#peers.byName(peerName);
		return peer?.sink && { treatedAsWithdraw: peer.malformed['treat-as-withdraw'], attributesDiscarded: peer.malformed['attribute-discard'] };
	}

	statistics(): RibStatistics {
		const { ipv4, ipv6 } = this.#tables;
		return {
			prefixes: { ipv4: ipv4.prefixes.size, ipv6: ipv6.prefixes.size },
			paths: { ipv4: ipv4.paths, ipv6: ipv6.paths },
			attributeSets: this.#pool.size,
			updateGroups: this.#groups.ipv4.size + this.#groups.ipv6.size,
			dirty: ipv4.dirtyCount + ipv6.dirtyCount,
		};
	}

	/** The peer of a session that begins: the one whose routes are held for it, or a new one. */
	#peerFor(negotiated: Negotiated): RibPeer {
		const known = this.#peers.byName(negotiated.peerName);
		if (known === undefined) return this.#peers.create(negotiated.peerName);
		const same = known.routerId === negotiated.peerRouterId && known.asNumber === negotiated.peerAsNumber && known.localAsNumber === negotiated.localAsNumber;
		if (known.sink === undefined && same) return known;
		this.#ended(known, { type: 'forget' });
		return this.#peers.create(negotiated.peerName);
	}

	#settleSoon(): void {
		if (this.#settling) return;
		this.#settling = true;
		this.#jobs.add(this.#settle);
	}

	/** One step of selection for each family, and everybody is told. */
	readonly #settle = (): boolean => {
		let more = false;
		if (!this.#sync.defersSelection) {
			for (const family of familyNames) {
				const table = this.#tables[family];
				if (table.dirtyCount === 0) continue;
				const groups = this.#groups[family];
				const selection = this.#selections[family];
				selection.settle(this.#batch, Math.max(256, Math.trunc(batchCapacity / Math.max(1, groups.size))));
				if (!this.#batch.isEmpty) {
					countBest(this.#batch, this.#pool, this.#peers, family);
					this.#best.emit(table, this.#batch);
					groups.emit(this.#batch);
					selection.finish(this.#batch);
				}
				more ||= table.dirtyCount > 0;
			}
			if (!more) this.#releaseEmptied();
			if (!more) this.#owed.pay((peer, family) => this.#groups[family].resend(peer.id, undefined, endOfRibBytes(family)));
		}
		this.#settling = more;
		return more;
	};

	#releaseLater(peer: RibPeer): void {
		if (peer.sink === undefined && familyNames.every((family) => peer.families[family].received === 0)) {
			this.#leaving.add(peer);
			this.#settleSoon();
		}
	}

	#releaseEmptied(): void {
		for (const peer of this.#leaving) if (this.#peers.releaseIfGone(peer)) this.#leaving.delete(peer);
	}

	#drained(peer: RibPeer): void {
		peer.blocked = false;
		for (const family of familyNames) this.#groups[family].of(peer.id)?.drained(peer.id);
	}

	#ended(peer: RibPeer, end: SessionEnd): void {
		if (peer.sink === undefined && end.type === 'retain') return;
		for (const family of familyNames) this.#groups[family].leave(peer.id);
		peer.sink = undefined;
		if (end.type === 'retain') this.#stale.retain(peer);
		else {
			this.#peers.forgetName(peer);
			this.#stale.forget(peer);
		}
		this.#releaseLater(peer);
	}

	#endOfRib(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		state.complete = true;
		if (!state.refreshing) this.#stale.sweep(peer, family);
		if (peer.negotiated?.families.every((row) => peer.families[row.family].complete)) this.#sync.complete(peer.name);
	}

	#refresh(peer: RibPeer, family: Family, subtype: 'request' | 'begin' | 'end'): void {
		const { negotiated } = peer.families[family];
		if (negotiated === undefined) return;
		if (subtype === 'begin') this.#stale.beginRefresh(peer, family);
		else if (subtype === 'end') this.#stale.endRefresh(peer, family);
		else {
			const marks = peer.negotiated?.enhancedRefresh === true;
			this.#groups[family].resend(peer.id, marks ? refreshMark(family, 'begin') : undefined, marks ? refreshMark(family, 'end') : undefined);
		}
	}
}
