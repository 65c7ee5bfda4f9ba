import { type Address, isIpv4Mapped, isLinkLocal, parseAddress } from '../../core/index.ts';
import type { NeighbouringWay } from './kernel.ts';
import type { OwnRoute } from './own-route.ts';
import { mostCost, type Reach, type RouteMap } from './route-map.ts';

/** This node's own routes in the kernel. */
export interface OwnRouteLookup {
	/** The most specific route to an address. Used only if foreign routes do not lead there. */
	ownRouteTo(address: Address): OwnRoute | undefined;
	/** The same for routes that do not depend on BGP: they count like foreign routes. */
	staticRouteTo(address: Address): OwnRoute | undefined;
}

/** What the resolution of a next hop depends on. */
export interface ResolveDependencies {
	/** The routes of other owners. */
	readonly routes: RouteMap;
	/** The state of an interface; `undefined`: it does not exist. */
	readonly deviceState: (device: string) => NeighbouringWay['state'] | undefined;
	/** `undefined`: this node has no routes of its own. */
	readonly own: OwnRouteLookup | undefined;
}

/** The result for one next hop. */
export interface Resolved {
	/** `undefined`: unreachable. */
	readonly reach: Reach | undefined;
	/** Determined by foreign routes alone; `false`: by one of our routes, or by their absence. */
	readonly byOthers: boolean;
}

/** A destination on the link, or this node. */
export const onTheLink: Reach = { cost: 0, device: undefined, via: undefined };

/**
 * The only rule by which this node resolves next hops, for selection and for the kernel's routes
 * (RFC 4271 §9.1.2.1). A BGP route of ours counts only if no foreign route leads to the next hop
 * and the route's own next hop is reached without BGP routes: one level of recursion, so that no
 * routes depend on each other in a loop. `device`: the interface of a link-local address. Pure but
 * for the functions of `dependencies`.
 */
export function resolveNextHop(
	address: Address,
	device: string | undefined,
	dependencies: ResolveDependencies,
): Resolved {
	if (isUnspecified(address)) return { reach: onTheLink, byOthers: true };
	// The kernel forwards IPv6 only by IPv6 gateways: an IPv4-mapped next hop (RFC 4291 §2.5.5.2)
	// is unusable in any route.
	if (isIpv4Mapped(address.bytes)) return { reach: undefined, byOthers: true };
	if (isLinkLocal(address.bytes)) return { reach: overLink(device, dependencies), byOthers: true };
	const first = byOtherRoutes(address, dependencies);
	if (first.reach !== undefined) return first;
	return { reach: byOwnRoute(address, first.length, dependencies), byOthers: false };
}

/**
 * A link-local address is reached over its interface while that is up, and over no other one (RFC
 * 4007 §9).
 */
function overLink(device: string | undefined, { deviceState }: ResolveDependencies): Reach | undefined {
	return device === undefined || deviceState(device) !== 'alive' ? undefined : { cost: 0, device, via: undefined };
}

/**
 * By foreign routes, and by a static route of ours if it is more specific and its gateway is
 * reachable.
 */
function byOtherRoutes(address: Address, { routes, own }: ResolveDependencies): Resolved & { readonly length: number } {
	const found = routes.lookUp(address);
	const fixed = own?.staticRouteTo(address);
	if (fixed === undefined || fixed.length <= found.length) return { ...found, byOthers: true };
	const gateway = routes.find(parseAddress(fixed.nextHop));
	return {
		reach: gateway && { ...gateway, cost: Math.min(mostCost, fixed.metric + 1), via: fixed.nextHop },
		length: fixed.length,
		byOthers: false,
	};
}

/**
 * `obstacle`: prefix length of a foreign route to nowhere, which the kernel uses unless our route
 * is more specific.
 */
function byOwnRoute(address: Address, obstacle: number, dependencies: ResolveDependencies): Reach | undefined {
	const own = dependencies.own?.ownRouteTo(address);
	if (own === undefined || own.length <= obstacle) return undefined;
	const nextHop = parseAddress(own.nextHop);
	const reach = isLinkLocal(nextHop.bytes)
		? overLink(own.device, dependencies)
		: byOtherRoutes(nextHop, dependencies).reach;
	if (reach === undefined) return undefined;
	// Packets follow our route as the kernel has it, into a tunnel for example.
	return { ...reach, ...own.hop, cost: Math.min(mostCost, reach.cost + own.metric + 1) };
}

/** 0.0.0.0 and :: stand for this node. */
function isUnspecified({ bytes }: Address): boolean {
	return bytes.every((byte) => byte === 0);
}
