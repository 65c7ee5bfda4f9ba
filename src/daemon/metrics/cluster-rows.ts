import { type MetricRow, one } from './row.ts';

/** Metrics of the cluster: its API server, addresses and Services. */
export const clusterRows: readonly MetricRow[] = [
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
		help:
			'1 while the node goes on with what an earlier process knew: the API server has not answered ' +
			'since the start. Absent without a cluster.',
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
		samples: ({ cluster }) =>
			(cluster()?.refusals ?? []).map(({ kind, namespace }) => [{ kind, namespace: namespace ?? '' }, 1]),
	},
	{
		name: 'bgpmesh_ipam_unreadable',
		kind: 'gauge',
		help:
			'Resources of addresses that are there and can not be read, as this node saw them last: ' +
			'nothing is given of them. Absent without a cluster.',
		labels: ['kind'],
		samples: ({ cluster }) => {
			// Each read scans all known addresses.
			const unreadable = cluster()?.unreadable;
			const kinds = ['block', 'claim', 'handle', 'pool', 'reservation'] as const;
			return unreadable === undefined
				? []
				: kinds.map((kind) => [{ kind }, unreadable.filter((each) => each.kind === kind).length]);
		},
	},
	{
		name: 'bgpmesh_ipam_garbage_collector',
		kind: 'gauge',
		help: '1 on the node that takes abandoned addresses back. Absent without a cluster.',
		labels: [],
		samples: ({ cluster }) =>
			one(cluster()?.garbage.leading === undefined ? undefined : Number(cluster()?.garbage.leading)),
	},
	{
		name: 'bgpmesh_ipam_garbage_collected_total',
		kind: 'counter',
		help:
			'What this node has taken back since its start: addresses, claims of blocks, handles; ' +
			'spared: leaks that were in use at the last look.',
		labels: ['kind'],
		samples: ({ cluster }) => {
			const garbage = cluster()?.garbage;
			return garbage === undefined
				? []
				: (['addresses', 'claims', 'handles', 'spared'] as const).map((kind) => [{ kind }, garbage[kind]]);
		},
	},
	{
		name: 'bgpmesh_services',
		kind: 'gauge',
		help:
			'Services at this node, their frontends (address, protocol, port) and backends. Absent where ' +
			'Services are not followed.',
		labels: ['kind'],
		samples: async ({ services }) => {
			const figures = await services();
			return figures === undefined
				? []
				: (['services', 'frontends', 'backends'] as const).map((kind) => [{ kind }, figures[kind]]);
		},
	},
	{
		name: 'bgpmesh_service_prefixes',
		kind: 'gauge',
		help: 'Prefixes that this node announces for Services; draining: with GRACEFUL_SHUTDOWN.',
		labels: ['state'],
		samples: async ({ services }) =>
			Object.entries((await services())?.announced ?? {}).map(([state, n]) => [{ state }, n]),
	},
	{
		name: 'bgpmesh_service_transactions_total',
		kind: 'counter',
		help: 'Changes of Services that the kernel has carried out.',
		labels: [],
		samples: async ({ services }) => one((await services())?.transactions),
	},
	{
		name: 'bgpmesh_service_flows_removed_total',
		kind: 'counter',
		help: 'UDP connections removed because their endpoint serves no more.',
		labels: [],
		samples: async ({ services }) => one((await services())?.flowsRemoved),
	},
	{
		name: 'bgpmesh_service_connections_total',
		kind: 'counter',
		help:
			'New connections to Services that the rules of this node have seen, by outcome: translated ' +
			'to an endpoint; rejected (no endpoint); dropped (endpoints, but none here for policy ' +
			'Local); source-refused (loadBalancerSourceRanges); unused-address (no Service has it). ' +
			'Connections that eBPF programs translate are not among them.',
		labels: ['outcome'],
		samples: async ({ services }) =>
			Object.entries((await services())?.connections ?? {}).map(([outcome, count]) => [{ outcome }, count]),
	},
	{
		name: 'bgpmesh_service_handover_windows',
		kind: 'gauge',
		help:
			'Addresses and ports of Services whose nodes have changed a short time ago: packets of ' +
			'connections that this node does not know are given to the other nodes.',
		labels: [],
		samples: async ({ services }) => one((await services())?.handover?.windows),
	},
	{
		name: 'bgpmesh_service_handover_packets_total',
		kind: 'counter',
		help:
			'Packets of connections that routers have moved: given to the other nodes of the Service; ' +
			'unknown: from other nodes, of connections that this node does not have.',
		labels: ['direction'],
		samples: async ({ services }) => {
			const handover = (await services())?.handover;
			return handover === undefined
				? []
				: (['given', 'unknown'] as const).map((kind) => [{ direction: kind }, handover[kind]]);
		},
	},
];
