import test, { type ExecutionContext } from 'ava';
import { type PrefixKey, prefixKey, silentLogger } from '../../src/core/index.ts';
import {
	Allocator,
	type AssignRequest,
	type AssignResult,
	addressToOrdinal,
	affinityName,
	blockName,
	conflictRetry,
	type IpamStore,
	isHeld,
	newBlock,
	type Pool,
} from '../../src/ipam/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type BeforeWrite, changeBlock, MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const small = prefixKey('10.20.0.0/30');

/** The only pool of these tests; its first block is 10.20.0.0/28, or `small`. */
const poolOf = (blockSize: number, version: string): Pool =>
	testPool({ cidr: prefixKey('10.20.0.0/27'), blockSize, version });

const clusterOf = (pool: Pool) => Object.assign(new MemoryCluster(), { pools: [pool] });

interface TestNode {
	readonly allocator: Allocator;
	readonly clock: FakeClock;
	/** The node's older copy of the pools; `undefined`: the copy is current. */
	stale: readonly Pool[] | undefined;
	/** Runs before the node lists the names of blocks. */
	beforeList: () => Promise<void>;
	/** Runs between a write of a block and the answer to it. */
	afterWrite: () => Promise<void>;
}

function nodeOf(shared: MemoryCluster, node: string, beforeWrite: BeforeWrite = async () => {}): TestNode {
	const real = memoryStore(shared, { beforeWrite });
	const state = {
		stale: undefined as readonly Pool[] | undefined,
		beforeList: async () => {},
		afterWrite: async () => {},
	};
	const { blocks } = real;
	const store: IpamStore = {
		...real,
		blocks: {
			read: (name, fresh) => blocks.read(name, fresh),
			create: (name, value) => blocks.create(name, value),
			write: async (name, next) => {
				const written = await blocks.write(name, next);
				await state.afterWrite();
				return written;
			},
			remove: (name, seen) => blocks.remove(name, seen),
			list: () => blocks.list(),
		},
		pools: async (fresh) => (fresh === 'fresh' ? undefined : state.stale) ?? real.pools(fresh),
		blockCidrs: async () => {
			await state.beforeList();
			return real.blockCidrs();
		},
	};
	const clock = new FakeClock();
	const random = () => 0.5;
	const retry = conflictRetry(random, { firstMs: 0.1, mostMs: 1 });
	const allocator = new Allocator({
		...{ node, store, clock, random, retry, log: silentLogger },
		selectorMatches: () => true,
	});
	return Object.assign(state, { allocator, clock });
}

const request = (handleId: string, address?: string): AssignRequest => ({
	handleId,
	attributes: {},
	families: ['ipv4'],
	use: 'Workload',
	...(address === undefined ? {} : { addresses: { ipv4: address } }),
});

const addressOf = (result: AssignResult): string =>
	result.type === 'assigned' ? (result.addresses[0]?.address ?? '') : 'unavailable';

/** A foreign writer makes a block, by its name alone, and holds one address of it. */
function foreignBlock(shared: MemoryCluster, cidr: PrefixKey, address: string): void {
	const version = `${++shared.version}`;
	shared.blocks.set(blockName(cidr), { value: newBlock(cidr, 'calico', '2026-01-01T00:00:00Z', 1n), version });
	const ordinal = addressToOrdinal(cidr, address) ?? 0;
	changeBlock(shared, blockName(cidr), (block) => ({
		...block,
		allocations: block.allocations.map((index, each) => (each === ordinal ? 0 : index)),
		unallocated: block.unallocated.filter((each) => each !== ordinal),
		attributes: [{ handleId: 'calico.x', secondary: {}, releasedAt: undefined, other: {} }],
	}));
}

/** No address that was given is held in two blocks, and no two requests have one address. */
function assertUnique(t: ExecutionContext, shared: MemoryCluster, results: readonly AssignResult[]): void {
	const given = results.map(addressOf).filter((address) => address !== 'unavailable');
	t.is(new Set(given).size, given.length, given.join(', '));
	for (const address of given) {
		const holders = [...shared.blocks.values()].flatMap(({ value }) => {
			const ordinal = addressToOrdinal(value.cidr, address);
			return ordinal !== undefined && isHeld(value, ordinal) ? [value.cidr] : [];
		});
		t.is(holders.length, 1, `${address} is held in ${holders.join(', ')}`);
	}
}

const turns = async (count: number) => {
	for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A node with the block 10.20.0.0/28 and its first address: the next one is 10.20.0.1. */
async function warmNode(shared: MemoryCluster, beforeWrite?: BeforeWrite): Promise<TestNode> {
	const node = nodeOf(shared, 'a', beforeWrite);
	await node.allocator.assign(request('net.first', '10.20.0.0'));
	return node;
}

test('a pool changes, and a foreign writer overlaps the block, while an address of the block is written', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	let act = () => {};
	const node = await warmNode(shared, async ({ kind }) => {
		if (kind === 'block') act();
	});
	act = () => {
		act = () => {};
		shared.pools = [poolOf(30, '2')];
		foreignBlock(shared, small, '10.20.0.1');
	};
	assertUnique(t, shared, [await node.allocator.assign(request('net.second'))]);
});

test('a pool changes to another block size and back between two requests of a node', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	const node = await warmNode(shared);
	shared.pools = [poolOf(30, '2')];
	foreignBlock(shared, small, '10.20.0.1');
	shared.pools = [poolOf(28, '3')];
	const before = shared.blocks.get('10-20-0-0-28');
	assertUnique(t, shared, [await node.allocator.assign(request('net.second'))]);
	t.is(shared.blocks.get('10-20-0-0-28'), before);
});

test('a pool changes to another block size and back while an address is written', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	let act = () => {};
	const node = await warmNode(shared, async ({ kind }) => {
		if (kind === 'block') act();
	});
	act = () => {
		act = () => {};
		foreignBlock(shared, small, '10.20.0.1');
		shared.pools = [poolOf(28, '3')];
	};
	assertUnique(t, shared, [await node.allocator.assign(request('net.second'))]);
});

test('a foreign writer overlaps a block of an earlier size while an address of it is written, long after the change', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	let act = () => {};
	const node = await warmNode(shared, async ({ kind }) => {
		if (kind === 'block') act();
	});
	shared.pools = [poolOf(30, '2')];
	for (const handle of ['net.second', 'net.third']) {
		await node.allocator.assign(request(handle));
		node.clock.advance(60 * 60_000);
	}
	act = () => {
		act = () => {};
		foreignBlock(shared, small, '10.20.0.3');
	};
	assertUnique(t, shared, [await node.allocator.assign(request('net.fourth'))]);
});

test('a node has an older copy of the pools, in a cluster with blocks of several sizes', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	foreignBlock(shared, prefixKey('10.20.0.16/29'), '10.20.0.16');
	const node = await warmNode(shared);
	node.stale = shared.pools;
	shared.pools = [poolOf(30, '2')];
	foreignBlock(shared, small, '10.20.0.1');
	assertUnique(t, shared, [await node.allocator.assign(request('net.second'))]);
});

test('a node has an older copy of the pools, some minutes after another change of them', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	const node = await warmNode(shared);
	shared.pools = [poolOf(28, '2')];
	t.is(addressOf(await node.allocator.assign(request('net.second'))), '10.20.0.1');
	node.clock.advance(5 * 60_000);
	t.is(addressOf(await node.allocator.assign(request('net.third'))), '10.20.0.2');
	node.stale = shared.pools;
	shared.pools = [poolOf(30, '3')];
	foreignBlock(shared, small, '10.20.0.3');
	assertUnique(t, shared, [await node.allocator.assign(request('net.fourth'))]);
});

test('a foreign writer has an older copy of the pools: it makes a block of the size that the pool had', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	const node = await warmNode(shared);
	shared.pools = [poolOf(28, '2')];
	t.is(addressOf(await node.allocator.assign(request('net.second'))), '10.20.0.1');
	node.clock.advance(1000);
	t.is(addressOf(await node.allocator.assign(request('net.third'))), '10.20.0.2');
	foreignBlock(shared, small, '10.20.0.3');
	assertUnique(t, shared, [await node.allocator.assign(request('net.fourth'))]);
});

test('a foreign writer with an older copy of the pools makes a block after the last list of a node, and a minute passes', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	const node = await warmNode(shared);
	shared.pools = [poolOf(28, '2')];
	t.is(addressOf(await node.allocator.assign(request('net.second'))), '10.20.0.1');
	node.clock.advance(1000);
	t.is(addressOf(await node.allocator.assign(request('net.third'))), '10.20.0.2');
	foreignBlock(shared, small, '10.20.0.3');
	node.clock.advance(2 * 60_000);
	assertUnique(t, shared, [await node.allocator.assign(request('net.fourth'))]);
});

test('no request uses a block before the claim of it is checked against blocks that were made meanwhile', async (t) => {
	const shared = clusterOf(poolOf(28, '2'));
	const other = nodeOf(shared, 'c');
	const results: Promise<AssignResult>[] = [];
	const node = nodeOf(shared, 'a', async ({ kind, verb, name }) => {
		// The other node's block comes between the first list and the block of this node, and gives
		// an address.
		if (kind !== 'block' || verb !== 'create' || name !== blockName(small)) return;
		results.push(other.allocator.assign(request('net.other', '10.20.0.0')));
		await results[0];
		node.beforeList = async () => {
			node.beforeList = async () => {};
			results.push(node.allocator.assign(request('net.late')));
			await turns(50);
		};
	});
	node.stale = [poolOf(30, '1')];
	await node.allocator
		.assign(request('net.claimer', '10.20.0.1'))
		.then((result) => results.push(Promise.resolve(result)));
	assertUnique(t, shared, await Promise.all(results));
	t.is(results.length, 3);
});

test('a claim is not confirmed, and not announced, while another block overlaps its block', async (t) => {
	const shared = clusterOf(poolOf(28, '2'));
	const other = nodeOf(shared, 'c');
	const states: (string | undefined)[] = [];
	const node = nodeOf(shared, 'a', async ({ kind, verb, name }) => {
		states.push(shared.affinities.get(affinityName('a', small))?.value.state);
		if (kind === 'block' && verb === 'create' && name === blockName(small))
			await other.allocator.assign(request('net.other', '10.20.0.0'));
	});
	node.stale = [poolOf(30, '1')];
	await node.allocator.assign(request('net.claimer', '10.20.0.1'));
	states.push(shared.affinities.get(affinityName('a', small))?.value.state);
	t.true(states.includes('pending'));
	t.false(states.includes('confirmed'));
	t.is(states.at(-1), undefined);
	t.false(shared.blocks.has(blockName(small)));
});

test('a block to borrow from is given up, and made anew beside an overlapping block, while an address of it is written', async (t) => {
	const shared = clusterOf(poolOf(30, '1'));
	const owner = nodeOf(shared, 'b');
	await owner.allocator.assign(request('net.owner', '10.20.0.1'));
	const other = nodeOf(shared, 'c');
	other.stale = [poolOf(28, '2')];
	let overlapping: AssignResult | undefined;
	const borrower = nodeOf(shared, 'a', async ({ kind }) => {
		if (kind !== 'block' || overlapping !== undefined) return;
		shared.blocks.delete(blockName(small));
		shared.affinities.delete(affinityName('b', small));
		overlapping = await other.allocator.assign(request('net.other', '10.20.0.0'));
		// The claim of its owner, before the owner lists the blocks again.
		shared.blocks.set(blockName(small), {
			value: newBlock(small, 'b', '2026-01-01T00:00:00Z', 2n),
			version: `${++shared.version}`,
		});
	});
	const borrowed = await borrower.allocator.assign(request('net.borrower', '10.20.0.0'));
	t.is(overlapping && addressOf(overlapping), '10.20.0.0');
	assertUnique(t, shared, [borrowed, ...(overlapping === undefined ? [] : [overlapping])]);
});

for (const answer of ['before', 'after'] as const)
	test(`an own block is given up, and claimed anew beside an overlapping block, while an address of it is written: the answer comes ${answer} the check of the claim`, async (t) => {
		const shared = clusterOf(poolOf(30, '1'));
		const other = nodeOf(shared, 'c');
		other.stale = [poolOf(28, '2')];
		const results: Promise<AssignResult>[] = [];
		const progress: { step: 'warm' | 'written' | 'claiming' | 'claimed' } = { step: 'warm' };
		const node = nodeOf(shared, 'a', async ({ kind, verb, name }) => {
			if (progress.step === 'written' && kind === 'block' && verb === 'write') {
				// Before the first write: the block goes, and another request claims it.
				progress.step = 'claiming';
				shared.blocks.delete(blockName(small));
				shared.affinities.delete(affinityName('a', small));
				const reached = new Promise<void>((resolve) => {
					node.beforeList = async () => {
						if (progress.step !== 'claimed') return;
						node.beforeList = async () => {};
						resolve();
						await written;
						if (answer === 'before') await turns(50);
					};
				});
				const written = new Promise<void>((resolve) => {
					node.afterWrite = async () => {
						node.afterWrite = async () => {};
						resolve();
						if (answer === 'after') await claimer;
					};
				});
				const claimer = node.allocator.assign(request('net.claimer', '10.20.0.2'));
				results.push(claimer);
				await reached;
			} else if (progress.step === 'claiming' && kind === 'block' && verb === 'create' && name === blockName(small)) {
				results.push(other.allocator.assign(request('net.other', '10.20.0.0')));
				await results.at(-1);
				progress.step = 'claimed';
			}
		});
		await node.allocator.assign(request('net.first', '10.20.0.1'));
		Object.assign(progress, { step: 'written' });
		results.push(node.allocator.assign(request('net.second')));
		await results[0];
		const all = await Promise.all(results);
		t.like(progress, { step: 'claimed' });
		t.is(all.length, 3);
		assertUnique(t, shared, all);
	});

test('an address of a block with the size of its pool costs no read while pools and sizes do not change', async (t) => {
	const shared = clusterOf(poolOf(28, '1'));
	let lists = 0;
	const node = await warmNode(shared);
	node.beforeList = async () => {
		lists++;
	};
	for (let index = 0; index < 5; index++) await node.allocator.assign(request(`net.${index}`));
	t.is(lists, 0);
	shared.pools = [poolOf(28, '2')];
	await node.allocator.assign(request('net.changed'));
	t.true(lists > 0);
	node.clock.advance(60_001);
	lists = 0;
	for (let index = 0; index < 3; index++) await node.allocator.assign(request(`net.later${index}`));
	t.is(lists, 1);
});
