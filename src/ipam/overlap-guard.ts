import type { Clock, PrefixKey } from '../core/index.ts';
import { overlap, overlappedBlocks, overlappingBlocks } from './overlaps.ts';
import { poolOf } from './pool.ts';
import type { IpamStore } from './store.ts';
import type { Pool } from './values.ts';

/**
 * Maximum age of the list of blocks, in milliseconds, while all blocks in use have the size of
 * their pool.
 */
const mostAgeMs = 10 * 60_000;

/**
 * Time after a change of the pools in which other writers may still act on their older copy, in
 * milliseconds.
 */
const settleMs = 60_000;

/** The list of blocks as it was last read. */
interface Known {
	readonly overlapped: ReadonlySet<PrefixKey>;
	/** A block has another size than its pool. */
	readonly isMixed: boolean;
	/** When the list was requested. */
	readonly atMs: number;
}

/**
 * Detects overlapping blocks of the cluster. Other writers claim blocks of the pool's size and
 * check only the name, so every list is the state of one moment. The names of all blocks are listed
 * - at the start of a process, every ten minutes, and after a change of a pool;
 * - before the creation of a block, and between its creation and the confirmation of its claim;
 * - after the write of an address, if another block may have appeared: the block has another size
 *   than its pool, is not this node's, is being claimed, or overlapped another one before; or the
 *   last list is from less than a minute after the last change of a pool (for that time other
 *   writers may use an older copy of the pools).
 * While a block of another size than its pool exists, or a pool changed less than ten minutes ago,
 * the pools are read from the server after each write, because the copy may be behind. Otherwise an
 * address from a known block costs no read.
 *
 * Not covered:
 * - the first change of a pool in ten minutes (or since the process start), if another writer
 *   creates an overlapping block within the delay of this node's watch;
 * - another writer with a copy of the pools older than a minute, or older than this process;
 * - another writer that assigns an address from an overlapping block after this node did.
 * No conditional write of the API server spans two blocks.
 */
export class OverlapGuard {
	readonly #store: Pick<IpamStore, 'blockCidrs' | 'pools'>;
	readonly #clock: Clock;
	#known: Known | undefined;
	/** All states of pools seen so far, including removed pools. */
	readonly #seen = new Map<string, Pool>();
	#changedAtMs = Number.NEGATIVE_INFINITY;

	constructor(store: Pick<IpamStore, 'blockCidrs' | 'pools'>, clock: Clock) {
		this.#store = store;
		this.#clock = clock;
	}

	/**
	 * Blocks that overlap another block and assign no address. `used`: candidate blocks of a
	 * request.
	 */
	async overlapped(used: readonly PrefixKey[]): Promise<ReadonlySet<PrefixKey>> {
		const pools = await this.#currentPools();
		const known = this.#known;
		const isOld = known === undefined || this.#ageMs(known.atMs) > mostAgeMs || known.atMs <= this.#changedAtMs;
		if (!isOld && !used.some((cidr) => isOdd(cidr, pools))) return known.overlapped;
		return overlappedBlocks(await this.cidrs());
	}

	/**
	 * True if another block overlaps the block `cidr`, from which an address was just assigned.
	 * `isSettled`: at the write the block was this node's, and no claim of it was in progress.
	 */
	async isContested(cidr: PrefixKey, isSettled: boolean): Promise<boolean> {
		const pools = await this.#currentPools(this.#isArmed() ? 'fresh' : undefined);
		const known = this.#known;
		const isProven =
			isSettled &&
			known?.overlapped.has(cidr) === false &&
			known.atMs - this.#changedAtMs > settleMs &&
			!isOdd(cidr, pools);
		return !isProven && (await this.rivals(cidr)).length > 0;
	}

	/** Reads the names of all blocks. */
	async cidrs(): Promise<readonly PrefixKey[]> {
		// Reads the pools first: their change invalidates older lists, and this list is newer.
		const pools = await this.#currentPools();
		const atMs = this.#clock.monotonicMs();
		const cidrs = await this.#store.blockCidrs();
		const isMixed = cidrs.some((cidr) => poolOf(pools, cidr) !== undefined && isOdd(cidr, pools));
		this.#known = { overlapped: overlappedBlocks(cidrs), isMixed, atMs };
		return cidrs;
	}

	/** Reads the existing blocks that overlap this one. */
	async rivals(cidr: PrefixKey): Promise<readonly PrefixKey[]> {
		return overlappingBlocks(cidr, await this.cidrs());
	}

	/**
	 * The pools. A new state of a pool that overlaps an earlier one invalidates earlier lists of
	 * blocks.
	 */
	async #currentPools(fresh?: 'fresh'): Promise<readonly Pool[]> {
		const pools = await this.#store.pools(fresh);
		const earlier = [...this.#seen.values()];
		const fresher = pools.filter((pool) => !this.#seen.has(stateOf(pool)));
		for (const pool of fresher) this.#seen.set(stateOf(pool), pool);
		if (fresher.some((pool) => earlier.some(({ cidr }) => overlap(cidr, pool.cidr))))
			this.#changedAtMs = this.#clock.monotonicMs();
		return pools;
	}

	#isArmed(): boolean {
		return this.#known?.isMixed !== false || this.#ageMs(this.#changedAtMs) <= mostAgeMs;
	}

	#ageMs(atMs: number): number {
		return this.#clock.monotonicMs() - atMs;
	}
}

const stateOf = ({ name, version, cidr, blockSize }: Pool): string => `${name} ${version} ${cidr} ${blockSize}`;

/** True if the block's size differs from its pool's, or the block has no pool. */
const isOdd = (cidr: PrefixKey, pools: readonly Pool[]): boolean =>
	!cidr.endsWith(`/${poolOf(pools, cidr)?.blockSize}`);
