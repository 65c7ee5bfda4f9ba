import test from 'ava';
import * as fc from 'fast-check';
import { prefixKey, type Random, silentLogger, systemClock } from '../../src/core/index.ts';
import {
	type AffinityState,
	Allocator,
	type AssignRequest,
	affinityName,
	blockName,
	claimBlock,
	conflictRetry,
	giveUpBlock,
	type Store,
} from '../../src/ipam/index.ts';
import { type BeforeWrite, CrashError, MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { seeded } from '../support/ipam-model.ts';
import { testPool } from '../support/pool.ts';

const cidr = prefixKey('10.0.0.0/26');
const pods = testPool({ cidr, nodeSelector: '', allowedUses: ['Workload'] });

const retry = conflictRetry(Math.random, { firstMs: 0.1, mostMs: 1 });
const cluster = () => Object.assign(new MemoryCluster(), { pools: [pods] });
const allocatorOf = (shared: MemoryCluster, node: string, cached = false) =>
	new Allocator({
		node,
		store: memoryStore(shared, { cached }),
		clock: systemClock,
		random: Math.random,
		retry,
		log: silentLogger,
		selectorMatches: () => true,
	});
const contextOf = (shared: MemoryCluster, beforeWrite: BeforeWrite = async () => {}) => ({
	store: memoryStore(shared, { beforeWrite }),
	clock: systemClock,
	retry,
});
const request = (handleId: string): AssignRequest => ({
	handleId,
	attributes: {},
	families: ['ipv4'],
	use: 'Workload',
});
const stateOf = (shared: MemoryCluster, node = 'node-a') =>
	shared.affinities.get(affinityName(node, cidr))?.value.state;

/** Runs `act` once, before the first write of this kind. */
function before(kind: string, verb: string, act: () => Promise<unknown>): BeforeWrite {
	let done = false;
	return async (what) => {
		if (done || what.kind !== kind || what.verb !== verb) return;
		done = true;
		await act();
	};
}

test('an address assigned while its block is being released keeps the block, and the claim is confirmed again', async (t) => {
	const shared = cluster();
	await claimBlock(contextOf(shared), 'node-a', cidr);
	// Its copy of the claims is older.
	const owner = allocatorOf(shared, 'node-a', true);
	const context = contextOf(
		shared,
		before('block', 'remove', () => owner.assign(request('one'))),
	);
	t.is(await giveUpBlock(context, 'node-a', cidr, { requireEmpty: true }), 'changed');
	t.is(stateOf(shared), 'confirmed');
	t.is(shared.blocks.get(blockName(cidr))?.value.affinity, 'host:node-a');
});

test('a new claim made while the old one is being removed stays', async (t) => {
	const shared = cluster();
	await claimBlock(contextOf(shared), 'node-a', cidr);
	const context = contextOf(
		shared,
		before('affinity', 'remove', () => claimBlock(contextOf(shared), 'node-a', cidr)),
	);
	t.is(await giveUpBlock(context, 'node-a', cidr, { requireEmpty: true }), 'changed');
	t.is(stateOf(shared), 'confirmed');
	t.is(shared.blocks.get(blockName(cidr))?.value.affinity, 'host:node-a');
});

test('releasing a claim to a block of another node removes only the claim', async (t) => {
	const shared = cluster();
	await claimBlock(contextOf(shared), 'node-b', cidr);
	await contextOf(shared).store.affinities.create(affinityName('node-a', cidr), {
		state: 'confirmed',
		node: 'node-a',
		type: 'host',
		cidr,
		deleted: false,
		other: {},
	});
	t.is(await giveUpBlock(contextOf(shared), 'node-a', cidr, { requireEmpty: true }), 'not-ours');
	t.deepEqual([stateOf(shared), stateOf(shared, 'node-b')], [undefined, 'confirmed']);
});

const crashes: readonly {
	readonly title: string;
	readonly kind: string;
	readonly verb: string;
	readonly used: boolean;
	readonly state: AffinityState;
}[] = [
	{
		title: 'before the block was removed, with addresses in use',
		kind: 'block',
		verb: 'remove',
		used: true,
		state: 'confirmed',
	},
	{
		title: 'before the block was removed, and it is empty',
		kind: 'block',
		verb: 'remove',
		used: false,
		state: 'pendingDeletion',
	},
	{ title: 'before the claim was removed', kind: 'affinity', verb: 'remove', used: false, state: 'pendingDeletion' },
];
for (const { title, kind, verb, used, state } of crashes)
	test(`the owner completes a release that was interrupted: ${title}`, async (t) => {
		const shared = cluster();
		await claimBlock(contextOf(shared), 'node-a', cidr);
		const die = async () => {
			throw new CrashError('dead');
		};
		await t.throwsAsync(
			giveUpBlock(contextOf(shared, before(kind, verb, die)), 'node-a', cidr, { requireEmpty: true }),
			{ instanceOf: CrashError },
		);
		t.is(stateOf(shared), 'pendingDeletion');
		if (used) {
			const name = blockName(cidr);
			const entry = shared.blocks.get(name);
			if (entry === undefined) throw new RangeError(name);
			const allocations = entry.value.allocations.map((index, ordinal) => (ordinal === 5 ? 0 : index));
			const attributes = [{ handleId: 'one', secondary: {}, releasedAt: undefined, other: {} }];
			shared.blocks.set(name, { version: 'later', value: { ...entry.value, allocations, attributes } });
		}
		await allocatorOf(shared, 'node-a').finishClaims();
		t.is(stateOf(shared), state);
		// After any interruption, the next request gets an address of a confirmed block.
		t.is((await allocatorOf(shared, 'node-a').assign(request('two'))).type, 'assigned');
		t.is(stateOf(shared), 'confirmed');
	});

test('no address is released and no block claimed or released while the datastore is locked', async (t) => {
	const shared = cluster();
	const allocator = allocatorOf(shared, 'node-a');
	const given = await allocator.assign(request('one'));
	shared.readOnlyReason = 'locked by a migration';
	const version = shared.version;
	t.deepEqual(await allocator.release('one'), { type: 'locked', reason: 'locked by a migration' });
	t.deepEqual(await allocator.releaseAddress(given.type === 'assigned' ? (given.addresses[0]?.address ?? '') : ''), {
		type: 'locked',
		reason: 'locked by a migration',
	});
	await allocator.finishClaims();
	t.is(shared.version, version);
});

/** Checks that claims and blocks agree after all operations ended. */
function contradictions(shared: MemoryCluster): string[] {
	const blocks = new Map([...shared.blocks.values()].map(({ value }) => [value.cidr, value.affinity]));
	const confirmed = [...shared.affinities.values()].filter(({ value }) => value.state === 'confirmed');
	const claims = new Set([...shared.affinities.values()].map(({ value }) => `host:${value.node} ${value.cidr}`));
	return [
		...confirmed.flatMap(({ value }) =>
			blocks.get(value.cidr) === `host:${value.node}`
				? []
				: [`${value.node} has confirmed its claim, the block is ${blocks.get(value.cidr) ?? 'not there'}`],
		),
		...[...blocks].flatMap(([of, affinity]) =>
			claims.has(`${affinity} ${of}`) ? [] : [`the block is ${affinity}'s, who has no claim`],
		),
	];
}

for (const write of [1, 2, 3])
	test(`a block that another client removes before write ${write} of its claim is claimed anew, or not at all`, async (t) => {
		const shared = cluster();
		let writes = 0;
		const context = contextOf(shared, async () => {
			if (++writes === write) await giveUpBlock(contextOf(shared), 'node-a', cidr, { requireEmpty: true });
		});
		t.is(await claimBlock(context, 'node-a', cidr), 'claimed');
		t.deepEqual([contradictions(shared), stateOf(shared)], [[], 'confirmed']);
	});

/** A store with a random delay before each response. */
function unsteady(shared: MemoryCluster, random: Random) {
	const store = memoryStore(shared);
	const wait = async () => {
		for (let turn = Math.floor(random() * 6); turn > 0; turn--) await new Promise((done) => setImmediate(done));
	};
	const slow = <T>(inner: Store<T>): Store<T> => ({
		read: (...given) => wait().then(() => inner.read(...given)),
		create: (...given) => wait().then(() => inner.create(...given)),
		write: (...given) => wait().then(() => inner.write(...given)),
		remove: (...given) => wait().then(() => inner.remove(...given)),
		list: () => wait().then(() => inner.list()),
	});
	return {
		store: { ...store, blocks: slow(store.blocks), affinities: slow(store.affinities) },
		clock: systemClock,
		retry,
	};
}

test('after concurrent claims and releases of a block, a confirmed claim has its block', async (t) => {
	await fc.assert(
		fc.asyncProperty(fc.integer(), fc.boolean(), async (seed, isClaimed) => {
			const shared = cluster();
			if (isClaimed) await claimBlock(contextOf(shared), 'node-a', cidr);
			const random = seeded(seed);
			const act = () => unsteady(shared, random);
			await Promise.all([
				claimBlock(act(), 'node-a', cidr),
				giveUpBlock(act(), 'node-a', cidr, { requireEmpty: true }),
				giveUpBlock(act(), 'node-a', cidr, { requireEmpty: true }),
				claimBlock(act(), 'node-b', cidr),
			]);
			const found = contradictions(shared);
			if (found.length > 0) throw new Error(found.join('; '));
		}),
		{ numRuns: 1000, includeErrorInReport: true },
	);
	t.pass();
});
