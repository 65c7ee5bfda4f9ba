import type { Backoff, Clock, Encapsulate, FibRefusal, Logger, Random } from '../core/index.ts';
import type { RouteKernel } from './kernel.ts';

/** How this node's routes are written. */
export interface FibOptions {
	/** The kernel's route protocol number that marks our routes; nothing else is ever touched. 5 to 255. */
	readonly routeProtocol: number;
	/** Write although somebody else programs the same routes. Default `false`. */
	readonly besideOthers?: boolean;
	/** Of routes for which no policy asked another. Default 1024, Calico's `ipv4NormalRoutePriority`. */
	readonly metric?: number;
	/** Between full comparisons with the kernel. Events lead, this only catches what they miss. Default 90. */
	readonly auditSeconds?: number;
	/** Before refused routes are tried again. Default 0.2 s to 30 s. */
	readonly retry?: Backoff;
}

/** What holds where nothing is said. */
export const fibDefaults = { besideOthers: false, metric: 1024, auditSeconds: 90, retry: { firstMs: 200, mostMs: 30_000 } };

export interface FibDependencies {
	readonly kernel: RouteKernel;
	/** How packets leave, until `setEncapsulate` says otherwise. */
	readonly encapsulate: Encapsulate;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
	/** Called after our routes in the kernel have changed, or what they follow from; `staticsMoved`: static ones among them. */
	readonly onRoutes?: (staticsMoved: boolean) => void;
	/** Called with the addresses that tunnels lead to, whenever that set changes: from them alone may tunnelled packets come. */
	readonly onTunnelEnds?: (addresses: ReadonlySet<string>) => void;
	/** Called when somebody else is seen who programs the same routes, and with `undefined` when nobody is any more. */
	readonly onRefusal?: (refusal: FibRefusal | undefined) => void;
}

/** What the FIB has done and holds. */
export interface FibStats {
	/** Operations that the kernel carried out, and that it refused, since the start. */
	readonly applied: number;
	readonly refused: number;
	/** Times that our routes were read back. */
	readonly audits: number;
	/** Prefixes with routes of ours in the kernel. */
	readonly prefixes: number;
	/** Prefixes whose route is refused at present. */
	readonly failing: number;
	/** Prefixes not looked at yet. */
	readonly dirty: number;
	readonly inSync: boolean;
}
