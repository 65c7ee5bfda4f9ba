import {
	type BestRoute,
	type Encapsulate,
	type Family,
	type PrefixKey,
	parsePrefix,
	type RouteOrigin,
} from '../core/index.ts';
import { hopOrder, type KernelRoute, type RouteHop } from './kernel.ts';
import type { Way } from './next-hops/way.ts';
import { type StaticRoute, staticKernelRoute } from './statics.ts';

/** The desired kernel state of one prefix: a route, or the reason why there is none. */
export type Wanted =
	| { readonly type: 'route'; readonly route: KernelRoute; readonly tunnelEnds?: readonly string[] }
	/** The prefix is known, but this node does not program it. */
	| {
			readonly type: 'skip';
			readonly reason: string;
			readonly via: string | undefined;
			/** An existing route is kept: the missing information is expected soon. */
			readonly pending?: true;
	  };

/** All inputs of a desired route besides the best route of its prefix. */
export interface DesiredInputs {
	/** This node's own blocks. */
	readonly origins: ReadonlySet<PrefixKey>;
	/** Routes that do not depend on BGP neighbours. */
	readonly statics: ReadonlyMap<PrefixKey, StaticRoute>;
	/**
	 * Routes derived from block affinities: the address of the node with the prefix. Preferred over
	 * BGP best routes.
	 */
	readonly datastore: ReadonlyMap<PrefixKey, string>;
	readonly encapsulate: Encapsulate;
	/** `undefined`: no route leads to the next hop. */
	readonly resolve: (nextHop: string) => Way | undefined;
	/** The metric of routes without a policy that sets one. */
	readonly metric: number;
	/** Preferred source address of this host's packets, by family; absent: the kernel chooses. */
	readonly sources?: Readonly<Partial<Record<Family, string>>> | undefined;
}

/**
 * The desired route of one prefix; `undefined`: no source has the prefix. `best`: the best route of
 * BGP for it.
 */
export function wantedRoute(prefix: PrefixKey, best: BestRoute | undefined, inputs: DesiredInputs): Wanted | undefined {
	const wanted = wantedWithoutSource(prefix, best, inputs);
	return inputs.sources === undefined || wanted?.type !== 'route' ? wanted : withSource(wanted, inputs.sources);
}

/** A unicast route with the preferred source of its family. */
function withSource(
	wanted: Wanted & { readonly type: 'route' },
	sources: NonNullable<DesiredInputs['sources']>,
): Wanted {
	const { route } = wanted;
	const source = sources[route.family];
	return source === undefined || route.type !== 'unicast' ? wanted : { ...wanted, route: { ...route, source } };
}

function wantedWithoutSource(
	prefix: PrefixKey,
	best: BestRoute | undefined,
	inputs: DesiredInputs,
): Wanted | undefined {
	const { origins, statics, datastore, metric } = inputs;
	// Most tables have one source: a look into the others costs a third of this function's time.
	if (origins.size > 0 && origins.has(prefix)) return wantedOrigin(prefix, metric);
	const fixed = statics.size === 0 ? undefined : statics.get(prefix);
	if (fixed !== undefined) return { type: 'route', route: staticKernelRoute(fixed, metric) };
	const holder = datastore.size === 0 ? undefined : datastore.get(prefix);
	if (holder !== undefined) return wantedVia(prefix, holder, metric, 'datastore', undefined, inputs);
	if (best === undefined) return undefined;
	const { nextHop, nextHopInterface, priority = metric } = best;
	if (nextHop === undefined)
		return { type: 'skip', reason: 'announced by this node, and none of its blocks', via: undefined };
	const wanted = wantedVia(prefix, nextHop, priority, 'bgp', nextHopInterface, inputs);
	return best.alternatives === undefined ? wanted : withAlternatives(wanted, best.alternatives, priority, inputs);
}

/** A multipath route: the next hops that have a way, each once. */
function withAlternatives(wanted: Wanted, nextHops: readonly string[], metric: number, inputs: DesiredInputs): Wanted {
	if (wanted.type !== 'route') return wanted;
	const { route } = wanted;
	const others = nextHops.flatMap((nextHop) => {
		const other = wantedVia(route.prefix, nextHop, metric, 'bgp', undefined, inputs);
		return other.type === 'route' ? [other] : [];
	});
	const ways = new Map<string, RouteHop>();
	for (const { via, device, onlink } of [route, ...others.map((other) => other.route)])
		ways.set(`${via} ${device}`, { via, device, onlink });
	const [first, ...further] = [...ways.values()].sort(hopOrder);
	if (first === undefined || further.length === 0) return wanted;
	const tunnelEnds = [wanted, ...others].flatMap((each) => each.tunnelEnds ?? []);
	return {
		type: 'route',
		route: { ...route, ...first, others: further },
		...(tunnelEnds.length === 0 ? {} : { tunnelEnds }),
	};
}

/**
 * Every route is one literal of the same shape: for 100,000 routes a copied object takes a third of
 * this function's time.
 */
function wantedVia(
	prefix: PrefixKey,
	nextHop: string,
	metric: number,
	source: RouteOrigin,
	nextHopInterface: string | undefined,
	{ encapsulate, resolve }: DesiredInputs,
): Wanted {
	const encapsulation = encapsulate(prefix, nextHop, source);
	switch (encapsulation.type) {
		case 'none':
			return {
				type: 'skip',
				reason: encapsulation.reason,
				via: nextHop,
				...(encapsulation.pending === true ? { pending: true } : {}),
			};
		case 'ipip':
			return {
				type: 'route',
				route: unicast(prefix, nextHop, encapsulation.device, true, metric),
				tunnelEnds: [nextHop],
			};
		case 'vxlan':
			return { type: 'route', route: unicast(prefix, encapsulation.via, encapsulation.device, true, metric) };
		case 'direct': {
			// RFC 4007 §6: a link-local next hop is on the link of the session that announced it.
			const device = nextHopInterface ?? encapsulation.device;
			if (device !== undefined) return { type: 'route', route: unicast(prefix, nextHop, device, false, metric) };
			const way = resolve(nextHop);
			if (way === undefined) return { type: 'skip', reason: `no route leads to the next hop ${nextHop}`, via: nextHop };
			return { type: 'route', route: unicast(prefix, way.via, way.device, way.onlink === true, metric) };
		}
		default:
			return encapsulation satisfies never;
	}
}

const unicast = (
	prefix: PrefixKey,
	via: string,
	device: string | undefined,
	onlink: boolean,
	metric: number,
): KernelRoute => ({
	prefix,
	family: prefix.includes(':') ? 'ipv6' : 'ipv4',
	type: 'unicast',
	via,
	device,
	onlink,
	metric,
});

/**
 * An own block is a blackhole, so that packets to an address without a pod do not loop. A block of
 * one address is that pod's own route.
 */
function wantedOrigin(prefix: PrefixKey, metric: number): Wanted {
	const { family, length, bytes } = parsePrefix(prefix);
	if (length === bytes.length * 8)
		return { type: 'skip', reason: 'a block of one address: the pod’s own route leads there', via: undefined };
	return {
		type: 'route',
		route: { prefix, family, type: 'blackhole', via: undefined, device: undefined, onlink: false, metric },
	};
}

/** All desired routes as one map; skipped prefixes are not included. */
export function desired(best: ReadonlyMap<PrefixKey, BestRoute>, inputs: DesiredInputs): Map<PrefixKey, KernelRoute> {
	const { origins, statics, datastore } = inputs;
	const routes = new Map<PrefixKey, KernelRoute>();
	for (const prefix of new Set([...origins, ...statics.keys(), ...datastore.keys(), ...best.keys()])) {
		const wanted = wantedRoute(prefix, best.get(prefix), inputs);
		if (wanted?.type === 'route') routes.set(prefix, wanted.route);
	}
	return routes;
}
