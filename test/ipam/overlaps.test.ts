import test from 'ava';
import * as fc from 'fast-check';
import {
	type PrefixKey,
	parsePrefix,
	prefixCovers,
	prefixKey,
	silentLogger,
	systemClock,
} from '../../src/core/index.ts';
import {
	Allocator,
	type AssignRequest,
	addressToOrdinal,
	blockName,
	conflictRetry,
	findInconsistencies,
	newBlock,
	overlappingPairs,
	reportAddress,
} from '../../src/ipam/index.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const anyBlock = fc
	.tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 24, max: 32 }))
	.map(([host, length]) => prefixKey(`10.0.0.${host}/${length}`, 'clear'));

test('overlapping pairs are those where one prefix contains the other', (t) => {
	fc.assert(
		fc.property(fc.uniqueArray(anyBlock, { maxLength: 12 }), (cidrs) => {
			const expected = cidrs.flatMap((outer) =>
				cidrs
					.filter((inner) => inner !== outer && prefixCovers(parsePrefix(outer), parsePrefix(inner)))
					.map((inner) => `${outer} ${inner}`),
			);
			t.deepEqual(
				overlappingPairs(cidrs)
					.map((pair) => pair.join(' '))
					.sort(),
				expected.sort(),
			);
		}),
		{ numRuns: 500 },
	);
});

const resize = (blockSize: number) => testPool({ name: 'resize', cidr: prefixKey('172.27.90.0/27'), blockSize });

function nodeOf(shared: MemoryCluster, node: string, pools?: MemoryCluster['pools']) {
	const store = memoryStore(shared);
	return new Allocator({
		node,
		// A copy of the pools that is older than the cluster's.
		store: pools === undefined ? store : { ...store, pools: async () => pools },
		clock: systemClock,
		random: Math.random,
		retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
		log: silentLogger,
		selectorMatches: () => true,
	});
}

const request = (node: string, handleId: string, more: Partial<AssignRequest> = {}): AssignRequest => ({
	handleId,
	attributes: { node, pod: handleId, namespace: 'default' },
	families: ['ipv4'],
	use: 'Workload',
	...more,
});

const heldTwice = ({ blocks }: MemoryCluster): string[] => {
	const all = [...blocks.values()].map(({ value }) => value);
	return findInconsistencies({ pools: [], blocks: all, affinities: [], handles: [] })
		.filter(({ problem }) => problem.includes('twice'))
		.map(({ subject }) => subject);
};

const sizes: readonly [before: number, after: number][] = [
	[29, 28],
	[29, 27],
	[28, 29],
	[28, 30],
	[30, 32],
];
for (const [before, after] of sizes) {
	test(`a pool recreated with blocks of /${after} in place of /${before}: no address is assigned twice`, async (t) => {
		const shared = Object.assign(new MemoryCluster(), { pools: [resize(before)] });
		const given: string[] = [];
		const take = async (node: string, handle: string) => {
			const result = await nodeOf(shared, node).assign(request(node, handle));
			if (result.type === 'assigned') given.push(...result.addresses.map(({ address }) => address));
			return result.type;
		};
		for (let index = 0; index < 3; index++) {
			await take('a', `za${index}`);
			await take('b', `zb${index}`);
		}
		shared.pools = [resize(after)];
		for (let index = 0; index < 20; index++) {
			await take('a', `ya${index}`);
			await take('b', `yb${index}`);
		}
		t.is(new Set(given).size, given.length);
		t.true(given.length > 6);
		t.deepEqual(heldTwice(shared), []);
		t.deepEqual(overlappingPairs([...shared.blocks.values()].map(({ value }) => value.cidr)), []);
	});
}

test('two nodes with pool copies of different age claim concurrently: their blocks do not overlap', async (t) => {
	for (let round = 0; round < 50; round++) {
		const shared = Object.assign(new MemoryCluster(), { pools: [resize(28)] });
		const nodes = [
			nodeOf(shared, 'a', [resize(29)]),
			nodeOf(shared, 'b', [resize(28)]),
			nodeOf(shared, 'c', [resize(30)]),
		];
		const results = await Promise.all(
			nodes.flatMap((node, index) => ['x', 'y'].map((pod) => node.assign(request(`${index}`, `${pod}${index}`)))),
		);
		const given = results.flatMap((result) => (result.type === 'assigned' ? result.addresses : []));
		t.is(new Set(given.map(({ address }) => address)).size, given.length);
		t.deepEqual(heldTwice(shared), []);
	}
});

/** A foreign writer created two overlapping blocks. */
function overlapping(): MemoryCluster {
	const shared = Object.assign(new MemoryCluster(), { pools: [resize(28)] });
	for (const [node, text] of [
		['a', '172.27.90.0/29'],
		['b', '172.27.90.0/28'],
	] as const) {
		const cidr = prefixKey(text);
		shared.blocks.set(blockName(cidr), { value: newBlock(cidr, node, '2026-01-01T00:00:00Z', 1n), version: '1' });
		shared.affinities.set(`${node}-${blockName(cidr)}`, {
			value: { state: 'confirmed', node, type: 'host', cidr, deleted: false, other: {} },
			version: '1',
		});
	}
	return shared;
}

test('overlapping blocks assign no addresses: another block is claimed', async (t) => {
	const shared = overlapping();
	for (const node of ['a', 'b']) {
		const result = await nodeOf(shared, node).assign(request(node, `h${node}`));
		t.is(result.type === 'assigned' ? result.addresses[0]?.block : result.reason, prefixKey('172.27.90.16/28'));
	}
});

test('a requested address in two blocks is refused, and both blocks are named', async (t) => {
	const asked = request('a', 'h', { addresses: { ipv4: '172.27.90.3' } });
	const result = await nodeOf(overlapping(), 'a').assign(asked);
	t.is(
		result.type === 'unavailable' ? result.reason : '',
		'172.27.90.3 is in several blocks, which overlap (172.27.90.0/29, 172.27.90.0/28): none of them gives addresses',
	);
});

test('a requested address is assigned from the block that contains it, at any current block size of the pool', async (t) => {
	const shared = Object.assign(new MemoryCluster(), { pools: [resize(29)] });
	await nodeOf(shared, 'a').assign(request('a', 'first', { addresses: { ipv4: '172.27.90.1' } }));
	shared.pools = [resize(28)];
	const second = await nodeOf(shared, 'a').assign(request('a', 'second', { addresses: { ipv4: '172.27.90.2' } }));
	t.is(second.type === 'assigned' ? second.addresses[0]?.block : second.reason, prefixKey('172.27.90.0/29'));
	const third = await nodeOf(shared, 'a').assign(request('a', 'third', { addresses: { ipv4: '172.27.90.9' } }));
	t.is(
		third.type === 'unavailable' ? third.reason : '',
		'172.27.90.9 is in no block, and a block of it, 172.27.90.0/28, would overlap 172.27.90.0/29',
	);
});

test('check reports overlapping blocks and addresses assigned in both; show reports the block that assigned an address', async (t) => {
	const shared = overlapping();
	const small = prefixKey('172.27.90.0/29');
	const large = prefixKey('172.27.90.0/28');
	const give = (cidr: PrefixKey, address: string, pod: string) => {
		const found = shared.blocks.get(blockName(cidr));
		if (found === undefined) throw new Error('no block');
		const ordinal = addressToOrdinal(cidr, address) ?? -1;
		const attribute = { handleId: pod, secondary: { pod, namespace: 'n' }, releasedAt: undefined, other: {} };
		const { value } = found;
		shared.blocks.set(blockName(cidr), {
			version: '2',
			value: {
				...value,
				allocations: value.allocations.map((index, each) => (each === ordinal ? value.attributes.length : index)),
				unallocated: value.unallocated.filter((each) => each !== ordinal),
				attributes: [...value.attributes, attribute],
			},
		});
	};
	give(small, '172.27.90.1', 'one');
	give(large, '172.27.90.1', 'other');
	give(small, '172.27.90.2', 'third');
	const blocks = [...shared.blocks.values()].map(({ value }) => value);
	const found = findInconsistencies({ pools: [resize(28)], blocks, affinities: [], handles: [] });
	t.deepEqual(
		found
			.filter(({ problem }) => /overlaps|twice/.test(problem))
			.map(({ subject, problem }) => `${subject}: ${problem}`),
		[
			`${small}: it overlaps block ${large}: neither gives addresses any more`,
			`172.27.90.1: it is given twice, in block ${large} to n/other and in block ${small} to n/one`,
		],
	);
	t.like(reportAddress([...blocks].reverse(), '172.27.90.2'), {
		block: small,
		state: 'used',
		handleId: 'third',
		overlappingBlocks: [large],
	});
	// The address of this owner is released, not the one in the block of the pool's size.
	const allocator = nodeOf(shared, 'a');
	t.deepEqual(await allocator.releaseAddress('172.27.90.2'), { type: 'released', addresses: ['172.27.90.2'] });
	t.is(shared.blocks.get(blockName(small))?.value.allocations[2], null);
});
