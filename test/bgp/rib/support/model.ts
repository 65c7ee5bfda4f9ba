/**
 * The expected state of every peer at the end, computed from the announcements of all peers in the
 * plainest way: lists of objects, each decision made anew. Shares no code with the engine.
 */
import type { PathAttributes } from 'bgp-packet';

/** Policy as the model applies it: a route, or `undefined`. */
export type ModelPolicy = (attributes: PathAttributes, prefix: string) => PathAttributes | undefined;

/** Results of policies that set MULTI_EXIT_DISC: it is sent to external peers too. */
export const medSet = new WeakSet<PathAttributes>();

export interface ModelPeer {
	readonly name: string;
	readonly external: boolean;
	readonly client: boolean;
	readonly asNumber: number;
	readonly routerId: number;
	/** Last octet of 10.0.1.x. */
	readonly index: number;
	importPolicy: ModelPolicy | undefined;
	exportPolicy: ModelPolicy | undefined;
	readonly addPathSend: boolean;
	readonly addPathLimit: number;
	readonly secondBestPath: boolean;
}

export interface ModelPath {
	/** `undefined`: this node. */
	readonly peer: ModelPeer | undefined;
	readonly pathId: number;
	/** As sent. */
	readonly attributes: PathAttributes;
}

export interface ModelSelf {
	readonly asNumber: number;
	readonly routerId: number;
	readonly clusterId: number;
	readonly clientToClient: boolean;
}

const noExport = [0xffffff01, 0xffffff03];
const noAdvertise = 0xffffff02;
const gracefulShutdown = 0xffff0000;
const local4 = Uint8Array.of(10, 0, 0, 1);

const has = (attributes: PathAttributes, community: number) => attributes.communities?.includes(community) ?? false;
const flat = (attributes: PathAttributes) => (attributes.asPath ?? []).flatMap(({ asNumbers }) => [...asNumbers]);

/** The path after import; `undefined`: not eligible. */
function imported(self: ModelSelf, { peer, attributes }: ModelPath, prefix: string): PathAttributes | undefined {
	if (peer === undefined) return attributes;
	let kept = attributes;
	if (peer.external) {
		const { localPref: _l, originatorId: _o, clusterList: _c, ...rest } = attributes;
		kept = rest;
	}
	const policed = peer.importPolicy === undefined ? kept : peer.importPolicy(kept, prefix);
	if (policed === undefined) return undefined;
	if (flat(policed).includes(self.asNumber)) return undefined;
	if (policed.originatorId === self.routerId || policed.clusterList?.includes(self.clusterId)) return undefined;
	if (policed.nextHop?.join() === local4.join()) return undefined;
	if (peer.external && flat(policed)[0] !== peer.asNumber) return undefined;
	return policed;
}

interface Candidate {
	readonly path: ModelPath;
	readonly attributes: PathAttributes;
}

const origins = ['igp', 'egp', 'incomplete'];
const localPrefOf = ({ path, attributes }: Candidate): number => {
	if (path.peer?.external && has(attributes, gracefulShutdown)) return 0;
	return attributes.localPref ?? 100;
};
const lengthOf = (attributes: PathAttributes) =>
	(attributes.asPath ?? []).reduce(
		(sum, { type, asNumbers }) => sum + (type === 'sequence' ? asNumbers.length : type === 'set' ? 1 : 0),
		0,
	);
const neighborOf = (attributes: PathAttributes) =>
	attributes.asPath?.[0]?.type === 'sequence' ? attributes.asPath[0].asNumbers[0] : 0;

function keepLowest(candidates: readonly Candidate[], of: (candidate: Candidate) => number): Candidate[] {
	const lowest = Math.min(...candidates.map(of));
	return candidates.filter((candidate) => of(candidate) === lowest);
}

/** The best of several. */
function best(candidates: readonly Candidate[]): Candidate | undefined {
	if (candidates.length === 0) return undefined;
	let left = keepLowest(candidates, ({ path }) => (path.peer === undefined ? 0 : 1));
	left = keepLowest(left, (candidate) => -localPrefOf(candidate));
	left = keepLowest(left, ({ attributes }) => lengthOf(attributes));
	left = keepLowest(left, ({ attributes }) => origins.indexOf(attributes.origin ?? 'igp'));
	left = left.filter((one) =>
		left.every(
			(other) =>
				neighborOf(other.attributes) !== neighborOf(one.attributes) ||
				(other.attributes.med ?? 0) >= (one.attributes.med ?? 0),
		),
	);
	left = keepLowest(left, ({ path }) => (path.peer?.external ? 0 : 1));
	left = keepLowest(left, ({ path, attributes }) => attributes.originatorId ?? path.peer?.routerId ?? 0);
	left = keepLowest(left, ({ attributes }) => attributes.clusterList?.length ?? 0);
	left = keepLowest(left, ({ path }) => path.peer?.index ?? 0);
	left = keepLowest(left, ({ path }) => path.pathId);
	return left[0];
}

/** All eligible paths to a prefix, best first. */
export function ranking(self: ModelSelf, paths: readonly ModelPath[], prefix: string): Candidate[] {
	let left = paths.flatMap((path) => {
		const attributes = imported(self, path, prefix);
		return attributes === undefined ? [] : [{ path, attributes }];
	});
	const ranked: Candidate[] = [];
	for (let first = best(left); first !== undefined; first = best(left)) {
		const taken = first;
		ranked.push(taken);
		left = left.filter((candidate) => candidate !== taken);
	}
	return ranked;
}

/** The path as sent to a peer; `undefined`: not sent. */
export function exported(
	self: ModelSelf,
	{ path, attributes }: Candidate,
	to: ModelPeer,
	prefix: string,
): PathAttributes | undefined {
	const { peer } = path;
	if (peer === to) return undefined;
	if (has(attributes, noAdvertise)) return undefined;
	if (to.external && noExport.some((community) => has(attributes, community))) return undefined;
	const inside = peer !== undefined && !peer.external;
	if (inside && !to.external) {
		if (!peer.client && !to.client) return undefined;
		if (peer.client && to.client && !self.clientToClient) return undefined;
	}
	const policed = to.exportPolicy === undefined ? attributes : to.exportPolicy(attributes, prefix);
	if (policed === undefined) return undefined;
	if (has(policed, noAdvertise) || (to.external && noExport.some((community) => has(policed, community))))
		return undefined;
	const ipv6 = prefix.includes(':');
	if (to.external) {
		// The session runs over IPv4: this node has no address for IPv6 routes.
		if (ipv6) return undefined;
		const { localPref: _l, originatorId: _o, clusterList: _c, med, ...rest } = policed;
		const medOurs = peer === undefined || (medSet.has(policed) && policed !== attributes);
		const [head, ...tail] = policed.asPath ?? [];
		const asPath =
			head?.type === 'sequence'
				? [{ type: 'sequence' as const, asNumbers: [self.asNumber, ...head.asNumbers] }, ...tail]
				: [{ type: 'sequence' as const, asNumbers: [self.asNumber] }, ...(policed.asPath ?? [])];
		return { ...rest, ...(medOurs && med !== undefined ? { med } : {}), asPath, nextHop: local4 };
	}
	if (ipv6 && policed.nextHop === undefined) return undefined;
	const sent = {
		...policed,
		// RFC 8326 §4.1: 0 also if export policy set another one.
		localPref: localPrefOf({ path, attributes: policed }),
		nextHop: policed.nextHop ?? local4,
	};
	if (!inside) return sent;
	return {
		...sent,
		originatorId: policed.originatorId ?? peer.routerId,
		clusterList: [self.clusterId, ...(policed.clusterList ?? [])],
	};
}

/**
 * The routes of a peer at the end, by prefix; with add-path the paths of each prefix in any order,
 * since we choose their identifiers.
 */
export function expected(
	self: ModelSelf,
	paths: ReadonlyMap<string, readonly ModelPath[]>,
	to: ModelPeer,
): Map<string, PathAttributes[]> {
	const held = new Map<string, PathAttributes[]>();
	for (const [prefix, all] of paths) {
		const ranked = ranking(self, all, prefix);
		// Without add-path the best path is sent, or none; limits count the paths that may be sent.
		const wanted = to.addPathSend || to.secondBestPath ? ranked : ranked.slice(0, 1);
		const most = to.addPathSend ? to.addPathLimit || undefined : 1;
		const sent = wanted.flatMap((candidate) => exported(self, candidate, to, prefix) ?? []).slice(0, most);
		if (sent.length > 0) held.set(prefix, sent);
	}
	return held;
}
