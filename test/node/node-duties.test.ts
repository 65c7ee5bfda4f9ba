import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { Allocator, conflictRetry } from '../../src/ipam/index.ts';
import { arrayAt, isObject, type JsonObject, textAt } from '../../src/json/index.ts';
import { type Resource, selectorMatches, toResource } from '../../src/kubernetes/index.ts';
import { NodeDuties } from '../../src/node/node-duties.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

/** A node without state of its own to publish. */
const node = toResource({
	metadata: { name: 'node-a', annotations: { 'projectcalico.org/IPv4Address': '192.0.2.1/24' } },
	status: { conditions: [{ type: 'NetworkUnavailable', status: 'False', reason: 'BgpmeshIsUp' }] },
});

function setUp(awaitsNetwork = false) {
	const clock = new FakeClock();
	const written: JsonObject[] = [];
	const shared = Object.assign(new MemoryCluster(), { pools: [testPool({ name: 'left', nodeSelector: 'has(gpu)' })] });
	shared.config = { ...shared.config, cooldownSeconds: 60 };
	shared.nodeLabels['node-a'] = { gpu: '' };
	const store = memoryStore(shared);
	const dependencies = { node: 'node-a', store, clock, log: silentLogger };
	const allocator = new Allocator({
		...dependencies,
		random: Math.random,
		retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
		selectorMatches,
	});
	const duties = new NodeDuties({
		addresses: { annotations: async () => ({}) },
		...dependencies,
		awaitsNetwork,
		client: {
			patch: async (_kind, _name, patch): Promise<JsonObject> => {
				written.push(patch as JsonObject);
				return node.raw;
			},
		},
		nodes: { items: new Map([['node-a', node]]), synced: true, absorb: toResource },
		pools: { items: new Map<string, Resource>(), synced: true },
		allocator,
		mode: 'blocks',
		withdrawn: async () => true,
	});
	const conditions = () =>
		written
			.map((patch) => arrayAt(patch, 'status', 'conditions')[0])
			.flatMap((condition) =>
				isObject(condition)
					? [`${textAt(condition, 'status')} ${textAt(condition, 'reason')} ${textAt(condition, 'message')}`]
					: [],
			);
	return { clock, shared, allocator, duties, conditions };
}

test('an empty block of a pool that no longer selects the node is released when its last cooldown ends, without any other event', async (t) => {
	const { clock, shared, allocator, duties } = setUp();
	await allocator.assign({ handleId: 'net.one', attributes: {}, families: ['ipv4'], use: 'Workload' });
	await allocator.release('net.one');
	shared.nodeLabels['node-a'] = {};
	await duties.perform();
	await duties.perform();
	t.deepEqual(
		[shared.blocks.size, clock.pendingCount],
		[1, 1],
		'it cools down; one occasion, however often it was looked at',
	);
	clock.advance(59_999);
	t.is(clock.pendingCount, 1);
	clock.advance(1);
	for (let turn = 0; turn < 10_000 && shared.affinities.size > 0; turn++)
		await new Promise((done) => setImmediate(done));
	t.deepEqual([shared.blocks.size, shared.affinities.size, clock.pendingCount], [0, 0, 1]);
});

test('one timer is pending for any number of blocks, and none after stop', async (t) => {
	const { clock, shared, allocator, duties } = setUp();
	await allocator.assign({ handleId: 'net.one', attributes: {}, families: ['ipv4'], use: 'Workload' });
	await duties.perform();
	t.is(clock.pendingCount, 1);
	shared.nodeLabels['node-a'] = {};
	await allocator.release('net.one');
	await duties.perform();
	t.is(clock.pendingCount, 1);
	await duties.stop(false);
	t.is(clock.pendingCount, 0);
});

const up = 'False BgpmeshIsUp bgpmesh is running on this node';

test('the Node condition is written only after the network was checked, and it names the problem', async (t) => {
	const { duties, conditions } = setUp(true);
	await duties.perform();
	t.deepEqual(conditions(), []);
	duties.setNetworkProblem('The kernel does not forward IPv4 packets.');
	await duties.perform();
	await duties.perform();
	t.deepEqual(conditions(), ['True BgpmeshHasProblem The kernel does not forward IPv4 packets.']);
	duties.setNetworkProblem(undefined);
	await duties.perform();
	await duties.perform();
	t.deepEqual(conditions().slice(1), [up]);
});

test('the condition of a working network is written once, and not if the Node already has it', async (t) => {
	const { duties, conditions } = setUp(true);
	duties.setNetworkProblem(undefined);
	await duties.perform();
	duties.setNetworkProblem(undefined);
	await duties.perform();
	t.deepEqual(conditions(), []);
});
