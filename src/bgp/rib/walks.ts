import type { PeerFamily, RibPeer } from './peers.ts';
import { attributesMask, type RouteTable, staleBit } from './route-table.ts';

/** Prefixes that one step of a walk looks at. */
const stepPrefixes = 32_768;

/** Removes the paths of a peer (only the stale ones, if so asked) in steps; `false`: done. */
export function removal(table: RouteTable, peer: RibPeer, state: PeerFamily, onlyStale: boolean, removed: () => void): () => boolean {
	const { pool } = table;
	let prefix = 1;
	const left = () => (onlyStale ? state.stale : state.received) > 0;
	const change = (path: number): number => {
		if (pool.peer[path & attributesMask] !== peer.id || (onlyStale && (path & staleBit) === 0)) return path;
		state.received--;
		if ((path & staleBit) !== 0) state.stale--;
		if (pool.reason[path & attributesMask] === 0) state.accepted--;
		return 0;
	};
	return () => {
		for (const end = Math.min(prefix + stepPrefixes, table.prefixes.limit); prefix < end && left(); prefix++) table.rewrite(prefix, change);
		removed();
		return prefix < table.prefixes.limit && left();
	};
}

/** Marks all paths of a peer as stale, at once, since fresh ones may follow. */
export function markStale(table: RouteTable, peer: RibPeer, state: PeerFamily): void {
	const { pool } = table;
	const mark = (path: number): number => {
		if (pool.peer[path & attributesMask] !== peer.id) return path;
		if ((path & staleBit) === 0) state.stale++;
		return path | staleBit;
	};
	for (let prefix = 1; prefix < table.prefixes.limit && state.stale < state.received; prefix++) table.rewrite(prefix, mark);
}

/**
 * Puts every path of a peer through `change` in steps, which gives its new attribute set, held for us, or 0 to remove it; `only`:
 * stale or all. The prefixes are decided again in any case. `finished` is called at the end.
 */
export function replacement(
	table: RouteTable,
	peer: RibPeer,
	only: 'stale' | 'all',
	change: (set: number, prefix: number) => number,
	stepped: () => void,
	finished: () => void,
): () => boolean {
	const { pool } = table;
	let prefix = 1;
	const held: number[] = [];
	const replace = (path: number): number => {
		const set = path & attributesMask;
		if (pool.peer[set] !== peer.id || (only === 'stale' && (path & staleBit) === 0)) return path;
		table.markDirty(prefix);
		const wanted = change(set, prefix);
		if (wanted === 0) return 0;
		held.push(wanted);
		return wanted | (path & staleBit);
	};
	return () => {
		for (const end = Math.min(prefix + stepPrefixes / 8, table.prefixes.limit); prefix < end; prefix++) {
			table.rewrite(prefix, replace);
			for (const set of held.splice(0)) pool.release(set);
		}
		stepped();
		if (prefix < table.prefixes.limit) return true;
		finished();
		return false;
	};
}

/** Counts the paths of a peer anew. */
export function recount(table: RouteTable, peer: RibPeer, state: PeerFamily): void {
	const { pool } = table;
	state.received = 0;
	state.accepted = 0;
	state.stale = 0;
	for (let prefix = 1; prefix < table.prefixes.limit; prefix++) {
		table.each(prefix, (path) => {
			if (pool.peer[path & attributesMask] !== peer.id) return;
			state.received++;
			if (pool.reason[path & attributesMask] === 0) state.accepted++;
			if ((path & staleBit) !== 0) state.stale++;
		});
	}
}

/** Has every prefix decided again, in steps, that has a path with one of these next hops; no other is touched. */
export function nextHopMarking(table: RouteTable, nextHops: ReadonlySet<number>, stepped: () => void): () => boolean {
	const { pool } = table;
	let prefix = 1;
	return () => {
		for (const end = Math.min(prefix + stepPrefixes, table.prefixes.limit); prefix < end; prefix++) {
			table.each(prefix, (path) => {
				if (nextHops.has(pool.nextHop[path & attributesMask] ?? 0)) table.markDirty(prefix);
			});
		}
		stepped();
		return prefix < table.prefixes.limit;
	};
}
