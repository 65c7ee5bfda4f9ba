import { byFamily, type MetricRow, one } from './row.ts';

/** Metrics of neighbours and tables; those of a single neighbour are in `peer-rows.ts`. */
export const bgpRows: readonly MetricRow[] = [
	{
		name: 'bgpmesh_peers',
		kind: 'gauge',
		help: 'Neighbours by the state of their session.',
		labels: ['state'],
		samples: ({ speaker }) => Object.entries(speaker()?.peerCounts().states ?? {}).map(([state, n]) => [{ state }, n]),
	},
	{
		name: 'bgpmesh_rib_prefixes',
		kind: 'gauge',
		help: 'Prefixes in the Loc-RIB.',
		labels: ['family'],
		samples: ({ rib }) => byFamily(rib()?.prefixes),
	},
	{
		name: 'bgpmesh_rib_paths',
		kind: 'gauge',
		help: 'Paths in all Adj-RIBs-In, and own ones.',
		labels: ['family'],
		samples: ({ rib }) => byFamily(rib()?.paths),
	},
	{
		name: 'bgpmesh_rib_attribute_sets',
		kind: 'gauge',
		help: 'Different attribute blocks held.',
		labels: [],
		samples: ({ rib }) => one(rib()?.attributeSets),
	},
	{
		name: 'bgpmesh_rib_attribute_bytes',
		kind: 'gauge',
		help:
			'Memory of attribute blocks: held by routes, and resident with free space (at most 1.25 ' +
			'times the held bytes and 1 MiB).',
		labels: ['state'],
		samples: ({ rib }) => {
			const memory = rib()?.attributeMemory;
			return memory === undefined
				? []
				: [
						[{ state: 'held' }, memory.heldBytes],
						[{ state: 'resident' }, memory.residentBytes],
					];
		},
	},
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
		name: 'bgpmesh_bgp_refused_connections_total',
		kind: 'counter',
		help:
			'Incoming BGP connections that no peer took: no peer or range has the address, the range is ' +
			'full, or earlier sessions of the neighbor failed.',
		labels: ['reason'],
		samples: ({ speaker }) =>
			Object.entries(speaker()?.refusedConnections() ?? {}).map(([reason, count]) => [{ reason }, count]),
	},
];
