import type { Batch } from './batch.ts';
import { batchCapacity } from './batch.ts';
import { Candidates, type DecisionStep, selectBest } from './decision.ts';
import { attributesMask, type RouteTable } from './route-table.ts';

/** Selects the best path of each dirty prefix, in steps. */
export class Selection {
	readonly #table: RouteTable;
	readonly #steps: readonly DecisionStep[];
	readonly #candidates = new Candidates();

	readonly #multipath: boolean;

	/** `multipath`: also reports prefixes of several paths with an unchanged best one. */
	constructor(table: RouteTable, steps: readonly DecisionStep[], multipath: boolean) {
		this.#table = table;
		this.#multipath = multipath;
		this.#steps = steps;
	}

	/**
	 * Decides up to one batch of dirty prefixes; the changes are in `batch`, whose sets are
	 * retained until `finish`.
	 */
	settle(batch: Batch, limit = batchCapacity): void {
		const table = this.#table;
		const { pool } = table;
		batch.clear();
		const { announcedPaths } = table;
		while (batch.count < limit && batch.paths.length < limit && batch.unchanged.length < limit) {
			const prefix = table.takeDirty();
			if (prefix === 0) break;
			const best = this.best(prefix);
			if (announcedPaths.active) this.#rank(prefix, batch);
			const before = table.rows.announced(prefix);
			if (best === before) {
				if (best === 0) table.discardIfEmpty(prefix);
				else if (this.#multipath) batch.unchanged.push(prefix);
				continue;
			}
			if (best !== 0) pool.retain(best);
			table.rows.setAnnounced(prefix, best);
			batch.add(prefix, before, best);
		}
		if (!batch.isEmpty) table.version++;
	}

	/** Releases the previous announcements after all groups have processed the changes. */
	finish({ count, prefixes, before, after, paths }: Batch): void {
		const { pool } = this.#table;
		this.#table.announcedPaths.finish(paths);
		for (let index = 0; index < count; index++) {
			const old = before[index] ?? 0;
			if (old !== 0) pool.release(old);
			if (after[index] === 0) this.#table.discardIfEmpty(prefixes[index] ?? 0);
		}
	}

	/** Adds the changes of a prefix's paths to `batch`. */
	#rank(prefix: number, batch: Batch): void {
		this.#candidates.clear();
		this.#table.collect(prefix, this.#candidates);
		const change = this.#table.announcedPaths.update(prefix, this.#candidates, this.#steps);
		if (change !== undefined) batch.paths.push(change);
	}

	/** The attribute set of the best path to a prefix, 0 for none; moves that path to the front. */
	best(prefix: number): number {
		const table = this.#table;
		const head = table.rows.head(prefix);
		if (head === 0) return 0;
		if (table.rows.more(prefix) === 0) return table.isEligible(head) ? head & attributesMask : 0;
		const candidates = this.#candidates;
		candidates.clear();
		table.collect(prefix, candidates);
		if (candidates.count === 0) return 0;
		const index = selectBest(this.#steps, candidates);
		const best = candidates.attributes[index] ?? 0;
		table.promote(prefix, best, candidates.pathIds[index] ?? 0);
		return best;
	}
}
