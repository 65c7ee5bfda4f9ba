import type {
	PlanView,
	PolicyDropEvent,
	PolicyEndpointView,
	PolicyOverviewView,
	PolicyStatusView,
	TraceView,
} from '../../src/control/index.ts';

export const policyRows: readonly PolicyStatusView[] = [
	{
		policy: 'ClusterNetworkPolicy quarantine',
		tier: 'kube-admin',
		order: 10,
		generation: 3,
		staged: false,
		localEndpoints: 4,
		allowedPackets: 0,
		deniedPackets: 17,
		rollout: { enforcedOn: 2, nodes: 3, lagging: ['node-c'] },
	},
	{
		policy: 'NetworkPolicy prod/db',
		tier: 'default',
		order: 1000,
		generation: 1,
		staged: false,
		localEndpoints: 1,
		allowedPackets: 42,
		deniedPackets: 0,
		rollout: { enforcedOn: 3, nodes: 3, since: '2026-01-02T03:04:05.678Z', lagging: [] },
	},
	{ policy: 'StagedNetworkPolicy prod/next', tier: 'default', generation: 1, staged: true, localEndpoints: 0 },
];

export const policyRest: Omit<PolicyOverviewView, 'policies'> = {
	mode: 'refused',
	refusal: { engine: 'Felix (Calico)', seen: ['chains cali-FORWARD, cali-INPUT'], hint: 'stop calico-node' },
	inSync: false,
	waitingFor: ['pods'],
	programmedAt: '2026-01-02T03:04:05.678Z',
	failure: 'netlink: Device or resource busy',
	workloads: 4,
	hostEndpoints: 1,
	sets: 9,
	silentNodes: ['node-d'],
	problems: [
		{
			subject: 'NetworkPolicy prod/http',
			type: 'fails-closed',
			field: 'spec.ingress[0].http',
			problem: 'HTTP is not matched',
		},
	],
};

export const policyEndpoints: readonly PolicyEndpointView[] = [
	{
		type: 'pod',
		name: 'prod/db',
		interface: 'cali0123456789a',
		addresses: ['10.0.0.1'],
		stacks: [
			{
				stage: 'workload',
				direction: 'ingress',
				tiers: [
					{
						tier: 'default',
						defaultAction: 'deny',
						policies: [
							{ policy: 'StagedNetworkPolicy prod/next', staged: true, rules: 2 },
							{ policy: 'NetworkPolicy prod/db', staged: false, rules: 1, allowedPackets: 42, deniedPackets: 0 },
						],
					},
				],
				profiles: ['kns.prod'],
				otherwise: 'deny',
			},
			{ stage: 'workload', direction: 'egress', tiers: [], profiles: ['kns.prod'], otherwise: 'deny' },
		],
	},
	{
		type: 'host-endpoint',
		name: 'node-a-all',
		interface: '*',
		addresses: [],
		stacks: [{ stage: 'normal', direction: 'ingress', tiers: [], profiles: [], otherwise: 'deny' }],
	},
];

export const policyTrace: TraceView = {
	from: { name: 'prod/web', address: '10.0.0.2', node: 'node-a' },
	to: { name: '203.0.113.7', address: '203.0.113.7' },
	protocol: 'tcp',
	port: 443,
	allowed: false,
	steps: [
		{
			side: 'sender',
			node: 'node-a',
			stage: 'workload',
			direction: 'egress',
			endpoint: 'prod/web',
			action: 'deny',
			decidedBy: 'rule',
			tier: 'default',
			policy: 'NetworkPolicy (Calico) prod/web',
			rule: 'egress[2]',
			staged: [{ policy: 'StagedNetworkPolicy prod/next', rule: 'egress[0]', action: 'allow' }],
		},
	],
	notes: ['not every resource is listed yet'],
};

export const policyPlan: PlanView = {
	changes: [
		{ from: 'prod/web', to: 'prod/db', protocol: 'TCP', port: 5432, before: 'allowed', after: 'denied' },
		{ from: 'dev/job', to: 'prod/db', protocol: 'ICMP', port: 0, before: 'denied', after: 'allowed' },
	],
	changed: 2,
	kindsOfPods: 3,
	kindsCompared: 3,
	problems: [],
	notes: ['only policies are considered, not: NetworkSet'],
};

export const policyDrop: PolicyDropEvent = {
	at: '2026-01-02T03:04:05.678Z',
	action: 'deny',
	direction: 'ingress',
	stage: 'workload',
	from: 'dev/job',
	to: 'prod/db',
	protocol: 'TCP',
	sourcePort: 40_000,
	port: 5432,
	decidedBy: 'end of tier default',
};
