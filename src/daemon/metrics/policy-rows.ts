import { type MetricRow, one } from './row.ts';

/** Metrics of network policy; absent where it is neither enforced nor shown. */
export const policyRows: readonly MetricRow[] = [
	{
		name: 'bgpmesh_policy_objects',
		kind: 'gauge',
		help:
			'Policies of the cluster that this node follows; pods and host endpoints of this node with ' +
			'policy; sets that their rules use. Absent where policy is not followed.',
		labels: ['kind'],
		samples: async ({ policy }) => {
			const figures = await policy();
			return figures === undefined
				? []
				: [
						[{ kind: 'policies' }, figures.policies],
						[{ kind: 'pods' }, figures.pods],
						[{ kind: 'host-endpoints' }, figures.hostEndpoints],
						[{ kind: 'sets' }, figures.sets],
					];
		},
	},
	{
		name: 'bgpmesh_policy_problems',
		kind: 'gauge',
		help: 'Policies and other resources of policy that are refused, that have rules which fail closed, or warnings.',
		labels: ['type'],
		samples: async ({ policy }) => Object.entries((await policy())?.problems ?? {}).map(([type, n]) => [{ type }, n]),
	},
	{
		name: 'bgpmesh_policy_dataplane_fallback',
		kind: 'gauge',
		help: '1 while eBPF was asked for and nftables enforces in its place; absent where eBPF was not asked for.',
		labels: [],
		samples: async ({ policy }) => {
			const falls = (await policy())?.fallsBack;
			return one(falls === undefined ? undefined : Number(falls));
		},
	},
	{
		name: 'bgpmesh_policy_programmed_timestamp_seconds',
		kind: 'gauge',
		help: 'When policy was last written to the kernel, in seconds since 1970.',
		labels: [],
		samples: async ({ policy }) => one((await policy())?.programmedAtSeconds),
	},
	{
		name: 'bgpmesh_policy_packets_total',
		kind: 'counter',
		help:
			'First packets of connections that a policy decided on this node, by policy and action ' +
			'(allow, deny, pass, staged). The first 100 policies that decide any have their own label, ' +
			'all others share `(other)`.',
		labels: ['policy', 'action'],
		samples: async ({ policy }) =>
			((await policy())?.packets ?? []).map((row) => [{ policy: row.policy, action: row.action }, row.packets]),
	},
];
