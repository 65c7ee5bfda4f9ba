import test from 'ava';
import { silentLogger, systemClock } from '../../src/core/index.ts';
import {
	Allocator,
	type AssignRequest,
	type ClusterSnapshot,
	conflictRetry,
	findGarbage,
	GarbageCollector,
	type PodFacts,
} from '../../src/ipam/index.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const pool = testPool({ blockSize: 30, nodeSelector: '' });

function setUp() {
	const shared = Object.assign(new MemoryCluster(), { pools: [pool] });
	const store = memoryStore(shared);
	const retry = conflictRetry(Math.random, { firstMs: 0.01, mostMs: 0.1 });
	const allocator = new Allocator({
		node: 'node-a',
		store,
		clock: systemClock,
		random: Math.random,
		retry,
		log: silentLogger,
		selectorMatches: () => true,
	});
	const pods = new Map<string, PodFacts>();
	const nodes = new Set(['node-a']);
	const snapshot = async (): Promise<ClusterSnapshot> => ({
		blocks: [...shared.blocks.values()].map(({ value }) => value),
		handles: [...shared.handles.values()].map(({ value }) => value),
		affinities: [...shared.affinities.values()].map(({ value }) => value),
		nodes,
		pods,
	});
	const collector = new GarbageCollector({
		graceMs: 0,
		mostAddresses: 10_000,
		claims: { store, clock: systemClock, retry },
		allocator,
		clock: systemClock,
		log: silentLogger,
		snapshot,
		podUsesAddresses: async ({ addresses }) => addresses.some(({ address }) => inUse.has(address)),
	});
	const inUse = new Set<string>();
	const assign = async (name: string, overrides: Partial<AssignRequest> = {}) => {
		const result = await allocator.assign({
			handleId: `net.${name}`,
			attributes: { node: 'node-a', pod: name, namespace: 'default' },
			families: ['ipv4'],
			use: 'Workload',
			...overrides,
		});
		if (result.type !== 'assigned') throw new Error(result.reason);
		return result.addresses[0]?.address ?? '';
	};
	return { shared, store, collector, assign, pods, nodes, snapshot, inUse };
}

const running = (...addresses: string[]): PodFacts => ({ node: 'node-a', addresses, finished: false });

test('an address whose pod is gone is released at the second observation, not at the first', async (t) => {
	const { shared, collector, assign, pods } = setUp();
	await assign('gone');
	pods.set('default/here', running(await assign('here')));
	t.like(await collector.collect(), { addresses: 0 });
	t.like(await collector.collect(), { addresses: 1 });
	t.deepEqual([...shared.handles.keys()], ['net.here']);
});

test('addresses of an unreadable block are not collected', async (t) => {
	const { shared, assign, snapshot, nodes } = setUp();
	await assign('gone');
	const seen = await snapshot();
	const [block] = seen.blocks;
	const unreadable = block === undefined ? [] : [block.cidr];
	nodes.clear();
	const options = { graceMs: 0, mostAddresses: 10 };
	const judge = (snapshotThen: ClusterSnapshot) => {
		const { suspicions } = findGarbage(snapshotThen, new Map(), 0, options);
		const { leaks, claims, handles } = findGarbage(snapshotThen, suspicions, 0, options);
		return [leaks.length, claims.length, handles.length];
	};
	t.deepEqual(judge(seen), [1, 1, 0]);
	t.deepEqual(judge({ ...seen, blocks: [] }), [0, 1, 1]);
	t.deepEqual(judge({ ...seen, blocks: [], unreadable }), [0, 0, 0]);
	t.deepEqual(judge({ ...seen, unreadable }), [0, 0, 0], 'another block of the same handle may be in use');
	t.is(shared.handles.size, 1);
});

test('a round continues after an unreadable block', async (t) => {
	const { shared, collector, assign, nodes } = setUp();
	await assign('gone');
	nodes.clear();
	await collector.collect();
	// The snapshot read the block; it became unreadable afterwards.
	for (const [name, { value }] of shared.blocks)
		shared.unreadable.set(name, { name, problem: 'broken', cidrs: [value.cidr] });
	const before = JSON.stringify([[...shared.affinities], [...shared.handles]]);
	t.like(await collector.collect(), { addresses: 0, claims: 0, handles: 0 });
	t.is(JSON.stringify([[...shared.affinities], [...shared.handles]]), before);
});

test('an address that is in use at the final check stays', async (t) => {
	const { shared, collector, assign, inUse } = setUp();
	inUse.add(await assign('late'));
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0, spared: 1 });
	t.is(shared.handles.size, 1);
});

test('a pod without a reported address keeps the address assigned to it on its node', async (t) => {
	const { collector, assign, pods } = setUp();
	await assign('starting');
	pods.set('default/starting', running());
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0 });
});

test('addresses without owner attributes stay', async (t) => {
	const { collector, assign } = setUp();
	await assign('manual', { attributes: {} });
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0 });
});

test('a virtual machine keeps its address while it has no pod', async (t) => {
	const { collector, assign } = setUp();
	await assign('vm', { attributes: { node: 'node-a', pod: 'virt-launcher', namespace: 'default', 'vmi-name': 'vm' } });
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0 });
});

test('many leaked addresses of one block are released by a few writes', async (t) => {
	const { collector, assign, shared, store } = setUp();
	for (let index = 0; index < 16; index++) await assign(`pod-${index}`);
	await collector.collect();
	const writes = store.counts.byKind['block'] ?? 0;
	t.like(await collector.collect(), { addresses: 16 });
	t.true(
		(store.counts.byKind['block'] ?? 0) - writes <= 8 + 4,
		`${(store.counts.byKind['block'] ?? 0) - writes} writes for four blocks`,
	);
	t.is(shared.handles.size, 0);
});

test('tunnel addresses exist as long as their node', async (t) => {
	const { collector, assign, nodes } = setUp();
	await assign('tunnel', { attributes: { node: 'node-b', type: 'ipipTunnelAddress' }, use: 'Tunnel' });
	nodes.add('node-b');
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0 });
	nodes.delete('node-b');
	await collector.collect();
	t.like(await collector.collect(), { addresses: 1 });
});

test('a node keeps one empty block, and a deleted node none', async (t) => {
	const { shared, collector, assign, pods, nodes } = setUp();
	const names = Array.from({ length: 9 }, (_, index) => `pod-${index}`);
	for (const name of names) await assign(name);
	t.is(shared.blocks.size, 3);
	for (let round = 0; round < 4; round++) await collector.collect();
	t.is(shared.blocks.size, 1);
	t.is(shared.affinities.size, 1);
	t.is(pods.size, 0);
	nodes.clear();
	await collector.collect();
	await collector.collect();
	t.deepEqual([shared.blocks.size, shared.affinities.size], [0, 0]);
});

test('a handle without addresses in any block is removed', async (t) => {
	const { shared, collector } = setUp();
	shared.handles.set('net.lost', {
		version: '1',
		value: { handleId: 'net.lost', blocks: { '10.0.0.0/30': 1 }, deleted: false, other: {} },
	});
	await collector.collect();
	t.like(await collector.collect(), { handles: 1 });
	t.is(shared.handles.size, 0);
});

test('one address in use keeps all addresses of its handle', async (t) => {
	const { assign, snapshot, pods } = setUp();
	const first = await assign('twice');
	const [block] = (await snapshot()).blocks;
	if (block === undefined) throw new Error('no block');
	const both = { ...block, allocations: block.allocations.map((index, ordinal) => (ordinal === 3 ? 0 : index)) };
	const seen = { ...(await snapshot()), blocks: [both], pods: pods.set('default/twice', running(first)) };
	const suspected = findGarbage(seen, new Map(), 0, { graceMs: 1, mostAddresses: 100 }).suspicions;
	t.deepEqual(findGarbage(seen, suspected, 10, { graceMs: 1, mostAddresses: 100 }).leaks, []);
});
