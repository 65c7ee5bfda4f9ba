import test from 'ava';
import { type PrefixKey, prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	Allocator,
	type AssignRequest,
	type Block,
	blockName,
	conflictRetry,
	findGarbage,
	findInconsistencies,
	GarbageCollector,
	gatewayHandle,
	gatewayOf,
	giveUpBlock,
	isEmpty,
	type Pool,
	reportAddress,
} from '../../src/ipam/index.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const pool4 = testPool({ nodeSelector: '', allowedUses: ['Workload'] });
const pool6: Pool = { ...pool4, name: 'pods6', cidr: prefixKey('fd00::/120'), family: 'ipv6', blockSize: 122 };

const retry = conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 });

function setUp(...pools: readonly Pool[]) {
	const shared = Object.assign(new MemoryCluster(), { pools: pools.length === 0 ? [pool4] : pools });
	const node = (name: string) => {
		const store = memoryStore(shared, { cached: true });
		const options = {
			node: name,
			store,
			clock: systemClock,
			random: Math.random,
			retry,
			log: silentLogger,
			selectorMatches: () => true,
		};
		return { store, allocator: new Allocator(options), claims: { store, clock: systemClock, retry } };
	};
	const values = <T>(entries: ReadonlyMap<string, { readonly value: T }>) =>
		[...entries.values()].map(({ value }) => value);
	const book = () => ({
		pools: shared.pools,
		blocks: values(shared.blocks),
		affinities: values(shared.affinities),
		handles: values(shared.handles),
	});
	return { shared, node, book };
}

const request = (name: string, overrides: Partial<AssignRequest> = {}): AssignRequest => ({
	handleId: `net.${name}`,
	attributes: { node: 'node-a', pod: name, namespace: 'default' },
	families: ['ipv4'],
	use: 'Workload',
	gateways: ['ipv4', 'ipv6'],
	...overrides,
});

async function given(result: ReturnType<Allocator['assign']>) {
	const outcome = await result;
	if (outcome.type !== 'assigned') throw new Error(`${outcome.reason} ${JSON.stringify(outcome.pools)}`);
	return outcome.addresses.map(({ address, block, gateway, known }) => ({ address, block, gateway, known }));
}

const only = <T>(list: readonly T[]): T => {
	const [first] = list;
	if (first === undefined || list.length !== 1) throw new RangeError(`${list.length} instead of one`);
	return first;
};

const hostPart = (address: string): number => Number(address.split('.')[3]) % 64;

test('the first address of a block is assigned together with a gateway, in the same write', async (t) => {
	const { node, book } = setUp();
	const { allocator, store } = node('node-a');
	const { address, gateway, block } = only(await given(allocator.assign(request('one'))));
	t.is(hostPart(gateway ?? ''), 1);
	t.not(address, gateway);
	// Two writes for the claim, one for the block, one for this address; handles of pod and
	// gateway.
	t.deepEqual(store.counts.byKind, { affinity: 2, block: 2, handle: 2 });
	t.like(reportAddress(book().blocks, gateway ?? ''), {
		state: 'used',
		handleId: gatewayHandle(block),
		attributes: { node: 'node-a', type: 'gateway' },
	});
	t.deepEqual(findInconsistencies(book()), []);
});

test('later addresses use the existing gateway: a warm request reads no object and writes two', async (t) => {
	const { node } = setUp();
	const { allocator, store } = node('node-a');
	const first = only(await given(allocator.assign(request('one'))));
	Object.assign(store.counts, { reads: 0, writes: 0 });
	const second = only(await given(allocator.assign(request('two'))));
	t.is(second.gateway, first.gateway);
	t.deepEqual([store.counts.reads, store.counts.writes], [0, 2]);
});

test('a hundred concurrent requests: one gateway per block, no address twice, each usable on a link', async (t) => {
	const { node, book } = setUp();
	const { allocator, store } = node('node-a');
	const all = (
		await Promise.all(Array.from({ length: 100 }, (_, index) => given(allocator.assign(request(`pod-${index}`)))))
	).flat();
	const gateways = new Map(all.map(({ block, gateway }) => [block, gateway]));
	t.is(new Set(all.map(({ address }) => address)).size, 100);
	t.is(gateways.size, 2);
	for (const { address, block, gateway } of all) {
		t.is(gateway, gateways.get(block));
		t.false([...gateways.values()].includes(address));
		t.false([0, 63].includes(hostPart(address)), address);
	}
	t.is(store.counts.byKind['handle'], 102);
	t.deepEqual(findInconsistencies(book()), []);
});

test('the gateway stays the same after a restart and for a repeated request', async (t) => {
	const { node } = setUp();
	const first = only(await given(node('node-a').allocator.assign(request('one'))));
	const restarted = node('node-a').allocator;
	t.deepEqual(await given(restarted.assign(request('one'))), [{ ...first, known: true }]);
	t.is(only(await given(restarted.assign(request('two')))).gateway, first.gateway);
});

test('a container with an address assigned without a gateway gets one when it requests it', async (t) => {
	const { node, book } = setUp();
	const { allocator } = node('node-a');
	const before = only(await given(allocator.assign(request('one', { gateways: [] }))));
	t.is(before.gateway, undefined);
	const after = only(await given(allocator.assign(request('one'))));
	t.is(after.address, before.address);
	t.is(hostPart(after.gateway ?? ''), 1);
	t.deepEqual(findInconsistencies(book()), []);
});

test('a request without a gateway gets none, and no block gets one', async (t) => {
	const { node, book } = setUp();
	const { allocator } = node('node-a');
	const { gateways: _, ...plain } = request('one');
	t.is(only(await given(allocator.assign(plain))).gateway, undefined);
	t.is(gatewayOf(only(book().blocks)), undefined);
});

test('IPv6: the first address is not assigned, the second is the gateway', async (t) => {
	const { node } = setUp(pool4, pool6);
	const [, six] = await given(node('node-a').allocator.assign(request('one', { families: ['ipv4', 'ipv6'] })));
	const base = six?.block.split('/')[0]?.replace(/::$/, '::0') ?? '';
	const last = Number.parseInt(base.split(':').pop() ?? '', 16);
	t.is(six?.gateway, `fd00::${(last + 1).toString(16)}`);
	t.is(six?.address, `fd00::${(last + 2).toString(16)}`);
});

test('a requested address leaves the gateway another one', async (t) => {
	const { node } = setUp();
	const { allocator } = node('node-a');
	t.like(only(await given(allocator.assign(request('one', { addresses: { ipv4: '10.0.0.1' } })))), {
		address: '10.0.0.1',
		gateway: '10.0.0.2',
	});
	t.like(await allocator.assign(request('two', { addresses: { ipv4: '10.0.0.2' } })), {
		type: 'unavailable',
		reason: '10.0.0.2 is taken',
	});
	t.regex(
		JSON.stringify(await allocator.assign(request('two', { addresses: { ipv4: '10.0.0.63' } }))),
		/10\.0\.0\.63 is at the edge of block 10\.0\.0\.0\/26/,
	);
});

test('blocks too small for a gateway and a pod are refused with a reason', async (t) => {
	const { node } = setUp({ ...pool4, blockSize: 31 });
	const result = await node('node-a').allocator.assign(request('one'));
	t.like(result, {
		type: 'unavailable',
		pools: [{ pool: 'pods', reason: 'a block of /31 has no room for a gateway and a pod' }],
	});
});

test('a block with one free address and no gateway is full for requests with a gateway', async (t) => {
	const { node, book } = setUp({ ...pool4, cidr: prefixKey('10.0.0.0/29'), blockSize: 30 });
	const { allocator } = node('node-a');
	const plain = only(await given(allocator.assign(request('plain', { gateways: [] }))));
	// .0 was assigned first; of .1, .2 and .3 a pod and a gateway can have two.
	await given(allocator.assign(request('plain-2', { gateways: [] })));
	const next = only(await given(allocator.assign(request('one'))));
	t.not(next.block, plain.block);
	t.deepEqual(findInconsistencies(book()), []);
});

test('with a gateway no address is borrowed: it would be on the links of another node', async (t) => {
	const { node } = setUp({ ...pool4, cidr: prefixKey('10.0.0.0/26') });
	await given(node('node-a').allocator.assign(request('one')));
	const other = node('node-b').allocator;
	t.regex(JSON.stringify(await other.assign(request('two'))), /with a gateway nothing is borrowed/);
	t.regex(
		JSON.stringify(await other.assign(request('two', { addresses: { ipv4: '10.0.0.9' } }))),
		/another node, and so is its gateway/,
	);
	t.is(only(await given(other.assign(request('two', { gateways: [] })))).gateway, undefined);
});

test('a gateway is not released while its block has pods, and can be released when it has none', async (t) => {
	const { node, book } = setUp();
	const { allocator } = node('node-a');
	const { gateway = '', block } = only(await given(allocator.assign(request('one'))));
	t.deepEqual(await allocator.releaseAddress(gateway), { type: 'refused', address: gateway, reason: 'gateway' });
	t.deepEqual(await allocator.release(gatewayHandle(block)), { type: 'refused', address: gateway, reason: 'gateway' });
	await allocator.release('net.one');
	t.true(isEmpty(only(book().blocks)));
	t.deepEqual(await allocator.releaseAddress(gateway), { type: 'released', addresses: [gateway] });
	t.deepEqual([gatewayOf(only(book().blocks)), book().handles], [undefined, []]);
	t.is(only(await given(allocator.assign(request('two')))).gateway, gateway);
});

const block = async (store: ReturnType<typeof memoryStore>, cidr: PrefixKey): Promise<Block | undefined> =>
	(await store.blocks.read(blockName(cidr), 'fresh'))?.value;

test('the gateway is removed with its block, together with its handle', async (t) => {
	const { node, book } = setUp();
	const { allocator, store, claims } = node('node-a');
	const one = only(await given(allocator.assign(request('one'))));
	t.is(await giveUpBlock(claims, 'node-a', one.block, { requireEmpty: true }), 'not-empty');
	await allocator.release('net.one');
	t.is(await giveUpBlock(claims, 'node-a', one.block, { requireEmpty: true }), 'released');
	t.deepEqual([await block(store, one.block), book().handles, book().affinities], [undefined, [], []]);
});

test('a block without an affinity is removed with its last pod, including gateway and handle', async (t) => {
	const { node, book } = setUp();
	const { allocator, claims } = node('node-a');
	const one = only(await given(allocator.assign(request('one'))));
	await giveUpBlock(claims, 'node-a', one.block, { requireEmpty: false });
	t.is(only(book().blocks).affinity, undefined);
	await allocator.release('net.one');
	t.deepEqual([book().blocks, book().handles], [[], []]);
});

test('a handle without a gateway, left by a crash, is completed', async (t) => {
	const { node, book, shared } = setUp({ ...pool4, cidr: prefixKey('10.0.0.0/26') });
	shared.handles.set(gatewayHandle(prefixKey('10.0.0.0/26')), {
		value: {
			handleId: gatewayHandle(prefixKey('10.0.0.0/26')),
			blocks: { '10.0.0.0/26': 1 },
			deleted: false,
			other: {},
		},
		version: 'old',
	});
	await given(node('node-a').allocator.assign(request('one')));
	t.not(shared.handles.get(gatewayHandle(prefixKey('10.0.0.0/26')))?.version, 'old');
	t.deepEqual(findInconsistencies(book()), []);
});

test('garbage: a gateway is not a leak; a block with only a gateway is spare if the node has another block', async (t) => {
	const { node, book } = setUp({ ...pool4, blockSize: 30 });
	const { allocator, claims } = node('node-a');
	// A block of four holds one pod and its gateway.
	const one = only(await given(allocator.assign(request('one'))));
	const two = only(await given(allocator.assign(request('two'))));
	t.not(one.block, two.block);
	const running = (address: string) => ({ node: 'node-a', addresses: [address], finished: false });
	const pods = new Map([
		['default/one', running(one.address)],
		['default/two', running(two.address)],
	]);
	const collector = new GarbageCollector({
		graceMs: 0,
		mostAddresses: 100,
		claims,
		allocator,
		clock: systemClock,
		log: silentLogger,
		snapshot: async () => ({ ...book(), nodes: new Set(['node-a']), pods }),
		podUsesAddresses: async () => false,
	});
	for (let round = 0; round < 2; round++)
		t.deepEqual(await collector.collect(), { addresses: 0, claims: 0, handles: 0, spared: 0 });
	pods.delete('default/one');
	await allocator.release('net.one');
	await collector.collect();
	t.like(await collector.collect(), { addresses: 0, claims: 1, handles: 0 });
	t.deepEqual(
		book().blocks.map(({ cidr }) => cidr),
		[two.block],
	);
	t.deepEqual(
		book()
			.handles.map(({ handleId }) => handleId)
			.sort(),
		[gatewayHandle(two.block), 'net.two'],
	);
});

test('garbage: the gateway of a block without a node is released, since Calico does not regard the block as empty', async (t) => {
	const { node, book, shared } = setUp();
	const { allocator } = node('node-a');
	const { block: cidr } = only(await given(allocator.assign(request('one'))));
	await allocator.release('net.one');
	const stored = shared.blocks.get(blockName(cidr));
	if (stored === undefined) throw new RangeError('no block');
	shared.blocks.set(blockName(cidr), { ...stored, value: { ...stored.value, affinity: undefined } });
	const snapshot = { ...book(), affinities: [], nodes: new Set(['node-a']), pods: new Map() };
	const options = { graceMs: 0, mostAddresses: 100 };
	const first = findGarbage(snapshot, new Map(), 0, options);
	t.deepEqual(
		findGarbage(snapshot, first.suspicions, 0, options).leaks.map(({ handleId }) => handleId),
		[gatewayHandle(cidr)],
	);
});
