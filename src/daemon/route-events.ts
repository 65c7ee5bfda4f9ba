import type { RouteChange } from '../core/index.ts';
import type { MonitorHub } from './monitor.ts';
import type { Rooms } from './rooms.ts';

/**
 * Publishes best-route changes from now on; the existing routes are not among them. @returns a
 * function that ends it
 */
export function followRoutes(rib: Rooms['rib'], hub: MonitorHub): () => void {
	return rib.onChanges(
		(changes) => {
			const at = new Date().toISOString();
			for (const change of changes) hub.publish({ type: 'route', at, ...summary(change) });
		},
		{ fromNow: true },
	);
}

function summary(change: RouteChange): {
	change: 'install' | 'remove';
	prefix: string;
	nextHop?: string;
	peer?: string;
} {
	if (change.type === 'remove') return { change: 'remove', prefix: change.prefix };
	const { prefix, nextHop, peer } = change.route;
	return {
		change: 'install',
		prefix,
		...(nextHop === undefined ? {} : { nextHop }),
		...(peer === undefined ? {} : { peer }),
	};
}
