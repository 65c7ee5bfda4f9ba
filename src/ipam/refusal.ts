/** Why there is no address, in words: what was looked at, how full it is, and who holds it. Pure. */
import { type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import { freeCount } from './block.ts';
import type { Landscape } from './block-finder.ts';
import { blockCount, type PoolUsage, type PoolVerdict } from './pool.ts';
import { reportBlock } from './report.ts';
import type { Unavailable } from './requests.ts';
import type { Source } from './source.ts';
import { type Block, hostAffinity, type Pool } from './values.ts';

/** A refusal that names every pool. */
export function unavailable(
	{ family, refused, pools }: Source,
	reason: string,
	temporary: boolean,
	say: (pool: Pool) => Omit<PoolVerdict, 'pool'> = () => ({ reason: 'it serves this request' }),
): Unavailable {
	return { type: 'unavailable', family, reason, pools: [...refused, ...pools.map((pool) => ({ pool: pool.name, ...say(pool) }))], temporary };
}

/** How many blocks the node has of the family, and how many it may have. */
export interface BlockLimit {
	readonly owned: number;
	readonly most: number;
}

/** Nothing is free: of the limits the one that is in the way, and of each pool how full it is. */
export function exhausted(source: Source, landscape: Landscape, limit: BlockLimit): Unavailable {
	const blocks = [...landscape.blocks.values()];
	const reason = `no free address: ${ownBlocks(landscape, source.pools)}, ${whyNoNewBlock(source, limit)}, and ${whyNotBorrowed(source)}${notRead(landscape)}`;
	return unavailable(source, reason, true, (pool) => fullness(pool, blocks, landscape));
}

const inPool = (pool: Pool) => {
	const prefix = parsePrefix(pool.cidr);
	return ({ cidr }: { readonly cidr: PrefixKey }): boolean => prefixCovers(prefix, parsePrefix(cidr));
};

function ownBlocks({ node, blocks }: Landscape, pools: readonly Pool[]): string {
	const own = [...blocks.values()].filter((block) => block.affinity === hostAffinity(node) && pools.some((pool) => inPool(pool)(block)));
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

/** Somebody has to mend these. */
function notRead({ unreadable }: Landscape): string {
	return unreadable.length === 0 ? '' : `; blocks that can not be read: ${unreadable.map(({ name }) => name).join(', ')}`;
}

/** So many nodes are named. */
const mostHolders = 3;

function fullness(pool: Pool, all: readonly Block[], landscape: Landscape): Omit<PoolVerdict, 'pool'> {
	const usage = usageOf(pool, all, landscape);
	const { blocks, addresses, holders } = usage;
	const reason = [
		`${blocks.claimed} of ${blocks.total} blocks are claimed`,
		`${addresses.used} of their ${addresses.total} addresses are in use`,
		...(addresses.cooling > 0 ? [`${addresses.cooling} cool down`] : []),
		...(addresses.reserved > 0 ? [`${addresses.reserved} are reserved`] : []),
		...(holders.length === 0
			? []
			: [`most are with ${holders.map(({ node, blocks: count, used }) => `${node ?? 'nobody'} (${count}, ${used} in use)`).join(', ')}`]),
	].join(', ');
	return { reason, usage };
}

function usageOf(pool: Pool, all: readonly Block[], { reservations }: Landscape): PoolUsage {
	const blocks = all.filter(inPool(pool));
	const reports = blocks.map(reportBlock);
	const sum = (of: (report: (typeof reports)[number]) => number) => reports.reduce((total, report) => total + of(report), 0);
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

function holdersOf(reports: readonly { readonly node: string | undefined; readonly used: number }[]): PoolUsage['holders'] {
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
