import * as fc from 'fast-check';
import { type PrefixKey, prefixKey, type Random, silentLogger } from '../../src/core/index.ts';
import {
	type Affinity,
	Allocator,
	type Block,
	blockName,
	blockProblems,
	conflictRetry,
	endCooldowns,
	giveUpBlock,
	type Handle,
	handleName,
	type IpamStore,
	isEmpty,
	isGatewayHandle,
	ordinalToAddress,
	type Pool,
	reclaimAgeMs,
	UnreadableError,
} from '../../src/ipam/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { CrashError } from '../fakes/memory-ipam-store.ts';
import { CalicoAllocator } from './calico-allocator.ts';
import { testPool } from './pool.ts';

/**
 * One node's access to the cluster: `beforeWrite` is called before every single write and may
 * throw.
 */
export interface ModelStore {
	readonly store: IpamStore;
	stop(): void;
}

/** A cluster for one run: fresh, with one pool. */
export interface ModelCluster {
	readonly pool: Pool;
	/** Prefix of the names of nodes and handles. */
	readonly prefix: string;
	connect(node: string, cooldownSeconds: number, beforeWrite: () => Promise<void>): Promise<ModelStore>;
	/** Manual changes of blocks; absent if the model does not cover them. */
	readonly damage?: Damage;
	/** The current state of this run. */
	snapshot(): Promise<{
		readonly blocks: readonly Block[];
		readonly handles: readonly Handle[];
		readonly affinities: readonly Affinity[];
	}>;
}

/** Manual, faulty changes of blocks. */
export interface Damage {
	/** Makes the block unreadable. */
	spoil(cidr: PrefixKey): void;
	/** Puts an ordinal first in the free list, whether or not it is free or listed already. */
	mislist(cidr: PrefixKey, ordinal: number): void;
	/** Restores the correct state. */
	mend(): void;
	readonly spoiled: ReadonlySet<PrefixKey>;
	/** How often a block became unreadable: a block may be mended again before a check looks. */
	readonly spoilings: () => number;
	readonly mislisted: ReadonlySet<PrefixKey>;
	/** Blocks that were written or removed while unreadable. */
	overwritten(): readonly string[];
}

/**
 * Blocks with room for one pod and its gateway: four in the pool. Requests without a gateway
 * compete for the edge addresses too.
 */
export const modelPoolWithGateways = (name: string, cidr: string): Pool => ({
	...modelPool(name, cidr),
	blockSize: 30,
});

/**
 * A pool of eight addresses in four small blocks, so that blocks fill up, are borrowed from and
 * contended.
 */
export const modelPool = (name: string, cidr: string): Pool =>
	testPool({ name, cidr: prefixKey(cidr), blockSize: 31, nodeSelector: '', allowedUses: ['Workload'] });

const nodeCount = 3;
const handleCount = 10;

interface Action {
	/**
	 * `give-up`: a garbage collector, or a node without a block, removes the affinity of an empty
	 * block of another node.
	 */
	readonly type: 'assign' | 'release' | 'restart' | 'give-up' | 'spoil' | 'mislist' | 'mend';
	/** `nodeCount` and above: the foreign writer's nodes. */
	readonly node: number;
	readonly handle: number;
	/** 0: no crash. */
	readonly diesAtWrite: number;
	readonly count: number;
	/** Requests a gateway, if the model covers gateways. */
	readonly gateway: boolean;
}

const usual = [
	{ weight: 6, arbitrary: fc.constant('assign' as const) },
	{ weight: 3, arbitrary: fc.constant('release' as const) },
	{ weight: 1, arbitrary: fc.constant('restart' as const) },
	{ weight: 2, arbitrary: fc.constant('give-up' as const) },
];
const damaging = [
	{ weight: 2, arbitrary: fc.constant('spoil' as const) },
	{ weight: 2, arbitrary: fc.constant('mislist' as const) },
	{ weight: 1, arbitrary: fc.constant('mend' as const) },
];

const action = (types: readonly fc.WeightedArbitrary<Action['type']>[]): fc.Arbitrary<Action> =>
	fc.record({
		type: fc.oneof(...types),
		node: fc.integer({ min: 0, max: nodeCount + 1 }),
		handle: fc.integer({ min: 0, max: handleCount - 1 }),
		// Most writes succeed; of the failing ones, the first few interrupt claims and releases.
		diesAtWrite: fc.oneof(
			{ weight: 4, arbitrary: fc.constant(0) },
			{ weight: 1, arbitrary: fc.integer({ min: 1, max: 7 }) },
		),
		count: fc.integer({ min: 1, max: 3 }),
		gateway: fc.boolean(),
	});

/**
 * One process: after its crash every later write of it fails too, and its pending results are lost.
 */
class Process {
	writesLeft = Number.POSITIVE_INFINITY;
	readonly #connected: Promise<ModelStore>;
	readonly #ours: Promise<Allocator>;
	readonly #foreign: Promise<CalicoAllocator>;

	constructor(world: World, node: string) {
		this.#connected = world.cluster.connect(node, world.cooldownSeconds, async () => {
			if (--this.writesLeft < 0) throw new CrashError(`${node} is dead`);
		});
		const { clock, random, cooldownSeconds } = world;
		this.#ours = this.#connected.then(({ store }) => {
			const retry = conflictRetry(random, { firstMs: 0.01, mostMs: 0.1 }, 1000);
			return new Allocator({ node, store, clock, random, retry, log: silentLogger, selectorMatches: () => true });
		});
		this.#foreign = this.#connected.then(
			({ store }) => new CalicoAllocator({ node, store, nowMs: () => clock.wallMs(), cooldownSeconds }),
		);
	}

	ours(): Promise<Allocator> {
		return this.#ours;
	}

	foreign(): Promise<CalicoAllocator> {
		return this.#foreign;
	}

	/** Removes the affinity of an empty block, of any node. */
	async giveUp(cidr: PrefixKey, { clock, random }: World): Promise<void> {
		const { store } = await this.#connected;
		const affinity = (await store.blocks.read(blockName(cidr), 'fresh'))?.value.affinity;
		const retry = conflictRetry(random, { firstMs: 0.01, mostMs: 0.1 }, 1000);
		if (affinity?.startsWith('host:'))
			await giveUpBlock({ store, clock, retry }, affinity.slice('host:'.length), cidr, { requireEmpty: true });
	}

	async stop(): Promise<void> {
		(await this.#connected).stop();
	}
}

/** Addresses that were returned to containers, which must stay theirs. */
interface Told {
	readonly addresses: Map<number, readonly string[]>;
	/** The containers that received a gateway. */
	readonly gateways: Map<number, string>;
	/** Time of the last release of each address. */
	readonly releasedAtMs: Map<string, number>;
	/**
	 * The sequence number of each allocation, by address and handle: a release by it must never hit
	 * another allocation.
	 */
	readonly sequenceNumbers: Map<string, Map<bigint, string>>;
}

/**
 * No two events happen in the same millisecond, as on a network: a recreated block gets a sequence
 * number of its own.
 */
class TickingClock extends FakeClock {
	override wallMs(): number {
		this.advance(1);
		return super.wallMs();
	}
}

class World {
	readonly cluster: ModelCluster;
	readonly cooldownSeconds: number;
	readonly random: Random;
	readonly clock = new TickingClock();
	readonly processes: Process[];
	readonly #all: Process[] = [];

	constructor(cluster: ModelCluster, cooldownSeconds: number, random: Random) {
		this.cluster = cluster;
		this.cooldownSeconds = cooldownSeconds;
		this.random = random;
		this.processes = Array.from({ length: nodeCount + 2 }, (_, index) => this.start(index));
	}

	start(index: number): Process {
		const process = new Process(this, `${this.cluster.prefix}${index < nodeCount ? 'node' : 'calico'}-${index}`);
		this.#all.push(process);
		return process;
	}

	readonly handleId = (index: number): string => `${this.cluster.prefix}net.Container-${index}`;

	async stop(): Promise<void> {
		for (const process of this.#all) await process.stop();
	}
}

function check(holds: boolean, what: string): asserts holds {
	if (!holds) throw new Error(what);
}

async function act(
	world: World,
	told: Told,
	{ type, node, handle, diesAtWrite, count, gateway }: Action,
): Promise<void> {
	const process = world.processes[node];
	if (process === undefined) return;
	if (diesAtWrite > 0) process.writesLeft = Math.min(process.writesLeft, diesAtWrite - 1);
	const handleId = world.handleId(handle);
	const isForeign = node >= nodeCount;
	const { damage } = world.cluster;
	const blocks = blocksOf(world.cluster.pool);
	const cidr = blocks[handle % blocks.length];
	if (cidr === undefined) return;
	try {
		if (type === 'give-up') return await process.giveUp(cidr, world);
		if (type === 'spoil' || type === 'mislist' || type === 'mend') return await harm(damage, type, cidr, count);
		if (type === 'release') {
			told.addresses.delete(handle);
			told.gateways.delete(handle);
			const beganMs = world.clock.wallMs();
			let freed: readonly string[];
			if (isForeign) freed = await (await process.foreign()).release(handleId);
			else {
				const outcome = await (await process.ours()).release(handleId);
				freed = outcome.type === 'released' ? outcome.addresses : [];
			}
			// Calico writes the time without its fraction.
			for (const address of freed) told.releasedAtMs.set(address, isForeign ? beganMs - 1000 : beganMs);
			return;
		}
		const before = told.addresses.get(handle) ?? [];
		const wasSpoiled = damage !== undefined && damage.spoiled.size > 0;
		const spoilings = damage?.spoilings();
		const wantsGateway = gateway && world.cluster.pool.blockSize < 31;
		let given: readonly string[];
		if (isForeign) {
			// Calico's plugin does not check whether a container already has an address; its
			// callers do.
			if (before.length > 0) return;
			given = await (await process.foreign()).assign({
				handleId,
				count,
				pool: world.cluster.pool,
				blocks: blocksOf(world.cluster.pool),
			});
		} else {
			const result = await (await process.ours()).assign({
				handleId,
				attributes: {},
				families: ['ipv4'],
				use: 'Workload',
				pools: { ipv4: [world.cluster.pool.name] },
				...(wantsGateway ? { gateways: ['ipv4'] } : {}),
			});
			given =
				result.type === 'assigned'
					? result.addresses.filter(({ known }) => !known || before.length === 0).map(({ address }) => address)
					: [];
			// The addresses in an unreadable block are unknown: a container with an address there
			// gets another one.
			const isHidden = wasSpoiled || damage?.spoilings() !== spoilings;
			// Its block may be full, or belong to another node.
			check(
				before.length === 0 || wantsGateway || isHidden || result.type === 'assigned',
				`${handleId} has an address and is refused`,
			);
			if (result.type === 'assigned')
				for (const { gateway: its } of result.addresses) if (its !== undefined) told.gateways.set(handle, its);
			check(before.length === 0 || isHidden || given.length === 0, `${handleId} asks again and gets another`);
			if (isHidden) given = [...new Set([...before, ...given])];
		}
		if (given.length > 0) told.addresses.set(handle, given);
	} catch (error) {
		// Refused: an address in an unreadable block is not released.
		if (error instanceof UnreadableError && (isForeign || type !== 'assign')) return;
		if (!(error instanceof CrashError)) throw error;
		world.processes[node] = world.start(node);
	}
}

/** Some turns later, in the middle of other operations. */
async function harm(
	damage: Damage | undefined,
	type: 'spoil' | 'mislist' | 'mend',
	cidr: PrefixKey,
	turns: number,
): Promise<void> {
	for (let turn = 0; turn < 2 * turns; turn++) await new Promise((resolve) => setImmediate(resolve));
	if (type === 'spoil') damage?.spoil(cidr);
	else if (type === 'mislist') damage?.mislist(cidr, turns - 1);
	else damage?.mend();
}

const blocksOf = ({ cidr, blockSize }: Pool): readonly PrefixKey[] => {
	const base = cidr.split('/')[0]?.split('.').slice(0, 3).join('.') ?? '';
	return [0, 1, 2, 3].map((index) => prefixKey(`${base}.${index * 2 ** (32 - blockSize)}/${blockSize}`));
};

/**
 * Every address by its handle; fails on an inconsistent block, and on an address of a missing
 * handle.
 */
async function owners({ cluster }: World): Promise<ReadonlyMap<string, string>> {
	const { blocks, handles } = await cluster.snapshot();
	const names = new Set(handles.map(({ handleId }) => handleName(handleId)));
	const held = new Map<string, string>();
	for (const block of blocks) {
		const problems = cluster.damage?.mislisted.has(block.cidr) === true ? [] : blockProblems(block);
		check(problems.length === 0, `${block.cidr}: ${problems.join(', ')}`);
		for (const [ordinal, index] of block.allocations.entries()) {
			const handleId = index === null ? undefined : block.attributes[index]?.handleId;
			if (handleId === undefined) continue;
			check(names.has(handleName(handleId)), `${handleId} holds an address, and there is no such handle`);
			held.set(ordinalToAddress(block.cidr, ordinal), handleId);
		}
	}
	return held;
}

/**
 * Sequence numbers are unique among all allocations of an address, and below the block's next
 * number.
 */
async function checkSequenceNumbers({ sequenceNumbers }: Told, world: World): Promise<void> {
	for (const { cidr, sequenceNumber, allocations, attributes, sequenceNumberForAllocation } of (
		await world.cluster.snapshot()
	).blocks) {
		for (const [ordinal, index] of allocations.entries()) {
			const { handleId, releasedAt } = (index === null ? undefined : attributes[index]) ?? {};
			const number = sequenceNumberForAllocation[ordinal];
			if (handleId === undefined || releasedAt !== undefined) continue;
			const address = ordinalToAddress(cidr, ordinal);
			check(
				number !== undefined && number < sequenceNumber,
				`${address} has the sequence number ${number}, its block ${sequenceNumber}`,
			);
			const earlier = sequenceNumbers.get(address) ?? new Map<bigint, string>();
			check(
				(earlier.get(number) ?? handleId) === handleId,
				`${address} of ${handleId} has the sequence number that it had with ${earlier.get(number)}`,
			);
			sequenceNumbers.set(address, earlier.set(number, handleId));
		}
	}
}

/**
 * A node completes its claims when they change and at its start: then every address returned to a
 * container is in an announced block.
 */
async function checkAnnounced(told: Told, world: World): Promise<void> {
	for (let node = 0; node < nodeCount; node++) await (await world.start(node).ours()).finishClaims();
	const { blocks, affinities } = await world.cluster.snapshot();
	const confirmed = new Set(
		affinities
			.filter(({ state }) => state === 'confirmed' || state === '')
			.map(({ node, cidr }) => `host:${node} ${cidr}`),
	);
	for (const { cidr, affinity } of blocks)
		for (const claim of confirmed)
			check(
				!claim.endsWith(` ${cidr}`) || claim === `${affinity} ${cidr}`,
				`${claim} is confirmed, and the block is ${affinity}'s`,
			);
	for (const { cidr, affinity, allocations } of blocks) {
		// Calico's own nodes confirm theirs at the next request, and addresses without a node's
		// block are announced separately. An unreadable block and its claim are left unchanged.
		if (affinity === undefined || affinity.includes('calico-') || world.cluster.damage?.spoiled.has(cidr)) continue;
		const used = allocations
			.map((_, ordinal) => ordinalToAddress(cidr, ordinal))
			.filter((address) => [...told.addresses.values()].flat().includes(address));
		check(
			used.length === 0 || confirmed.has(`${affinity} ${cidr}`),
			`${used.join(', ')} was given, and the claim of ${affinity} to ${cidr} is not confirmed`,
		);
	}
}

/**
 * Several containers are started and deleted concurrently, on several nodes, some of which crash.
 */
class Wave implements fc.AsyncCommand<Told, World> {
	readonly #actions: readonly Action[];

	constructor(actions: readonly Action[]) {
		this.#actions = actions;
	}

	check(): boolean {
		return true;
	}

	async run(told: Told, world: World): Promise<void> {
		const before = new Map(told.addresses);
		// A handle belongs to one container: no other operation uses it concurrently.
		const touched = new Set<number>();
		const work: Promise<void>[] = [];
		// It relies on the free list, with any content.
		const believes = (each: Action) => each.type === 'assign' && each.node >= nodeCount;
		const isMislisted =
			(world.cluster.damage?.mislisted.size ?? 0) > 0 || this.#actions.some(({ type }) => type === 'mislist');
		for (const each of this.#actions) {
			if (isMislisted && believes(each)) continue;
			if (each.type === 'restart') world.processes[each.node] = world.start(each.node);
			else if (each.type === 'give-up' || !touched.has(each.handle)) {
				if (each.type !== 'give-up') touched.add(each.handle);
				work.push(act(world, told, each));
			}
		}
		const results = await Promise.allSettled(work);
		for (const result of results) if (result.status === 'rejected') throw result.reason;
		await checkSequenceNumbers(told, world);
		await checkAnnounced(told, world);
		const overwritten = world.cluster.damage?.overwritten() ?? [];
		check(overwritten.length === 0, `${overwritten.join(', ')} was written although it can not be read`);
		const held = await owners(world);
		const seen = new Map<string, number>();
		for (const [handle, gateway] of told.gateways) {
			const owner = held.get(gateway);
			check(
				isGatewayHandle(owner),
				`${gateway} was given to ${world.handleId(handle)} as its gateway, and is ${owner ?? 'no owner'}'s`,
			);
		}
		for (const [handle, addresses] of told.addresses) {
			for (const address of addresses) {
				check(!seen.has(address), `${address} was given to ${handle} and to ${seen.get(address)}`);
				seen.set(address, handle);
				check(
					held.get(address) === world.handleId(handle),
					`${address} was given to ${world.handleId(handle)}, the block has ${held.get(address)}`,
				);
				const releasedAtMs = told.releasedAtMs.get(address);
				const isNew = before.get(handle)?.includes(address) !== true;
				if (!isNew || releasedAtMs === undefined) continue;
				check(
					world.clock.wallMs() - releasedAtMs >= world.cooldownSeconds * 1000,
					`${address} was given again before it had cooled down`,
				);
			}
		}
	}

	toString(): string {
		return `wave(${JSON.stringify(this.#actions)})`;
	}
}

/** Advances the time by about one cooldown. */
class Later implements fc.AsyncCommand<Told, World> {
	readonly #seconds: number;

	constructor(seconds: number) {
		this.#seconds = seconds;
	}

	check(): boolean {
		return true;
	}

	async run(_: Told, world: World): Promise<void> {
		world.clock.advance(this.#seconds * 1000);
	}

	toString(): string {
		return `later(${this.#seconds} s)`;
	}
}

/**
 * Every container is deleted, time passes: then one node can get every address of the pool. No
 * address was lost.
 */
async function checkNothingLost(world: World): Promise<void> {
	world.cluster.damage?.mend();
	const survivor = await world.start(0).ours();
	for (let index = 0; index < handleCount; index++) await survivor.release(world.handleId(index));
	// With gateways no address is borrowed: the surviving node claims the others' blocks, once they
	// are old enough.
	const withGateways = world.cluster.pool.blockSize < 31;
	world.clock.advance(Math.max(world.cooldownSeconds + 1, withGateways ? reclaimAgeMs / 1000 : 0) * 1000);
	const poolSize = withGateways ? 4 : 8;
	const { blocks, handles } = await world.cluster.snapshot();
	for (const block of blocks)
		check(
			isEmpty(endCooldowns(block, world.cooldownSeconds, world.clock.wallMs())),
			`${block.cidr} is not empty when all is released`,
		);
	const left = handles.filter(({ handleId }) => !isGatewayHandle(handleId));
	check(left.length === 0, `${left.map(({ handleId }) => handleId).join(', ')} are left when all is released`);
	const given = new Set<string>();
	for (let index = 0; index < poolSize; index++) {
		const handleId = `${world.cluster.prefix}net.last-${index}`;
		const result = await survivor.assign({
			handleId,
			attributes: {},
			families: ['ipv4'],
			use: 'Workload',
			pools: { ipv4: [world.cluster.pool.name] },
			...(withGateways ? { gateways: ['ipv4'] } : {}),
		});
		check(
			result.type === 'assigned',
			`only ${given.size} of ${poolSize} addresses can be given: ${result.type === 'unavailable' ? result.reason : ''}`,
		);
		for (const { address } of result.addresses) given.add(address);
	}
	check(given.size === poolSize, `${given.size} addresses for ${poolSize} containers`);
	for (let index = 0; index < poolSize; index++) await survivor.release(`${world.cluster.prefix}net.last-${index}`);
}

/** A generator of random numbers that fast-check can repeat. */
export function seeded(seed: number): Random {
	let state = seed >>> 0;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return state / 2 ** 32;
	};
}

/** Under any crashes and concurrent writers no address has two owners and none is lost for ever. */
export async function checkModel(
	newCluster: () => Promise<ModelCluster>,
	numRuns: number,
	{ maxCommands = 8, isDamaging = false } = {},
): Promise<void> {
	const commands = fc.commands(
		[
			fc
				.array(action(isDamaging ? [...usual, ...damaging] : usual), { minLength: 1, maxLength: 7 })
				.map((actions) => new Wave(actions)),
			fc.integer({ min: 1, max: 40 }).map((seconds) => new Later(seconds)),
		],
		{ maxCommands, size: 'max' },
	);
	await fc.assert(
		fc.asyncProperty(commands, fc.constantFrom(0, 30), fc.integer(), async (steps, cooldownSeconds, seed) => {
			const world = new World(await newCluster(), cooldownSeconds, seeded(seed));
			try {
				await fc.asyncModelRun(
					() => ({
						model: { addresses: new Map(), gateways: new Map(), releasedAtMs: new Map(), sequenceNumbers: new Map() },
						real: world,
					}),
					steps,
				);
				await checkNothingLost(world);
			} finally {
				await world.stop();
			}
		}),
		{ numRuns, includeErrorInReport: true },
	);
}
