import type { Batch } from './batch.ts';
import { batchCapacity } from './batch.ts';
import { Candidates, type DecisionStep, selectBest } from './decision.ts';
import { attributesMask, type RouteTable } from './route-table.ts';

/** Decides which path of each dirty prefix is best, in steps. */
export class Selection {
	readonly #table: RouteTable;
	readonly #steps: readonly DecisionStep[];
	readonly #candidates = new Candidates();

	constructor(table: RouteTable, steps: readonly DecisionStep[]) {
		this.#table = table;
		this.#steps = steps;
	}

	/** Decides up to a batch of dirty prefixes; what changed is in `batch`, whose sets are held until `finish`. */
	settle(batch: Batch, limit = batchCapacity): void {
		const table = this.#table;
		const { pool } = table;
		batch.clear();
		const { announcedPaths } = table;
		while (batch.count < limit && batch.paths.length < limit) {
			const prefix = table.takeDirty();
			if (prefix === 0) break;
			const best = this.best(prefix);
			if (announcedPaths.active) this.#rank(prefix, batch);
			const before = table.rows.announced(prefix);
			if (best === before) {
				if (best === 0) table.discardIfEmpty(prefix);
				continue;
			}
			if (best !== 0) pool.retain(best);
			table.rows.setAnnounced(prefix, best);
			batch.add(prefix, before, best);
		}
		if (!batch.isEmpty) table.version++;
	}

	/** Lets go of what was announced before, once everybody has been told. */
	finish({ count, prefixes, before, after, paths }: Batch): void {
		const { pool } = this.#table;
		this.#table.announcedPaths.finish(paths);
		for (let index = 0; index < count; index++) {
			const old = before[index] ?? 0;
			if (old !== 0) pool.release(old);
			if (after[index] === 0) this.#table.discardIfEmpty(prefixes[index] ?? 0);
		}
	}

	/** Notes in `batch` how the paths of a prefix changed. */
	#rank(prefix: number, batch: Batch): void {
		this.#candidates.clear();
		this.#table.collect(prefix, this.#candidates);
		const change = this.#table.announcedPaths.update(prefix, this.#candidates, this.#steps);
		if (change !== undefined) batch.paths.push(change);
	}

	/** The attribute set of the best path to a prefix, 0 for none; that path becomes the first. */
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
