import type { AddressView, BlocksView, BlockView, GarbageView, IpamCheckView, PoolsView, PoolView } from '../../control/index.ts';
import { count, paint, type Screen, type Style } from './screen.ts';
import { type Column, facts, table } from './table.ts';

/** Greater numbers are shown as powers of two. */
const mostDigits = 2 ** 32;

/** What is not nothing is not said to be, nor what is not all. */
function percent(share: number): string {
	if (share > 0 && share < 0.01) return '< 1 %';
	return `${share < 1 ? Math.min(99, Math.round(share * 100)) : 100} %`;
}

const usedShare = ({ addresses: { used, total } }: PoolView): number => (total === 0 ? 0 : used / total);

const styleOf = (share: number): Style => (share >= 0.95 ? 'bad' : share >= 0.8 ? 'odd' : 'plain');

const poolColumns: readonly Column<PoolView>[] = [
	{ title: 'POOL', cell: ({ name }) => name },
	{ title: 'CIDR', cell: ({ cidr }) => cidr },
	{ title: 'ADDRESSES', align: 'right', cell: ({ addresses }) => number(addresses.total) },
	{ title: 'USED', align: 'right', cell: ({ addresses }) => addresses.used },
	{ title: '', align: 'right', cell: (pool) => ({ text: percent(usedShare(pool)), style: styleOf(usedShare(pool)) }) },
	{ title: 'BORROWED', align: 'right', cell: ({ addresses: { borrowed } }) => (borrowed === 0 ? undefined : borrowed) },
	{ title: 'COOLING', align: 'right', cell: ({ addresses: { cooling } }) => (cooling === 0 ? undefined : cooling) },
	{ title: 'BLOCKS', align: 'right', cell: ({ blocks }) => `${blocks.claimed}/${number(blocks.total)}` },
	{ title: 'FREE IN BLOCKS', align: 'right', cell: (pool) => (pool.blocks.claimed === 0 ? undefined : percent(pool.fragmentation)) },
	{ title: 'FULL IN', align: 'right', cell: ({ exhaustedInDays }) => (exhaustedInDays === undefined ? undefined : lasting(exhaustedInDays)) },
];

/** What IPv6 has is a power of two that nobody reads digit by digit. */
const number = (count: number): string => (count > mostDigits ? `2^${Math.round(Math.log2(count))}` : String(count));

function lasting(days: number): { readonly text: string; readonly style: Style } {
	if (days === 0) return { text: 'no block left', style: 'bad' };
	if (days < 1) return { text: 'a day', style: 'bad' };
	return { text: days > 999 ? '> 999 days' : count(Math.floor(days), 'day'), style: days < 14 ? 'odd' : 'plain' };
}

/** How full the pools are. */
export function renderPools(screen: Screen, { pools }: PoolsView): string {
	return pools.length === 0 ? 'No pools.\n' : table(screen, poolColumns, pools);
}

const blockColumns: readonly Column<BlockView>[] = [
	{ title: 'BLOCK', cell: ({ cidr }) => cidr },
	{ title: 'NODE', cell: ({ node }) => node ?? { text: 'nobody', style: 'dim' } },
	{ title: 'USED', align: 'right', cell: ({ used, size }) => `${used}/${size}` },
	{ title: 'BORROWED', align: 'right', cell: ({ borrowed }) => (borrowed === 0 ? undefined : borrowed) },
	{ title: 'COOLING', align: 'right', cell: ({ cooling }) => (cooling === 0 ? undefined : cooling) },
	{ title: 'CLAIMED', cell: ({ claimedAt }) => claimedAt },
];

/** The blocks and whose they are. */
export function renderBlocks(screen: Screen, { blocks }: BlocksView): string {
	return blocks.length === 0
		? 'No blocks.\n'
		: `${table(screen, blockColumns, blocks)}\n${count(blocks.length, 'block')}, ${count(
				blocks.reduce((sum, { used }) => sum + used, 0),
				'address',
				'addresses',
			)} in use\n`;
}

const sentences: Readonly<Record<AddressView['state'], string>> = {
	used: 'in use',
	free: 'free',
	cooling: 'released a moment ago: nobody has it until its cooldown is over',
	'no-block': 'in no block: no node has claimed it',
	unreadable: 'in a block that can not be read, so nobody is given it: bgpmesh ipam check says why',
};

/** Whose an address is. */
export function renderAddress(screen: Screen, { address, state, block, node, handleId, attributes }: AddressView): string {
	const rows = [['block', block], ['node', node], ['handle', handleId], ...Object.entries(attributes)] as const;
	return `${address} is ${sentences[state]}\n${facts(screen, rows, '  ')}`;
}

/** What does not agree. */
export function renderCheck(screen: Screen, { checked, problems }: IpamCheckView): string {
	const seen = `Checked ${count(checked.pools, 'pool')}, ${count(checked.blocks, 'block')}, ${count(checked.claims, 'claim')}, ${count(checked.handles, 'handle')}${checked.pods === undefined ? ' (no pods: they may not be listed)' : `, ${count(checked.pods, 'pod')}`}.\n`;
	if (problems.length === 0) return `${seen}Everything agrees.\n`;
	const lines = problems.map(({ kind, subject, problem, fix, fixed }) => {
		const mended = fixed === true ? paint(screen, 'good', ' (mended)') : fix === undefined ? '' : paint(screen, 'dim', ' (--fix mends this)');
		return `  ${paint(screen, 'bad', kind)} ${subject}: ${problem}${mended}\n`;
	});
	return `${seen}${count(problems.length, 'problem')}:\n${lines.join('')}`;
}

const duties: Readonly<Record<GarbageView['collector'], string>> = {
	running: 'This node collects',
	waiting: 'This node does not collect now',
	off: 'Nothing is collected',
};

/** What looks abandoned, and what becomes of it. */
export function renderGarbage(screen: Screen, { collector, reason, graceSeconds, leaks, claims, handles, collected }: GarbageView): string {
	const who = `${duties[collector]}${reason === undefined ? '' : `: ${reason}`}. What looks abandoned for ${count(graceSeconds / 60, 'minute')} is taken back.\n`;
	const done =
		collected === undefined
			? ''
			: `Taken back: ${count(collected.addresses, 'address', 'addresses')}, ${count(collected.claims, 'block')}, ${count(collected.handles, 'handle')}.\n`;
	const rows = [
		...leaks.map(({ handleId, addresses, reason: why, since }) => ({ what: addresses.join(', '), whose: handleId, why, since })),
		...claims.map(({ node, cidr, reason: why, since }) => ({ what: cidr, whose: node, why, since })),
		...handles.map(({ handleId, since }) => ({ what: 'handle', whose: handleId, why: 'no block knows of it', since })),
	];
	return `${who}${done}${rows.length === 0 ? 'Nothing looks abandoned.\n' : table(screen, garbageColumns, rows)}`;
}

const garbageColumns: readonly Column<{ readonly what: string; readonly whose: string; readonly why: string; readonly since: string }>[] = [
	{ title: 'WHAT', cell: ({ what }) => what },
	{ title: 'OF', cell: ({ whose }) => whose },
	{ title: 'WHY', cell: ({ why }) => why },
	{ title: 'SINCE', cell: ({ since }) => since },
];
