import { type BestRoute, type Encapsulate, type Family, familyOf, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../core/index.ts';
import type { ForeignRoute, KernelRoute } from './kernel.ts';
import { type StaticRoute, staticKernelRoute } from './statics.ts';

/** The way to a next hop that is not on one of our links. */
export interface Way {
	readonly via: string;
	readonly device: string | undefined;
}

/** What ought to be in the kernel for one prefix: a route, or nothing and why. */
export type Wanted =
	| { readonly type: 'route'; readonly route: KernelRoute; readonly tunnelEnd?: string }
	/** Known, not ours to program. */
	| { readonly type: 'skip'; readonly reason: string; readonly via: string | undefined };

/** All that a wanted route follows from. */
export interface DesiredInputs {
	readonly best: ReadonlyMap<PrefixKey, BestRoute>;
	/** This node's own blocks. */
	readonly origins: ReadonlySet<PrefixKey>;
	/** Routes to have whatever neighbours say. */
	readonly statics: ReadonlyMap<PrefixKey, StaticRoute>;
	readonly encapsulate: Encapsulate;
	/** `undefined`: no route leads there. */
	readonly resolve: (nextHop: string) => Way | undefined;
	/** Where no policy asked for another. */
	readonly metric: number;
}

/** What the kernel should hold for one prefix; `undefined`: nothing, and nothing is to be said about it. */
export function wantedRoute(prefix: PrefixKey, { best, origins, statics, encapsulate, resolve, metric }: DesiredInputs): Wanted | undefined {
	if (origins.has(prefix)) return wantedOrigin(prefix, metric);
	const fixed = statics.get(prefix);
	if (fixed !== undefined) return { type: 'route', route: staticKernelRoute(fixed, metric) };
	const route = best.get(prefix);
	if (route === undefined) return undefined;
	const { family, nextHop, priority = metric } = route;
	if (nextHop === undefined) return { type: 'skip', reason: 'announced by this node, and none of its blocks', via: undefined };
	const encapsulation = encapsulate(prefix, nextHop);
	const base = { prefix, family, type: 'unicast', metric: priority } as const;
	switch (encapsulation.type) {
		case 'none':
			return { type: 'skip', reason: encapsulation.reason, via: nextHop };
		case 'tunnel':
			return { type: 'route', route: { ...base, via: nextHop, device: encapsulation.device, onlink: true }, tunnelEnd: nextHop };
		case 'direct': {
			const way = encapsulation.device === undefined ? resolve(nextHop) : { via: nextHop, device: encapsulation.device };
			if (way === undefined) return { type: 'skip', reason: `no route leads to the next hop ${nextHop}`, via: nextHop };
			return { type: 'route', route: { ...base, via: way.via, device: way.device, onlink: false } };
		}
		default:
			return encapsulation satisfies never;
	}
}

/** An own block is a blackhole, so that an address without a pod does not loop; a block of one address is that pod's own route. */
function wantedOrigin(prefix: PrefixKey, metric: number): Wanted {
	const { family, length, bytes } = parsePrefix(prefix);
	if (length === bytes.length * 8) return { type: 'skip', reason: 'a block of one address: the pod’s own route leads there', via: undefined };
	return { type: 'route', route: { prefix, family, type: 'blackhole', via: undefined, device: undefined, onlink: false, metric } };
}

/** Everything wanted, as one map; prefixes that are skipped are not in it. */
export function desired(inputs: DesiredInputs): Map<PrefixKey, KernelRoute> {
	const routes = new Map<PrefixKey, KernelRoute>();
	for (const prefix of new Set([...inputs.origins, ...inputs.statics.keys(), ...inputs.best.keys()])) {
		const wanted = wantedRoute(prefix, inputs);
		if (wanted?.type === 'route') routes.set(prefix, wanted.route);
	}
	return routes;
}

/**
 * The way to a next hop by the routes of others: the most specific that contains it, then the lowest metric. Our own
 * routes do not count, so that no route can hold itself up.
 */
export function findWay(nextHop: string, foreign: readonly ForeignRoute[]): Way | undefined {
	const address = parseAddress(nextHop);
	const family: Family = familyOf(address.bytes);
	let found: { route: ForeignRoute; length: number } | undefined;
	for (const route of foreign) {
		if (route.family !== family) continue;
		const prefix = parsePrefix(route.prefix);
		if (!prefixContains(prefix, address)) continue;
		const better = found === undefined || prefix.length > found.length || (prefix.length === found.length && route.metric < found.route.metric);
		if (better) found = { route, length: prefix.length };
	}
	if (found === undefined) return undefined;
	return { via: found.route.via ?? nextHop, device: found.route.device };
}
