import type { Registry } from 'prom-client';
import type { RibStatistics } from '../bgp/index.ts';
import type { FibView, PeerView } from '../core/index.ts';
import type { EventLoopMonitor } from './event-loop.ts';
import { renderPeerMetrics } from './peer-metrics.ts';

/** What the figures are read from when somebody asks. */
export interface MetricSources {
	readonly version: string;
	readonly eventLoop: EventLoopMonitor;
	readonly peers: () => readonly PeerView[];
	readonly rib: () => RibStatistics | undefined;
	readonly fib: () => FibView | undefined;
	readonly nextHops: () => { readonly tracked: number; readonly unreachable: readonly string[] } | undefined;
	readonly cluster: () =>
		| {
				awaySinceMs(): number | undefined;
				readonly fromLastKnown: boolean;
				readonly unreadable: readonly { readonly kind: string }[];
				readonly refusals: readonly { readonly kind: string; readonly namespace?: string }[];
				readonly garbage: { readonly addresses: number; readonly claims: number; readonly handles: number; readonly spared: number; readonly leading: boolean };
		  }
		| undefined;
	readonly reloads: () => { readonly done: number; readonly refused: number };
}

type Samples = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** One metric: a row says everything about it. Names end in their unit. */
interface MetricRow {
	readonly name: string;
	readonly kind: 'gauge' | 'counter';
	readonly help: string;
	readonly labels: readonly string[];
	readonly samples: (sources: MetricSources) => Samples;
}

const one = (value: number | undefined): Samples => (value === undefined ? [] : [[{}, value]]);
const byFamily = (numbers: Readonly<Record<'ipv4' | 'ipv6', number>> | undefined): Samples =>
	numbers === undefined
		? []
		: [
				[{ family: 'ipv4' }, numbers.ipv4],
				[{ family: 'ipv6' }, numbers.ipv6],
			];

const rows: readonly MetricRow[] = [
	{ name: 'bgpmesh_info', kind: 'gauge', help: 'Always 1; the version is a label.', labels: ['version'], samples: ({ version }) => [[{ version }, 1]] },
	{
		name: 'bgpmesh_event_loop_longest_block_seconds',
		kind: 'gauge',
		help: 'Longest time in which the event loop did not turn, since the daemon was ready.',
		labels: [],
		samples: ({ eventLoop }) => one(eventLoop.longestSeconds()),
	},
	{
		name: 'bgpmesh_event_loop_recent_block_seconds',
		kind: 'gauge',
		help: 'Longest time in which the event loop did not turn, in the last minute.',
		labels: [],
		samples: ({ eventLoop }) => one(eventLoop.recentSeconds()),
	},
	{
		name: 'bgpmesh_peers',
		kind: 'gauge',
		help: 'Neighbours by the state of their session.',
		labels: ['state'],
		samples: ({ peers }) => {
			const states = new Map<string, number>();
			for (const { state } of peers()) states.set(state, (states.get(state) ?? 0) + 1);
			return ['idle', 'connect', 'active', 'open-sent', 'open-confirm', 'established'].map((state) => [{ state }, states.get(state) ?? 0]);
		},
	},
	{ name: 'bgpmesh_rib_prefixes', kind: 'gauge', help: 'Prefixes in the Loc-RIB.', labels: ['family'], samples: ({ rib }) => byFamily(rib()?.prefixes) },
	{
		name: 'bgpmesh_rib_paths',
		kind: 'gauge',
		help: 'Paths in all Adj-RIBs-In, and own ones.',
		labels: ['family'],
		samples: ({ rib }) => byFamily(rib()?.paths),
	},
	{ name: 'bgpmesh_rib_attribute_sets', kind: 'gauge', help: 'Different attribute blocks held.', labels: [], samples: ({ rib }) => one(rib()?.attributeSets) },
	{
		name: 'bgpmesh_rib_update_groups',
		kind: 'gauge',
		help: 'Groups of peers that share one stream of updates.',
		labels: [],
		samples: ({ rib }) => one(rib()?.updateGroups),
	},
	{
		name: 'bgpmesh_rib_dirty_prefixes',
		kind: 'gauge',
		help: 'Prefixes whose best path is still to be decided.',
		labels: [],
		samples: ({ rib }) => one(rib()?.dirty),
	},
	{
		name: 'bgpmesh_next_hops',
		kind: 'gauge',
		help: 'Next hops that are looked for in the kernel, by whether a way leads to them.',
		labels: ['reachable'],
		samples: ({ nextHops }) => {
			const view = nextHops();
			if (view === undefined) return [];
			return [
				[{ reachable: 'yes' }, view.tracked - view.unreachable.length],
				[{ reachable: 'no' }, view.unreachable.length],
			];
		},
	},
	{
		name: 'bgpmesh_fib_routes',
		kind: 'gauge',
		help: 'Routes by their state in the kernel.',
		labels: ['state'],
		samples: ({ fib }) => {
			const view = fib();
			if (view === undefined || !view.enabled) return [];
			return ['installed', 'missing', 'failed', 'extra', 'skipped'].map((state) => [{ state }, view.routes.filter((route) => route.state === state).length]);
		},
	},
	{
		name: 'bgpmesh_fib_in_sync',
		kind: 'gauge',
		help: '1 when every source of routes has said that it is complete.',
		labels: [],
		samples: ({ fib }) => {
			const view = fib();
			return view?.enabled === true ? one(view.inSync ? 1 : 0) : [];
		},
	},
	{
		name: 'bgpmesh_fib_refused',
		kind: 'gauge',
		help: '1 while no route is written because somebody else programs the same ones, by where that was seen.',
		labels: ['seen'],
		samples: ({ fib }) => {
			const view = fib();
			return view?.enabled === true ? (['kernel', 'resources'] as const).map((seen) => [{ seen }, Number(view.refusal?.seen === seen)]) : [];
		},
	},
	{
		name: 'bgpmesh_apiserver_away_seconds',
		kind: 'gauge',
		help: 'For how long the API server has not answered; 0 while it does. Absent without a cluster.',
		labels: [],
		samples: ({ cluster }) => {
			const here = cluster();
			if (here === undefined) return [];
			const since = here.awaySinceMs();
			return one(since === undefined ? 0 : Math.max(0, (Date.now() - since) / 1000));
		},
	},
	{
		name: 'bgpmesh_cluster_from_last_known',
		kind: 'gauge',
		help: '1 while the node goes on with what an earlier process knew: the API server has not answered since the start. Absent without a cluster.',
		labels: [],
		samples: ({ cluster }) => {
			const here = cluster();
			return here === undefined ? [] : one(here.fromLastKnown ? 1 : 0);
		},
	},
	{
		name: 'bgpmesh_apiserver_refused',
		kind: 'gauge',
		help: '1 for each kind of resource that the API server does not let this node read; none while it may read all.',
		labels: ['kind', 'namespace'],
		samples: ({ cluster }) => (cluster()?.refusals ?? []).map(({ kind, namespace }) => [{ kind, namespace: namespace ?? '' }, 1]),
	},
	{
		name: 'bgpmesh_ipam_unreadable',
		kind: 'gauge',
		help: 'Resources of addresses that are there and can not be read, as this node saw them last: nothing is given of them. Absent without a cluster.',
		labels: ['kind'],
		samples: ({ cluster }) => {
			// Each asking looks over all that is known of addresses.
			const unreadable = cluster()?.unreadable;
			const kinds = ['block', 'claim', 'handle', 'pool', 'reservation'] as const;
			return unreadable === undefined ? [] : kinds.map((kind) => [{ kind }, unreadable.filter((each) => each.kind === kind).length]);
		},
	},
	{
		name: 'bgpmesh_ipam_garbage_collector',
		kind: 'gauge',
		help: '1 on the node that takes abandoned addresses back. Absent without a cluster.',
		labels: [],
		samples: ({ cluster }) => one(cluster()?.garbage.leading === undefined ? undefined : Number(cluster()?.garbage.leading)),
	},
	{
		name: 'bgpmesh_ipam_garbage_collected_total',
		kind: 'counter',
		help: 'What this node has taken back since its start: addresses, claims of blocks, handles; spared: leaks that were in use at the last look.',
		labels: ['kind'],
		samples: ({ cluster }) => {
			const garbage = cluster()?.garbage;
			return garbage === undefined ? [] : (['addresses', 'claims', 'handles', 'spared'] as const).map((kind) => [{ kind }, garbage[kind]]);
		},
	},
	{
		name: 'bgpmesh_config_reloads_total',
		kind: 'counter',
		help: 'Reloads of the configuration by their outcome.',
		labels: ['outcome'],
		samples: ({ reloads }) => {
			const { done, refused } = reloads();
			return [
				[{ outcome: 'done' }, done],
				[{ outcome: 'refused' }, refused],
			];
		},
	},
];

/** Prometheus' text: the rows above, the process, and the neighbours (in slices: there may be thousands). */
export function createMetrics(sources: MetricSources): () => Promise<{ readonly contentType: string; readonly text: string }> {
	// Loaded when somebody asks for the first time: a node without Prometheus does not pay for it.
	let registry: Promise<Registry> | undefined;
	return async () => {
		registry ??= makeRegistry(sources);
		const made = await registry;
		return { contentType: made.contentType, text: `${await made.metrics()}\n${await renderPeerMetrics(sources.peers())}` };
	};
}

async function makeRegistry(sources: MetricSources): Promise<Registry> {
	const client = await import('prom-client');
	const registry = new client.Registry();
	client.collectDefaultMetrics({ register: registry });
	for (const row of rows) register(client, registry, row, sources);
	return registry;
}

function register(client: typeof import('prom-client'), registry: Registry, { name, kind, help, labels, samples }: MetricRow, sources: MetricSources): void {
	const options = { name, help, labelNames: [...labels], registers: [registry] };
	if (kind === 'gauge') {
		new client.Gauge({
			...options,
			collect() {
				this.reset();
				for (const [values, value] of samples(sources)) this.set({ ...values }, value);
			},
		});
	} else {
		new client.Counter({
			...options,
			collect() {
				this.reset();
				for (const [values, value] of samples(sources)) this.inc({ ...values }, value);
			},
		});
	}
}
