import type { AttributePool } from './attribute-pool.ts';
import { Flag } from './attribute-summary.ts';
import type { NextHops } from './next-hops.ts';

/**
 * One criterion of selection, on ids of attribute sets: each set has one peer, so that a set
 * represents a path.
 */
export interface DecisionStep {
	readonly name: string;
	readonly rfc: string;
	/** Below zero: `left` is preferred; zero: equal by this criterion. */
	readonly compare: (left: number, right: number) => number;
	/** If present, only sets of the same group are compared by this criterion. */
	readonly group?: (attributes: number) => number;
}

/** The criteria in order. `comparePeers` compares the addresses of two peers. */
export function decisionSteps(
	pool: AttributePool,
	nextHops: NextHops,
	comparePeers: (left: number, right: number) => number,
): readonly DecisionStep[] {
	const flag = (attributes: number, bit: number): number => ((pool.flags[attributes] ?? 0) & bit) / bit;
	return [
		// A route of this node needs no comparison: no neighbour has a better one.
		{ name: 'local-origin', rfc: 'RFC 4271 §9.1.1', compare: (a, b) => flag(b, Flag.local) - flag(a, Flag.local) },
		{ name: 'llgr-stale', rfc: 'RFC 9494 §4.3', compare: (a, b) => flag(a, Flag.llgrStale) - flag(b, Flag.llgrStale) },
		{
			name: 'local-pref',
			rfc: 'RFC 4271 §9.1.1',
			compare: (a, b) => (pool.localPref[b] ?? 0) - (pool.localPref[a] ?? 0),
		},
		{
			name: 'as-path-length',
			rfc: 'RFC 4271 §9.1.2.2 (a)',
			compare: (a, b) => (pool.asPathLength[a] ?? 0) - (pool.asPathLength[b] ?? 0),
		},
		{ name: 'origin', rfc: 'RFC 4271 §9.1.2.2 (b)', compare: (a, b) => (pool.origin[a] ?? 0) - (pool.origin[b] ?? 0) },
		{
			name: 'med',
			rfc: 'RFC 4271 §9.1.2.2 (c)',
			// Only within one neighbouring AS: no total order, hence elimination rather than a
			// comparator.
			group: (attributes) => pool.neighborAs[attributes] ?? 0,
			compare: (a, b) => (pool.med[a] ?? 0) - (pool.med[b] ?? 0),
		},
		{
			name: 'external-first',
			rfc: 'RFC 4271 §9.1.2.2 (d)',
			compare: (a, b) => flag(b, Flag.external) - flag(a, Flag.external),
		},
		{
			name: 'igp-cost',
			rfc: 'RFC 4271 §9.1.2.2 (e)',
			compare: (a, b) => (nextHops.metric[pool.nextHop[a] ?? 0] ?? 0) - (nextHops.metric[pool.nextHop[b] ?? 0] ?? 0),
		},
		{
			name: 'router-id',
			rfc: 'RFC 4271 §9.1.2.2 (f), RFC 4456 §9',
			compare: (a, b) => (pool.routerId[a] ?? 0) - (pool.routerId[b] ?? 0),
		},
		{
			name: 'cluster-list-length',
			rfc: 'RFC 4456 §9',
			compare: (a, b) => (pool.clusterListLength[a] ?? 0) - (pool.clusterListLength[b] ?? 0),
		},
		{
			name: 'peer-address',
			rfc: 'RFC 4271 §9.1.2.2 (g)',
			compare: (a, b) => comparePeers(pool.peer[a] ?? 0, pool.peer[b] ?? 0),
		},
	];
}

/** The paths to one prefix that take part in selection; reused for every prefix. */
export class Candidates {
	count = 0;
	attributes = new Int32Array(16);
	pathIds = new Uint32Array(16);

	clear(): void {
		this.count = 0;
	}

	add(attributes: number, pathId: number): void {
		if (this.count === this.attributes.length) {
			const [old, oldIds] = [this.attributes, this.pathIds];
			this.attributes = new Int32Array(old.length * 2);
			this.attributes.set(old);
			this.pathIds = new Uint32Array(old.length * 2);
			this.pathIds.set(oldIds);
		}
		this.attributes[this.count] = attributes;
		this.pathIds[this.count++] = pathId;
	}

	/** Moves the candidate at `index` to the front; the others keep their order. */
	moveFirst(index: number, from = 0): void {
		const attributes = this.attributes[index] ?? 0;
		const pathId = this.pathIds[index] ?? 0;
		this.attributes.copyWithin(from + 1, from, index);
		this.pathIds.copyWithin(from + 1, from, index);
		this.attributes[from] = attributes;
		this.pathIds[from] = pathId;
	}
}

/**
 * RFC 4271 §9.1.2, phase 2: the index of the best of `candidates` from `from` on. Independent of
 * their order.
 */
export function selectBest(steps: readonly DecisionStep[], candidates: Candidates, from = 0): number {
	const count = candidates.count - from;
	if (count < 2) return from;
	if (count === 2) return betterOfTwo(steps, candidates, from, from + 1);
	let survivors = Array.from({ length: count }, (_, index) => from + index);
	for (const step of steps) {
		if (survivors.length === 1) break;
		survivors = survivorsOf(step, candidates, survivors);
	}
	// Equal paths of one peer differ by their path identifiers (RFC 7911 §3).
	return survivors.reduce((best, index) =>
		(candidates.pathIds[index] ?? 0) < (candidates.pathIds[best] ?? 0) ? index : best,
	);
}

/** The last criterion on the path itself; later ones are tie-breakers. RFC 4271 §9.1.2.2 (e). */
const lastOfWay = 'igp-cost';

/** The candidates equal to the best one up to the tie-breakers: the next hops for multipath. */
export function equalToBest(steps: readonly DecisionStep[], candidates: Candidates): number[] {
	let survivors = Array.from({ length: candidates.count }, (_, index) => index);
	for (const step of steps) {
		survivors = survivorsOf(step, candidates, survivors);
		if (step.name === lastOfWay) break;
	}
	return survivors;
}

/** The `indexes` that remain after a step: those that no other one beats. */
export function survivorsOf(step: DecisionStep, candidates: Candidates, indexes: readonly number[]): number[] {
	const { attributes } = candidates;
	const { group, compare } = step;
	return indexes.filter((index) => {
		const own = attributes[index] ?? 0;
		return !indexes.some((other) => {
			const rival = attributes[other] ?? 0;
			return (group === undefined || group(own) === group(rival)) && compare(rival, own) < 0;
		});
	});
}

/** With two candidates, elimination is a comparison. */
function betterOfTwo(steps: readonly DecisionStep[], candidates: Candidates, first: number, second: number): number {
	const left = candidates.attributes[first] ?? 0;
	const right = candidates.attributes[second] ?? 0;
	for (const { compare, group } of steps) {
		if (group !== undefined && group(left) !== group(right)) continue;
		const order = compare(left, right);
		if (order !== 0) return order < 0 ? first : second;
	}
	return (candidates.pathIds[first] ?? 0) <= (candidates.pathIds[second] ?? 0) ? first : second;
}
