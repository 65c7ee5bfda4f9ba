import type { AddressView, BlockView, GarbageView, IpamCheckView, PoolsView, PoolView } from '../../control/index.ts';
import { count, type ListScreen, paint, type Screen, type Style } from './screen.ts';
import { type Column, facts, TableWriter, table } from './table.ts';

/** Greater numbers are shown as powers of two. */
const mostDigits = 2 ** 32;

/** A small share is not shown as 0 %, and a large one not as 100 %. */
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
	{
		title: 'FREE IN BLOCKS',
		align: 'right',
		cell: (pool) => (pool.blocks.claimed === 0 ? undefined : percent(pool.fragmentation)),
	},
	{
		title: 'FULL IN',
		align: 'right',
		cell: ({ exhaustedInDays }) => (exhaustedInDays === undefined ? undefined : lasting(exhaustedInDays)),
	},
];

/** The size of an IPv6 pool is a power of two, and shown as one. */
const number = (count: number): string => (count > mostDigits ? `2^${Math.round(Math.log2(count))}` : String(count));

function lasting(days: number): { readonly text: string; readonly style: Style } {
	if (days === 0) return { text: 'no block left', style: 'bad' };
	if (days < 1) return { text: 'a day', style: 'bad' };
	return { text: days > 999 ? '> 999 days' : count(Math.floor(days), 'day'), style: days < 14 ? 'odd' : 'plain' };
}

/** How full the pools are. */
export function renderPools(screen: Screen, { pools }: PoolsView): string {
	if (pools.length === 0) return 'No pools.\n';
	const [usable, unusable] = [true, false].map((is) => pools.filter(({ problem }) => (problem === undefined) === is));
	const named = (unusable ?? []).map(
		({ name, cidr, problem = '' }) => `${paint(screen, 'bad', name)} (${cidr}) gives no address: ${problem}\n`,
	);
	return `${usable?.length ? table(screen, poolColumns, usable) : ''}${named.join('')}`;
}

const blockColumns: readonly Column<BlockView>[] = [
	{ title: 'BLOCK', cell: ({ cidr }) => cidr },
	{ title: 'NODE', cell: ({ node }) => node ?? { text: 'none', style: 'dim' } },
	{ title: 'USED', align: 'right', cell: ({ used, size }) => `${used}/${size}` },
	{ title: 'BORROWED', align: 'right', cell: ({ borrowed }) => (borrowed === 0 ? undefined : borrowed) },
	{ title: 'COOLING', align: 'right', cell: ({ cooling }) => (cooling === 0 ? undefined : cooling) },
	{ title: 'CLAIMED', cell: ({ claimedAt }) => claimedAt },
];

/** The blocks and whose they are. */
export function blocksScreen(screen: Screen): ListScreen<BlockView, unknown> {
	const rows = new TableWriter(screen, blockColumns);
	let inUse = 0;
	return {
		add(block) {
			inUse += block.used;
			return rows.add(block);
		},
		end: () =>
			rows.count === 0
				? 'No blocks.\n'
				: `${rows.end()}\n${count(rows.count, 'block')}, ${count(inUse, 'address', 'addresses')} in use\n`,
	};
}

const sentences: Readonly<Record<AddressView['state'], string>> = {
	used: 'in use',
	free: 'free',
	cooling: 'released a moment ago: not given out until its cooldown is over',
	'no-block': 'in no block: no node has claimed it',
	unreadable: 'in a block that can not be read, so it is not given out: bgpmesh ipam check shows why',
};

/** Whose an address is. */
export function renderAddress(
	screen: Screen,
	{ address, state, block, node, handleId, attributes, alternate = {}, overlappingBlocks }: AddressView,
): string {
	const rows = [
		['block', block],
		['also in', overlappingBlocks && `${overlappingBlocks.join(', ')}, which overlap: bgpmesh ipam check`],
		['node', node],
		['handle', handleId],
		...Object.entries(attributes),
		...Object.entries(alternate).map(([name, value]) => [`next owner's ${name}`, value] as const),
	] as const;
	return `${address} is ${sentences[state]}\n${facts(screen, rows, '  ')}`;
}

/** What does not agree. */
export function renderCheck(screen: Screen, { checked, problems }: IpamCheckView): string {
	const counts = [
		count(checked.pools, 'pool'),
		count(checked.blocks, 'block'),
		count(checked.claims, 'claim'),
		count(checked.handles, 'handle'),
		...(checked.pods === undefined ? [] : [count(checked.pods, 'pod')]),
	].join(', ');
	const seen = `Checked ${counts}${checked.pods === undefined ? ' (no pods: they may not be listed)' : ''}.\n`;
	if (problems.length === 0) return `${seen}Everything agrees.\n`;
	const lines = problems.map(({ kind, subject, problem, fix, fixed }) => {
		const mended =
			fixed === true
				? paint(screen, 'good', ' (mended)')
				: fix === undefined
					? ''
					: paint(screen, 'dim', ' (--fix mends this)');
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
export function renderGarbage(
	screen: Screen,
	{ collector, reason, graceSeconds, leaks, claims, handles, collected }: GarbageView,
): string {
	const who =
		`${duties[collector]}${reason === undefined ? '' : `: ${reason}`}. What looks abandoned for ` +
		`${count(graceSeconds / 60, 'minute')} is taken back.\n`;
	const done =
		collected === undefined
			? ''
			: `Taken back: ${count(collected.addresses, 'address', 'addresses')}, ` +
				`${count(collected.claims, 'block')}, ${count(collected.handles, 'handle')}.\n`;
	const rows = [
		...leaks.map(({ handleId, addresses, reason: why, since }) => ({
			what: addresses.join(', '),
			whose: handleId,
			why,
			since,
		})),
		...claims.map(({ node, cidr, reason: why, since }) => ({ what: cidr, whose: node, why, since })),
		...handles.map(({ handleId, since }) => ({ what: 'handle', whose: handleId, why: 'no block refers to it', since })),
	];
	return `${who}${done}${rows.length === 0 ? 'Nothing looks abandoned.\n' : table(screen, garbageColumns, rows)}`;
}

const garbageColumns: readonly Column<{
	readonly what: string;
	readonly whose: string;
	readonly why: string;
	readonly since: string;
}>[] = [
	{ title: 'WHAT', cell: ({ what }) => what },
	{ title: 'OF', cell: ({ whose }) => whose },
	{ title: 'WHY', cell: ({ why }) => why },
	{ title: 'SINCE', cell: ({ since }) => since },
];
