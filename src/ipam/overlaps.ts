/**
 * Blocks of different sizes may cover the same address: if a pool is recreated or patched with
 * another `blockSize` while blocks of the old size exist, or if two pools overlap. No conditional
 * write of the API server spans two blocks. Hence the rule: a block that overlaps an existing one
 * is not claimed, and no address is assigned from a block that overlaps another one. Pure.
 */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { isInPool } from './pool.ts';
import type { Pool } from './values.ts';

const lengthOf = (cidr: PrefixKey): number => Number(cidr.slice(cidr.indexOf('/') + 1));

/** Does one of them cover the other? */
export const overlap = (left: PrefixKey, right: PrefixKey): boolean => {
	const [one, other] = [parsePrefix(left), parsePrefix(right)];
	return prefixCovers(one, other) || prefixCovers(other, one);
};

/** The blocks among `cidrs` that overlap `cidr`, except itself. */
export const overlappingBlocks = (cidr: PrefixKey, cidrs: Iterable<PrefixKey>): readonly PrefixKey[] =>
	// Blocks of the same size never overlap.
	[...cidrs].filter((other) => lengthOf(other) !== lengthOf(cidr) && overlap(cidr, other));

/** Pairs of overlapping blocks, the larger one first. */
export function overlappingPairs(cidrs: Iterable<PrefixKey>): readonly (readonly [PrefixKey, PrefixKey])[] {
	const all = [...new Set(cidrs)];
	// Usually all blocks of a family have one size.
	if (['.', ':'].every((mark) => new Set(all.filter((cidr) => cidr.includes(mark)).map(lengthOf)).size <= 1)) return [];
	const sorted = all
		.map((cidr) => ({ cidr, prefix: parsePrefix(cidr) }))
		.sort(
			({ prefix: left }, { prefix: right }) =>
				left.bytes.length - right.bytes.length || Buffer.compare(left.bytes, right.bytes) || left.length - right.length,
		);
	const pairs: [PrefixKey, PrefixKey][] = [];
	/** Prefixes that may cover the next one, each inside the one before. */
	const open: typeof sorted = [];
	for (const entry of sorted) {
		for (let last = open.at(-1); last !== undefined && !prefixCovers(last.prefix, entry.prefix); last = open.at(-1))
			open.pop();
		for (const outer of open) pairs.push([outer.cidr, entry.cidr]);
		open.push(entry);
	}
	return pairs;
}

/** All blocks that overlap another block. */
export const overlappedBlocks = (cidrs: Iterable<PrefixKey>): ReadonlySet<PrefixKey> =>
	new Set(overlappingPairs(cidrs).flat());

/** Existing blocks of another size than the pool's that lie in the pool or contain it. */
export const foreignSizes = (pool: Pool, cidrs: Iterable<PrefixKey>): readonly PrefixKey[] =>
	[...cidrs].filter(
		(cidr) =>
			lengthOf(cidr) !== pool.blockSize &&
			cidr.includes(':') === (pool.family === 'ipv6') &&
			(isInPool(pool, cidr) || overlap(pool.cidr, cidr)),
	);
