import type { Family, PrefixKey } from './ip.ts';

/** The origin of a best route: learned inside the AS, outside it, or originated here. */
export type RouteSource = 'internal' | 'external' | 'local';

/** The best route to one prefix, as the RIB passes it to the FIB. */
export interface BestRoute {
	readonly prefix: PrefixKey;
	readonly family: Family;
	/** The next hop, canonical text; `undefined` for a route of this node itself. */
	readonly nextHop: string | undefined;
	/**
	 * The interface of the session that announced a link-local next hop, which is valid only there
	 * (RFC 4007 §6).
	 */
	readonly nextHopInterface?: string;
	readonly source: RouteSource;
	/** The name of the peer it was learned from; `undefined` for a route of this node itself. */
	readonly peer: string | undefined;
	readonly localPref: number;
	/**
	 * Next hops of further equal paths (ECMP), canonical text, in order; absent without multipath.
	 */
	readonly alternatives?: readonly string[];
	/** The kernel metric set by a policy; `undefined`: the FIB's default. */
	readonly priority?: number;
}

/** One change of the Loc-RIB; several for one prefix are in order, the last one counts. */
export type RouteChange =
	| { readonly type: 'install'; readonly route: BestRoute }
	| { readonly type: 'remove'; readonly prefix: PrefixKey };

/**
 * The forwarding method of a route. Decided in `encapsulation/`, installed by `fib/`; connected in
 * `daemon/`.
 */
export type Encapsulation =
	/**
	 * Direct: through `device` if the next hop is in a subnet of that interface, otherwise by the
	 * kernel's routes.
	 */
	| { readonly type: 'direct'; readonly device?: string }
	/** Inside IP in IP: the next hop is the other end of the tunnel. */
	| { readonly type: 'ipip'; readonly device: string }
	/**
	 * Inside VXLAN: `via` is the tunnel address of the next hop, which has a neighbour and a
	 * forwarding entry.
	 */
	| { readonly type: 'vxlan'; readonly device: string; readonly via: string }
	/**
	 * No route (unreachable next hop, or another program owns the pool), with the reason as text.
	 * `pending`: the missing part is expected; an installed route stays until then, so that a
	 * change of the tunnel loses no packet.
	 */
	| { readonly type: 'none'; readonly reason: string; readonly pending?: true };

/** The source of a route: BGP, or block affinities in the datastore. */
export type RouteOrigin = 'bgp' | 'datastore';

/** `Encapsulation` for one route; pure. `source` defaults to `bgp`. */
export type Encapsulate = (prefix: PrefixKey, nextHop: string, source?: RouteOrigin) => Encapsulation;
