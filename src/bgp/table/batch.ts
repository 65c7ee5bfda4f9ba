import type { PathChange } from './announced-paths.ts';

/** Number of prefixes per step of selection. */
export const batchCapacity = 4096;

/**
 * Prefixes with a changed best path: the attribute sets before and after, 0 for none. Reused for
 * every step.
 */
export class Batch {
	count = 0;
	readonly prefixes = new Int32Array(batchCapacity);
	readonly before = new Int32Array(batchCapacity);
	readonly after = new Int32Array(batchCapacity);
	/**
	 * Changes of all paths, for groups that send more than the best one; empty if there is none.
	 */
	paths: PathChange[] = [];
	/**
	 * Multipath prefixes with an unchanged best path: equal paths may have been added or removed.
	 * Empty without multipath.
	 */
	unchanged: number[] = [];

	clear(): void {
		this.count = 0;
		this.paths = [];
		this.unchanged = [];
	}

	get isEmpty(): boolean {
		return this.count === 0 && this.paths.length === 0 && this.unchanged.length === 0;
	}

	add(prefix: number, before: number, after: number): void {
		this.prefixes[this.count] = prefix;
		this.before[this.count] = before;
		this.after[this.count++] = after;
	}
}
