import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { autoAssign, type Block, newBlock, noReservations, reportAddress, reportPool } from '../../src/ipam/index.ts';
import { testPool } from '../support/pool.ts';

const nowMs = Date.UTC(2026, 0, 31);
const dayMs = 24 * 3600 * 1000;
const pool = testPool({ nodeSelector: '', allowedUses: ['Workload'] });
/** A block with `used` addresses, the last of them borrowed by node-b. */
function block(cidr: string, claimedDaysAgo: number, used: number): Block {
	const empty = newBlock(prefixKey(cidr), 'node-a', new Date(nowMs - claimedDaysAgo * dayMs).toISOString(), 1n);
	const own = autoAssign(empty, used - 1, { handleId: 'own', attributes: { node: 'node-a' } }, noReservations).block;
	return autoAssign(own, 1, { handleId: 'other', attributes: { node: 'node-b' } }, noReservations).block;
}

test('a pool reports its usage, its fragmentation and its remaining time at the rate of the last week', (t) => {
	const blocks = [block('10.0.0.0/26', 30, 64), block('10.0.0.64/26', 3, 32), block('10.9.0.0/26', 1, 2)];
	t.deepEqual(reportPool(pool, blocks, nowMs), {
		name: 'pods',
		cidr: pool.cidr,
		blockSize: 26,
		blocks: { total: 4, claimed: 2 },
		addresses: { total: 256, used: 96, cooling: 0, borrowed: 2 },
		fragmentation: 0.25,
		// One block per week, and two are left.
		problem: undefined,
		exhaustedInDays: 14,
	});
	t.is(reportPool(pool, [block('10.0.0.0/26', 30, 64)], nowMs).exhaustedInDays, undefined);
});

const forecasts: readonly {
	readonly title: string;
	readonly blocks: readonly Block[];
	readonly days: number | undefined;
}[] = [
	{
		title: 'a cluster of three days: the blocks of its first nodes are not a growth rate',
		blocks: [block('10.0.0.0/26', 3, 2), block('10.0.0.64/26', 2, 2)],
		days: undefined,
	},
	{ title: 'nothing is claimed', blocks: [], days: undefined },
	{
		title: 'every block is claimed, long ago',
		blocks: ['0', '64', '128', '192'].map((last) => block(`10.0.0.${last}/26`, 30, 2)),
		days: 0,
	},
	{
		title: 'blocks without a claim time count as old',
		blocks: [{ ...block('10.0.0.0/26', 3, 2), affinityClaimTime: undefined }, block('10.0.0.64/26', 2, 2)],
		days: 14,
	},
];
for (const { title, blocks, days } of forecasts)
	test(`remaining time of a pool: ${title}`, (t) => t.is(reportPool(pool, blocks, nowMs).exhaustedInDays, days));

test('an unreadable block counts as claimed, and its addresses as unavailable', (t) => {
	const closed = [prefixKey('10.0.0.64/26'), prefixKey('10.9.0.0/26')];
	t.deepEqual(reportPool(pool, [block('10.0.0.0/26', 30, 64)], nowMs, closed).blocks, { total: 4, claimed: 2 });
	t.like(reportAddress([], '10.0.0.70', closed), { state: 'unreadable', block: closed[0] });
});

test('an address is assigned, free, cooling down, or in no block', (t) => {
	const cooling = { handleId: undefined, secondary: undefined, releasedAt: '2026-01-31T00:00:00Z', other: {} };
	const given = block('10.0.0.0/26', 1, 2);
	const blocks = [
		{
			...given,
			attributes: [...given.attributes, cooling],
			allocations: given.allocations.map((index, ordinal) => (ordinal === 5 ? 2 : index)),
		},
	];
	t.like(reportAddress(blocks, '10.0.0.0'), {
		state: 'used',
		handleId: 'own',
		node: 'node-a',
		attributes: { node: 'node-a' },
	});
	t.like(reportAddress(blocks, '10.0.0.5'), { state: 'cooling', handleId: undefined });
	t.like(reportAddress(blocks, '10.0.0.9'), { state: 'free', block: prefixKey('10.0.0.0/26') });
	t.like(reportAddress(blocks, '10.0.0.64'), { state: 'no-block', block: undefined });
});

const unusable: readonly [cidr: string, blockSize: number, problem: RegExp][] = [
	['fd00:10::/64', 26, /blockSize 26 is not between 116 and 128/],
	['10.51.0.0/16', 18, /blockSize 18 is not between 20 and 32/],
	['10.50.0.0/28', 26, /larger than itself/],
	['169.254.10.0/24', 26, /169\.254\.0\.0\/16, which is not routed/],
	['240.0.0.0/16', 26, /224\.0\.0\.0\/3, which is not routed/],
	['0.0.0.0/0', 26, /contains 0\.0\.0\.0\/8, which is not routed/],
];
for (const [cidr, blockSize, problem] of unusable)
	test(`a pool ${cidr} with blocks of /${blockSize} is reported as unusable, without figures`, (t) => {
		const family = cidr.includes(':') ? ('ipv6' as const) : ('ipv4' as const);
		const report = reportPool(testPool({ cidr: prefixKey(cidr), family, blockSize }), [], 0);
		t.regex(report.problem ?? '', problem);
		t.deepEqual([report.blocks.total, report.addresses.total, report.exhaustedInDays], [0, 0, undefined]);
	});
