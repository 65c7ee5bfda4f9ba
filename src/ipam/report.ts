/** Reports for operators: usage and owners of addresses. Pure, on blocks. */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { addressToOrdinal } from './addresses.ts';
import { attributeOf, isHeld, nodeOf } from './block.ts';
import { blockCount, unusablePool } from './pool.ts';
import type { Block, Pool } from './values.ts';

/** The usage of one block. */
export interface BlockReport {
	readonly cidr: PrefixKey;
	/** `undefined`: no node. */
	readonly node: string | undefined;
	readonly size: number;
	readonly used: number;
	readonly free: number;
	/** Released and in cooldown. */
	readonly cooling: number;
	/** Used by other nodes than the block's owner. */
	readonly borrowed: number;
	readonly claimedAt: string | undefined;
}

export function reportBlock(block: Block): BlockReport {
	const node = block.affinity?.startsWith('host:') ? block.affinity.slice('host:'.length) : block.affinity;
	const held = block.allocations.flatMap((index) => (index === null ? [] : [block.attributes[index]]));
	const cooling = held.filter((attribute) => attribute?.releasedAt !== undefined).length;
	const borrowed = held.filter(
		(attribute) => attribute?.releasedAt === undefined && nodeOf(attribute) !== undefined && nodeOf(attribute) !== node,
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

/** The usage of one pool, with a forecast. */
export interface PoolReport {
	readonly name: string;
	readonly cidr: PrefixKey;
	readonly blockSize: number;
	/** `total`: the pool's capacity in blocks. */
	readonly blocks: { readonly total: number; readonly claimed: number };
	readonly addresses: {
		readonly total: number;
		readonly used: number;
		readonly cooling: number;
		readonly borrowed: number;
	};
	/** The share of free addresses in claimed blocks: high if many blocks are mostly empty. */
	readonly fragmentation: number;
	/**
	 * Days until every block is claimed, at the pace of the last week; 0: every block is claimed.
	 * `undefined`: unknown, because no block was claimed in that time, or the whole pool is
	 * younger: nodes claim their first blocks when they join, and not at that pace for ever.
	 */
	readonly exhaustedInDays: number | undefined;
	/** The reason why the pool serves no address; the figures are then meaningless. */
	readonly problem: string | undefined;
}

const weekMs = 7 * 24 * 3600 * 1000;

/** `unreadable`: the CIDRs of existing blocks that can not be read; they count only as claimed. */
export function reportPool(
	pool: Pool,
	blocks: readonly Block[],
	nowMs: number,
	unreadable: readonly PrefixKey[] = [],
): PoolReport {
	const prefix = parsePrefix(pool.cidr);
	const own = blocks.filter(({ cidr }) => prefixCovers(prefix, parsePrefix(cidr))).map(reportBlock);
	const sum = (of: (block: BlockReport) => number) => own.reduce((total, block) => total + of(block), 0);
	const problem = unusablePool(pool);
	const total = problem === undefined ? blockCount(pool) : 0;
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
			total: problem === undefined ? total * 2 ** (prefix.bytes.length * 8 - pool.blockSize) : 0,
			used: sum(({ used }) => used),
			cooling: sum(({ cooling }) => cooling),
			borrowed: sum(({ borrowed }) => borrowed),
		},
		fragmentation: size === 0 ? 0 : sum(({ free }) => free) / size,
		problem,
		exhaustedInDays:
			problem !== undefined
				? undefined
				: claimed >= total
					? 0
					: lastWeek === 0 || lastWeek === own.length
						? undefined
						: ((total - claimed) * 7) / lastWeek,
	};
}

/** The owner of an address, as its block records it. */
export interface AddressReport {
	readonly address: string;
	readonly block: PrefixKey | undefined;
	readonly node: string | undefined;
	readonly state: 'used' | 'free' | 'cooling' | 'no-block' | 'unreadable';
	readonly handleId: string | undefined;
	readonly attributes: Readonly<Record<string, string>>;
	/** Of the second owner, while a virtual machine migrates. */
	readonly alternate?: Readonly<Record<string, string>>;
	/** Further blocks that contain the address: an error, because blocks must not overlap. */
	readonly overlappingBlocks?: readonly PrefixKey[];
}

export function reportAddress(
	blocks: readonly Block[],
	address: string,
	unreadable: readonly PrefixKey[] = [],
): AddressReport {
	const holds = (cidr: PrefixKey): boolean => addressToOrdinal(cidr, address) !== undefined;
	const covering = blocks.filter(({ cidr }) => holds(cidr));
	const inState = (isMeant: (block: Block, ordinal: number) => boolean) =>
		covering.find((block) => isMeant(block, addressToOrdinal(block.cidr, address) ?? 0));
	// If blocks overlap, the block with the allocation counts.
	const block = inState(isHeld) ?? inState((each, ordinal) => attributeOf(each, ordinal) !== undefined) ?? covering[0];
	const others = covering.filter((each) => each !== block).map(({ cidr }) => cidr);
	const nobody = { address, handleId: undefined, attributes: {} };
	const closed = unreadable.find(holds);
	if (closed !== undefined) return { ...nobody, block: closed, node: undefined, state: 'unreadable' };
	if (block === undefined) return { ...nobody, block: undefined, node: undefined, state: 'no-block' };
	const attribute = attributeOf(block, addressToOrdinal(block.cidr, address) ?? 0);
	const known = {
		block: block.cidr,
		node: reportBlock(block).node,
		...(others.length === 0 ? {} : { overlappingBlocks: others }),
	};
	if (attribute === undefined) return { ...nobody, ...known, state: 'free' };
	return {
		address,
		...known,
		state: attribute.releasedAt === undefined ? 'used' : 'cooling',
		handleId: attribute.handleId,
		attributes: attribute.secondary ?? {},
		...(attribute.alternate === undefined ? {} : { alternate: attribute.alternate }),
	};
}
