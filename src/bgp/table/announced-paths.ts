import type { Candidates, DecisionStep } from './decision.ts';
import { selectBest } from './decision.ts';
import type { RouteTable } from './route-table.ts';

/** An announced path: its attribute set, and our path identifier (RFC 7911 §3). */
export interface AnnouncedPath {
	readonly set: number;
	readonly pathId: number;
}

/** The paths of a prefix before and after a step of selection, best first. */
export interface PathChange {
	readonly prefix: number;
	readonly before: readonly AnnouncedPath[];
	readonly after: readonly AnnouncedPath[];
}

const none: readonly AnnouncedPath[] = [];

/**
 * The eligible paths of each prefix in their last announced state, for update groups that send more
 * than the best path. Kept only while such a group exists: it costs an entry per prefix.
 */
export class AnnouncedPaths {
	readonly #table: RouteTable;
	readonly #paths = new Map<number, readonly AnnouncedPath[]>();
	/** Our identifiers by `peer pathId` of the source; with the number of paths that use each. */
	readonly #ids = new Map<string, { readonly id: number; uses: number }>();
	/** The key of each identifier in use. */
	readonly #keys = new Map<number, string>();
	readonly #freeIds: number[] = [];
	#nextId = 1;
	#users = 0;

	constructor(table: RouteTable) {
		this.#table = table;
	}

	get active(): boolean {
		return this.#users > 0;
	}

	/**
	 * A group that requires them starts: the first one triggers a new decision and a gradual
	 * announcement of all prefixes.
	 */
	use(): void {
		if (this.#users++ > 0) return;
		for (let prefix = 1; prefix < this.#table.prefixes.limit; prefix++)
			if (this.#table.rows.head(prefix) !== 0) this.#table.markDirty(prefix);
	}

	/** The counterpart of `use`. */
	unuse(): void {
		if (--this.#users > 0) return;
		for (const paths of this.#paths.values()) this.#letGo(paths);
		this.#paths.clear();
	}

	/** The paths of a prefix, best first. */
	of(prefix: number): readonly AnnouncedPath[] {
		return this.#paths.get(prefix) ?? none;
	}

	/**
	 * Ranks the paths of a prefix; returns the changes, retained until `finish`. `candidates`: its
	 * eligible paths.
	 */
	update(prefix: number, candidates: Candidates, steps: readonly DecisionStep[]): PathChange | undefined {
		const before = this.of(prefix);
		const after: AnnouncedPath[] = [];
		for (let rank = 0; rank < candidates.count; rank++) {
			candidates.moveFirst(selectBest(steps, candidates, rank), rank);
			const set = candidates.attributes[rank] ?? 0;
			after.push({ set, pathId: this.#acquireId(set, candidates.pathIds[rank] ?? 0) });
			this.#table.pool.retain(set);
		}
		if (
			after.length === before.length &&
			after.every(({ set, pathId }, rank) => set === before[rank]?.set && pathId === before[rank]?.pathId)
		) {
			this.#letGo(after);
			return undefined;
		}
		if (after.length === 0) this.#paths.delete(prefix);
		else this.#paths.set(prefix, after);
		return { prefix, before, after };
	}

	/** All groups have processed the changes: releases the previous paths. */
	finish(changes: readonly PathChange[]): void {
		for (const { before } of changes) this.#letGo(before);
	}

	#acquireId(set: number, pathId: number): number {
		const key = `${this.#table.pool.peer[set]} ${pathId}`;
		let entry = this.#ids.get(key);
		if (entry === undefined) {
			entry = { id: this.#freeIds.pop() ?? this.#nextId++, uses: 0 };
			this.#ids.set(key, entry);
			this.#keys.set(entry.id, key);
		}
		entry.uses++;
		return entry.id;
	}

	#letGo(paths: readonly AnnouncedPath[]): void {
		for (const { set, pathId } of paths) {
			this.#table.pool.release(set);
			const key = this.#keys.get(pathId) ?? '';
			const entry = this.#ids.get(key);
			if (entry === undefined || --entry.uses > 0) continue;
			this.#ids.delete(key);
			this.#keys.delete(pathId);
			this.#freeIds.push(pathId);
		}
	}
}
