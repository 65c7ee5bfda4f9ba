import type { PeerFamily, RibPeer } from '../table/peers.ts';
import { attributesMask, type RouteTable, staleBit } from '../table/route-table.ts';

/** Prefixes per step of a walk. */
const stepPrefixes = 32_768;

/** Removes the paths of a peer (optionally only the stale ones) in steps; `false`: done. */
export function removal(
	table: RouteTable,
	peer: RibPeer,
	state: PeerFamily,
	onlyStale: boolean,
	removed: () => void,
): () => boolean {
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
		for (const end = Math.min(prefix + stepPrefixes, table.prefixes.limit); prefix < end && left(); prefix++)
			table.rewrite(prefix, change);
		removed();
		return prefix < table.prefixes.limit && left();
	};
}

/** Marks all paths of a peer as stale, in one step, because new ones may follow. */
export function markStale(table: RouteTable, peer: RibPeer, state: PeerFamily): void {
	const { pool } = table;
	const mark = (path: number): number => {
		if (pool.peer[path & attributesMask] !== peer.id) return path;
		if ((path & staleBit) === 0) state.stale++;
		return path | staleBit;
	};
	for (let prefix = 1; prefix < table.prefixes.limit && state.stale < state.received; prefix++)
		table.rewrite(prefix, mark);
}

/**
 * Replaces every path of a peer by the result of `change` in steps: its new attribute set, with a
 * reference for the table, or 0 to remove it. `only`: stale or all. The prefixes are always decided
 * again. `finished` is called at the end.
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

/** Recounts the paths of a peer. */
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

/** Marks every prefix with a path by one of these next hops as dirty, in steps. */
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
