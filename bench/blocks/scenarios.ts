import { request } from 'node:http';
import type { MeasuredDaemon } from './daemon.ts';
import { daemonAddress, daemonPort, type Neighbours, sessionAddress } from './neighbours.ts';

/** Sizes of the full benchmark, multiplied by the scale. */
export interface Sizes {
	readonly routes: number;
	readonly watchedSessions: number;
	readonly monitors: number;
	readonly origins: number;
	readonly peers: number;
	readonly stormSessions: number;
}

export const fullSizes: Sizes = {
	routes: 1_000_000,
	watchedSessions: 100,
	monitors: 300,
	origins: 500_000,
	peers: 20_000,
	stormSessions: 5000,
};

/** Hold time of the sessions that must survive, the shortest that peers commonly use. */
export const holdTimeSeconds = 9;

export interface ScenarioDependencies {
	readonly daemon: MeasuredDaemon;
	readonly neighbours: Neighbours;
	readonly sizes: Sizes;
}

/** One load that must not block the event loop. */
export interface Scenario {
	readonly name: string;
	readonly about: (sizes: Sizes) => string;
	/** The longest accepted block, on an idle machine. */
	readonly targetMs: number;
	/** Figures besides the block, for the table. */
	readonly run: (dependencies: ScenarioDependencies) => Promise<string>;
}

/** The daemon's configuration: the feeder, the watched sessions, and the lines of more peers. */
export function bgpLines({ watchedSessions }: Sizes, morePeers = ''): string {
	const range = `  peerRanges: [ { name: all, prefix: 127.81.0.0/16, asNumber: 65001, limit: 10000 } ]\n`;
	const named = Array.from(
		{ length: watchedSessions + 1 },
		(_, index) => `    - { name: n${index}, address: ${sessionAddress(index)}, asNumber: 65001, passive: true }\n`,
	).join('');
	return (
		'  asNumber: 65001\n  routerId: 10.0.0.1\n  nextHopTracking: off\n  listen: { address: ' +
		`${daemonAddress}, port: ${daemonPort} }\n${range}  peers:\n${named}${morePeers}`
	);
}

async function untilRoutes({ daemon }: ScenarioDependencies, paths: number): Promise<void> {
	for (;;) {
		const { rib } = await daemon.client.ask('status', {});
		if (rib.paths.ipv4 >= paths && rib.dirty === 0) return;
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
}

async function list({ daemon }: ScenarioDependencies): Promise<number> {
	let bytes = 0;
	for await (const chunk of daemon.client.text('routes', { limit: 0 })) bytes += chunk.length;
	return bytes;
}

export const scenarios: readonly Scenario[] = [
	{
		name: 'storm',
		about: ({ stormSessions }) => `${stormSessions} sessions at once`,
		targetMs: 100,
		async run({ neighbours, sizes }) {
			const startMs = performance.now();
			const first = 1000;
			await neighbours.command({ type: 'open', first, count: sizes.stormSessions, holdTimeSeconds: 90 });
			await neighbours.untilEstablished(sizes.watchedSessions + 1 + sizes.stormSessions, 120);
			const upMs = performance.now() - startMs;
			await neighbours.command({ type: 'close', first });
			await neighbours.untilEstablished(sizes.watchedSessions + 1, 60);
			return `established in ${(upMs / 1000).toFixed(1)} s`;
		},
	},
	{
		name: 'feed',
		about: ({ routes }) => `${routes} routes arrive`,
		targetMs: 50,
		async run(dependencies) {
			const startMs = performance.now();
			await dependencies.neighbours.command({
				type: 'announce',
				from: 0,
				count: dependencies.sizes.routes,
				version: 0,
			});
			await untilRoutes(dependencies, dependencies.sizes.routes);
			return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
		},
	},
	{
		name: 'listing',
		about: ({ routes }) => `full listing of ${routes} routes`,
		targetMs: 20,
		async run(dependencies) {
			const [startMs, before] = [performance.now(), dependencies.daemon.residentMiB()];
			const bytes = await list(dependencies);
			const grown = dependencies.daemon.residentMiB() - before;
			return (
				`${(bytes / 2 ** 20).toFixed(0)} MiB in ${((performance.now() - startMs) / 1000).toFixed(1)} ` +
				`s, ${grown.toFixed(0)} MiB more memory`
			);
		},
	},
	{
		name: 'listings',
		about: () => 'four full listings and /metrics at once',
		targetMs: 20,
		async run(dependencies) {
			const startMs = performance.now();
			await Promise.all([...Array.from({ length: 4 }, () => list(dependencies)), dependencies.daemon.client.metrics()]);
			return `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
		},
	},
	{
		name: 'monitors',
		about: ({ monitors, routes }) => `${monitors} stalled monitors while ${routes / 5} routes change`,
		targetMs: 50,
		async run(dependencies) {
			const { daemon, neighbours, sizes } = dependencies;
			const before = daemon.residentMiB();
			const stalled = Array.from({ length: sizes.monitors }, () => {
				const outgoing = request({ socketPath: daemon.socket, path: '/v1/monitor?routes=true', agent: false });
				outgoing.on('error', () => undefined);
				outgoing.end();
				return outgoing;
			});
			await daemon.client.ask('status', {});
			await neighbours.command({ type: 'announce', from: 0, count: Math.floor(sizes.routes / 5), version: 7 });
			await new Promise((resolve) => setTimeout(resolve, 500));
			await untilRoutes(dependencies, sizes.routes);
			await new Promise((resolve) => setTimeout(resolve, 1000));
			const text = await daemon.client.metrics();
			const dropped = /^bgpmesh_monitor_dropped_events_total (\d+)/m.exec(text)?.[1] ?? '?';
			const grown = daemon.residentMiB() - before;
			for (const outgoing of stalled) outgoing.destroy();
			return `${dropped} events dropped, ${grown.toFixed(0)} MiB more memory`;
		},
	},
	{
		name: 'reload-origins',
		about: ({ origins }) => `reload with ${origins} originated prefixes, and back`,
		targetMs: 50,
		async run({ daemon, sizes }) {
			const lines = Array.from(
				{ length: sizes.origins },
				(_, number) => `    - { prefix: ${100 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.0/24 }\n`,
			);
			const startMs = performance.now();
			daemon.configure(`${bgpLines(sizes)}  originate:\n${lines.join('')}`);
			const added = await reload(daemon);
			daemon.configure(bgpLines(sizes));
			const removed = await reload(daemon);
			return `${added} added, ${removed} removed in ${((performance.now() - startMs) / 1000).toFixed(1)} s`;
		},
	},
	{
		name: 'peers',
		about: ({ peers }) => `${peers} peers added and removed by reload`,
		targetMs: 50,
		async run({ daemon, sizes }) {
			const lines = Array.from(
				{ length: sizes.peers },
				(_, number) =>
					`    - { name: x${number}, address: ` +
					`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}, asNumber: 65001, passive: true ` +
					'}\n',
			);
			const startMs = performance.now();
			daemon.configure(bgpLines(sizes, lines.join('')));
			const added = await reload(daemon);
			let listed = 0;
			for await (const part of daemon.client.list('peers', {})) if (part.type === 'row') listed++;
			daemon.configure(bgpLines(sizes));
			const removed = await reload(daemon);
			return (
				`${added} added, ${listed} listed, ${removed} removed in ` +
				`${((performance.now() - startMs) / 1000).toFixed(1)} s`
			);
		},
	},
];

/** Reloads; returns the number of changes. */
async function reload(daemon: MeasuredDaemon): Promise<number> {
	let changes = 0;
	for await (const part of daemon.client.list('reload', {})) if (part.type === 'row') changes++;
	return changes;
}
