/**
 * Where an address comes from, as decisions on values: the node's own blocks first, then a block that does not exist yet,
 * then an empty one of somebody else, then (where allowed) a free address in another node's block. Calico `ipam.go` autoAssign.
 */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import type { Reservations } from './addresses.ts';
import { freeCount, isEmpty } from './block.ts';
import { gatewayOf } from './gateway.ts';
import { walkBlocks } from './pool.ts';
import type { Unreadable } from './store.ts';
import { type Affinity, type Block, hostAffinity, isConfirmed, type Pool } from './values.ts';

/** Everything that is known, at one moment. */
export interface Landscape {
	readonly node: string;
	readonly blocks: ReadonlyMap<PrefixKey, Block>;
	/** Blocks that can't be read; what they may hold is among the reservations. */
	readonly unreadable: readonly Unreadable[];
	readonly reservations: Reservations;
	/** Addresses of a block promised to requests whose write is still on its way. */
	readonly promised: (cidr: PrefixKey) => number;
	/** Is the gateway of the block wanted beside an address? One that is not there yet takes an address itself. */
	readonly gateway: boolean;
}

/** How long a block stays its claimer's although it is empty, in milliseconds (Calico EmptyBlockMinReclaimAge). */
export const reclaimAgeMs = 60_000;

const inPool = (pool: Pool, cidr: PrefixKey): boolean => prefixCovers(parsePrefix(pool.cidr), parsePrefix(cidr));

const available = ({ reservations, promised, gateway }: Landscape, block: Block): number =>
	freeCount(block, reservations) - promised(block.cidr) - (gateway && gatewayOf(block) === undefined ? 1 : 0);

/** A block of this node with a free address, in the order of the pools. */
export function ownBlockWithRoom(landscape: Landscape, pools: readonly Pool[], confirmed: readonly PrefixKey[]): PrefixKey | undefined {
	for (const pool of pools) {
		for (const cidr of confirmed) {
			const block = inPool(pool, cidr) ? landscape.blocks.get(cidr) : undefined;
			if (block?.affinity === hostAffinity(landscape.node) && available(landscape, block) > 0) return cidr;
		}
	}
	return undefined;
}

/** What to do for a new block: claim one, or take an empty one away from its owner first. */
export type NewBlock =
	| { readonly type: 'claim'; readonly cidr: PrefixKey }
	| { readonly type: 'reclaim'; readonly cidr: PrefixKey; readonly from: string; readonly sequenceNumber: bigint };

/** A block nobody has, else an empty one whose claim is old. `lost`: blocks that turned out to be another's a moment ago. */
export function findNewBlock(landscape: Landscape, pools: readonly Pool[], lost: ReadonlySet<PrefixKey>, random: number, nowMs: number): NewBlock | undefined {
	let reclaimable: NewBlock | undefined;
	for (const pool of pools) {
		for (const cidr of walkBlocks(pool, landscape.node, random, landscape.reservations)) {
			if (lost.has(cidr)) continue;
			const block = landscape.blocks.get(cidr);
			if (block === undefined) return { type: 'claim', cidr };
			if (block.affinity === hostAffinity(landscape.node) && available(landscape, block) > 0) return { type: 'claim', cidr };
			reclaimable ??= reclaim(block, landscape.reservations, nowMs);
		}
	}
	return reclaimable;
}

function reclaim(block: Block, reservations: Reservations, nowMs: number): NewBlock | undefined {
	const from = block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : undefined;
	if (from === undefined || !isEmpty(block) || freeCount(block, reservations) === 0 || isFresh(block, nowMs)) return undefined;
	return { type: 'reclaim', cidr: block.cidr, from, sequenceNumber: block.sequenceNumber };
}

/**
 * Claimed so shortly ago that its node may be about to give its first address. Older Calico (v3.28) writes no time of the claim; there the sequence
 * number tells it, which begins with the nanoseconds since 1970 at which the block was made.
 */
function isFresh({ affinityClaimTime, sequenceNumber }: Block, nowMs: number): boolean {
	const claimedMs = affinityClaimTime === undefined ? Number(sequenceNumber / 1_000_000n) : Date.parse(affinityClaimTime);
	return nowMs - claimedMs < reclaimAgeMs;
}

/** Another's block with a free address. */
export function blockToBorrowFrom(landscape: Landscape, pools: readonly Pool[], tried: ReadonlySet<PrefixKey>, random: number): PrefixKey | undefined {
	for (const pool of pools) {
		for (const cidr of walkExisting(landscape, pool, random)) {
			const block = landscape.blocks.get(cidr);
			if (block !== undefined && !tried.has(cidr) && !block.deleted && available(landscape, block) > 0) return cidr;
		}
	}
	return undefined;
}

/** The pool's existing blocks from the place where this node's walk begins: a pool may have far more blocks than exist. */
function walkExisting({ blocks, node }: Landscape, pool: Pool, random: number): PrefixKey[] {
	const existing = [...blocks.keys()].filter((cidr) => inPool(pool, cidr)).sort();
	const start = Math.floor(((random + node.length / 64) % 1) * existing.length);
	return [...existing.slice(start), ...existing.slice(0, start)];
}

/** Blocks of a node that lie in an enabled pool which does not select it any more. Calico gives them up once they are empty; those of no pool, and of disabled ones, it keeps. */
export function unselectedBlocks(claimed: readonly PrefixKey[], pools: readonly Pool[], isSelected: (pool: Pool) => boolean): readonly PrefixKey[] {
	const left = pools.filter((pool) => !pool.disabled && !isSelected(pool));
	return claimed.filter((cidr) => left.some((pool) => inPool(pool, cidr)));
}

/** The node's own claims, split by what they are good for. */
export interface OwnClaims {
	readonly confirmed: readonly PrefixKey[];
	/** Begun and not finished (a crash, or a release that failed): to be claimed again. */
	readonly unfinished: readonly PrefixKey[];
}

/** Sorts the affinities of a node. */
export function ownClaims(affinities: readonly Affinity[], node: string): OwnClaims {
	const own = affinities.filter((affinity) => affinity.node === node && affinity.type === 'host' && !affinity.deleted);
	const confirmed = own.filter(({ state }) => isConfirmed(state));
	return { confirmed: confirmed.map(({ cidr }) => cidr), unfinished: own.filter((affinity) => !confirmed.includes(affinity)).map(({ cidr }) => cidr) };
}
