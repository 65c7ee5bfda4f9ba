import type { Backoff, Clock, Encapsulate, Family, FibRefusal, Logger, PrefixKey, Random } from '../core/index.ts';
import type { RouteKernel } from './kernel.ts';
import type { Way } from './next-hops/way.ts';

/** How this node's routes are written. */
export interface FibOptions {
	/**
	 * The kernel's route protocol number that marks our routes; no other route is changed. 5 to
	 * 255.
	 */
	readonly routeProtocol: number;
	/** Write although another program owns the same routes. Default `false`. */
	readonly besideOthers?: boolean;
	/**
	 * Metric of routes without a policy that sets one. Default 1024, Calico's
	 * `ipv4NormalRoutePriority`.
	 */
	readonly metric?: number;
	/**
	 * Metric of ordinary routes to local workloads until `setNormalMetrics` is called; a lower one
	 * means that the workload has moved here. Default 1024.
	 */
	readonly normalMetrics?: Readonly<Record<Family, number>>;
	/**
	 * Preferred source address of this host's packets on every route with a next hop, by family.
	 * Default: the kernel chooses.
	 */
	readonly sources?: Readonly<Partial<Record<Family, string>>> | undefined;
	/**
	 * Interval of full comparisons with the kernel, which find only changes without events. Default
	 * 90.
	 */
	readonly auditSeconds?: number;
	/** Delay before a refused route is retried. Default 0.2 s to 30 s. */
	readonly retry?: Backoff;
}

/** Defaults. */
export const fibDefaults = {
	besideOthers: false,
	metric: 1024,
	normalMetrics: { ipv4: 1024, ipv6: 1024 },
	auditSeconds: 90,
	retry: { firstMs: 200, mostMs: 30_000 },
};

export interface FibDependencies {
	readonly kernel: RouteKernel;
	/**
	 * The way to a next hop, from the tracker that selection uses; its changes are passed to
	 * `nextHopsChanged`. Default: the same rule on the foreign routes of the table.
	 */
	readonly resolve?: ((nextHop: string) => Way | undefined) | undefined;
	/** The encapsulation until `setEncapsulate` is called. */
	readonly encapsulate: Encapsulate;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
	/**
	 * Called after a change of our routes in the kernel or of their inputs; `staticsMoved`:
	 * including static routes.
	 */
	readonly onRoutes?: (staticsMoved: boolean) => void;
	/**
	 * Called with the remote tunnel addresses when that set changes: tunnelled packets are accepted
	 * only from them.
	 */
	readonly onTunnelEnds?: (addresses: ReadonlySet<string>) => void;
	/**
	 * Called with the routes to local workloads of a lower metric than normal, when they change:
	 * the workload has moved to this node (`findElevated`).
	 */
	readonly onElevated?: (metrics: ReadonlyMap<PrefixKey, number>) => void;
	/**
	 * Called when another owner of the same routes is detected, and with `undefined` when it is
	 * gone.
	 */
	readonly onRefusal?: (refusal: FibRefusal | undefined) => void;
}

/** Statistics of the FIB. */
export interface FibStats {
	/** Operations since the start: applied, and refused by the kernel. */
	readonly applied: number;
	readonly refused: number;
	/** Number of reads of our routes. */
	readonly audits: number;
	/** Prefixes with our routes in the kernel. */
	readonly prefixes: number;
	/** Prefixes whose route is refused at present. */
	readonly failing: number;
	/** Prefixes not compared yet. */
	readonly dirty: number;
	readonly inSync: boolean;
}
