/**
 * A long history of pools, nodes and foreign writers on one cluster in memory. After every step: an
 * assigned address has no other owner in any block of any size; no two containers have one address;
 * our nodes create no overlapping blocks; every address of a container of ours is announced, by a
 * block of its node or separately; blocks are consistent.
 */
import {
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixKey,
	silentLogger,
} from '../../src/core/index.ts';
import {
	Allocator,
	addressToOrdinal,
	type Block,
	blockName,
	blockOf,
	blockProblems,
	conflictRetry,
	hostAffinity,
	type IpamStore,
	isConfirmed,
	isEmpty,
	isHeld,
	newBlock,
	overlappingPairs,
	type Pool,
} from '../../src/ipam/index.ts';
import { HeldAddresses } from '../../src/node/held-addresses.ts';
import { FakeClock } from '../fakes/clock.ts';
import { changeBlock, MemoryCluster, memoryStore } from '../fakes/memory-ipam-store.ts';
import { Dice } from '../fuzz/random.ts';
import { testPool } from './pool.ts';

/** Number of steps of each kind, and of observations. */
export interface HistoryReport {
	readonly operations: number;
	readonly counts: Readonly<Record<string, number>>;
}

const sizes = [26, 27, 28, 29, 30];
const nodeCount = 4;
const mostHandles = 60;
const base = '10.20.0.0/25';

/** A node's process. */
interface Node {
	readonly name: string;
	readonly allocator: Allocator;
	readonly held: HeldAddresses;
	/** A copy of the pools that is older than the cluster's; `undefined`: the newest. */
	stalePools: readonly Pool[] | undefined;
}

export class IpamHistory {
	readonly #dice: Dice;
	readonly #cluster = new MemoryCluster();
	readonly #clock = new FakeClock();
	readonly #nodes: Node[] = [];
	/** By handle: the node and the address of its container. */
	readonly #told = new Map<string, { readonly node: number; readonly address: string }>();
	/** Overlapping blocks that a foreign writer created. */
	readonly #foreign = new Set<PrefixKey>();
	readonly #counts: Record<string, number> = {};
	#next = 0;
	#pools = 0;
	readonly #ending: number[] = [];
	/** Before the last time that they were recreated. */
	#earlierPools: readonly Pool[] | undefined;

	constructor(seed: number) {
		this.#dice = new Dice(seed);
		this.#cluster.pools = [this.#pool(28)];
		for (let index = 0; index < nodeCount; index++) this.#nodes.push(this.#start(index));
	}

	/** Runs `operations` steps. @throws Error with the violated condition */
	async run(operations: number): Promise<HistoryReport> {
		let done = 0;
		while (done < operations) {
			const together = 1 + this.#dice.below(4);
			const given: { handle: string; address: string }[] = [];
			const busy = new Set<string>();
			const work: Promise<unknown>[] = [];
			for (let count = 0; count < together; count++, done++) work.push(this.#step(busy, given));
			await Promise.all(work);
			// A stopped process makes no further calls.
			for (const index of this.#ending.splice(0)) {
				this.#nodes[index]?.held.stop();
				this.#nodes[index] = this.#start(index);
			}
			// A watch is delayed for a moment.
			for (const node of this.#nodes) node.stalePools = undefined;
			this.#check(given);
			if (done % 500 < together) await this.#checkAnnounced();
		}
		return { operations: done, counts: { ...this.#counts } };
	}

	#pool(blockSize: number, name = 'pods'): Pool {
		const version = `${this.#pools++}`;
		return testPool({ name, version, cidr: prefixKey(base), blockSize, nodeSelector: '', allowedUses: ['Workload'] });
	}

	#start(index: number): Node {
		const name = `node-${index}`;
		const real = memoryStore(this.#cluster);
		const state: { stalePools: readonly Pool[] | undefined } = { stalePools: undefined };
		const store: IpamStore = {
			...real,
			pools: async (fresh) => (fresh === 'fresh' ? undefined : state.stalePools) ?? real.pools(fresh),
		};
		const held = new HeldAddresses({
			node: name,
			store,
			isOwn: (cidr) => this.#isConfirmed(name, cidr),
			watch: () => () => {},
			changed: () => {},
			clock: this.#clock,
			log: silentLogger,
		});
		const random = () => this.#dice.next();
		const allocator = new Allocator({
			node: name,
			store,
			clock: this.#clock,
			random,
			retry: conflictRetry(random, { firstMs: 0.01, mostMs: 0.1 }, 1000),
			log: silentLogger,
			selectorMatches: () => true,
			observer: held,
		});
		held.start();
		return Object.assign(state, { name, allocator, held });
	}

	#count(what: string): void {
		this.#counts[what] = (this.#counts[what] ?? 0) + 1;
	}

	async #step(busy: Set<string>, given: { handle: string; address: string }[]): Promise<void> {
		const dice = this.#dice;
		const kind = dice.below(1000);
		if (kind < 480) return this.#assign(busy, given, undefined);
		if (kind < 540) return this.#assign(busy, given, `10.20.0.${dice.below(128)}`);
		if (kind < 900) return this.#release(busy);
		if (kind < 915) return this.#recreatePool();
		if (kind < 940) return this.#staleCopy();
		if (kind < 960) return this.#restart();
		if (kind < 972) return this.#foreignBlock();
		if (kind < 990) return this.#foreignRelease();
		this.#count('time passes');
		this.#clock.advance(1000 * (1 + dice.below(90)));
	}

	async #assign(
		busy: Set<string>,
		given: { handle: string; address: string }[],
		wanted: string | undefined,
	): Promise<void> {
		const index = this.#dice.below(nodeCount);
		const node = this.#nodes[index];
		if (node === undefined || this.#told.size >= mostHandles) return;
		const handle = `net.c${this.#next++}`;
		busy.add(handle);
		const result = await node.allocator.assign({
			handleId: handle,
			attributes: { node: node.name, pod: handle, namespace: 'n' },
			families: ['ipv4'],
			use: 'Workload',
			...(wanted === undefined ? {} : { addresses: { ipv4: wanted } }),
		});
		this.#count(`${wanted === undefined ? 'assign' : 'assign a certain address'}: ${result.type}`);
		if (result.type !== 'assigned') return;
		for (const { address } of result.addresses) {
			given.push({ handle, address });
			this.#told.set(handle, { node: index, address });
		}
	}

	async #release(busy: Set<string>): Promise<void> {
		const handles = [...this.#told.keys()].filter((handle) => !busy.has(handle));
		if (handles.length === 0) return;
		const handle = this.#dice.pick(handles);
		busy.add(handle);
		const told = this.#told.get(handle);
		const node = this.#nodes[told?.node ?? 0];
		this.#told.delete(handle);
		await node?.allocator.release(handle);
		this.#count('release');
	}

	/** The pool is deleted and recreated, or patched, with blocks of another size. */
	#recreatePool(): void {
		this.#earlierPools = this.#cluster.pools;
		this.#cluster.pools = [this.#pool(this.#dice.pick(sizes), this.#dice.pick(['pods', 'other']))];
		this.#count('pool made anew');
	}

	#staleCopy(): void {
		const node = this.#dice.pick(this.#nodes);
		node.stalePools = this.#earlierPools;
		this.#count('stale copy of the pools');
	}

	#restart(): void {
		this.#ending.push(this.#dice.below(nodeCount));
		this.#count('restart');
	}

	/**
	 * A writer that searches for a block of the pool's size only by its name, as Calico does: it
	 * may overlap others.
	 */
	#foreignBlock(): void {
		const [pool] = this.#cluster.pools;
		const cidr = blockOf(`10.20.0.${this.#dice.below(128)}`, pool?.blockSize ?? 28);
		if (this.#cluster.blocks.has(blockName(cidr))) return;
		const others = [...this.#cluster.blocks.values()].map(({ value }) => value.cidr);
		const node = 'calico';
		this.#cluster.blocks.set(blockName(cidr), {
			value: newBlock(cidr, node, '2026-01-01T00:00:00Z', BigInt(this.#clock.wallMs()) * 1_000_000n),
			version: String(++this.#cluster.version),
		});
		if (overlappingPairs([...others, cidr]).some((pair) => pair.includes(cidr))) this.#foreign.add(cidr);
		// It assigns an address of it that no other block holds.
		changeBlock(this.#cluster, blockName(cidr), (block) => ({
			...block,
			allocations: block.allocations.map((index, ordinal) =>
				ordinal === 0 && !this.#isHeldElsewhere(cidr, 0) ? 0 : index,
			),
			unallocated: block.unallocated.filter((ordinal) => ordinal !== 0 || this.#isHeldElsewhere(cidr, 0)),
			attributes: this.#isHeldElsewhere(cidr, 0)
				? []
				: [{ handleId: 'calico.x', secondary: { node }, releasedAt: undefined, other: {} }],
		}));
		this.#count('foreign block');
	}

	#isHeldElsewhere(cidr: PrefixKey, ordinal: number): boolean {
		const address = `${cidr.slice(0, cidr.lastIndexOf('.') + 1)}${Number(cidr.slice(cidr.lastIndexOf('.') + 1, cidr.indexOf('/'))) + ordinal}`;
		return this.#blocks().some((block) => block.cidr !== cidr && holds(block, address));
	}

	/** The foreign writer releases its addresses, and then its block. */
	#foreignRelease(): void {
		const [name] = this.#dice.pick(
			[...this.#cluster.blocks]
				.filter(([, { value }]) => value.affinity === 'host:calico')
				.concat([['', undefined as never]]),
		);
		const block = this.#cluster.blocks.get(name)?.value;
		if (block === undefined || block.allocations.some((index, ordinal) => index !== null && !isForeign(block, ordinal)))
			return;
		this.#cluster.blocks.delete(name);
		this.#foreign.delete(block.cidr);
		this.#count('foreign block given back');
	}

	#blocks(): readonly Block[] {
		return [...this.#cluster.blocks.values()].map(({ value }) => value).filter(({ deleted }) => !deleted);
	}

	#isConfirmed(node: string, cidr: PrefixKey): boolean {
		return [...this.#cluster.affinities.values()].some(
			({ value }) => value.node === node && value.cidr === cidr && !value.deleted && isConfirmed(value.state),
		);
	}

	#check(given: readonly { handle: string; address: string }[]): void {
		const owners = new Map<string, string>();
		for (const [handle, { address }] of this.#told) {
			const other = owners.get(address);
			if (other !== undefined) throw new Error(`${address} is ${handle}'s and ${other}'s`);
			owners.set(address, handle);
		}
		const blocks = this.#blocks();
		for (const { handle, address } of given) {
			const holders = blocks.filter((block) => holds(block, address));
			if (holders.length !== 1 && this.#told.get(handle)?.address === address)
				throw new Error(
					`${address} was given to ${handle}, and is held in ${holders.map(({ cidr }) => cidr).join(', ') || 'no block'}`,
				);
		}
		for (const block of blocks) {
			const problems = blockProblems(block);
			if (problems.length > 0) throw new Error(`${block.cidr}: ${problems.join(', ')}`);
		}
		for (const pair of overlappingPairs(blocks.map(({ cidr }) => cidr)))
			if (!pair.some((cidr) => this.#foreign.has(cidr))) {
				const settled = pair.every(
					(cidr) => !isEmpty(blocks.find((block) => block.cidr === cidr) ?? blocks[0] ?? newBlock(pair[0], '', '', 0n)),
				);
				if (settled) throw new Error(`${pair.join(' and ')} overlap, and both have addresses`);
			}
	}

	/**
	 * A container's address is in a confirmed block of its node, or among the addresses that its
	 * node announces separately.
	 */
	async #checkAnnounced(): Promise<void> {
		for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
		for (const [handle, { node: index, address }] of this.#told) {
			const node = this.#nodes[index];
			if (node === undefined) continue;
			const own = this.#blocks().some(
				(block) =>
					block.affinity === hostAffinity(node.name) &&
					prefixContains(parsePrefix(block.cidr), parseAddress(address)) &&
					this.#isConfirmed(node.name, block.cidr),
			);
			if (!own && !node.held.addresses.has(address))
				throw new Error(`${address} of ${handle} on ${node.name} is announced by nothing`);
			if (!own) this.#count('borrowed and announced');
		}
	}
}

const holds = (block: Block, address: string): boolean => {
	const ordinal = addressToOrdinal(block.cidr, address);
	return ordinal !== undefined && isHeld(block, ordinal);
};

const isForeign = (block: Block, ordinal: number): boolean => {
	const index = block.allocations[ordinal];
	return index !== null && index !== undefined && block.attributes[index]?.handleId === 'calico.x';
};
