import type { PathChange } from './announced-paths.ts';

/** How many prefixes one step of selection decides. */
export const batchCapacity = 4096;

/** Prefixes whose best path has changed: the attribute sets before and after, 0 for none. Reused for every step. */
export class Batch {
	count = 0;
	readonly prefixes = new Int32Array(batchCapacity);
	readonly before = new Int32Array(batchCapacity);
	readonly after = new Int32Array(batchCapacity);
	/** Changes of all paths, for groups that send more than the best; empty while there is none. */
	paths: PathChange[] = [];

	clear(): void {
		this.count = 0;
		this.paths = [];
	}

	get isEmpty(): boolean {
		return this.count === 0 && this.paths.length === 0;
	}

	add(prefix: number, before: number, after: number): void {
		this.prefixes[this.count] = prefix;
		this.before[this.count] = before;
		this.after[this.count++] = after;
	}
}
