import type { State } from '../fsm/states.ts';
import type { PeerCounts } from '../model/speaker-api.ts';

/** The number of peers by state. Pure. */
export function countPeers(
	peers: Iterable<{ readonly dynamic: boolean; readonly wanted: boolean; readonly state: State }>,
): PeerCounts {
	const states = { idle: 0, connect: 0, active: 0, 'open-sent': 0, 'open-confirm': 0, established: 0 };
	let [configured, dynamicCount, disabled] = [0, 0, 0];
	for (const { dynamic, wanted, state } of peers) {
		states[state]++;
		if (dynamic) dynamicCount++;
		else configured++;
		if (!wanted) disabled++;
	}
	return { configured, dynamic: dynamicCount, disabled, states };
}
