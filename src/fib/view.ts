import { type FibRouteView, mostDifferences, type PrefixKey, type Steps } from '../core/index.ts';
import { type DesiredInputs, wantedRoute } from './desired.ts';
import { sameRoute } from './diff.ts';
import type { KernelRoute } from './kernel.ts';
import { noRoutes, type PrefixTable, routesOf } from './prefix-table.ts';

/** Additional information on a prefix. */
export interface PrefixRemarks {
	/** The kernel's reason, if it refused the route. */
	readonly failure: string | undefined;
	/** The remark for the operator on the desired route. */
	readonly note: string | undefined;
}

/**
 * Desired and present routes, prefix by prefix; a prefix added while the caller pauses may be
 * missing.
 */
export function* eachRoute(
	inputs: DesiredInputs,
	table: PrefixTable,
	remarks: (prefix: PrefixKey) => PrefixRemarks,
): Generator<FibRouteView, void, void> {
	for (const prefix of eachPrefix(inputs, table)) yield* viewPrefix(prefix, inputs, table, remarks(prefix));
}

/** Every prefix of these sources once, without a copy of them. */
export function* eachPrefix(
	{ origins, statics, datastore }: DesiredInputs,
	table: PrefixTable,
): Generator<PrefixKey, void, void> {
	const sources = [origins, statics, datastore, table];
	for (const [index, source] of sources.entries()) {
		const earlier = sources.slice(0, index);
		for (const prefix of source.keys()) if (!earlier.some((other) => other.has(prefix))) yield prefix;
	}
}

/** Routes by state. */
export type FibCounts = Readonly<Record<FibRouteView['state'], number>>;

/** The number of routes by state, and the first deviating ones. */
export interface FibOverview {
	readonly counts: FibCounts;
	/** At most `mostDifferences`. */
	readonly differing: readonly FibRouteView[];
	readonly failed: readonly FibRouteView[];
}

/** Counts all routes, as long work with pauses. */
export function* overviewOf(routes: Iterable<FibRouteView>): Steps<FibOverview> {
	const counts = { installed: 0, missing: 0, failed: 0, extra: 0, skipped: 0 };
	const differing: FibRouteView[] = [];
	const failed: FibRouteView[] = [];
	let seen = 0;
	for (const route of routes) {
		counts[route.state]++;
		if (isDifferent(route) && differing.length < mostDifferences) differing.push(route);
		if (route.state === 'failed' && failed.length < mostDifferences) failed.push(route);
		if (++seen % 64 === 0) yield;
	}
	return { counts, differing, failed };
}

const isDifferent = ({ state }: FibRouteView): boolean => state !== 'installed' && state !== 'skipped';

/** The view of one prefix: the desired route, and other present ones. */
export function viewPrefix(
	prefix: PrefixKey,
	inputs: DesiredInputs,
	table: PrefixTable,
	{ failure, note }: PrefixRemarks,
): FibRouteView[] {
	const state = table.get(prefix);
	const wanted = wantedRoute(prefix, state?.best, inputs);
	const actual = state === undefined ? noRoutes : routesOf(state);
	const views: FibRouteView[] = [];
	let installed: KernelRoute | undefined;
	if (wanted?.type === 'route') {
		installed = actual.find((route) => sameRoute(wanted.route, route));
		const state = installed !== undefined ? 'installed' : failure !== undefined ? 'failed' : 'missing';
		const remarks = [state === 'failed' ? failure : undefined, note].filter((text) => text !== undefined);
		views.push(viewRoute(installed ?? wanted.route, state, remarks.length === 0 ? undefined : remarks.join('; ')));
	} else if (wanted !== undefined) {
		const via = wanted.via === undefined ? {} : { via: wanted.via };
		views.push({ prefix, type: 'unicast', ...via, onlink: false, metric: 0, state: 'skipped', reason: wanted.reason });
	}
	for (const route of actual) if (route !== installed) views.push(viewRoute(route, 'extra', failure));
	return views;
}

function viewRoute(
	{ prefix, type, via, device, onlink, metric }: KernelRoute,
	state: FibRouteView['state'],
	reason: string | undefined,
): FibRouteView {
	return {
		prefix,
		type,
		...(via === undefined ? {} : { via }),
		...(device === undefined ? {} : { device }),
		onlink,
		metric,
		state,
		...(reason === undefined ? {} : { reason }),
	};
}
