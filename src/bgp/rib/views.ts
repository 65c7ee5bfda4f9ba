import type { PathAttributes } from 'bgp-packet';
import {
	type ExplanationView,
	formatAddress,
	formatExtendedCommunity,
	type NextHopView,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixCovers,
	type RouteView,
} from '../../core/index.ts';
import { formatNextHop, nextHopOf } from '../policy/matches.ts';
import { formatAsPath, formatCommunity } from '../policy/text.ts';
import { sourceOf } from '../update-group/exporter.ts';
import type { UpdateGroup } from '../update-group/group.ts';
import { type AttributePool, Kind } from './attribute-pool.ts';
import { reasonTexts } from './attribute-summary.ts';
import { Candidates, type DecisionStep, survivorsOf } from './decision.ts';
import type { Importer } from './importer.ts';
import type { NextHops } from './next-hops.ts';
import type { PeerRegistry } from './peer-registry.ts';
import { attributesMask, type RouteTable, staleBit } from './route-table.ts';
import type { RouteQuery } from './types.ts';

/** What views are made from. */
export interface ViewContext {
	readonly pool: AttributePool;
	readonly importer: Importer;
	readonly peers: PeerRegistry;
	readonly tables: readonly RouteTable[];
	readonly steps: readonly DecisionStep[];
	readonly groupOf: (table: RouteTable, peer: number) => UpdateGroup | undefined;
}

interface Shown {
	readonly set: number;
	readonly path: number;
	readonly pathId: number;
}

/** The paths a query asks for, as plain JSON. */
export function routeViews(context: ViewContext, query: RouteQuery): RouteView[] {
	const views: RouteView[] = [];
	const limit = query.limit ?? Number.POSITIVE_INFINITY;
	for (const table of context.tables) {
		if (query.family !== undefined && query.family !== table.prefixes.family) continue;
		for (const prefix of prefixesOf(table, query)) {
			for (const view of query.advertised !== undefined ? advertised(context, table, prefix, query.advertised) : present(context, table, prefix, query)) {
				if (views.length >= limit) return views;
				views.push(view);
			}
		}
	}
	return views;
}

/** Why the best path to a prefix is the best: each other one with the criterion at which it fell. */
export function explanation(context: ViewContext, key: PrefixKey): ExplanationView {
	const { family, bytes, length } = parsePrefix(key);
	const table = context.tables.find(({ prefixes }) => prefixes.family === family);
	const prefix = table?.prefixes.find(bytes, 0, length) ?? 0;
	if (table === undefined || prefix === 0) return { prefix: key, paths: [] };
	const candidates = new Candidates();
	table.collect(prefix, candidates);
	const lostAt = new Map<string, DecisionStep>();
	let survivors = Array.from({ length: candidates.count }, (_, index) => index);
	for (const step of context.steps) {
		const kept = survivors.length > 1 ? survivorsOf(step, candidates, survivors) : survivors;
		for (const index of survivors) if (!kept.includes(index)) lostAt.set(`${candidates.attributes[index]} ${candidates.pathIds[index]}`, step);
		survivors = kept;
	}
	const paths = pathsOf(table, prefix).map((shown) => {
		const step = lostAt.get(`${shown.set} ${shown.pathId}`);
		const view = viewOf(context, table, prefix, shown, context.importer.attributes(shown.set));
		return step === undefined ? view : { ...view, lostAt: { step: step.name, rfc: step.rfc } };
	});
	return { prefix: key, paths: [...paths.filter(({ best }) => best), ...paths.filter(({ best }) => !best)] };
}

/** The next hops of the sets that came from neighbours and are held. */
export function nextHopViews(pool: AttributePool, nextHops: NextHops): NextHopView[] {
	const ids = new Set<number>();
	for (let id = 1; id < pool.limit; id++) {
		const own = ((pool.kind[id] ?? 0) & Kind.exported) !== 0 || pool.peer[id] === 0;
		const nextHop = pool.nextHop[id] ?? 0;
		if (nextHop !== 0 && !own) ids.add(nextHop);
	}
	// One with a link-local address beside the global one is told by the latter.
	const byText = new Map([...ids].map((id) => [nextHops.text(id) ?? '', id]));
	return [...byText].map(([nextHop, id]) => {
		const metric = nextHops.metric[id] ?? 0;
		const name = nextHops.interfaceOf(id);
		return { nextHop, reachable: metric > 0, ...(metric > 0 ? { cost: metric - 1 } : {}), ...(name === undefined ? {} : { interface: name }) };
	});
}

/** The ids that a query is about, in the order in which they came. */
function* prefixesOf(table: RouteTable, { prefix, covered, address }: RouteQuery): Generator<number> {
	const { prefixes } = table;
	if (address !== undefined) {
		const { family, bytes } = parseAddress(address);
		if (family !== prefixes.family) return;
		for (let bits = bytes.length * 8; bits >= 0; bits--) {
			const id = prefixes.find(bytes, 0, bits);
			if (id === 0 || table.rows.announced(id) === 0) continue;
			yield id;
			return;
		}
		return;
	}
	const wanted = prefix === undefined ? undefined : parsePrefix(prefix);
	if (wanted !== undefined && wanted.family !== prefixes.family) return;
	if (wanted !== undefined && !covered) {
		const id = prefixes.find(wanted.bytes, 0, wanted.length);
		if (id !== 0) yield id;
		return;
	}
	for (let id = 1; id < prefixes.limit; id++) {
		if (table.rows.head(id) === 0 && table.rows.announced(id) === 0) continue;
		if (wanted === undefined || prefixCovers(wanted, parsePrefix(prefixes.key(id)))) yield id;
	}
}

function pathsOf(table: RouteTable, prefix: number): Shown[] {
	const paths: Shown[] = [];
	table.each(prefix, (path, pathId) => paths.push({ set: path & attributesMask, path, pathId }));
	return paths;
}

/** The paths in the tables: all of them, or those of one peer as they came. */
function present(context: ViewContext, table: RouteTable, prefix: number, { received, address }: RouteQuery): RouteView[] {
	const { importer, peers, pool } = context;
	const paths = pathsOf(table, prefix);
	if (received === undefined) {
		const views = paths.map((shown) => viewOf(context, table, prefix, shown, importer.attributes(shown.set)));
		return address === undefined ? views : views.filter(({ best }) => best);
	}
	return paths
		.filter(({ set }) => peers.byId(pool.peer[set] ?? 0).name === received && pool.peer[set] !== 0)
		.map((shown) => viewOf(context, table, prefix, shown, importer.attributes(importer.received(shown.set))));
}

/** What a peer has been sent for a prefix. */
function advertised(context: ViewContext, table: RouteTable, prefix: number, name: string): RouteView[] {
	const peer = context.peers.byName(name);
	const group = peer === undefined ? undefined : context.groupOf(table, peer.id);
	if (peer === undefined || group === undefined) return [];
	return group.outgoing.advertised(peer.id, prefix).map(({ set, source, pathId }) => {
		const view = viewOf(context, table, prefix, { set: source, path: source, pathId }, group.outgoing.attributesSent(set));
		return group.terms.addPath ? { ...view, pathId } : view;
	});
}

function viewOf({ pool, peers }: ViewContext, table: RouteTable, prefix: number, { set, path, pathId }: Shown, attributes: PathAttributes): RouteView {
	const source = sourceOf(pool.flags[set] ?? 0);
	const nextHop = nextHopOf(attributes);
	const reason = pool.reason[set] ?? 0;
	const unreachable = reason === 0 && !table.isEligible(path);
	const ineligible = reason !== 0 ? reasonTexts[reason] : unreachable ? 'NEXT_HOP is unreachable' : undefined;
	const { originatorId, localPref, med } = attributes;
	return {
		prefix: table.prefixes.key(prefix),
		...(nextHop === undefined || nextHop.every((byte) => byte === 0) ? {} : { nextHop: formatNextHop(nextHop) }),
		source,
		...(source === 'local' ? {} : { peer: peers.byId(pool.peer[set] ?? 0).name }),
		best: table.rows.announced(prefix) === set,
		stale: (path & staleBit) !== 0,
		...(pathId === 0 ? {} : { pathId }),
		...(localPref === undefined ? {} : { localPref }),
		...(med === undefined ? {} : { med }),
		origin: attributes.origin ?? 'incomplete',
		asPath: formatAsPath(attributes.asPath ?? []),
		communities: (attributes.communities ?? []).map(formatCommunity),
		largeCommunities: (attributes.largeCommunities ?? []).map((parts) => parts.join(':')),
		extendedCommunities: (attributes.extendedCommunities ?? []).map(formatExtendedCommunity),
		...(originatorId === undefined ? {} : { originatorId: formatId(originatorId) }),
		clusterList: (attributes.clusterList ?? []).map(formatId),
		...(ineligible === undefined ? {} : { ineligible }),
	};
}

/** A BGP identifier as people write it. */
function formatId(id: number): string {
	return formatAddress(Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id));
}
