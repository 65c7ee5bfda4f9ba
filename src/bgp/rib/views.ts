import type { PathAttributes } from 'bgp-packet';
import {
	type ExplainedPath,
	type ExplanationView,
	formatAddress,
	formatExtendedCommunity,
	type NextHopView,
	type PolicyTermView,
	type Prefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixCovers,
	type RouteView,
	splitZone,
} from '../../core/index.ts';
import type { RouteQuery } from '../model/rib.ts';
import { formatNextHop, nextHopOf } from '../policy/matches.ts';
import { formatAsPath, formatCommunity } from '../policy/text.ts';
import { type AttributePool, Kind } from '../table/attribute-pool.ts';
import { Reason, reasonTexts } from '../table/attribute-summary.ts';
import { Candidates, type DecisionStep, survivorsOf } from '../table/decision.ts';
import type { NextHops } from '../table/next-hops.ts';
import { attributesMask, type RouteTable, staleBit } from '../table/route-table.ts';
import { sourceOf } from '../update-group/exporter.ts';
import type { UpdateGroup } from '../update-group/group.ts';
import type { Importer } from './importer.ts';
import type { PeerRegistry } from './peer-registry.ts';

/** The sources of views. */
export interface ViewDependencies {
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

/** Number of skipped prefixes between two pauses. */
const pauseAfter = 512;

/**
 * Iterates over the paths that match a query, as plain JSON; `undefined` marks a pause. Routes may
 * change in a pause: the listing is no snapshot.
 */
export function* eachRoute(
	dependencies: ViewDependencies,
	query: RouteQuery,
): Generator<RouteView | undefined, void, void> {
	let left = query.limit ?? Number.POSITIVE_INFINITY;
	for (const table of dependencies.tables) {
		if (query.family !== undefined && query.family !== table.prefixes.family) continue;
		for (const prefix of prefixesOf(table, query)) {
			if (prefix === undefined) {
				yield undefined;
				continue;
			}
			for (const view of query.advertised !== undefined
				? advertised(dependencies, table, prefix, query.advertised)
				: present(dependencies, table, prefix, query)) {
				if (left-- <= 0) return;
				yield view;
			}
		}
	}
}

/** Explains the best path to a prefix: each other path with the criterion at which it lost. */
export function explanation(dependencies: ViewDependencies, key: PrefixKey): ExplanationView {
	const { family, bytes, length } = parsePrefix(key);
	const table = dependencies.tables.find(({ prefixes }) => prefixes.family === family);
	const prefix = table?.prefixes.find(bytes, 0, length) ?? 0;
	if (table === undefined || prefix === 0) return { prefix: key, paths: [] };
	const candidates = new Candidates();
	table.collect(prefix, candidates);
	const lostAt = new Map<string, DecisionStep>();
	let survivors = Array.from({ length: candidates.count }, (_, index) => index);
	for (const step of dependencies.steps) {
		const kept = survivors.length > 1 ? survivorsOf(step, candidates, survivors) : survivors;
		const keeps = new Set(kept);
		for (const index of survivors)
			if (!keeps.has(index)) lostAt.set(`${candidates.attributes[index]} ${candidates.pathIds[index]}`, step);
		survivors = kept;
	}
	const paths = pathsOf(table, prefix).map((shown) => {
		const step = lostAt.get(`${shown.set} ${shown.pathId}`);
		const importedBy = importTerm(dependencies, shown.set, { family, bytes, length });
		const view: ExplainedPath = {
			...viewOf(dependencies, table, prefix, shown, dependencies.importer.attributes(shown.set)),
			...(importedBy === undefined ? {} : { importedBy }),
		};
		return step === undefined ? view : { ...view, lostAt: { step: step.name, rfc: step.rfc } };
	});
	const set = table.rows.announced(prefix);
	return {
		prefix: key,
		paths: [...paths.filter(({ best }) => best), ...paths.filter(({ best }) => !best)],
		...(set === 0 ? {} : { announced: announcements(dependencies, table, prefix, set) }),
	};
}

/** The deciding term of the import policy for a path of this set. */
function importTerm(
	{ importer, peers, pool }: ViewDependencies,
	set: number,
	prefix: Prefix,
): PolicyTermView | undefined {
	const peer = pool.peer[set] ?? 0;
	return peer === 0 ? undefined : importer.decidingTerm(peers.byId(peer), set, prefix);
}

/** The established peers that got a best route, and the reasons against the others. */
function announcements(
	dependencies: ViewDependencies,
	table: RouteTable,
	id: number,
	set: number,
): NonNullable<ExplanationView['announced']> {
	const prefix = parsePrefix(table.prefixes.key(id));
	const to: string[] = [];
	const withheld = new Map<string, string[]>();
	for (const peer of dependencies.peers.all()) {
		const group = dependencies.groupOf(table, peer.id);
		if (group === undefined && peer.sink === undefined) continue;
		if (group !== undefined && group.outgoing.advertised(peer.id, id).length > 0) {
			to.push(peer.name);
			continue;
		}
		const reason =
			group === undefined
				? `${prefix.family} is not negotiated with the peer`
				: dependencies.pool.peer[set] === peer.id
					? 'the best path is its own (split horizon)'
					: (group.outgoing.obstacle(set, id, prefix) ?? 'not sent yet');
		const peers = withheld.get(reason);
		if (peers === undefined) withheld.set(reason, [peer.name]);
		else peers.push(peer.name);
	}
	return { to: to.sort(), withheld: [...withheld].map(([reason, peers]) => ({ reason, peers: peers.sort() })) };
}

/** The prefixes with paths that contain an address, most specific first. */
export function coveringPrefixes({ tables }: ViewDependencies, text: string): PrefixKey[] {
	const { family, bytes } = parseAddress(text);
	const found: PrefixKey[] = [];
	for (const { prefixes, rows } of tables) {
		if (prefixes.family !== family) continue;
		for (let bits = bytes.length * 8; bits >= 0; bits--) {
			const id = prefixes.find(bytes, 0, bits);
			if (id !== 0 && (rows.head(id) !== 0 || rows.announced(id) !== 0)) found.push(prefixes.key(id));
		}
	}
	return found;
}

/** The next hops of received sets in use. */
export function nextHopViews(pool: AttributePool, nextHops: NextHops): NextHopView[] {
	const ids = new Set<number>();
	for (let id = 1; id < pool.limit; id++) {
		const own = ((pool.kind[id] ?? 0) & Kind.exported) !== 0 || pool.peer[id] === 0;
		const nextHop = pool.nextHop[id] ?? 0;
		if (nextHop !== 0 && !own) ids.add(nextHop);
	}
	// A global and a link-local address together are listed by the global one.
	const byText = new Map([...ids].map((id) => [nextHops.text(id) ?? '', id]));
	return [...byText].map(([text, id]) => {
		const metric = nextHops.metric[id] ?? 0;
		const { address, interfaceName } = splitZone(text);
		const name = interfaceName ?? nextHops.interfaceOf(id);
		return {
			nextHop: address,
			reachable: metric > 0,
			...(metric > 0 ? { cost: metric - 1 } : {}),
			...(name === undefined ? {} : { interface: name }),
		};
	});
}

/** The ids that match a query, in insertion order; `undefined` marks a pause. */
function* prefixesOf(table: RouteTable, { prefix, covered, address }: RouteQuery): Generator<number | undefined> {
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
		if (id % pauseAfter === 0) yield undefined;
		if (table.rows.head(id) === 0 && table.rows.announced(id) === 0) continue;
		if (wanted === undefined || prefixCovers(wanted, parsePrefix(prefixes.key(id)))) yield id;
	}
}

function pathsOf(table: RouteTable, prefix: number): Shown[] {
	const paths: Shown[] = [];
	table.each(prefix, (path, pathId) => paths.push({ set: path & attributesMask, path, pathId }));
	return paths;
}

/** The paths in the tables: all of them, or those of one peer as received. */
function present(
	dependencies: ViewDependencies,
	table: RouteTable,
	prefix: number,
	{ received, address }: RouteQuery,
): RouteView[] {
	const { importer, peers, pool } = dependencies;
	const paths = pathsOf(table, prefix);
	if (received === undefined) {
		const views = paths.map((shown) => viewOf(dependencies, table, prefix, shown, importer.attributes(shown.set)));
		return address === undefined ? views : views.filter(({ best }) => best);
	}
	return paths
		.filter(({ set }) => peers.byId(pool.peer[set] ?? 0).name === received && pool.peer[set] !== 0)
		.map((shown) => viewOf(dependencies, table, prefix, shown, importer.attributes(importer.received(shown.set))));
}

/** The paths sent to a peer for a prefix. */
function advertised(dependencies: ViewDependencies, table: RouteTable, prefix: number, name: string): RouteView[] {
	const peer = dependencies.peers.byName(name);
	const group = peer === undefined ? undefined : dependencies.groupOf(table, peer.id);
	if (peer === undefined || group === undefined) return [];
	return group.outgoing.advertised(peer.id, prefix).map(({ set, source, pathId }) => {
		const view = viewOf(
			dependencies,
			table,
			prefix,
			{ set: source, path: source, pathId },
			group.outgoing.attributesSent(set),
		);
		return group.terms.addPath ? { ...view, pathId } : view;
	});
}

function viewOf(
	{ pool, peers, importer }: Pick<ViewDependencies, 'pool' | 'peers' | 'importer'>,
	table: RouteTable,
	prefix: number,
	{ set, path, pathId }: Shown,
	attributes: PathAttributes,
): RouteView {
	const source = sourceOf(pool.flags[set] ?? 0);
	const nextHop = nextHopOf(attributes);
	const reason = pool.reason[set] ?? 0;
	const unreachable = reason === 0 && !table.isEligible(path);
	const rejected = reason === Reason.policy ? rejectedBy({ pool, peers, importer }, table, prefix, set) : undefined;
	const ineligible =
		rejected ?? (reason !== 0 ? reasonTexts[reason] : unreachable ? 'NEXT_HOP is unreachable' : undefined);
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

/** The rejection by an import policy, with the names of policy and term. */
function rejectedBy(
	{ pool, peers, importer }: Pick<ViewDependencies, 'pool' | 'peers' | 'importer'>,
	table: RouteTable,
	prefix: number,
	set: number,
): string | undefined {
	const peer = peers.byId(pool.peer[set] ?? 0);
	const term = importer.decidingTerm(peer, set, parsePrefix(table.prefixes.key(prefix)));
	return term?.action === 'reject' ? `rejected by import policy ${term.policy}, term ${term.term}` : undefined;
}

/** Formats a BGP identifier as a dotted quad. */
function formatId(id: number): string {
	return formatAddress(Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id));
}
