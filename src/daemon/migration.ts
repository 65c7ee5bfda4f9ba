import { localPrefOf, type OriginateAttributes } from '../bgp/index.ts';
import { type Logger, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';

/** The path of this node for a migrated workload, beside that of its block or borrowed address. */
const migrationPath = 1;

interface Announcing {
	originate(prefix: PrefixKey, attributes: OriginateAttributes, path: number): void;
	withdrawOrigin(prefix: PrefixKey, path: number): void;
}

/**
 * Announces workloads that move to this node, as Calico 3.32 does for live migration: the kernel
 * has a host route of a lower metric, which becomes a higher LOCAL_PREF inside the AS. External
 * peers get communities by the export policies of the node (BGPFilter `priority`).
 */
export class MigrationRoutes {
	readonly #rib: Announcing;
	/** The pools of this node. */
	readonly #pools: () => readonly PrefixKey[];
	readonly #log: Logger;
	readonly #announced = new Map<PrefixKey, number>();

	constructor(rib: Announcing, pools: () => readonly PrefixKey[], log: Logger) {
		this.#rib = rib;
		this.#pools = pools;
		this.#log = log;
	}

	/**
	 * Sets all elevated routes of the kernel with their metrics; those outside all pools are left
	 * out.
	 */
	set(metrics: ReadonlyMap<PrefixKey, number>): void {
		const pools = this.#pools().map((cidr) => parsePrefix(cidr));
		const wanted = new Map(
			[...metrics].filter(([prefix]) => pools.some((pool) => prefixCovers(pool, parsePrefix(prefix)))),
		);
		for (const prefix of this.#announced.keys()) {
			if (wanted.has(prefix)) continue;
			this.#rib.withdrawOrigin(prefix, migrationPath);
			this.#announced.delete(prefix);
			this.#log.info('migration of a workload has ended', { prefix });
		}
		for (const [prefix, priority] of wanted) {
			if (this.#announced.get(prefix) === priority) continue;
			this.#rib.originate(prefix, { localPref: localPrefOf(priority), priority }, migrationPath);
			this.#announced.set(prefix, priority);
			this.#log.info('workload migrates to this node', { prefix, metric: priority });
		}
	}
}
