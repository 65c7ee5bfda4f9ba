import type { Family, PrefixKey, Random } from '../../core/index.ts';
import { grown, NumberStack } from './columns.ts';
import { SegmentedIndex } from './segmented-index.ts';

/**
 * Prefixes of one family as small ids from 1, the index of all columns per prefix. Prefixes have
 * wire form (RFC 4271 §4.3): a length in bits and as many octets as needed; host bits are ignored.
 */
export abstract class PrefixTable {
	abstract readonly family: Family;
	/** Octets of an address. */
	abstract readonly width: 4 | 16;
	/** Prefix length in bits. */
	bits: Uint8Array;
	/** Ids are less than this. */
	limit = 1;
	protected readonly index = new SegmentedIndex();
	protected readonly seed: number;
	/** The hash of the last `find`. */
	protected hash = 0;
	readonly #free = new NumberStack();
	/** Called after the columns grew, so that dependent columns grow as well. */
	readonly #onGrowth: ((capacity: number) => void)[] = [];

	constructor(random: Random, capacity: number) {
		this.seed = Math.trunc(random() * 0x1_0000_0000) | 0;
		this.bits = new Uint8Array(capacity);
	}

	/** The id of the prefix whose octets begin at `at`, 0 for none. */
	abstract find(bytes: Uint8Array, at: number, bits: number): number;
	/** Writes length and octets; returns where they end. */
	abstract write(id: number, bytes: Uint8Array, at: number): number;
	abstract key(id: number): PrefixKey;
	/** True for a multicast or reserved prefix. */
	abstract isMulticast(bytes: Uint8Array, at: number, bits: number): boolean;
	/** True for a prefix that is never forwarded (loopback, this-network, link-local). RFC 6890. */
	abstract isMartian(bytes: Uint8Array, at: number, bits: number): boolean;
	protected abstract hashOf(id: number): number;
	/** Stores the prefix of the last `find`. */
	protected abstract store(id: number): void;
	protected abstract growColumns(capacity: number): void;

	/** Capacity of the columns in ids. */
	get capacity(): number {
		return this.bits.length;
	}

	/** Number of prefixes. */
	get size(): number {
		return this.limit - 1 - this.#free.size;
	}

	onGrowth(callback: (capacity: number) => void): void {
		this.#onGrowth.push(callback);
	}

	/** The id of a prefix; creates it if absent. */
	intern(bytes: Uint8Array, at: number, bits: number): number {
		const known = this.find(bytes, at, bits);
		if (known !== 0) return known;
		const id = this.#newId();
		this.bits[id] = bits;
		this.store(id);
		this.index.add(id, this.hash);
		return id;
	}

	/** Frees an id. Its columns must be empty. */
	release(id: number): void {
		this.index.remove(id, this.hashOf(id));
		this.#free.push(id);
	}

	#newId(): number {
		if (this.#free.size > 0) return this.#free.pop();
		if (this.limit === this.bits.length) {
			const capacity = this.limit * 2;
			this.bits = grown(this.bits, capacity);
			this.growColumns(capacity);
			for (const grow of this.#onGrowth) grow(capacity);
		}
		return this.limit++;
	}
}
