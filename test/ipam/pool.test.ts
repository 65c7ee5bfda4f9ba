import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import {
	choosePools,
	noReservations,
	type Pool,
	type PoolRequest,
	Reservations,
	walkBlocks,
} from '../../src/ipam/index.ts';
import { testPool as pool } from '../support/pool.ts';

const six = (overrides: Partial<Pool> = {}): Pool =>
	pool({ name: 'six', family: 'ipv6', cidr: prefixKey('fd00::/64'), blockSize: 122, ...overrides });

test('the walk visits every block once, from any start', (t) => {
	for (const node of ['node-a', 'node-b', 'node-c', 'a-node-of-another-name'])
		t.deepEqual([...walkBlocks(pool(), node, 0.5, noReservations)].sort(), [
			'10.0.0.0/26',
			'10.0.0.128/26',
			'10.0.0.192/26',
			'10.0.0.64/26',
		]);
});

test('blocks of one address are walked from a random start', (t) => {
	const single = pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 32 });
	t.deepEqual(
		[...walkBlocks(single, 'node-a', 0.5, noReservations)],
		['10.0.0.2/32', '10.0.0.3/32', '10.0.0.0/32', '10.0.0.1/32'],
	);
});

const reserved: readonly {
	readonly title: string;
	readonly pool: Pool;
	readonly cidrs: readonly string[];
	readonly blocks: readonly string[];
}[] = [
	{
		title: 'one block',
		pool: pool(),
		cidrs: ['10.0.0.64/26'],
		blocks: ['10.0.0.0/26', '10.0.0.128/26', '10.0.0.192/26'],
	},
	{ title: 'the upper half', pool: pool(), cidrs: ['10.0.0.128/25'], blocks: ['10.0.0.0/26', '10.0.0.64/26'] },
	{
		title: 'only a part of a block',
		pool: pool({ cidr: prefixKey('10.0.0.0/26') }),
		cidrs: ['10.0.0.0/27'],
		blocks: ['10.0.0.0/26'],
	},
	{
		title: 'two that contain one another',
		pool: pool(),
		cidrs: ['10.0.0.0/26', '10.0.0.0/25'],
		blocks: ['10.0.0.128/26', '10.0.0.192/26'],
	},
	{ title: 'the whole pool', pool: pool(), cidrs: ['10.0.0.0/24'], blocks: [] },
	{ title: 'more than the pool', pool: six(), cidrs: ['fd00::/16'], blocks: [] },
];
for (const { title, pool: from, cidrs, blocks } of reserved)
	test(`the walk skips blocks that are reserved as a whole: ${title}`, (t) => {
		const reservations = new Reservations(cidrs.map((cidr) => prefixKey(cidr)));
		for (const node of ['node-a', 'node-b', 'node-c', 'node-d'])
			t.deepEqual([...walkBlocks(from, node, 0, reservations)].sort(), [...blocks].sort());
	});

test('a reserved half of an IPv6 pool is skipped in one step', (t) => {
	const [first] = walkBlocks(six(), 'node-a', 0, new Reservations([prefixKey('fd00::/65')]));
	t.is(first, prefixKey('fd00:0:0:0:8000::/122'));
});

const request = (overrides: Partial<PoolRequest> = {}): PoolRequest => ({
	family: 'ipv4',
	use: 'Workload',
	requested: [],
	nodeLabels: { rack: 'a' },
	namespaceLabels: { team: 'x' },
	...overrides,
});
/** A selector is the name of a label that must exist. */
const matches = (selector: string, labels: Readonly<Record<string, string>>) =>
	selector === '' || selector === 'all()' || selector in labels;

const verdicts: readonly {
	readonly title: string;
	readonly pool: Partial<Pool>;
	readonly request?: Partial<PoolRequest>;
	readonly reason: string | undefined;
}[] = [
	{ title: 'both selectors select', pool: { nodeSelector: 'rack', namespaceSelector: 'team' }, reason: undefined },
	{
		title: 'the node is not selected',
		pool: { nodeSelector: 'gpu', namespaceSelector: 'team' },
		reason: 'its nodeSelector gpu does not select this node',
	},
	{
		title: 'the namespace is not selected',
		pool: { nodeSelector: 'rack', namespaceSelector: 'staging' },
		reason: 'its namespaceSelector staging does not select the namespace',
	},
	{
		title: 'there is no namespace, and one must be selected',
		pool: { namespaceSelector: 'team' },
		request: { namespaceLabels: undefined },
		reason: 'its namespaceSelector team does not select the namespace',
	},
	{
		title: 'requested, selectors do not matter',
		pool: { nodeSelector: 'gpu', namespaceSelector: 'staging' },
		request: { requested: ['pods'] },
		reason: undefined,
	},
	{
		title: 'manual and requested',
		pool: { assignmentMode: 'Manual' },
		request: { requested: ['10.0.0.0/24'] },
		reason: undefined,
	},
	{
		title: 'requested by a CIDR that is not canonical',
		pool: {},
		request: { requested: ['10.0.0.7/24'] },
		reason: undefined,
	},
	{
		title: 'manual and not requested',
		pool: { assignmentMode: 'Manual' },
		reason: 'its assignmentMode is Manual and it was not asked for',
	},
	{
		title: 'disabled, although requested',
		pool: { disabled: true },
		request: { requested: ['pods'] },
		reason: 'it is disabled',
	},
	{
		title: 'being deleted, although requested',
		pool: { terminating: true },
		request: { requested: ['pods'] },
		reason: 'it is being deleted',
	},
	{
		title: 'for tunnels only, although requested',
		pool: { allowedUses: ['Tunnel'] },
		request: { requested: ['pods'] },
		reason: 'its allowedUses (Tunnel) do not contain Workload',
	},
	{
		title: 'for load balancers only',
		pool: { allowedUses: ['LoadBalancer'] },
		request: { use: 'Tunnel' },
		reason: 'its allowedUses (LoadBalancer) do not contain Tunnel',
	},
	{
		title: 'blocks larger than the pool',
		pool: { cidr: prefixKey('10.0.0.0/28') },
		reason: 'its blocks of /26 are larger than itself, /28',
	},
	{
		title: 'blocks larger than a resource can describe',
		pool: { cidr: prefixKey('10.0.0.0/8'), blockSize: 12 },
		reason: 'its blockSize 12 is not between 20 and 32',
	},
	{
		title: 'IPv6 blocks with the size of IPv4 ones',
		pool: { cidr: prefixKey('fd00::/64'), family: 'ipv6', blockSize: 26 },
		request: { family: 'ipv6' },
		reason: 'its blockSize 26 is not between 116 and 128',
	},
];
for (const { title, pool: overrides, request: asked, reason } of verdicts)
	test(`a pool ${reason === undefined ? 'serves' : 'does not serve'}: ${title}`, (t) => {
		const { usable, refused } = choosePools([pool(overrides)], request(asked), matches);
		t.deepEqual(refused, reason === undefined ? [] : [{ pool: 'pods', reason }]);
		t.is(usable.length, reason === undefined ? 1 : 0);
	});

test('pools are tried by name, requested pools in the requested order, each once', (t) => {
	const pools = [
		pool({ name: 'b' }),
		pool({ name: 'a', cidr: prefixKey('10.1.0.0/24') }),
		pool({ name: 'c', cidr: prefixKey('10.2.0.0/24') }),
	];
	const order = (requested: readonly string[]) =>
		choosePools(pools, request({ requested }), matches).usable.map(({ name }) => name);
	t.deepEqual(order([]), ['a', 'b', 'c']);
	t.deepEqual(order(['c', '10.0.0.0/24', 'b']), ['c', 'b']);
});
