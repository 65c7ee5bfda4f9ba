import { type PrefixKey, parseAddress } from '../core/index.ts';
import type { DesiredInputs } from './desired.ts';
import type { ForeignRoute } from './kernel.ts';
import type { NeighbouringRoute } from './next-hops/kernel.ts';
import { resolveNextHop } from './next-hops/resolve.ts';
import { RouteMap } from './next-hops/route-map.ts';
import { type Way, wayOf } from './next-hops/way.ts';
import type { PrefixTable } from './prefix-table.ts';

/** The foreign routes of a table as the resolution of next hops reads them. */
export const routeMapOf = (foreign: readonly ForeignRoute[]): RouteMap =>
	new RouteMap(
		foreign.map(
			({ prefix, family, metric, protocol, via, device }): NeighbouringRoute => ({
				...{ prefix, family, metric, protocol },
				table: 'main',
				type: 'ways',
				ways: [{ via, device, state: 'alive' }],
			}),
		),
	);

/** The way to a next hop by these routes. */
export const wayBy = (nextHop: string, routes: RouteMap): Way | undefined =>
	wayOf(
		nextHop,
		resolveNextHop(parseAddress(nextHop), undefined, { routes, deviceState: () => undefined, own: undefined }).reach,
	);

/**
 * The ways to next hops for a FIB without a `NextHopTracker`: by the foreign routes of its table,
 * with the same rule. With a tracker the ways are the tracker's.
 */
export class Ways {
	readonly #resolve: ((nextHop: string) => Way | undefined) | undefined;
	#routes = routeMapOf([]);
	readonly #known = new Map<string, Way | undefined>();

	constructor(resolve: ((nextHop: string) => Way | undefined) | undefined) {
		this.#resolve = resolve;
	}

	/** True if a way was looked up here: the foreign routes matter. */
	get used(): boolean {
		return this.#known.size > 0;
	}

	to(nextHop: string): Way | undefined {
		if (this.#resolve !== undefined) return this.#resolve(nextHop);
		if (this.#known.has(nextHop)) return this.#known.get(nextHop);
		const way = wayBy(nextHop, this.#routes);
		this.#known.set(nextHop, way);
		return way;
	}

	/** Sets the foreign routes; returns the next hops whose way changed. */
	learn(foreign: readonly ForeignRoute[]): ReadonlySet<string> {
		const moved = new Set<string>();
		if (this.#resolve !== undefined) return moved;
		this.#routes = routeMapOf(foreign);
		for (const [nextHop, before] of this.#known) {
			const way = wayBy(nextHop, this.#routes);
			if (way?.via === before?.via && way?.device === before?.device) continue;
			this.#known.set(nextHop, way);
			moved.add(nextHop);
		}
		return moved;
	}
}

/** The prefixes whose desired route leads through one of these next hops. */
export function* prefixesThrough(
	nextHops: ReadonlySet<string>,
	table: PrefixTable,
	{ datastore }: Pick<DesiredInputs, 'datastore'>,
): Generator<PrefixKey, void, void> {
	if (nextHops.size === 0) return;
	for (const { prefix, best } of table.states()) {
		if (best === undefined) continue;
		const { nextHop, alternatives } = best;
		if ((nextHop !== undefined && nextHops.has(nextHop)) || alternatives?.some((other) => nextHops.has(other)) === true)
			yield prefix;
	}
	for (const [prefix, nextHop] of datastore) if (nextHops.has(nextHop)) yield prefix;
}
