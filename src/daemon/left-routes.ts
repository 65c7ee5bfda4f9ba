import { type FibRouteView, inSlices, type PrefixKey, parsePrefix, prefixCovers, type Steps } from '../core/index.ts';
import type { TunnelPool } from '../encapsulation/index.ts';

/** Routes to blocks of other nodes that are left to another program, and that it does not write. */
export interface LeftRoutes {
	readonly pool: PrefixKey;
	/** Why this node leaves the pool's routes. */
	readonly reason: string;
	/** In the order of the FIB. */
	readonly routes: readonly { readonly prefix: PrefixKey; readonly via: string }[];
}

/** The inputs of a look. */
export interface LeftRoutesInput {
	readonly pools: readonly TunnelPool[];
	/** Addresses of the other nodes: a route to one of them leads to its block. */
	readonly nodes: ReadonlySet<string>;
	/** The routes of the FIB, also those that it skips. */
	readonly known: Iterable<FibRouteView>;
	/** Prefixes of the kernel's unicast routes, of any program. */
	readonly present: ReadonlySet<PrefixKey>;
}

/**
 * The routes to blocks that this node leaves to another program and that the kernel does not have,
 * by pool. A route for a part of a pool that covers the block counts as one. As long work, pure.
 */
export function* missingRoutes({ pools, nodes, known, present }: LeftRoutesInput): Steps<readonly LeftRoutes[]> {
	const foreign = pools.flatMap(({ cidr, foreign: reason }) =>
		reason === undefined
			? []
			: [{ pool: cidr, reason, area: parsePrefix(cidr), routes: [] as { prefix: PrefixKey; via: string }[] }],
	);
	const wider = [...present]
		.map((prefix) => parsePrefix(prefix))
		.filter((route) => foreign.some(({ area }) => prefixCovers(area, route)));
	for (const { prefix, via, state } of known) {
		yield;
		if (state !== 'skipped' || via === undefined || !nodes.has(via) || present.has(prefix)) continue;
		const block = parsePrefix(prefix);
		const left = foreign.find(({ area }) => prefixCovers(area, block));
		if (left === undefined || wider.some((route) => prefixCovers(route, block))) continue;
		left.routes.push({ prefix, via });
	}
	return foreign.flatMap(({ pool, reason, routes }) => (routes.length === 0 ? [] : [{ pool, reason, routes }]));
}

/** What both looks found. Pure. */
export const inBoth = (now: readonly LeftRoutes[], before: readonly LeftRoutes[]): readonly LeftRoutes[] => {
	const seen = new Set(before.flatMap(({ routes }) => routes.map(({ prefix }) => prefix)));
	return now.flatMap((left) => {
		const routes = left.routes.filter(({ prefix }) => seen.has(prefix));
		return routes.length === 0 ? [] : [{ ...left, routes }];
	});
};

/**
 * Looks for routes that are left to another program, such as Felix, and that it does not write: a
 * Felix before Calico 3.33 programs VXLAN alone. A route that two looks in a row miss counts: the
 * other program learns of a block when this node does.
 */
export class LeftRoutesWatch {
	readonly #input: () => Omit<LeftRoutesInput, 'present'>;
	readonly #present: () => Promise<ReadonlySet<PrefixKey>>;
	#before: readonly LeftRoutes[] = [];
	#found: readonly LeftRoutes[] = [];

	constructor(input: () => Omit<LeftRoutesInput, 'present'>, present: () => Promise<ReadonlySet<PrefixKey>>) {
		this.#input = input;
		this.#present = present;
	}

	get found(): readonly LeftRoutes[] {
		return this.#found;
	}

	/**
	 * Reads the kernel's routes, if any pool is left to another program. @throws the system's error
	 */
	async look(): Promise<void> {
		const input = this.#input();
		const now = input.pools.some(({ foreign }) => foreign !== undefined)
			? await inSlices(missingRoutes({ ...input, present: await this.#present() }))
			: [];
		this.#found = inBoth(now, this.#before);
		this.#before = now;
	}
}
