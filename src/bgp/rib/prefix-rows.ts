import { grown } from './columns.ts';

/** Numbers in a row, as a power of two. */
const rowShift = 2;
const moreAt = 1;
const announcedAt = 2;
const flagsAt = 3;

/**
 * What a route table knows of each prefix. Whoever asks for one of these asks for the others too, so they stand in one row: routes
 * that come in another order than the one in which they were first seen then cost one visit of the memory instead of four.
 */
export class PrefixRows {
	#rows: Int32Array;

	constructor(capacity: number) {
		this.#rows = new Int32Array(capacity << rowShift);
	}

	/** The first path, 0 for none. */
	head(prefix: number): number {
		return this.#rows[prefix << rowShift] ?? 0;
	}

	setHead(prefix: number, path: number): void {
		this.#rows[prefix << rowShift] = path;
	}

	/** Where further paths begin: an index into the list, 0 for none. */
	more(prefix: number): number {
		return this.#rows[(prefix << rowShift) | moreAt] ?? 0;
	}

	setMore(prefix: number, index: number): void {
		this.#rows[(prefix << rowShift) | moreAt] = index;
	}

	/** The attribute set last announced as best, 0 for none. */
	announced(prefix: number): number {
		return this.#rows[(prefix << rowShift) | announcedAt] ?? 0;
	}

	setAnnounced(prefix: number, set: number): void {
		this.#rows[(prefix << rowShift) | announcedAt] = set;
	}

	flags(prefix: number): number {
		return this.#rows[(prefix << rowShift) | flagsAt] ?? 0;
	}

	setFlags(prefix: number, flags: number): void {
		this.#rows[(prefix << rowShift) | flagsAt] = flags;
	}

	grow(capacity: number): void {
		this.#rows = grown(this.#rows, capacity << rowShift);
	}
}
