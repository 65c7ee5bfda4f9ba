import type { RouteChange } from '../core/index.ts';
import type { MonitorHub } from './monitor.ts';
import type { Rooms } from './rooms.ts';

/** Tells best-route changes from now on; what is there already is for `routes`. @returns what ends it */
export function followRoutes(rib: Rooms['rib'], hub: MonitorHub): () => void {
	let subscribing = true;
	const end = rib.onChanges((changes) => {
		if (subscribing) return;
		const at = new Date().toISOString();
		for (const change of changes) hub.tell({ type: 'route', at, ...summary(change) });
	});
	subscribing = false;
	return end;
}

function summary(change: RouteChange): { change: 'install' | 'remove'; prefix: string; nextHop?: string; peer?: string } {
	if (change.type === 'remove') return { change: 'remove', prefix: change.prefix };
	const { prefix, nextHop, peer } = change.route;
	return { change: 'install', prefix, ...(nextHop === undefined ? {} : { nextHop }), ...(peer === undefined ? {} : { peer }) };
}
