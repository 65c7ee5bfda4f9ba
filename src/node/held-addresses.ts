import type { Clock, Logger, PrefixKey, Timer } from '../core/index.ts';
import {
	type AddressObserver,
	attributeOf,
	type Block,
	blockName,
	type IpamStore,
	isHeld,
	nodeOf,
	ordinalToAddress,
	whereReadable,
} from '../ipam/index.ts';

export interface HeldAddressesDependencies {
	readonly node: string;
	readonly store: Pick<IpamStore, 'blocks'>;
	/**
	 * True if the block is this node's by a confirmed affinity. Its addresses then need no separate
	 * announcement.
	 */
	readonly isOwn: (block: PrefixKey) => boolean;
	/**
	 * Watches one block: `changed` is called after each write of any client to it, and once when the
	 * watch begins, until the returned function is called.
	 */
	readonly watch: (block: PrefixKey, changed: () => void) => () => void;
	/** Called when an address outside the own blocks was added or removed. */
	readonly changed: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * Interval of the check of all foreign blocks with addresses of this node, in milliseconds. It
 * covers blocks that are not watched: those that ceased to be own, and those above the limit.
 */
const checkMs = 60_000;
const retryMs = 5000;
/**
 * Delay of a change of the watches, in milliseconds: a claim of a new block may not be in the copy
 * of the claims yet.
 */
const settleMs = 1000;
/** Each watch is a connection to the API server. */
const mostWatches = 32;

/**
 * The addresses in use on this node, in own and foreign blocks. Addresses outside own blocks are
 * announced as host prefixes. Assignments and releases of this process are known at once; one scan
 * of all blocks at the start finds the addresses of earlier processes. Foreign blocks with such
 * addresses are watched: other writers may release an address there, or assign it to another node.
 * If an own block is lost while its addresses are in use, these count as borrowed.
 */
export class HeldAddresses implements AddressObserver {
	readonly #dependencies: HeldAddressesDependencies;
	/** The block of each address. */
	readonly #held = new Map<string, PrefixKey>();
	/** Addresses assigned or released during a read of blocks: the data read may be older. */
	#meanwhile = new Set<string>();
	/** By block: the function that ends the watch. */
	readonly #watches = new Map<PrefixKey, () => void>();
	/** Blocks with a read that has not begun. */
	readonly #due = new Set<PrefixKey>();
	/** Reads happen one after another, so that `#meanwhile` belongs to one of them. */
	#reads: Promise<unknown> = Promise.resolve();
	readonly #timers = new Set<Timer>();
	#settling = false;
	#stopped = false;

	constructor(dependencies: HeldAddressesDependencies) {
		this.#dependencies = dependencies;
	}

	/** Includes addresses of own blocks; the reader of the state removes those. */
	get addresses(): ReadonlySet<string> {
		return new Set(this.#held.keys());
	}

	given(address: string, block: PrefixKey): void {
		this.#meanwhile.add(address);
		if (this.#held.has(address)) return;
		this.#held.set(address, block);
		if (!this.#dependencies.isOwn(block)) this.#changed();
	}

	released(addresses: readonly string[]): void {
		let isOther = false;
		for (const address of addresses) {
			this.#meanwhile.add(address);
			const block = this.#held.get(address);
			if (block !== undefined && this.#held.delete(address) && !this.#dependencies.isOwn(block)) isOther = true;
		}
		if (isOther) this.#changed();
	}

	/** Scans all blocks, then watches the relevant ones. Never rejects. */
	start(): void {
		void this.#scan();
	}

	stop(): void {
		this.#stopped = true;
		for (const timer of this.#timers) timer.cancel();
		for (const end of this.#watches.values()) end();
		this.#watches.clear();
	}

	async #scan(): Promise<void> {
		const done = await this.#read(async () => {
			const { items } = await this.#dependencies.store.blocks.list();
			this.#take(items.map(({ value }) => value));
		});
		this.#later(done ? checkMs : retryMs, () => (done ? this.#check() : this.#scan()));
	}

	async #check(): Promise<void> {
		for (const block of this.#foreign()) await this.#readBlock(block);
		this.#updateWatches();
		this.#later(checkMs, () => this.#check());
	}

	#later(delayMs: number, act: () => unknown): void {
		if (this.#stopped) return;
		const timer = this.#dependencies.clock.after(delayMs, () => {
			this.#timers.delete(timer);
			void act();
		});
		this.#timers.add(timer);
	}

	/** After the reads that have begun. `false`: it failed. */
	#read(act: () => Promise<void>): Promise<boolean> {
		const read = this.#reads.then(async () => {
			if (this.#stopped) return true;
			this.#meanwhile = new Set();
			return await act().then(
				() => true,
				(error: unknown) => {
					this.#dependencies.log.warn('addresses in blocks of other nodes not read, retried', {
						error: error instanceof Error ? error.message : String(error),
					});
					return false;
				},
			);
		});
		this.#reads = read;
		return read;
	}

	async #readBlock(cidr: PrefixKey): Promise<void> {
		// A read that has not begun covers this change, too.
		if (this.#due.has(cidr)) return;
		this.#due.add(cidr);
		const done = await this.#read(async () => {
			this.#due.delete(cidr);
			const unreadable = Symbol('unreadable');
			const found = await whereReadable(this.#dependencies.store.blocks.read(blockName(cidr), 'fresh'), unreadable);
			// Unreadable block: keep the known addresses.
			if (typeof found === 'symbol') return;
			if (found === undefined) this.released(this.#of(cidr).filter((address) => !this.#meanwhile.has(address)));
			else this.#take([found.value]);
		});
		if (!done) this.#later(retryMs, () => this.#readBlock(cidr));
	}

	/** The foreign blocks with addresses of this node. */
	#foreign(): ReadonlySet<PrefixKey> {
		const { isOwn } = this.#dependencies;
		return new Set([...this.#held.values()].filter((block) => !isOwn(block)));
	}

	#changed(): void {
		this.#dependencies.changed();
		if (this.#settling) return;
		this.#settling = true;
		this.#later(settleMs, () => {
			this.#settling = false;
			this.#updateWatches();
		});
	}

	#updateWatches(): void {
		if (this.#stopped) return;
		const foreign = this.#foreign();
		for (const [block, end] of this.#watches) {
			if (foreign.has(block)) continue;
			this.#watches.delete(block);
			end();
		}
		for (const block of foreign) {
			if (this.#watches.size >= mostWatches) return;
			if (!this.#watches.has(block))
				this.#watches.set(
					block,
					this.#dependencies.watch(block, () => void this.#readBlock(block)),
				);
		}
	}

	/** The known addresses of a block. */
	#of(cidr: PrefixKey): readonly string[] {
		return [...this.#held].flatMap(([address, block]) => (block === cidr ? [address] : []));
	}

	/** Replaces the known addresses by the contents of blocks. */
	#take(blocks: readonly Block[]): void {
		const { isOwn } = this.#dependencies;
		let isOther = false;
		for (const block of blocks) {
			const now = new Set(this.#usedHere(block));
			for (const address of this.#of(block.cidr))
				if (!now.has(address) && !this.#meanwhile.has(address)) {
					this.#held.delete(address);
					isOther ||= !isOwn(block.cidr);
				}
			for (const address of now) {
				if (this.#held.has(address) || this.#meanwhile.has(address)) continue;
				this.#held.set(address, block.cidr);
				isOther ||= !isOwn(block.cidr);
			}
		}
		if (isOther) this.#changed();
	}

	/** The addresses of a block whose attributes name this node. */
	#usedHere(block: Block): string[] {
		const { node } = this.#dependencies;
		return block.allocations.flatMap((_, ordinal) =>
			isHeld(block, ordinal) && nodeOf(attributeOf(block, ordinal)) === node
				? [ordinalToAddress(block.cidr, ordinal)]
				: [],
		);
	}
}
