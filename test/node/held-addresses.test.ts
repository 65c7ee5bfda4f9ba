import test from 'ava';
import { type PrefixKey, prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, blockName, conflictRetry, newBlock } from '../../src/ipam/index.ts';
import { HeldAddresses } from '../../src/node/held-addresses.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { testPool } from '../support/pool.ts';

const other = prefixKey('10.0.0.0/29');
const turns = async () => {
	for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

function setUp() {
	const shared = Object.assign(new MemoryCluster(), {
		pools: [testPool({ cidr: prefixKey('10.0.0.0/29'), blockSize: 29 })],
	});
	// Block of another node, so that every address here is borrowed.
	shared.blocks.set(blockName(other), { value: newBlock(other, 'b', '2026-01-01T00:00:00Z', 1n), version: '1' });
	const clock = new FakeClock();
	const own = new Set<PrefixKey>();
	const watched = new Map<PrefixKey, () => void>();
	let changes = 0;
	const process = () => {
		const store = memoryStore(shared);
		const held = new HeldAddresses({
			node: 'a',
			store,
			isOwn: (block) => own.has(block),
			watch: (block, changed) => {
				watched.set(block, changed);
				return () => watched.delete(block);
			},
			changed: () => changes++,
			clock,
			log: silentLogger,
		});
		const allocator = new Allocator({
			node: 'a',
			store,
			clock: systemClock,
			random: Math.random,
			retry: conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 }),
			log: silentLogger,
			selectorMatches: () => true,
			observer: held,
		});
		return { held, allocator };
	};
	return { shared, clock, own, watched, process, changes: () => changes };
}

const request = (handleId: string) => ({
	handleId,
	attributes: { node: 'a' },
	families: ['ipv4'] as const,
	use: 'Workload' as const,
});

test('a borrowed address is held from its ADD to its DEL', async (t) => {
	const { process, changes } = setUp();
	const { held, allocator } = process();
	const result = await allocator.assign(request('one'));
	const address = result.type === 'assigned' ? result.addresses[0]?.address : undefined;
	t.deepEqual([...held.addresses], [address]);
	t.is(changes(), 1);
	await allocator.release('one');
	t.deepEqual([...held.addresses], []);
	t.is(changes(), 2);
});

test('a new process finds the borrowed addresses of the previous process', async (t) => {
	const { process, shared } = setUp();
	await process().allocator.assign(request('one'));
	await process().allocator.assign({ ...request('foreign'), attributes: { node: 'c' } });
	const next = process().held;
	next.start();
	await turns();
	t.is(next.addresses.size, 1);
	t.is([...shared.blocks.values()][0]?.value.allocations.filter((index) => index !== null).length, 2);
	next.stop();
});

test('an address that another process releases is dropped at the event of its block', async (t) => {
	const { process, clock, watched, changes } = setUp();
	const { held, allocator } = process();
	held.start();
	await turns();
	await allocator.assign(request('one'));
	clock.advance(1000);
	t.deepEqual([...watched.keys()], [other]);
	await process().allocator.release('one');
	const before = changes();
	watched.get(other)?.();
	await turns();
	t.is(held.addresses.size, 0);
	t.is(changes(), before + 1);
	clock.advance(1000);
	t.is(watched.size, 0, 'a block without addresses of this node is not watched');
	held.stop();
	t.is(clock.pendingCount, 0);
});

test('an address that is assigned while its block is read after an event stays held', async (t) => {
	const { process, clock, watched } = setUp();
	const { held, allocator } = process();
	held.start();
	await turns();
	await allocator.assign(request('one'));
	clock.advance(1000);
	watched.get(other)?.();
	const second = allocator.assign(request('two'));
	watched.get(other)?.();
	await second;
	await turns();
	t.is(held.addresses.size, 2);
	held.stop();
});

test('blocks of this node are not watched, and a block is watched once it is lost', async (t) => {
	const { process, own, clock, watched } = setUp();
	own.add(other);
	const { held, allocator } = process();
	held.start();
	await turns();
	await allocator.assign(request('one'));
	clock.advance(1000);
	t.is(watched.size, 0);
	own.delete(other);
	clock.advance(60_000);
	await turns();
	t.deepEqual([...watched.keys()], [other]);
	held.stop();
	t.is(watched.size, 0);
});

test('an address that another process releases is dropped one minute later, without an event', async (t) => {
	const { process, clock, changes } = setUp();
	const { held, allocator } = process();
	held.start();
	await turns();
	await allocator.assign(request('one'));
	await process().allocator.release('one');
	t.is(held.addresses.size, 1);
	const before = changes();
	clock.advance(60_000);
	await turns();
	t.is(held.addresses.size, 0);
	t.is(changes(), before + 1);
	held.stop();
});

test('addresses of own blocks have no effect until the block is no longer own', async (t) => {
	const { process, own, clock, changes } = setUp();
	own.add(other);
	const { held, allocator } = process();
	held.start();
	await turns();
	await allocator.assign(request('one'));
	t.is(changes(), 0);
	own.delete(other);
	clock.advance(60_000);
	await turns();
	t.is(held.addresses.size, 1);
	held.stop();
});

test('an address assigned while all blocks are read stays held, although the list is older', async (t) => {
	const { process } = setUp();
	const { held, allocator } = process();
	held.start();
	// The list has begun, and takes a turn of the event loop.
	await Promise.resolve();
	const given = allocator.assign(request('one'));
	held.given('10.0.0.6', other);
	await given;
	await turns();
	t.true(held.addresses.has('10.0.0.6'));
	held.stop();
});
