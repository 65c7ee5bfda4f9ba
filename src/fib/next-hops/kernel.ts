import type { Family, PrefixKey } from '../../core/index.ts';

/** A route of another owner (including the kernel), with the fields that determine reachability. */
export interface NeighbouringRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	/**
	 * The main table, or the table of this node's own addresses, which the kernel searches first.
	 */
	readonly table: 'main' | 'local';
	/** The lowest wins among routes to one prefix. */
	readonly metric: number;
	/** The kernel's route protocol number. */
	readonly protocol: number;
	/** `nowhere`: unreachable, prohibit and blackhole routes, which make an address unreachable. */
	readonly type: 'ways' | 'nowhere';
	/** Several for multipath; none for `nowhere`. */
	readonly ways: readonly NeighbouringWay[];
}

/** One next hop of a route. */
export interface NeighbouringWay {
	/** `undefined`: the destination is on the link. */
	readonly via: string | undefined;
	readonly device: string | undefined;
	/** `dead`: the kernel skips it; `no-carrier`: the kernel uses it, but sends nothing. */
	readonly state: 'alive' | 'dead' | 'no-carrier';
}

/** A change of foreign routes or interfaces. */
export type NeighbouringEvent =
	| { readonly type: 'route'; readonly change: 'added' | 'removed'; readonly route: NeighbouringRoute }
	/**
	 * An interface was added or removed, or its carrier changed: the new state of its next hops.
	 * Its routes may have changed without an event.
	 */
	| { readonly type: 'device'; readonly device: string; readonly state: NeighbouringWay['state'] }
	/** Events were lost, or a change has no route events: read everything again. */
	| { readonly type: 'unknown' };

/** Reads foreign routes and reports their changes; writes nothing. */
export interface NeighbouringKernel {
	list(): Promise<readonly NeighbouringRoute[]>;
	/** Reports until `close`. One watcher. */
	watch(onEvent: (event: NeighbouringEvent) => void): void;
	/**
	 * The state of an interface; `undefined`: it does not exist. From the last read and later
	 * events.
	 */
	deviceState(device: string): NeighbouringWay['state'] | undefined;
	close(): void;
}
