import test from 'ava';
import { silentLogger } from '../../../src/core/index.ts';
import { NodeDuties } from '../../../src/daemon/cluster/node-duties.ts';
import { Allocator, conflictRetry } from '../../../src/ipam/index.ts';
import { type JsonObject, type Resource, selectorMatches, toResource } from '../../../src/kubernetes/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { MemoryCluster, memoryStore } from '../../fakes/memory-ipam-store.ts';
import { testPool } from '../../support/pool.ts';

/** A node that has nothing to say of itself any more. */
const node = toResource({
	metadata: { name: 'node-a', annotations: { 'projectcalico.org/IPv4Address': '192.0.2.1/24' } },
	status: { conditions: [{ type: 'NetworkUnavailable', status: 'False', reason: 'BgpmeshIsUp' }] },
});

function setUp() {
	const clock = new FakeClock();
	const shared = Object.assign(new MemoryCluster(), { pools: [testPool({ name: 'left', nodeSelector: 'has(gpu)' })] });
	shared.config = { ...shared.config, cooldownSeconds: 60 };
	shared.nodeLabels['node-a'] = { gpu: '' };
	const store = memoryStore(shared);
	const dependencies = { node: 'node-a', store, clock, log: silentLogger };
	const allocator = new Allocator({ ...dependencies, random: Math.random, retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }), selectorMatches });
	const duties = new NodeDuties({
		...dependencies,
		client: { patch: async (): Promise<JsonObject> => ({}) },
		nodes: { items: new Map([['node-a', node]]), synced: true, absorb: toResource },
		pools: { items: new Map<string, Resource>(), synced: true },
		allocator,
		mode: 'blocks',
		withdrawn: async () => true,
	});
	return { clock, shared, allocator, duties };
}

test('an empty block of a pool that does not select the node any more goes when its last cooldown is over, although nothing changes', async (t) => {
	const { clock, shared, allocator, duties } = setUp();
	await allocator.assign({ handleId: 'net.one', attributes: {}, families: ['ipv4'], use: 'Workload' });
	await allocator.release('net.one');
	shared.nodeLabels['node-a'] = {};
	await duties.perform();
	await duties.perform();
	t.deepEqual([shared.blocks.size, clock.pendingCount], [1, 1], 'it cools down; one occasion, however often it was looked at');
	clock.advance(59_999);
	t.is(clock.pendingCount, 1);
	clock.advance(1);
	for (let turn = 0; turn < 10_000 && shared.affinities.size > 0; turn++) await new Promise((done) => setImmediate(done));
	t.deepEqual([shared.blocks.size, shared.affinities.size, clock.pendingCount], [0, 0, 0]);
});

test('where nothing cools down nobody looks again, and after the end nobody does', async (t) => {
	const { clock, shared, allocator, duties } = setUp();
	await allocator.assign({ handleId: 'net.one', attributes: {}, families: ['ipv4'], use: 'Workload' });
	await duties.perform();
	t.is(clock.pendingCount, 0);
	shared.nodeLabels['node-a'] = {};
	await allocator.release('net.one');
	await duties.perform();
	t.is(clock.pendingCount, 1);
	await duties.stop(false);
	t.is(clock.pendingCount, 0);
});
