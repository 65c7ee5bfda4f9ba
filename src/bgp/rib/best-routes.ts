import type { BestRoute, Family, RouteChange } from '../../core/index.ts';
import { sourceOf } from '../update-group/exporter.ts';
import type { AttributePool } from './attribute-pool.ts';
import type { Batch } from './batch.ts';
import type { Importer } from './importer.ts';
import type { NextHops } from './next-hops.ts';
import type { PeerRegistry } from './peer-registry.ts';
import type { RouteTable } from './route-table.ts';

/** Changes told at once to a new listener. */
const firstBatch = 4096;

/** The Loc-RIB as others follow it: values, made only when somebody listens. */
export class BestRoutes {
	readonly #pool: AttributePool;
	readonly #nextHops: NextHops;
	readonly #peers: PeerRegistry;
	readonly #importer: Importer;
	readonly #listeners = new Set<(changes: readonly RouteChange[]) => void>();

	constructor(pool: AttributePool, nextHops: NextHops, peers: PeerRegistry, importer: Importer) {
		this.#pool = pool;
		this.#nextHops = nextHops;
		this.#peers = peers;
		this.#importer = importer;
	}

	/** The listener gets all that is there, then what changes, until the returned function is called. */
	subscribe(listener: (changes: readonly RouteChange[]) => void, tables: readonly RouteTable[]): () => void {
		let changes: RouteChange[] = [];
		for (const table of tables) {
			for (let prefix = 1; prefix < table.prefixes.limit; prefix++) {
				const set = table.rows.announced(prefix);
				if (set === 0) continue;
				changes.push(this.#change(table, prefix, set));
				if (changes.length < firstBatch) continue;
				listener(changes);
				changes = [];
			}
		}
		if (changes.length > 0) listener(changes);
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	/** Selection changed these. */
	emit(table: RouteTable, { count, prefixes, after }: Batch): void {
		if (this.#listeners.size === 0) return;
		const changes = Array.from({ length: count }, (_, index) => this.#change(table, prefixes[index] ?? 0, after[index] ?? 0));
		for (const listener of this.#listeners) listener(changes);
	}

	#change(table: RouteTable, prefix: number, set: number): RouteChange {
		const key = table.prefixes.key(prefix);
		return set === 0 ? { type: 'remove', prefix: key } : { type: 'install', route: this.#route(key, table.prefixes.family, set) };
	}

	#route(prefix: BestRoute['prefix'], family: Family, set: number): BestRoute {
		const pool = this.#pool;
		const source = sourceOf(pool.flags[set] ?? 0);
		const local = source === 'local';
		const priority = this.#importer.priorityOf(set);
		return {
			prefix,
			family,
			nextHop: local ? undefined : this.#nextHops.text(pool.nextHop[set] ?? 0),
			source,
			peer: local ? undefined : this.#peers.byId(pool.peer[set] ?? 0).name,
			localPref: pool.localPref[set] ?? 0,
			...(priority === undefined ? {} : { priority }),
		};
	}
}
