import { grown } from './columns.ts';

/** Flags are stored above the id of an attribute set. */
const flagsShift = 30;
const setMask = 2 ** flagsShift - 1;

/**
 * Data of a route table per prefix. The first path, the announced set and the flags are read
 * together and stored together: routes that arrive in another order than at first cost fewer cache
 * misses. The start of further paths is a separate column, which takes no memory while no prefix
 * has any.
 */
export class PrefixRows {
	/** Two numbers per prefix: the first path; the announced set with the flags. */
	#rows: Int32Array;
	#more: Int32Array;

	constructor(capacity: number) {
		this.#rows = new Int32Array(capacity * 2);
		this.#more = new Int32Array(capacity);
	}

	/** The first path, 0 for none. */
	head(prefix: number): number {
		return this.#rows[prefix << 1] ?? 0;
	}

	setHead(prefix: number, path: number): void {
		this.#rows[prefix << 1] = path;
	}

	/** Start of further paths: an index into the list, 0 for none. */
	more(prefix: number): number {
		return this.#more[prefix] ?? 0;
	}

	setMore(prefix: number, index: number): void {
		this.#more[prefix] = index;
	}

	/** The attribute set last announced as best, 0 for none. */
	announced(prefix: number): number {
		return (this.#rows[(prefix << 1) | 1] ?? 0) & setMask;
	}

	setAnnounced(prefix: number, set: number): void {
		const at = (prefix << 1) | 1;
		this.#rows[at] = ((this.#rows[at] ?? 0) & ~setMask) | set;
	}

	/** Two bits, without a meaning here. */
	flags(prefix: number): number {
		return (this.#rows[(prefix << 1) | 1] ?? 0) >>> flagsShift;
	}

	setFlags(prefix: number, flags: number): void {
		const at = (prefix << 1) | 1;
		this.#rows[at] = ((this.#rows[at] ?? 0) & setMask) | (flags << flagsShift);
	}

	grow(capacity: number): void {
		this.#rows = grown(this.#rows, capacity * 2);
		this.#more = grown(this.#more, capacity);
	}
}
