/**
 * Selects the block for an address, as decisions on values: the node's own blocks, then a block
 * that does not exist yet, then an empty block of another node, then (if allowed) a free address in
 * a block of another node. Calico `ipam.go` autoAssign.
 */
import { formatPrefix, type PrefixKey, parsePrefix } from '../core/index.ts';
import type { Reservations } from './addresses.ts';
import { freeCount, isEmpty } from './block.ts';
import { gatewayOf } from './gateway.ts';
import { foreignSizes } from './overlaps.ts';
import { isInPool as inPool, walkBlocks } from './pool.ts';
import { cidrsOf, type Unreadable } from './store.ts';
import { type Affinity, type Block, hostAffinity, isConfirmed, type Pool } from './values.ts';

/** The known state at one moment. */
export interface Landscape {
	readonly node: string;
	readonly blocks: ReadonlyMap<PrefixKey, Block>;
	/** Blocks that can not be read. The reservations include the addresses that they may hold. */
	readonly unreadable: readonly Unreadable[];
	readonly reservations: Reservations;
	/** Blocks that overlap another block: no address is assigned from them. */
	readonly overlapped: ReadonlySet<PrefixKey>;
	/** Addresses of a block promised to requests whose write is in progress. */
	readonly promised: (cidr: PrefixKey) => number;
	/**
	 * True if a gateway of the block is required. A gateway that does not exist yet takes one
	 * address.
	 */
	readonly gateway: boolean;
}

/**
 * An empty block is not reclaimed from another node within this time, in milliseconds (Calico
 * EmptyBlockMinReclaimAge).
 */
export const reclaimAgeMs = 60_000;

const available = ({ reservations, promised, gateway, overlapped }: Landscape, block: Block): number =>
	overlapped.has(block.cidr)
		? 0
		: freeCount(block, reservations) - promised(block.cidr) - (gateway && gatewayOf(block) === undefined ? 1 : 0);

/** A block of this node with a free address, in the order of the pools. */
export function ownBlockWithRoom(
	landscape: Landscape,
	pools: readonly Pool[],
	confirmed: readonly PrefixKey[],
): PrefixKey | undefined {
	for (const pool of pools) {
		for (const cidr of confirmed) {
			const block = inPool(pool, cidr) ? landscape.blocks.get(cidr) : undefined;
			if (block?.affinity === hostAffinity(landscape.node) && available(landscape, block) > 0) return cidr;
		}
	}
	return undefined;
}

/** The action for a new block: claim it, or first reclaim an empty block from its owner. */
export type NewBlock =
	| { readonly type: 'claim'; readonly cidr: PrefixKey }
	| { readonly type: 'reclaim'; readonly cidr: PrefixKey; readonly from: string; readonly sequenceNumber: bigint };

/**
 * Returns a block that does not exist, else an empty block with an old claim. Never returns a block
 * that overlaps an existing block of another size. `lost`: blocks that another node has just
 * claimed.
 */
export function findNewBlock(
	landscape: Landscape,
	pools: readonly Pool[],
	lost: ReadonlySet<PrefixKey>,
	random: number,
	nowMs: number,
): NewBlock | undefined {
	let reclaimable: NewBlock | undefined;
	for (const pool of pools) {
		const closed = closedBlocks(pool, landscape);
		for (const cidr of walkBlocks(pool, landscape.node, random, landscape.reservations.and(closed.larger))) {
			if (lost.has(cidr) || closed.inside.has(cidr)) continue;
			const block = landscape.blocks.get(cidr);
			if (block === undefined) return { type: 'claim', cidr };
			if (block.affinity === hostAffinity(landscape.node) && available(landscape, block) > 0)
				return { type: 'claim', cidr };
			reclaimable ??= reclaim(block, landscape.reservations, nowMs);
		}
	}
	return reclaimable;
}

/**
 * Blocks closed by existing blocks of other sizes: the pool's blocks that a larger block covers,
 * and the pool's blocks that contain a smaller one.
 */
function closedBlocks(pool: Pool, { blocks, unreadable }: Landscape) {
	const other = foreignSizes(pool, [...blocks.keys(), ...cidrsOf(unreadable)]);
	const larger = other.filter((cidr) => parsePrefix(cidr).length < pool.blockSize);
	const smaller = other.filter((cidr) => parsePrefix(cidr).length > pool.blockSize);
	return { larger, inside: new Set(smaller.map((cidr) => truncated(cidr, pool.blockSize))) };
}

function truncated(cidr: PrefixKey, length: number): PrefixKey {
	const { bytes } = parsePrefix(`${cidr.slice(0, cidr.indexOf('/'))}/${length}`, 'clear');
	return formatPrefix(bytes, length);
}

function reclaim(block: Block, reservations: Reservations, nowMs: number): NewBlock | undefined {
	const from = block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : undefined;
	if (from === undefined || !isEmpty(block) || freeCount(block, reservations) === 0 || isFresh(block, nowMs))
		return undefined;
	return { type: 'reclaim', cidr: block.cidr, from, sequenceNumber: block.sequenceNumber };
}

/**
 * True if the claim is so recent that its node may be about to assign its first address. Older
 * Calico (v3.28) writes no claim time. Then the sequence number is used: it begins at the
 * nanoseconds since 1970 of the block's creation.
 */
function isFresh({ affinityClaimTime, sequenceNumber }: Block, nowMs: number): boolean {
	const claimedMs =
		affinityClaimTime === undefined ? Number(sequenceNumber / 1_000_000n) : Date.parse(affinityClaimTime);
	return nowMs - claimedMs < reclaimAgeMs;
}

/** A block of another node with a free address. */
export function blockToBorrowFrom(
	landscape: Landscape,
	pools: readonly Pool[],
	tried: ReadonlySet<PrefixKey>,
	random: number,
): PrefixKey | undefined {
	for (const pool of pools) {
		for (const cidr of walkExisting(landscape, pool, random)) {
			const block = landscape.blocks.get(cidr);
			if (block !== undefined && !tried.has(cidr) && !block.deleted && available(landscape, block) > 0) return cidr;
		}
	}
	return undefined;
}

/**
 * The pool's existing blocks, from the start of this node's walk. Only existing blocks are visited:
 * a pool may have many more.
 */
function walkExisting({ blocks, node }: Landscape, pool: Pool, random: number): PrefixKey[] {
	const existing = [...blocks.keys()].filter((cidr) => inPool(pool, cidr)).sort();
	const start = Math.floor(((random + node.length / 64) % 1) * existing.length);
	return [...existing.slice(start), ...existing.slice(0, start)];
}

/**
 * Blocks of a node that lie in an enabled pool that no longer selects it. Calico releases them once
 * they are empty; it keeps blocks without a pool and blocks of disabled pools.
 */
export function unselectedBlocks(
	claimed: readonly PrefixKey[],
	pools: readonly Pool[],
	isSelected: (pool: Pool) => boolean,
): readonly PrefixKey[] {
	const left = pools.filter((pool) => !pool.disabled && !isSelected(pool));
	return claimed.filter((cidr) => left.some((pool) => inPool(pool, cidr)));
}

/** The node's own claims, by state. */
export interface OwnClaims {
	readonly confirmed: readonly PrefixKey[];
	/** Begun and not finished (after a crash or a failed release): to be claimed again. */
	readonly unfinished: readonly PrefixKey[];
}

/** Sorts the affinities of a node by state. */
export function ownClaims(affinities: readonly Affinity[], node: string): OwnClaims {
	const own = affinities.filter((affinity) => affinity.node === node && affinity.type === 'host' && !affinity.deleted);
	const confirmed = own.filter(({ state }) => isConfirmed(state));
	return {
		confirmed: confirmed.map(({ cidr }) => cidr),
		unfinished: own.filter((affinity) => !confirmed.includes(affinity)).map(({ cidr }) => cidr),
	};
}
