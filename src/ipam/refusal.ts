/** Error texts for a missing address: the pools considered, their usage and their holders. Pure. */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { freeCount } from './block.ts';
import type { Landscape } from './block-finder.ts';
import { blockCount, type PoolUsage, type PoolVerdict } from './pool.ts';
import { reportBlock } from './report.ts';
import type { Unavailable } from './requests.ts';
import type { Source } from './source.ts';
import { type Block, hostAffinity, type Pool } from './values.ts';

/** An error that lists the pools that do not serve the request; with `say`, all other pools too. */
export function unavailable(
	{ family, refused, pools }: Source,
	reason: string,
	temporary: boolean,
	say?: (pool: Pool) => Omit<PoolVerdict, 'pool'>,
): Unavailable {
	return {
		type: 'unavailable',
		family,
		reason,
		pools: [...refused, ...(say === undefined ? [] : pools.map((pool) => ({ pool: pool.name, ...say(pool) })))],
		temporary,
	};
}

/** The node's number of blocks of the family, and its limit. */
export interface BlockLimit {
	readonly owned: number;
	readonly most: number;
}

/** No address is free: the limit that applies, and the usage of each pool. */
export function exhausted(source: Source, landscape: Landscape, limit: BlockLimit): Unavailable {
	const blocks = [...landscape.blocks.values()];
	const reason =
		`no free address: ${ownBlocks(landscape, source.pools)}, ${whyNoNewBlock(source, limit)}, ` +
		`and ${whyNotBorrowed(source)}${notRead(landscape)}`;
	return unavailable(source, reason, true, (pool) => fullness(pool, blocks, landscape));
}

const inPool = (pool: Pool) => {
	const prefix = parsePrefix(pool.cidr);
	return ({ cidr }: { readonly cidr: PrefixKey }): boolean => prefixCovers(prefix, parsePrefix(cidr));
};

function ownBlocks({ node, blocks }: Landscape, pools: readonly Pool[]): string {
	const own = [...blocks.values()].filter(
		(block) => block.affinity === hostAffinity(node) && pools.some((pool) => inPool(pool)(block)),
	);
	return own.length === 0
		? 'this node has no block of these pools'
		: `the node's own blocks are full (${own
				.map(({ cidr }) => cidr)
				.sort()
				.join(', ')})`;
}

function whyNoNewBlock({ config }: Source, { owned, most }: BlockLimit): string {
	if (!config.autoAllocateBlocks) return 'blocks are not claimed automatically (autoAllocateBlocks)';
	if (owned >= most) return `this node has ${owned} of at most ${most} blocks (maxBlocksPerHost)`;
	return 'every block of the pools is claimed or reserved';
}

function whyNotBorrowed({ config, gateway }: Source): string {
	if (config.strictAffinity) return 'strictAffinity forbids borrowing';
	return gateway ? 'with a gateway nothing is borrowed' : 'no other node has a free address';
}

/** Unreadable blocks: the operator has to repair them. */
function notRead({ unreadable }: Landscape): string {
	return unreadable.length === 0
		? ''
		: `; blocks that can not be read: ${unreadable.map(({ name }) => name).join(', ')}`;
}

/** Maximum number of nodes in a text. */
const mostHolders = 3;

const holderText = ({ node, blocks, used }: { node?: string | undefined; blocks: number; used: number }): string =>
	`${node ?? 'no node'} (${blocks}, ${used} in use)`;

function fullness(pool: Pool, all: readonly Block[], landscape: Landscape): Omit<PoolVerdict, 'pool'> {
	const usage = usageOf(pool, all, landscape);
	const { blocks, addresses, holders } = usage;
	const reason = [
		`${blocks.claimed} of ${blocks.total} blocks are claimed`,
		`${addresses.used} of their ${addresses.total} addresses are in use`,
		...(addresses.cooling > 0 ? [`${addresses.cooling} cool down`] : []),
		...(addresses.reserved > 0 ? [`${addresses.reserved} are reserved`] : []),
		...(holders.length === 0 ? [] : [`most are with ${holders.map(holderText).join(', ')}`]),
	].join(', ');
	return { reason, usage };
}

function usageOf(pool: Pool, all: readonly Block[], { reservations }: Landscape): PoolUsage {
	const blocks = all.filter(inPool(pool));
	const reports = blocks.map(reportBlock);
	const sum = (of: (report: (typeof reports)[number]) => number) =>
		reports.reduce((total, report) => total + of(report), 0);
	return {
		blocks: { total: blockCount(pool), claimed: blocks.length },
		addresses: {
			total: sum((report) => report.size),
			used: sum((report) => report.used),
			cooling: sum((report) => report.cooling),
			reserved: blocks.reduce((total, block) => total + block.unallocated.length - freeCount(block, reservations), 0),
		},
		holders: holdersOf(reports),
	};
}

function holdersOf(
	reports: readonly { readonly node: string | undefined; readonly used: number }[],
): PoolUsage['holders'] {
	const byNode = new Map<string | undefined, { blocks: number; used: number }>();
	for (const { node, used } of reports) {
		const known = byNode.get(node) ?? { blocks: 0, used: 0 };
		byNode.set(node, { blocks: known.blocks + 1, used: known.used + used });
	}
	return [...byNode]
		.sort(([left = '', a], [right = '', b]) => b.blocks - a.blocks || (left < right ? -1 : 1))
		.slice(0, mostHolders)
		.map(([node, held]) => ({ ...(node === undefined ? {} : { node }), ...held }));
}
