import { type BestRoute, type Family, type RouteChange, splitZone, tryEach } from '../../core/index.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import type { Batch } from '../table/batch.ts';
import { Candidates, type DecisionStep, equalToBest } from '../table/decision.ts';
import type { NextHops } from '../table/next-hops.ts';
import type { RouteTable } from '../table/route-table.ts';
import { sourceOf } from '../update-group/exporter.ts';
import type { Importer } from './importer.ts';
import type { PeerRegistry } from './peer-registry.ts';

/** Changes per call during the initial delivery to a new listener. */
const firstBatch = 4096;

/** Settings of multipath, and the handler of faults. */
interface BestRoutesOptions {
	/** Number of next hops per route, including the best. */
	readonly limit: number;
	readonly steps: readonly DecisionStep[];
	/** Receives the exception of a listener; the others are called. */
	readonly onFault: ((error: unknown) => void) | undefined;
}

/** The Loc-RIB for subscribers: values, created only while there is one. */
export class BestRoutes {
	readonly #pool: AttributePool;
	readonly #nextHops: NextHops;
	readonly #peers: PeerRegistry;
	readonly #importer: Importer;
	readonly #settings: BestRoutesOptions;
	readonly #candidates = new Candidates();
	readonly #listeners = new Set<(changes: readonly RouteChange[]) => void>();

	constructor(
		pool: AttributePool,
		nextHops: NextHops,
		peers: PeerRegistry,
		importer: Importer,
		settings: BestRoutesOptions,
	) {
		this.#pool = pool;
		this.#nextHops = nextHops;
		this.#peers = peers;
		this.#importer = importer;
		this.#settings = settings;
	}

	/** Delivers all present routes, then changes, until the returned function is called. */
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

	/** Emits the changes of a selection step. */
	emit(table: RouteTable, { count, prefixes, after, unchanged }: Batch): void {
		if (this.#listeners.size === 0) return;
		const changes = Array.from({ length: count }, (_, index) =>
			this.#change(table, prefixes[index] ?? 0, after[index] ?? 0),
		);
		for (const prefix of unchanged) changes.push(this.#change(table, prefix, table.rows.announced(prefix)));
		const { onFault } = this.#settings;
		const calls = [...this.#listeners].map((listener) => () => listener(changes));
		if (onFault !== undefined) tryEach(calls, onFault);
		else for (const call of calls) call();
	}

	#change(table: RouteTable, prefix: number, set: number): RouteChange {
		const key = table.prefixes.key(prefix);
		return set === 0
			? { type: 'remove', prefix: key }
			: {
					type: 'install',
					route: this.#route(key, table.prefixes.family, set, this.#alternatives(table, prefix, set)),
				};
	}

	/** Next hops of the paths equal to the best one, in order; `undefined`: none. */
	#alternatives(table: RouteTable, prefix: number, set: number): readonly string[] | undefined {
		const { limit, steps } = this.#settings;
		if (limit < 2 || table.rows.more(prefix) === 0) return undefined;
		const candidates = this.#candidates;
		candidates.clear();
		table.collect(prefix, candidates);
		const best = this.#nextHops.text(this.#pool.nextHop[set] ?? 0);
		const others = new Set<string>();
		for (const index of equalToBest(steps, candidates)) {
			const text = this.#nextHops.text(this.#pool.nextHop[candidates.attributes[index] ?? 0] ?? 0);
			// A link-local next hop has an interface, which the alternatives of a route can not
			// express.
			if (text !== undefined && text !== best && splitZone(text).interfaceName === undefined) others.add(text);
		}
		const plain = [...others].sort();
		return plain.length === 0 ? undefined : plain.slice(0, limit - 1);
	}

	#route(
		prefix: BestRoute['prefix'],
		family: Family,
		set: number,
		alternatives: readonly string[] | undefined,
	): BestRoute {
		const pool = this.#pool;
		const source = sourceOf(pool.flags[set] ?? 0);
		const local = source === 'local';
		const priority = this.#importer.priorityOf(set, family);
		const nextHop = local ? undefined : this.#nextHops.text(pool.nextHop[set] ?? 0);
		const { address, interfaceName } =
			nextHop === undefined ? { address: undefined, interfaceName: undefined } : splitZone(nextHop);
		return {
			prefix,
			family,
			nextHop: address,
			...(interfaceName === undefined ? {} : { nextHopInterface: interfaceName }),
			source,
			peer: local ? undefined : this.#peers.byId(pool.peer[set] ?? 0).name,
			localPref: pool.localPref[set] ?? 0,
			...(priority === undefined ? {} : { priority }),
			...(alternatives === undefined || local ? {} : { alternatives }),
		};
	}
}
