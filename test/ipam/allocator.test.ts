import test from 'ava';
import { type Clock, prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	Allocator,
	type AssignRequest,
	type Block,
	blockName,
	claimBlock,
	conflictRetry,
	giveUpBlock,
	isEmpty,
} from '../../src/ipam/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryCluster, memoryStore, spoilBlock } from '../fakes/memory-ipam-store.ts';
import { testPool as pool } from '../support/pool.ts';

const pool6 = pool({ name: 'pods6', cidr: prefixKey('fd00::/120'), family: 'ipv6', blockSize: 122 });

function cluster(overrides: Partial<MemoryCluster> = {}): MemoryCluster {
	return Object.assign(new MemoryCluster(), { pools: [pool()] }, overrides);
}

function nodeOf(
	shared: MemoryCluster,
	node = 'node-a',
	options: Parameters<typeof memoryStore>[1] = { cached: true },
	clock: Clock = systemClock,
) {
	const store = memoryStore(shared, options);
	// Selectors: `all()` and '' select everything, `odd` does not parse, any other text is the
	// label of that name.
	const selectorMatches = (selector: string, labels: Readonly<Record<string, string>>) =>
		selector === 'odd' ? undefined : selector === '' || selector === 'all()' || selector in labels;
	const allocator = new Allocator({
		node,
		store,
		clock,
		random: Math.random,
		retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
		log: silentLogger,
		selectorMatches,
	});
	return { allocator, store };
}

const request = (handleId: string, overrides: Partial<AssignRequest> = {}): AssignRequest => ({
	handleId,
	attributes: { node: 'node-a', pod: handleId },
	families: ['ipv4'],
	use: 'Workload',
	...overrides,
});

async function addressesOf(result: ReturnType<Allocator['assign']>): Promise<string[]> {
	const outcome = await result;
	if (outcome.type !== 'assigned') throw new Error(`${outcome.reason} ${JSON.stringify(outcome.pools)}`);
	return outcome.addresses.map(({ address }) => address);
}

test('the first address costs a claim: affinity, block, affinity, handle, block', async (t) => {
	const shared = cluster();
	const { allocator, store } = nodeOf(shared);
	const [address] = await addressesOf(allocator.assign(request('one')));
	t.regex(address ?? '', /^10\.0\.0\.(0|64|128|192)$/);
	t.deepEqual(store.counts.byKind, { affinity: 2, block: 2, handle: 1 });
	t.deepEqual(
		[...shared.affinities.values()].map(({ value }) => value.state),
		['confirmed'],
	);
});

test('a warm request reads no object and writes two', async (t) => {
	const { allocator, store } = nodeOf(cluster());
	await addressesOf(allocator.assign(request('warm-up')));
	Object.assign(store.counts, { reads: 0, writes: 0 });
	await addressesOf(allocator.assign(request('one')));
	t.deepEqual([store.counts.reads, store.counts.writes], [0, 2]);
});

test('a hundred concurrent requests get a hundred addresses with a few block writes', async (t) => {
	const shared = cluster();
	const { allocator, store } = nodeOf(shared);
	await addressesOf(allocator.assign(request('warm-up')));
	Object.assign(store.counts.byKind, { block: 0, handle: 0, affinity: 0 });
	const given = await Promise.all(
		Array.from({ length: 100 }, (_, index) => addressesOf(allocator.assign(request(`pod-${index}`)))),
	);
	t.is(new Set(given.flat()).size, 100);
	t.is(store.counts.byKind['handle'], 100);
	t.true((store.counts.byKind['block'] ?? 0) <= 8, `${store.counts.byKind['block']} block writes`);
	t.is(shared.blocks.size, 2);
});

test('repeated and concurrent requests with one handle give one address', async (t) => {
	const { allocator } = nodeOf(cluster());
	const [first, second] = await Promise.all([
		addressesOf(allocator.assign(request('one'))),
		addressesOf(allocator.assign(request('one'))),
	]);
	t.deepEqual(first, second);
	t.deepEqual(await addressesOf(allocator.assign(request('one'))), first);
});

test('a repeated request gives the same address, even if no other is free or the pool no longer serves it', async (t) => {
	const shared = cluster({ pools: [pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 30 })] });
	const { allocator } = nodeOf(shared);
	const [first] = await addressesOf(allocator.assign(request('one')));
	for (const other of ['two', 'three', 'four']) await addressesOf(allocator.assign(request(other)));
	t.deepEqual(await addressesOf(allocator.assign(request('one'))), [first]);
	shared.pools = [pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 30, disabled: true })];
	t.deepEqual(await addressesOf(allocator.assign(request('one'))), [first]);
	t.is((await allocator.assign(request('five'))).type, 'unavailable');
});

test('released addresses are reused last', async (t) => {
	const { allocator } = nodeOf(cluster());
	const [first] = await addressesOf(allocator.assign(request('one')));
	t.deepEqual(await allocator.release('one'), { type: 'released', addresses: [first ?? ''] });
	const [second] = await addressesOf(allocator.assign(request('two')));
	t.not(second, first);
	t.deepEqual(await allocator.release('one'), { type: 'released', addresses: [] });
});

test('two nodes never share a block while free blocks exist', async (t) => {
	const shared = cluster();
	const nodes = ['node-a', 'node-b', 'node-c'].map((name) => nodeOf(shared, name));
	await Promise.all(nodes.map(({ allocator }, index) => addressesOf(allocator.assign(request(`pod-${index}`)))));
	t.is(shared.blocks.size, 3);
});

test('with every block claimed an address is borrowed, unless affinity is strict', async (t) => {
	const shared = cluster({ pools: [pool({ cidr: prefixKey('10.0.0.0/26') })] });
	await addressesOf(nodeOf(shared, 'node-a').allocator.assign(request('a')));
	await addressesOf(nodeOf(shared, 'node-b').allocator.assign(request('b')));
	t.deepEqual(
		[...shared.affinities.values()].map(({ value }) => value.node),
		['node-a'],
	);
	shared.config = { ...shared.config, strictAffinity: true };
	const refused = await nodeOf(shared, 'node-b').allocator.assign(request('c'));
	t.is(refused.type, 'unavailable');
	t.regex(refused.type === 'unavailable' ? refused.reason : '', /strictAffinity forbids borrowing/);
});

test('an empty block of another node is reclaimed once its claim is a minute old', async (t) => {
	const shared = cluster({
		pools: [pool({ cidr: prefixKey('10.0.0.0/26') })],
		config: { ...new MemoryCluster().config, strictAffinity: true },
	});
	const a = nodeOf(shared, 'node-a');
	await addressesOf(a.allocator.assign(request('a')));
	await a.allocator.release('a');
	t.is((await nodeOf(shared, 'node-b').allocator.assign(request('b'))).type, 'unavailable');
	const name = blockName(prefixKey('10.0.0.0/26'));
	const entry = shared.blocks.get(name);
	if (entry === undefined) throw new Error('no block');
	shared.blocks.set(name, { ...entry, value: { ...entry.value, affinityClaimTime: '2020-01-01T00:00:00Z' } });
	await addressesOf(nodeOf(shared, 'node-b').allocator.assign(request('b')));
	t.is(shared.blocks.get(name)?.value.affinity, 'host:node-b');
	t.deepEqual(
		[...shared.affinities.values()].map(({ value }) => [value.node, value.state]),
		[['node-b', 'confirmed']],
	);
});

test("a claim without a time is dated by its block's sequence number, as older Calico writes it", async (t) => {
	const shared = cluster({
		pools: [pool({ cidr: prefixKey('10.0.0.0/26') })],
		config: { ...new MemoryCluster().config, strictAffinity: true },
	});
	const a = nodeOf(shared, 'node-a');
	await addressesOf(a.allocator.assign(request('a')));
	await a.allocator.release('a');
	const name = blockName(prefixKey('10.0.0.0/26'));
	const change = (more: Partial<Block>) => {
		const entry = shared.blocks.get(name);
		if (entry === undefined) throw new Error('no block');
		shared.blocks.set(name, { ...entry, value: { ...entry.value, ...more } });
	};
	change({ affinityClaimTime: undefined });
	t.is((await nodeOf(shared, 'node-b').allocator.assign(request('b'))).type, 'unavailable');
	change({ sequenceNumber: 1577836800000000000n });
	await addressesOf(nodeOf(shared, 'node-b').allocator.assign(request('b')));
	t.is(shared.blocks.get(name)?.value.affinity, 'host:node-b');
});

test('a claim interrupted after the affinity or after the block is completed by the next request', async (t) => {
	for (const diesAt of [2, 3]) {
		const shared = cluster();
		let writes = 0;
		const dying = nodeOf(shared, 'node-a', {
			cached: true,
			beforeWrite: async () => {
				if (++writes >= diesAt) throw new Error('killed');
			},
		});
		await t.throwsAsync(dying.allocator.assign(request('one')), { message: 'killed' });
		t.deepEqual(
			[...shared.affinities.values()].map(({ value }) => value.state),
			['pending'],
		);
		await addressesOf(nodeOf(shared).allocator.assign(request('one')));
		t.deepEqual(
			[...shared.affinities.values()].map(({ value }) => value.state),
			['confirmed'],
		);
		t.is(shared.blocks.size, 1);
	}
});

test('a claim to a block of another node is withdrawn', async (t) => {
	const shared = cluster();
	const cidr = prefixKey('10.0.0.0/26');
	const context = { clock: systemClock, retry: conflictRetry(Math.random) };
	t.is(await claimBlock({ ...context, store: memoryStore(shared) }, 'node-a', cidr), 'claimed');
	t.is(await claimBlock({ ...context, store: memoryStore(shared) }, 'node-b', cidr), 'lost');
	t.deepEqual(
		[...shared.affinities.values()].map(({ value }) => value.node),
		['node-a'],
	);
});

test('dual stack assigns both families or none', async (t) => {
	const shared = cluster({ pools: [pool(), pool6] });
	const { allocator } = nodeOf(shared);
	t.is((await addressesOf(allocator.assign(request('both', { families: ['ipv4', 'ipv6'] })))).length, 2);
	shared.pools = [pool()];
	const refused = await allocator.assign(request('half', { families: ['ipv4', 'ipv6'] }));
	t.like(refused, { type: 'unavailable', family: 'ipv6' });
	t.false(shared.handles.has('half'));
	t.is(
		[...shared.blocks.values()].flatMap(({ value }) => value.allocations.filter((index) => index !== null)).length,
		2,
	);
});

test('a requested address is assigned once, and returned again to its owner', async (t) => {
	const { allocator } = nodeOf(cluster());
	const wanted = { addresses: { ipv4: '10.0.0.77' } };
	t.deepEqual(await addressesOf(allocator.assign(request('one', wanted))), ['10.0.0.77']);
	t.deepEqual(await addressesOf(allocator.assign(request('one', wanted))), ['10.0.0.77']);
	t.like(await allocator.assign(request('two', wanted)), { type: 'unavailable', reason: '10.0.0.77 is taken' });
	t.like(await allocator.assign(request('three', { addresses: { ipv4: '10.9.0.1' } })), {
		type: 'unavailable',
		reason: '10.9.0.1 is in no pool that serves this request',
	});
});

test("a requested address may be of any enabled pool, regardless of selectors; under strict affinity not of another node's block", async (t) => {
	const shared = cluster({
		pools: [pool({ nodeSelector: 'gpu', namespaceSelector: 'staging', assignmentMode: 'Manual' })],
	});
	const wanted = (address: string) => ({ namespace: 'default', addresses: { ipv4: address } });
	const a = nodeOf(shared, 'node-a').allocator;
	const b = nodeOf(shared, 'node-b').allocator;
	t.is((await a.assign(request('any', { namespace: 'default' }))).type, 'unavailable');
	t.deepEqual(await addressesOf(a.assign(request('one', wanted('10.0.0.7')))), ['10.0.0.7']);
	t.deepEqual(await addressesOf(b.assign(request('two', wanted('10.0.0.8')))), ['10.0.0.8'], 'borrowed');
	shared.config = { ...shared.config, strictAffinity: true };
	t.like(await b.assign(request('three', wanted('10.0.0.9'))), {
		type: 'unavailable',
		reason: '10.0.0.9 is in block 10.0.0.0/26 of another node, and strictAffinity forbids borrowing',
	});
	t.deepEqual(await addressesOf(b.assign(request('four', wanted('10.0.0.70')))), ['10.0.0.70']);
	shared.pools = shared.pools.map((each) => ({ ...each, disabled: true }));
	t.like(await a.assign(request('five', wanted('10.0.0.10'))), {
		type: 'unavailable',
		pools: [{ pool: 'pods', reason: 'it is disabled' }],
	});
});

test('a refusal names the limit, the usage of each pool and the nodes that hold it', async (t) => {
	const shared = cluster({
		pools: [
			pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 31 }),
			pool({ name: 'gpus', cidr: prefixKey('10.9.0.0/24'), nodeSelector: 'gpu' }),
		],
		reservations: [prefixKey('10.0.0.3/32')],
	});
	const a = nodeOf(shared, 'node-a').allocator;
	for (const name of ['one', 'two', 'three']) await addressesOf(a.assign(request(name)));
	const refused = await nodeOf(shared, 'node-b').allocator.assign(request('four'));
	t.deepEqual(refused, {
		type: 'unavailable',
		family: 'ipv4',
		reason:
			'no free address: this node has no block of these pools, every block of the pools is claimed or reserved, and no other node has a free address',
		pools: [
			{ pool: 'gpus', reason: 'its nodeSelector gpu does not select this node' },
			{
				pool: 'pods',
				reason:
					'2 of 2 blocks are claimed, 3 of their 4 addresses are in use, 1 are reserved, most are with node-a (2, 3 in use)',
				usage: {
					blocks: { total: 2, claimed: 2 },
					addresses: { total: 4, used: 3, cooling: 0, reserved: 1 },
					holders: [{ node: 'node-a', blocks: 2, used: 3 }],
				},
			},
		],
		temporary: true,
	});
	shared.config = { ...shared.config, maxBlocksPerHost: 2, strictAffinity: true };
	t.like(await a.assign(request('five')), {
		reason:
			"no free address: the node's own blocks are full (10.0.0.0/31, 10.0.0.2/31), this node has 2 of at most 2 blocks (maxBlocksPerHost), and strictAffinity forbids borrowing",
	});
});

test('an address of a deleted pool can still be released', async (t) => {
	const shared = cluster();
	const { allocator } = nodeOf(shared);
	const [address = ''] = await addressesOf(allocator.assign(request('one')));
	for (const pools of [[], [pool({ blockSize: 28 })]]) {
		shared.pools = pools;
		t.is((await allocator.releaseAddress(address, { handleId: 'another owner' })).type, 'refused', 'it is found');
	}
	t.deepEqual(await allocator.releaseAddress(address), { type: 'released', addresses: [address] });
});

test('a partial assignment is rolled back when the other family fails', async (t) => {
	const shared = cluster({ pools: [pool(), pool6] });
	let broken = true;
	const { allocator } = nodeOf(shared, 'node-a', {
		cached: true,
		beforeWrite: async ({ kind, name, verb }) => {
			if (broken && kind === 'block' && verb === 'create' && name.startsWith('fd00'))
				throw new Error('the server is away');
		},
	});
	await t.throwsAsync(allocator.assign(request('both', { families: ['ipv4', 'ipv6'] })), {
		message: 'the server is away',
	});
	t.false(shared.handles.has('both'));
	t.deepEqual(
		[...shared.blocks.values()].flatMap(({ value }) => value.allocations.filter((index) => index !== null)),
		[],
	);
	broken = false;
	t.is((await addressesOf(allocator.assign(request('both', { families: ['ipv4', 'ipv6'] })))).length, 2);
});

test('a cooldown lasts at least its full time', async (t) => {
	const shared = cluster({
		pools: [pool({ cidr: prefixKey('10.0.0.0/32'), blockSize: 32 })],
		config: { ...new MemoryCluster().config, cooldownSeconds: 60 },
	});
	const clock = new FakeClock();
	const { allocator } = nodeOf(shared, 'node-a', { cached: true }, clock);
	clock.advance(900);
	await addressesOf(allocator.assign(request('one')));
	await allocator.release('one');
	clock.advance(59_999);
	t.is((await allocator.assign(request('two'))).type, 'unavailable');
	clock.advance(1000);
	t.is((await allocator.assign(request('two'))).type, 'assigned');
});

test('pools are selected by name, selector, use and family, and the result gives the reason for each excluded pool', async (t) => {
	const shared = cluster({
		pools: [
			pool({ name: 'b', nodeSelector: 'gpu' }),
			pool({ name: 'c', cidr: prefixKey('10.1.0.0/24'), assignmentMode: 'Manual' }),
			pool({ name: 'd', cidr: prefixKey('10.2.0.0/24'), disabled: true }),
			pool({ name: 'e', cidr: prefixKey('10.3.0.0/24'), allowedUses: ['Tunnel'] }),
			pool6,
		],
	});
	const { allocator } = nodeOf(shared);
	const refused = await allocator.assign(request('one'));
	t.deepEqual(refused.type === 'unavailable' ? refused.pools : [], [
		{ pool: 'b', reason: 'its nodeSelector gpu does not select this node' },
		{ pool: 'c', reason: 'its assignmentMode is Manual and it was not asked for' },
		{ pool: 'd', reason: 'it is disabled' },
		{ pool: 'e', reason: 'its allowedUses (Tunnel) do not contain Workload' },
		{ pool: 'pods6', reason: 'it is of ipv6' },
	]);
	t.regex((await addressesOf(allocator.assign(request('two', { pools: { ipv4: ['c'] } }))))[0] ?? '', /^10\.1\./);
});

/** Makes a block unreadable, and reports whether it is changed later. */
function broken(shared: MemoryCluster, cidr: string) {
	const name = blockName(prefixKey(cidr));
	spoilBlock(shared, name, prefixKey(cidr), 'spec.cidr is missing');
	const touched: string[] = [];
	return {
		name,
		touched,
		options: {
			cached: true,
			beforeWrite: async (what: { readonly name: string; readonly verb: string }) => {
				if (what.name.endsWith(name)) touched.push(`${what.verb} ${what.name}`);
			},
		},
	};
}

test('an unreadable block does not prevent assignment from other blocks, and its addresses are not assigned', async (t) => {
	const shared = cluster({ pools: [pool({ cidr: prefixKey('10.0.0.0/28'), blockSize: 30 })] });
	const { options, touched } = broken(shared, '10.0.0.4/30');
	const given: string[] = [];
	for (const node of ['node-a', 'node-b', 'node-c']) {
		const { allocator } = nodeOf(shared, node, options);
		for (let index = 0; index < 4; index++)
			given.push(...(await addressesOf(allocator.assign(request(`${node}-${index}`)))));
	}
	t.is(new Set(given).size, 12);
	t.false(given.some((address) => ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7'].includes(address)));
	const refused = await nodeOf(shared, 'node-d', options).allocator.assign(request('one-more'));
	t.regex(refused.type === 'unavailable' ? refused.reason : '', /; blocks that can not be read: 10-0-0-4-30$/);
	t.deepEqual(touched, []);
});

test('a requested address in an unreadable block is not assigned, under any object name', async (t) => {
	const shared = cluster();
	const { options, touched, name } = broken(shared, '10.0.0.64/26');
	const { allocator } = nodeOf(shared, 'node-a', options);
	const wanted = request('one', { addresses: { ipv4: '10.0.0.70' } });
	const reason = `10.0.0.70 may be held: ${name} can not be read: spec.cidr is missing`;
	t.like(await allocator.assign(wanted), { type: 'unavailable', reason, temporary: true });
	shared.unreadable.clear();
	shared.unreadable.set('odd', {
		name: 'odd',
		problem: 'its name is not that of its CIDR',
		cidrs: [prefixKey('10.0.0.64/26')],
	});
	t.like(await allocator.assign(wanted), { type: 'unavailable', temporary: true });
	t.deepEqual([touched, shared.blocks.size], [[], 0]);
	shared.unreadable.clear();
	t.deepEqual(await addressesOf(allocator.assign(wanted)), ['10.0.0.70']);
});

test('an unreadable block of this node is left for repair, and another block is claimed', async (t) => {
	const shared = cluster();
	const warm = nodeOf(shared);
	const [first = ''] = await addressesOf(warm.allocator.assign(request('one')));
	const [[, { value }]] = [...shared.blocks] as [[string, NonNullable<ReturnType<typeof shared.blocks.get>>]];
	const state = () => structuredClone([[...shared.affinities][0], [...shared.blocks][0]]);
	const { name } = broken(shared, value.cidr);
	const before = state();
	// The allocators' copies of the block are older: a write is refused because of the resource
	// version.
	for (const [index, { allocator }] of [warm, nodeOf(shared)].entries()) {
		const [second = ''] = await addressesOf(allocator.assign(request(`second-${index}`)));
		t.false(second === first);
		await allocator.finishClaims();
		await t.throwsAsync(allocator.release('one'), { message: `${name} can not be read: spec.cidr is missing` });
	}
	t.deepEqual(state(), before);
	t.true(shared.handles.has('one'));
	shared.unreadable.clear();
	t.deepEqual(await nodeOf(shared).allocator.release('one'), { type: 'released', addresses: [first] });
});

test('for a handle with addresses in several blocks the readable blocks are released despite an unreadable one', async (t) => {
	const shared = cluster({ pools: [pool(), pool6] });
	const { allocator } = nodeOf(shared, 'node-a', {});
	await addressesOf(allocator.assign(request('one', { families: ['ipv4', 'ipv6'] })));
	const four = [...shared.blocks.keys()].find((name) => name.startsWith('10-')) ?? '';
	shared.unreadable.set(four, { name: four, problem: 'broken', cidrs: [] });
	await t.throwsAsync(allocator.release('one'), { message: `${four} can not be read: broken` });
	t.deepEqual(Object.keys(shared.handles.get('one')?.value.blocks ?? {}).length, 1);
	t.true([...shared.blocks].filter(([name]) => name !== four).every(([, { value }]) => isEmpty(value)));
});

test('an allocated address that is wrongly in the free list is not assigned again', async (t) => {
	const shared = cluster({ pools: [pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 30 })] });
	const [first] = await addressesOf(nodeOf(shared).allocator.assign(request('one')));
	const [[name, entry]] = [...shared.blocks] as [[string, NonNullable<ReturnType<typeof shared.blocks.get>>]];
	shared.blocks.set(name, { ...entry, value: { ...entry.value, unallocated: [0, 9, ...entry.value.unallocated] } });
	const { allocator } = nodeOf(shared);
	const given = [];
	for (const pod of ['two', 'three', 'four']) given.push(...(await addressesOf(allocator.assign(request(pod)))));
	t.is(new Set([first, ...given]).size, 4);
	t.is((await allocator.assign(request('five'))).type, 'unavailable');
});

test('an empty block of a pool that does not select this node is withdrawn, then released; blocks in use or of a selecting pool stay', async (t) => {
	const pools = [
		pool({ name: 'left', nodeSelector: 'gpu', namespaceSelector: 'left' }),
		pool({ name: 'off', cidr: prefixKey('10.1.0.0/24'), nodeSelector: 'gpu' }),
		pool({ name: 'odd', cidr: prefixKey('10.2.0.0/24'), nodeSelector: 'odd', namespaceSelector: 'odd' }),
	];
	const shared = cluster({ pools });
	const { allocator } = nodeOf(shared);
	for (const { name } of pools) await addressesOf(allocator.assign(request(name, { pools: { ipv4: [name] } })));
	const claims = () =>
		[...shared.affinities.values()].map(({ value }) => `${value.cidr.slice(0, 5)} ${value.state}`).sort();
	const asked: string[] = [];
	const giveUp = (answer: boolean) =>
		allocator.giveUpUnselected(async (cidr) => {
			asked.push(`${claims().join(', ')}; block ${shared.blocks.has(blockName(cidr)) ? 'there' : 'gone'}`);
			return answer;
		});
	shared.pools = pools.map((each) => (each.name === 'off' ? { ...each, disabled: true } : each));
	await giveUp(true);
	t.deepEqual([asked, claims()], [[], ['10.0. confirmed', '10.1. confirmed', '10.2. confirmed']], 'in use');
	for (const { name } of pools) await allocator.release(name);
	await giveUp(false);
	const marked = '10.0. pendingDeletion, 10.1. confirmed, 10.2. confirmed; block there';
	t.deepEqual([asked, shared.blocks.size], [[marked], 3], 'announced still');
	await giveUp(true);
	t.deepEqual([asked, claims(), shared.blocks.size], [[marked, marked], ['10.1. confirmed', '10.2. confirmed'], 2]);
	shared.nodeLabels['node-a'] = { gpu: '' };
	shared.pools = pools;
	await addressesOf(allocator.assign(request('again', { namespace: 'n', pools: { ipv4: ['left'] } })));
	await allocator.release('again');
	await giveUp(true);
	t.is(claims().length, 3, 'selected');
});

test('a block held only by a cooldown reports its release time, a still announced block a retry time, a block in use none', async (t) => {
	const pools = [pool({ name: 'left', nodeSelector: 'gpu', namespaceSelector: 'left' })];
	const shared = cluster({
		pools,
		config: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSeconds: 60 },
	});
	const clock = new FakeClock();
	const { allocator } = nodeOf(shared, 'node-a', { cached: true }, clock);
	const giveUp = (answer = true) => allocator.giveUpUnselected(async () => answer);
	await addressesOf(allocator.assign(request('one', { pools: { ipv4: ['left'] } })));
	await addressesOf(allocator.assign(request('two', { pools: { ipv4: ['left'] } })));
	t.is(await giveUp(), undefined, 'in use: its owner gives it back');
	await allocator.release('one');
	clock.advance(10_000);
	t.is(await giveUp(), undefined, 'one is in use still');
	await allocator.release('two');
	t.is(await giveUp(), 60_000, 'the last one counts');
	clock.advance(45_500);
	t.is(await giveUp(), 14_500);
	clock.advance(14_500);
	t.is(await giveUp(false), 30_000, 'announced still');
	t.is(shared.blocks.size, 1);
	t.is(await giveUp(), undefined);
	t.deepEqual([shared.blocks.size, shared.affinities.size], [0, 0]);
});

const notToBeHad: readonly { readonly title: string; readonly asked: readonly string[]; readonly reason: string }[] = [
	{ title: 'an unknown name', asked: ['good', 'typo'], reason: 'typo (there is no such pool)' },
	{ title: 'a CIDR without a pool', asked: ['good', '10.8.0.0/24'], reason: '10.8.0.0/24 (there is no such pool)' },
	{ title: 'a disabled pool', asked: ['off', 'good'], reason: 'off (it is disabled)' },
	{ title: 'a pool that is being deleted', asked: ['good', 'leaving'], reason: 'leaving (it is being deleted)' },
	{ title: 'a pool of the other family', asked: ['good', 'pods6'], reason: 'pods6 (it is of ipv6)' },
	{
		title: 'two unusable pools',
		asked: ['typo', 'good', 'off'],
		reason: 'typo (there is no such pool), off (it is disabled)',
	},
];
for (const { title, asked, reason } of notToBeHad)
	test(`a request for an unusable pool assigns no address of other pools: ${title}`, async (t) => {
		const shared = cluster({
			pools: [
				pool({ name: 'good' }),
				pool({ name: 'off', cidr: prefixKey('10.1.0.0/24'), disabled: true }),
				pool({ name: 'leaving', cidr: prefixKey('10.2.0.0/24'), terminating: true }),
				pool6,
			],
		});
		const { allocator } = nodeOf(shared);
		t.like(await allocator.assign(request('one', { pools: { ipv4: asked } })), {
			type: 'unavailable',
			reason: `what was asked for is no pool of this family that is enabled: ${reason}`,
			temporary: false,
		});
		t.deepEqual([shared.blocks.size, shared.handles.size], [0, 0]);
		const [given = ''] = await addressesOf(allocator.assign(request('two', { pools: { ipv4: ['good'] } })));
		t.deepEqual(
			await addressesOf(allocator.assign(request('two', { pools: { ipv4: asked } }))),
			[given],
			'an owner keeps its address',
		);
		const certain = request('three', { pools: { ipv4: asked }, addresses: { ipv4: '10.0.0.9' } });
		t.deepEqual(await addressesOf(allocator.assign(certain)), ['10.0.0.9'], 'of a certain address pools say nothing');
	});

test('reserved addresses are skipped', async (t) => {
	const shared = cluster({
		pools: [pool({ cidr: prefixKey('10.0.0.0/26') })],
		reservations: [prefixKey('10.0.0.0/27'), prefixKey('10.0.0.40/32')],
	});
	const { allocator } = nodeOf(shared);
	const given = [];
	for (let index = 0; index < 31; index++)
		given.push(...(await addressesOf(allocator.assign(request(`pod-${index}`)))));
	t.is(new Set(given).size, 31);
	t.true(given.every((address) => Number(address.split('.')[3]) >= 32 && address !== '10.0.0.40'));
	t.is((await allocator.assign(request('one-more'))).type, 'unavailable');
});

test('with a cooldown a released address is unassigned but not free until the cooldown ends', async (t) => {
	const shared = cluster({
		pools: [pool({ cidr: prefixKey('10.0.0.0/30'), blockSize: 30 })],
		config: { ...new MemoryCluster().config, cooldownSeconds: 60 },
	});
	const { allocator } = nodeOf(shared);
	for (let index = 0; index < 4; index++) await addressesOf(allocator.assign(request(`pod-${index}`)));
	await allocator.release('pod-0');
	t.is((await allocator.assign(request('next'))).type, 'unavailable');
	const [[name, entry]] = [...shared.blocks] as [[string, NonNullable<ReturnType<typeof shared.blocks.get>>]];
	t.false(isEmpty(entry.value));
	const attributes = entry.value.attributes.map((attribute) =>
		attribute.releasedAt === undefined ? attribute : { ...attribute, releasedAt: '2020-01-01T00:00:00Z' },
	);
	shared.blocks.set(name, { ...entry, version: 'later', value: { ...entry.value, attributes } });
	t.is((await addressesOf(nodeOf(shared).allocator.assign(request('next')))).length, 1);
});

test('nothing is written while the datastore is locked, and the result gives the reason', async (t) => {
	const shared = cluster({ readOnlyReason: 'ClusterInformation default has datastoreReady: false' });
	const { allocator, store } = nodeOf(shared);
	t.like(await allocator.assign(request('one')), {
		type: 'unavailable',
		reason: 'ClusterInformation default has datastoreReady: false',
		temporary: true,
	});
	t.is(store.counts.writes, 0);
});

test('an address is not released for a handle or sequence number that is no longer current', async (t) => {
	const shared = cluster();
	const { allocator } = nodeOf(shared);
	const [address = ''] = await addressesOf(allocator.assign(request('one')));
	t.deepEqual(await allocator.releaseAddress(address, { handleId: 'older' }), {
		type: 'refused',
		address,
		reason: 'handle',
	});
	t.deepEqual(await allocator.releaseAddress(address, { sequenceNumber: 1n }), {
		type: 'refused',
		address,
		reason: 'sequence-number',
	});
	t.deepEqual(await allocator.releaseAddress(address, { handleId: 'one' }), { type: 'released', addresses: [address] });
	t.false(shared.handles.has('one'));
});

test('a block whose addresses have all cooled down is empty before any write records it', async (t) => {
	const shared = cluster({
		config: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSeconds: 60 },
	});
	const { allocator, store } = nodeOf(shared);
	const [block] = await blocksOf(allocator.assign(request('one')));
	if (block === undefined) throw new RangeError('no block');
	await allocator.release('one');
	const giveUp = (ms: number) =>
		giveUpBlock(
			{
				store,
				clock: { ...systemClock, wallMs: () => Date.now() + ms },
				retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
			},
			'node-a',
			block,
			{ requireEmpty: true },
		);
	t.is(await giveUp(0), 'not-empty');
	t.is(await giveUp(61_000), 'released');
});

async function blocksOf(result: ReturnType<Allocator['assign']>) {
	const outcome = await result;
	return outcome.type === 'assigned' ? outcome.addresses.map(({ block }) => block) : [];
}
