import test from 'ava';
import * as fc from 'fast-check';
import { prefixKey, silentLogger, systemClock } from '../../src/core/index.ts';
import { Allocator, blockProblems, conflictRetry, isEmpty, ordinalsOfHandle, type Pool } from '../../src/ipam/index.ts';
import { CrashError, MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';

/** Twelve addresses in three blocks: small, so that blocks fill up, are borrowed from and fought over. */
const pool: Pool = {
	name: 'pods',
	cidr: prefixKey('10.0.0.0/28'),
	family: 'ipv4',
	blockSize: 30,
	disabled: false,
	nodeSelector: '',
	namespaceSelector: '',
	allowedUses: ['Workload'],
	assignmentMode: 'Automatic',
	terminating: false,
};

type Step =
	| { readonly type: 'assign'; readonly node: number; readonly handle: number; readonly diesAtWrite: number }
	| { readonly type: 'release'; readonly node: number; readonly handle: number; readonly diesAtWrite: number }
	| { readonly type: 'restart'; readonly node: number };

const node = fc.integer({ min: 0, max: 2 });
const handle = fc.integer({ min: 0, max: 15 });
// Most writes succeed; of the others, the first few are where claims and releases are half done.
const diesAtWrite = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
	{ weight: 5, arbitrary: fc.record({ type: fc.constant('assign' as const), node, handle, diesAtWrite }) },
	{ weight: 3, arbitrary: fc.record({ type: fc.constant('release' as const), node, handle, diesAtWrite }) },
	{ weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const), node }) },
);

/** One node's process: when it crashes, every later write of it fails too, and nobody hears of what it was doing. */
class Process {
	readonly allocator: Allocator;
	writesLeft = Number.POSITIVE_INFINITY;

	constructor(shared: MemoryCluster, name: string) {
		const store = memoryStore(shared, {
			cached: true,
			beforeWrite: async () => {
				if (--this.writesLeft < 0) throw new CrashError(`${name} is dead`);
			},
		});
		this.allocator = new Allocator({
			node: name,
			store,
			clock: systemClock,
			random: Math.random,
			retry: conflictRetry(Math.random, { firstMs: 0.01, mostMs: 0.1 }),
			log: silentLogger,
			selectorMatches: () => true,
		});
	}
}

const handleOf = (index: number): string => `net.container-${index}`;

/** Every address by who holds it according to the blocks; fails on an inconsistent block. */
function holders(t: { deepEqual(actual: unknown, expected: unknown): unknown }, shared: MemoryCluster): Map<string, number> {
	const held = new Map<string, number>();
	for (const { value: block } of shared.blocks.values()) {
		t.deepEqual(blockProblems(block), []);
		for (let index = 0; index < 16; index++) held.set(handleOf(index), (held.get(handleOf(index)) ?? 0) + ordinalsOfHandle(block, handleOf(index)).length);
	}
	return held;
}

test('whatever crashes and whoever writes at the same time, no address has two owners and none is lost for ever', async (t) => {
	await fc.assert(
		fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 }), async (waves) => {
			const shared = Object.assign(new MemoryCluster(), { pools: [pool] });
			const processes = [0, 1, 2].map((index) => new Process(shared, `node-${index}`));
			const addressOf = new Map<number, string>();
			for (const wave of waves) {
				// A handle belongs to a container, and a container to one node: within a wave nobody else touches it.
				const touched = new Set<number>();
				await Promise.all(
					wave.map(async (action) => {
						if (action.type === 'restart') {
							processes[action.node] = new Process(shared, `node-${action.node}`);
							return;
						}
						const process = processes[action.node];
						if (process === undefined || touched.has(action.handle)) return;
						touched.add(action.handle);
						if (action.diesAtWrite > 0) process.writesLeft = Math.min(process.writesLeft, action.diesAtWrite - 1);
						try {
							if (action.type === 'assign') {
								const result = await process.allocator.assign({ handleId: handleOf(action.handle), attributes: {}, families: ['ipv4'], use: 'Workload' });
								if (result.type !== 'assigned') return;
								const [address] = result.addresses;
								const before = addressOf.get(action.handle);
								if (before !== undefined) t.is(address?.address, before, 'asking again gives the same');
								addressOf.set(action.handle, address?.address ?? '');
							} else {
								addressOf.delete(action.handle);
								await process.allocator.release(handleOf(action.handle));
							}
						} catch (error) {
							if (!(error instanceof CrashError)) throw error;
							processes[action.node] = new Process(shared, `node-${action.node}`);
						}
					}),
				);
				t.is(new Set(addressOf.values()).size, addressOf.size, 'two owners');
				const held = holders(t, shared);
				for (const index of addressOf.keys()) t.is(held.get(handleOf(index)), 1, `${handleOf(index)} holds what it was given`);
				for (const [handleId, count] of held) if (count > 0) t.true(shared.handles.has(handleId), `${handleId} says what it holds`);
			}
			// The orchestrator deletes every container, on any node that is alive: then everything is free again.
			const survivor = new Process(shared, 'node-0');
			for (let index = 0; index < 16; index++) await survivor.allocator.release(handleOf(index));
			t.true([...shared.blocks.values()].every(({ value }) => isEmpty(value)));
			t.is(shared.handles.size, 0);
		}),
		{ numRuns: Number(process.env['BGPMESH_MODEL_RUNS'] ?? 300) },
	);
	t.pass();
});
