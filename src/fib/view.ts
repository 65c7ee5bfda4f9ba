import type { FibRouteView, PrefixKey } from '../core/index.ts';
import { type DesiredInputs, type Wanted, wantedRoute } from './desired.ts';
import { sameRoute } from './diff.ts';
import type { KernelRoute } from './kernel.ts';

/** What is known of a prefix besides its routes. */
export interface PrefixRemarks {
	/** Why the kernel refused, where it did. */
	readonly failure: string | undefined;
	/** What a person should know of the wanted route in any case. */
	readonly note: string | undefined;
}

/** What should be in the kernel and what is, by prefix. */
export function viewRoutes(
	inputs: DesiredInputs,
	actual: ReadonlyMap<PrefixKey, readonly KernelRoute[]>,
	remarks: (prefix: PrefixKey) => PrefixRemarks,
): FibRouteView[] {
	const prefixes = new Set([...inputs.origins, ...inputs.statics.keys(), ...inputs.best.keys(), ...actual.keys()]);
	return [...prefixes].flatMap((prefix) => viewPrefix(prefix, wantedRoute(prefix, inputs), actual.get(prefix) ?? [], remarks(prefix)));
}

/** What a person sees of one prefix: the route that should be there, and what is there besides. */
function viewPrefix(prefix: PrefixKey, wanted: Wanted | undefined, actual: readonly KernelRoute[], { failure, note }: PrefixRemarks): FibRouteView[] {
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
