/** What people ask of addresses: how full, and whose. Pure, on what blocks say. */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { addressToOrdinal } from './addresses.ts';
import { attributeOf } from './block.ts';
import { blockCount } from './pool.ts';
import type { Block, Pool } from './values.ts';

/** How full one block is. */
export interface BlockReport {
	readonly cidr: PrefixKey;
	/** `undefined`: nobody's. */
	readonly node: string | undefined;
	readonly size: number;
	readonly used: number;
	readonly free: number;
	/** Released, and not given again yet. */
	readonly cooling: number;
	/** Used by other nodes than the block's. */
	readonly borrowed: number;
	readonly claimedAt: string | undefined;
}

export function reportBlock(block: Block): BlockReport {
	const node = block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : block.affinity;
	const held = block.allocations.flatMap((index) => (index === null ? [] : [block.attributes[index]]));
	const cooling = held.filter((attribute) => attribute?.releasedAt !== undefined).length;
	const borrowed = held.filter(
		(attribute) => attribute?.releasedAt === undefined && attribute?.secondary?.['node'] !== undefined && attribute.secondary['node'] !== node,
	).length;
	return {
		cidr: block.cidr,
		node,
		size: block.allocations.length,
		used: held.length - cooling,
		free: block.unallocated.length,
		cooling,
		borrowed,
		claimedAt: block.affinityClaimTime,
	};
}

/** How full one pool is, and how long it will last. */
export interface PoolReport {
	readonly name: string;
	readonly cidr: PrefixKey;
	readonly blockSize: number;
	/** Of all that the pool has room for. */
	readonly blocks: { readonly total: number; readonly claimed: number };
	readonly addresses: { readonly total: number; readonly used: number; readonly cooling: number; readonly borrowed: number };
	/** Share of the addresses in claimed blocks that is free there: high means that blocks lie about half empty. */
	readonly fragmentation: number;
	/**
	 * Days until every block is claimed, if blocks go on being claimed as in the last week; 0: every block is. `undefined`: nobody can tell, since none was claimed
	 * then, or all of the pool is younger than that: nodes claim their first blocks when they come, and not at that pace for ever.
	 */
	readonly exhaustedInDays: number | undefined;
}

const weekMs = 7 * 24 * 3600 * 1000;

/** `unreadable`: the CIDRs of blocks that are there and can't be read; they count as claimed, and for nothing else. */
export function reportPool(pool: Pool, blocks: readonly Block[], nowMs: number, unreadable: readonly PrefixKey[] = []): PoolReport {
	const prefix = parsePrefix(pool.cidr);
	const own = blocks.filter(({ cidr }) => prefixCovers(prefix, parsePrefix(cidr))).map(reportBlock);
	const sum = (of: (block: BlockReport) => number) => own.reduce((total, block) => total + of(block), 0);
	const total = blockCount(pool);
	const claimed = own.length + unreadable.filter((cidr) => prefixCovers(prefix, parsePrefix(cidr))).length;
	const isRecent = ({ claimedAt }: BlockReport) => claimedAt !== undefined && nowMs - Date.parse(claimedAt) < weekMs;
	const lastWeek = own.filter(isRecent).length;
	const size = sum((block) => block.size);
	return {
		name: pool.name,
		cidr: pool.cidr,
		blockSize: pool.blockSize,
		blocks: { total, claimed },
		addresses: {
			total: total * 2 ** (prefix.bytes.length * 8 - pool.blockSize),
			used: sum(({ used }) => used),
			cooling: sum(({ cooling }) => cooling),
			borrowed: sum(({ borrowed }) => borrowed),
		},
		fragmentation: size === 0 ? 0 : sum(({ free }) => free) / size,
		exhaustedInDays: claimed >= total ? 0 : lastWeek === 0 || lastWeek === own.length ? undefined : ((total - claimed) * 7) / lastWeek,
	};
}

/** Whose an address is, as far as its block says. */
export interface AddressReport {
	readonly address: string;
	readonly block: PrefixKey | undefined;
	readonly node: string | undefined;
	readonly state: 'used' | 'free' | 'cooling' | 'no-block' | 'unreadable';
	readonly handleId: string | undefined;
	readonly attributes: Readonly<Record<string, string>>;
}

export function reportAddress(blocks: readonly Block[], address: string, unreadable: readonly PrefixKey[] = []): AddressReport {
	const holds = (cidr: PrefixKey): boolean => addressToOrdinal(cidr, address) !== undefined;
	const block = blocks.find(({ cidr }) => holds(cidr));
	const nobody = { address, handleId: undefined, attributes: {} };
	const closed = unreadable.find(holds);
	if (closed !== undefined) return { ...nobody, block: closed, node: undefined, state: 'unreadable' };
	if (block === undefined) return { ...nobody, block: undefined, node: undefined, state: 'no-block' };
	const attribute = attributeOf(block, addressToOrdinal(block.cidr, address) ?? 0);
	const known = { block: block.cidr, node: reportBlock(block).node };
	if (attribute === undefined) return { ...nobody, ...known, state: 'free' };
	return {
		address,
		...known,
		state: attribute.releasedAt === undefined ? 'used' : 'cooling',
		handleId: attribute.handleId,
		attributes: attribute.secondary ?? {},
	};
}
