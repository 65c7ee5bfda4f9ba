import type { FibView } from '../core/index.ts';

/** The view of a disabled FIB. */
export const untouchedView: FibView = {
	enabled: false,
	inSync: true,
	waitingFor: [],
	routeProtocol: 0,
	table: 0,
	metric: 0,
	routes: [],
};
