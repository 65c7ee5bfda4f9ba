import test from 'ava';
import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, conflictRetry, mayBeOf, saidOf } from '../../src/ipam/index.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const pools = [testPool(), testPool({ name: 'six', cidr: prefixKey('fd00::/120'), family: 'ipv6', blockSize: 122 })];

function setUp(overrides: Partial<MemoryCluster> = {}) {
	const shared = Object.assign(new MemoryCluster(), { pools }, overrides);
	const retry = conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 });
	const dependencies = { clock: systemClock, random: Math.random, log: silentLogger, retry };
	const allocator = new Allocator({
		node: 'node-a',
		store: memoryStore(shared, { cached: true }),
		selectorMatches: () => true,
		...dependencies,
	});
	const assign = async (ifname: string | undefined, more: object = {}) => {
		const attributes = { node: 'node-a', ...(ifname === undefined ? {} : { ifname }) };
		const result = await allocator.assign({
			handleId: 'net.one',
			attributes,
			families: ['ipv4'],
			use: 'Workload',
			...more,
		});
		return result.type === 'assigned' ? result.addresses.map(({ address }) => address) : [result.reason];
	};
	const release = async (ifname: string) => {
		const outcome = await allocator.release('net.one', mayBeOf(ifname));
		return outcome.type === 'released' ? outcome.addresses : [outcome.type];
	};
	const counts = () => Object.values(shared.handles.get('net.one')?.value.blocks ?? {});
	return { shared, allocator, assign, release, counts };
}

test('each interface of a container has its own address, and a repeated request returns the same', async (t) => {
	const { assign, counts } = setUp();
	const [first = ''] = await assign('eth0');
	const [second = ''] = await assign('net1');
	t.not(first, second);
	t.deepEqual(counts(), [2]);
	t.deepEqual([await assign('eth0'), await assign('net1')], [[first], [second]]);
	t.deepEqual(counts(), [2]);
});

test('interfaces of a container that are attached concurrently get different addresses', async (t) => {
	const { assign, counts } = setUp();
	const given = await Promise.all(
		['eth0', 'net1', 'net2', 'eth0'].map((ifname) => assign(ifname, { families: ['ipv4', 'ipv6'] })),
	);
	t.is(new Set(given.flat()).size, 6);
	t.deepEqual(given[0], given[3]);
	t.deepEqual(counts(), [3, 3]);
});

test('one interface releases its addresses, the others keep theirs; the handle is removed with the last one', async (t) => {
	const { assign, release, counts, shared } = setUp();
	const first = await assign('eth0', { families: ['ipv4', 'ipv6'] });
	const second = await assign('net1');
	t.deepEqual(await release('net1'), second);
	t.deepEqual(await release('net1'), []);
	t.deepEqual(counts(), [1, 1]);
	t.deepEqual(await assign('eth0', { families: ['ipv4', 'ipv6'] }), first);
	t.deepEqual((await release('eth0')).toSorted(), first.toSorted());
	t.is(shared.handles.size, 0);
});

test('an address of another interface of the container is in use', async (t) => {
	const { assign } = setUp();
	const wanted = { addresses: { ipv4: '10.0.0.77' } };
	t.deepEqual(await assign('eth0', wanted), ['10.0.0.77']);
	t.deepEqual(await assign('net1', wanted), ['10.0.0.77 is taken']);
	t.deepEqual(await assign('eth0', wanted), ['10.0.0.77']);
});

test('an address without an interface attribute, as Calico assigns it, serves any interface and is released with any', async (t) => {
	const { assign, release, shared } = setUp();
	const [given = ''] = await assign(undefined);
	t.deepEqual([await assign('eth0'), await assign('net1')], [[given], [given]]);
	t.deepEqual(await release('net1'), [given]);
	t.is(shared.handles.size, 0);
});

test('a release by handle includes interface addresses, as in Calico', async (t) => {
	const { assign, allocator, shared } = setUp();
	await assign('eth0');
	await assign('net1');
	const outcome = await allocator.release('net.one');
	t.is(outcome.type === 'released' ? outcome.addresses.length : 0, 2);
	t.is(shared.handles.size, 0);
});

test('with a cooldown the remaining interface keeps its address', async (t) => {
	const { assign, release, shared } = setUp();
	shared.config = { ...shared.config, cooldownSeconds: 60 };
	const first = await assign('eth0');
	const [second = ''] = await assign('net1');
	t.deepEqual(await release('net1'), [second]);
	t.deepEqual(await assign('eth0'), first);
	t.false((await assign('net1')).includes(second));
});

test('addresses of given interfaces are distinguished from addresses without an interface', (t) => {
	const isMeant = saidOf(new Set(['net1']));
	t.deepEqual([isMeant('net1'), isMeant('eth0'), isMeant(undefined)], [true, false, false]);
});
