import type { StatusView } from '../control/index.ts';
import type { ErrorView, NextHopView } from '../core/index.ts';
import { identifierText } from './identity.ts';
import { untouchedView } from './kernel-side.ts';
import type { Rooms } from './rooms.ts';

/** What the screen is made from. */
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
	readonly warnings: readonly string[];
}

/** The daemon in one screen. */
export function statusOf({ rooms, lastReloadError, ...sources }: StatusSources): StatusView {
	const { speaker, rib, kernel } = rooms;
	const { asNumber, routerId, clusterId } = speaker.identity;
	const peers = speaker.peers();
	const fibView = kernel?.fib.view() ?? untouchedView;
	const inState = (state: string) => fibView.routes.filter((route) => route.state === state).length;
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
			configured: peers.filter(({ dynamic }) => !dynamic).length,
			dynamic: peers.filter(({ dynamic }) => dynamic).length,
			established: peers.filter(({ state }) => state === 'established').length,
			disabled: peers.filter(({ enabled }) => !enabled).length,
		},
		rib: { inSync: rib.inSync, waitingFor: rib.waitingFor, ...rib.statistics() },
		fib: {
			enabled: fibView.enabled,
			inSync: fibView.inSync,
			installed: inState('installed'),
			missing: inState('missing'),
			failed: inState('failed'),
			...(fibView.refusal === undefined ? {} : { refusal: fibView.refusal }),
		},
		...(rooms.nextHops === undefined ? {} : { nextHops: nextHopsStatus(rib.nextHops()) }),
		...(rooms.cluster === undefined ? {} : { cluster: clusterStatus(rooms.cluster) }),
		config: { file: sources.configFile, loadedAt: sources.loadedAt, ...(lastReloadError === undefined ? {} : { lastReloadError }) },
		process: {
			residentBytes: memory.rss,
			heapBytes: memory.heapUsed,
			cpuSeconds: (cpu.user + cpu.system) / 1e6,
			longestBlockSeconds: sources.longestBlockSeconds,
		},
		warnings: sources.warnings,
	};
}

function clusterStatus(cluster: NonNullable<Rooms['cluster']>): NonNullable<StatusView['cluster']> {
	const { server, layout, fromLastKnown, unreadable, refusals } = cluster;
	const since = cluster.awaySinceMs();
	return {
		server,
		layout,
		fromLastKnown,
		...(since === undefined ? {} : { awaySince: new Date(since).toISOString() }),
		...(unreadable.length === 0 ? {} : { unreadable }),
		...(refusals.length === 0 ? {} : { refused: refusals }),
	};
}

/** How many there are, and those without a way. */
export function nextHopsStatus(views: readonly NextHopView[]): NonNullable<StatusView['nextHops']> {
	return { tracked: views.length, unreachable: views.filter(({ reachable }) => !reachable).map(({ nextHop }) => nextHop) };
}
