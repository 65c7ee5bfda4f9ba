import type { StatusView } from '../control/index.ts';
import type { ErrorView, FibView, NextHopView, PlaneView, ProblemView } from '../core/index.ts';
import type { FibCounts } from '../fib/index.ts';
import { blocks, type Problem } from '../health/index.ts';
import { identifierText } from './identity.ts';
import { type NodeState, protocolReason } from './node-state.ts';
import type { Rooms } from './rooms.ts';
import { untouchedView } from './untouched-view.ts';

/** The inputs of the status. */
export interface StatusSources {
	readonly node: string;
	readonly version: string;
	readonly configFile: string;
	readonly rooms: Rooms;
	readonly startedAtMs: number;
	readonly nowMs: number;
	readonly loadedAt: string;
	readonly lastReloadError: ErrorView | undefined;
	readonly longestBlockSeconds: number;
	readonly planes: readonly PlaneView[];
	/** Routes by state; `undefined` if the kernel is not accessed. */
	readonly fibCounts: FibCounts | undefined;
	readonly problems: readonly Problem[];
}

/** The status of the daemon. */
export function statusOf({ rooms, lastReloadError, ...sources }: StatusSources): StatusView {
	const { speaker, rib, kernel } = rooms;
	const { asNumber, routerId, clusterId } = speaker.identity;
	const { configured, dynamic, disabled, states } = speaker.peerCounts();
	const fibView = kernel?.fib.summary() ?? untouchedView;
	const cpu = process.cpuUsage();
	const memory = process.memoryUsage();
	return {
		node: sources.node,
		version: sources.version,
		pid: process.pid,
		startedAt: new Date(sources.startedAtMs).toISOString(),
		uptimeSeconds: Math.floor((sources.nowMs - sources.startedAtMs) / 1000),
		asNumber,
		routerId: identifierText(routerId),
		...(clusterId === undefined ? {} : { clusterId: identifierText(clusterId) }),
		listen: speaker.listening.map(({ address, port }) => `${address} port ${port}`),
		peers: {
			configured,
			dynamic,
			established: states.established,
			disabled,
		},
		rib: { inSync: rib.inSync, waitingFor: rib.waitingFor, ...rib.statistics() },
		fib: {
			enabled: fibView.enabled,
			inSync: fibView.inSync,
			installed: sources.fibCounts?.installed ?? 0,
			missing: sources.fibCounts?.missing ?? 0,
			failed: sources.fibCounts?.failed ?? 0,
			...(fibView.refusal === undefined ? {} : { refusal: fibView.refusal }),
			...(fibView.enabled ? { marks: marksOf(fibView, rooms.planes.state) } : {}),
		},
		planes: sources.planes.map(({ differences: _, ...plane }) => plane),
		...(rooms.nextHops === undefined ? {} : { nextHops: nextHopsStatus(rib.nextHops()) }),
		...(rooms.cluster === undefined ? {} : { cluster: clusterStatus(rooms.cluster) }),
		config: {
			file: sources.configFile,
			loadedAt: sources.loadedAt,
			...(lastReloadError === undefined ? {} : { lastReloadError }),
		},
		process: {
			residentBytes: memory.rss,
			heapBytes: memory.heapUsed,
			cpuSeconds: (cpu.user + cpu.system) / 1e6,
			longestBlockSeconds: sources.longestBlockSeconds,
		},
		warnings: sources.problems.filter(({ severity }) => severity === 'warning').map(({ reason }) => reason),
		ready: blocks('ready', sources.problems).length === 0,
		problems: sources.problems.map(problemView),
	};
}

function marksOf(
	{ routeProtocol, table, metric }: Omit<FibView, 'routes'>,
	state: NodeState | undefined,
): NonNullable<StatusView['fib']['marks']> {
	const reason = state && protocolReason(state);
	return { protocol: routeProtocol, table, metric, ...(reason === undefined ? {} : { protocolReason: reason }) };
}

function clusterStatus(cluster: NonNullable<Rooms['cluster']>): NonNullable<StatusView['cluster']> {
	const { server, layout, fromLastKnown, unreadable, refusals, addressFindings } = cluster;
	const since = cluster.awaySinceMs();
	return {
		server,
		layout,
		fromLastKnown,
		...(addressFindings.length === 0 ? {} : { addresses: addressFindings }),
		...(since === undefined ? {} : { awaySince: new Date(since).toISOString() }),
		...(unreadable.length === 0 ? {} : { unreadable }),
		...(refusals.length === 0 ? {} : { refused: refusals }),
	};
}

/** Number of next hops, and of unreachable ones. */
export function nextHopsStatus(views: readonly NextHopView[]): NonNullable<StatusView['nextHops']> {
	return {
		tracked: views.length,
		unreachable: views.filter(({ reachable }) => !reachable).map(({ nextHop }) => nextHop),
	};
}

/** Problems as `status`, `lint` and the control socket show them. */
const problemView = ({ sinceMs, ...problem }: Problem): ProblemView => ({
	...problem,
	since: new Date(sinceMs).toISOString(),
});
