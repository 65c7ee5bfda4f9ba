import type { Family, PrefixKey } from './ip.ts';

/** What a best route is to this node: learned inside the AS, outside it, or originated here. */
export type RouteSource = 'internal' | 'external' | 'local';

/** The best route to one prefix, as the RIB hands it to the FIB. */
export interface BestRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	/** The address packets go to, canonical text; `undefined` for a route of this node itself. */
	readonly nextHop: string | undefined;
	readonly source: RouteSource;
	/** The name of the peer it was learned from; `undefined` for a route of this node itself. */
	readonly peer: string | undefined;
	readonly localPref: number;
	/** The kernel metric that a policy asked for; `undefined`: the FIB's default. */
	readonly priority?: number;
}

/** One change of the Loc-RIB; several for one prefix are in order, the last one counts. */
export type RouteChange = { readonly type: 'install'; readonly route: BestRoute } | { readonly type: 'remove'; readonly prefix: PrefixKey };

/** How packets for a route leave this node. Decided in `ipip/`, carried out by `fib/`; they meet in `daemon/`. */
export type Encapsulation =
	/** To the next hop itself: through `device` where the next hop is in a subnet of that interface, otherwise wherever the kernel's routes lead. */
	| { readonly type: 'direct'; readonly device?: string }
	| { readonly type: 'tunnel'; readonly device: string }
	/** The route is not ours to program (no way to the next hop, or the pool is somebody else's): with the reason, for people. */
	| { readonly type: 'none'; readonly reason: string };

/** `Encapsulation` for one best route; pure. */
export type Encapsulate = (prefix: PrefixKey, nextHop: string) => Encapsulation;
