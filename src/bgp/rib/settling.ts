import type { Clock, Family } from '../../core/index.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import { Batch, batchCapacity } from '../table/batch.ts';
import type { RouteTable } from '../table/route-table.ts';
import type { Selection } from '../table/selection.ts';
import type { Groups } from '../update-group/index.ts';
import type { BestRoutes } from './best-routes.ts';
import type { Jobs } from './jobs.ts';
import { countBest, familyNames, type PeerRegistry } from './peer-registry.ts';

/** Pause after a failed step of selection. */
const retryMs = 1000;

/** Dependencies of `Settling`. */
export interface SettlingDependencies {
	readonly jobs: Jobs;
	readonly clock: Clock;
	readonly pool: AttributePool;
	readonly peers: PeerRegistry;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	readonly selections: Readonly<Record<Family, Selection>>;
	readonly groups: Readonly<Record<Family, Groups>>;
	readonly best: BestRoutes;
	/** True while selection waits for End-of-RIB after a restart. */
	readonly isDeferred: () => boolean;
	/** No prefix waits for selection any more. */
	readonly settled: () => void;
	/** Receives the exception of a step; without it the exception propagates. */
	readonly onFault: ((error: unknown) => void) | undefined;
}

/** Selection of dirty prefixes in steps, with the announcements of its changes. */
export class Settling {
	readonly #dependencies: SettlingDependencies;
	readonly #batch = new Batch();
	#scheduled = false;

	constructor(dependencies: SettlingDependencies) {
		this.#dependencies = dependencies;
	}

	/** Schedules selection unless it is scheduled. */
	soon(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		this.#dependencies.jobs.add(this.#step);
	}

	/** One step; after a failed one selection continues with the next prefixes after a pause. */
	readonly #step = (): boolean => {
		try {
			this.#scheduled = this.#settle();
			return this.#scheduled;
		} catch (error) {
			const { clock, onFault } = this.#dependencies;
			if (onFault === undefined) throw error;
			onFault(error);
			clock.after(retryMs, () => {
				this.#scheduled = false;
				this.soon();
			});
			return false;
		}
	};

	/** One step for each family; `true`: more prefixes wait. */
	#settle(): boolean {
		const { tables, isDeferred, settled } = this.#dependencies;
		if (isDeferred()) return false;
		let more = false;
		for (const family of familyNames) {
			if (tables[family].dirtyCount === 0) continue;
			this.#settleFamily(family);
			more ||= tables[family].dirtyCount > 0;
		}
		if (!more) settled();
		return more;
	}

	#settleFamily(family: Family): void {
		const { tables, selections, groups, best, pool, peers } = this.#dependencies;
		const batch = this.#batch;
		selections[family].settle(batch, Math.max(256, Math.trunc(batchCapacity / Math.max(1, groups[family].size))));
		if (batch.isEmpty) return;
		countBest(batch, pool, peers, family);
		try {
			best.emit(tables[family], batch);
			groups[family].emit(batch);
		} finally {
			selections[family].finish(batch);
		}
	}
}
