import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { autoAssign, type Block, newBlock, noReservations, reportAddress, reportPool } from '../../src/ipam/index.ts';
import { testPool } from '../support/pool.ts';

const nowMs = Date.UTC(2026, 0, 31);
const dayMs = 24 * 3600 * 1000;
const pool = testPool({ nodeSelector: '', allowedUses: ['Workload'] });
/** With `used` addresses, the last of them borrowed by node-b. */
function block(cidr: string, claimedDaysAgo: number, used: number): Block {
	const empty = newBlock(prefixKey(cidr), 'node-a', new Date(nowMs - claimedDaysAgo * dayMs).toISOString(), 1n);
	const own = autoAssign(empty, used - 1, { handleId: 'own', attributes: { node: 'node-a' } }, noReservations).block;
	return autoAssign(own, 1, { handleId: 'other', attributes: { node: 'node-b' } }, noReservations).block;
}

test('a pool says how full it is, how fragmented, and how long it lasts at the pace of the last week', (t) => {
	const blocks = [block('10.0.0.0/26', 30, 64), block('10.0.0.64/26', 3, 32), block('10.9.0.0/26', 1, 2)];
	t.deepEqual(reportPool(pool, blocks, nowMs), {
		name: 'pods',
		cidr: pool.cidr,
		blockSize: 26,
		blocks: { total: 4, claimed: 2 },
		addresses: { total: 256, used: 96, cooling: 0, borrowed: 2 },
		fragmentation: 0.25,
		// One block in a week, and two are left.
		exhaustedInDays: 14,
	});
	t.is(reportPool(pool, [block('10.0.0.0/26', 30, 64)], nowMs).exhaustedInDays, undefined);
});

const forecasts: readonly { readonly title: string; readonly blocks: readonly Block[]; readonly days: number | undefined }[] = [
	{ title: 'a cluster of three days: that its nodes came is no pace', blocks: [block('10.0.0.0/26', 3, 2), block('10.0.0.64/26', 2, 2)], days: undefined },
	{ title: 'nothing is claimed', blocks: [], days: undefined },
	{
		title: 'every block is claimed, long ago',
		blocks: ['0', '64', '128', '192'].map((last) => block(`10.0.0.${last}/26`, 30, 2)),
		days: 0,
	},
	{
		title: 'blocks without a time of their claim are old ones',
		blocks: [{ ...block('10.0.0.0/26', 3, 2), affinityClaimTime: undefined }, block('10.0.0.64/26', 2, 2)],
		days: 14,
	},
];
for (const { title, blocks, days } of forecasts) test(`how long a pool lasts: ${title}`, (t) => t.is(reportPool(pool, blocks, nowMs).exhaustedInDays, days));

test('a block that can not be read is claimed, and its addresses are nobody’s to give', (t) => {
	const closed = [prefixKey('10.0.0.64/26'), prefixKey('10.9.0.0/26')];
	t.deepEqual(reportPool(pool, [block('10.0.0.0/26', 30, 64)], nowMs, closed).blocks, { total: 4, claimed: 2 });
	t.like(reportAddress([], '10.0.0.70', closed), { state: 'unreadable', block: closed[0] });
});

test('an address is somebody’s, free, cooling, or in no block', (t) => {
	const cooling = { handleId: undefined, secondary: undefined, releasedAt: '2026-01-31T00:00:00Z', other: {} };
	const given = block('10.0.0.0/26', 1, 2);
	const blocks = [
		{ ...given, attributes: [...given.attributes, cooling], allocations: given.allocations.map((index, ordinal) => (ordinal === 5 ? 2 : index)) },
	];
	t.like(reportAddress(blocks, '10.0.0.0'), { state: 'used', handleId: 'own', node: 'node-a', attributes: { node: 'node-a' } });
	t.like(reportAddress(blocks, '10.0.0.5'), { state: 'cooling', handleId: undefined });
	t.like(reportAddress(blocks, '10.0.0.9'), { state: 'free', block: prefixKey('10.0.0.0/26') });
	t.like(reportAddress(blocks, '10.0.0.64'), { state: 'no-block', block: undefined });
});
