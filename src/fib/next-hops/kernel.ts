import type { Family, PrefixKey } from '../../core/index.ts';

/** A route of somebody else (the kernel itself included), as far as it says which addresses can be reached. */
export interface NeighbouringRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	/** Of the main table, or of the one with this node's own addresses, which the kernel asks first. */
	readonly table: 'main' | 'local';
	/** Among routes for one prefix the lowest wins. */
	readonly metric: number;
	/** The kernel's route protocol number. */
	readonly protocol: number;
	/** `nowhere`: unreachable, prohibit and blackhole routes, by which an address is known not to be reached. */
	readonly type: 'ways' | 'nowhere';
	/** Several with multipath; none for `nowhere`. */
	readonly ways: readonly NeighbouringWay[];
}

/** One way of a route. */
export interface NeighbouringWay {
	/** `undefined`: the destination is on the link. */
	readonly via: string | undefined;
	readonly device: string | undefined;
	/** `dead`: the kernel passes over it; `no-carrier`: the kernel uses it, but nothing leaves. */
	readonly state: 'alive' | 'dead' | 'no-carrier';
}

/** What happened to what is around this node. */
export type NeighbouringEvent =
	| { readonly type: 'route'; readonly change: 'added' | 'removed'; readonly route: NeighbouringRoute }
	/** An interface went, came, lost or got its carrier: what its routes are good for now. They may have changed without a word. */
	| { readonly type: 'device'; readonly device: string; readonly state: NeighbouringWay['state'] }
	/** Events were lost, or something changed that is told without its routes: everything is to be read again. */
	| { readonly type: 'unknown' };

/** Reads routes of others and tells what becomes of them; writes nothing. */
export interface NeighbouringKernel {
	list(): Promise<readonly NeighbouringRoute[]>;
	/** Tells until `close`. One watcher. */
	watch(onEvent: (event: NeighbouringEvent) => void): void;
	close(): void;
}
