import type { FibRouteView, PrefixKey } from '../core/index.ts';
import type { Wanted } from './desired.ts';
import { sameRoute } from './diff.ts';
import type { KernelRoute } from './kernel.ts';

/** What a person sees of one prefix: the route that should be there, and what is there besides. */
export function viewPrefix(prefix: PrefixKey, wanted: Wanted | undefined, actual: readonly KernelRoute[], failure: string | undefined): FibRouteView[] {
	const views: FibRouteView[] = [];
	let installed: KernelRoute | undefined;
	if (wanted?.type === 'route') {
		installed = actual.find((route) => sameRoute(wanted.route, route));
		const state = installed !== undefined ? 'installed' : failure !== undefined ? 'failed' : 'missing';
		views.push(viewRoute(installed ?? wanted.route, state, state === 'failed' ? failure : undefined));
	} else if (wanted !== undefined) {
		const via = wanted.via === undefined ? {} : { via: wanted.via };
		views.push({ prefix, type: 'unicast', ...via, onlink: false, metric: 0, state: 'skipped', reason: wanted.reason });
	}
	for (const route of actual) if (route !== installed) views.push(viewRoute(route, 'extra', failure));
	return views;
}

function viewRoute({ prefix, type, via, device, onlink, metric }: KernelRoute, state: FibRouteView['state'], reason: string | undefined): FibRouteView {
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
