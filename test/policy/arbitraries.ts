import * as fc from 'fast-check';
import type { JsonObject } from '../../src/json/index.ts';

/**
 * A small world in which random objects interact: few names, labels and addresses, so that
 * selectors select, names repeat and addresses are claimed twice.
 */
export const world = {
	namespaces: ['prod', 'dev', 'ops'],
	nodes: ['node-a', 'node-b'],
	addresses: ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4', '10.2.0.1', '10.2.0.2'],
	nets: ['10.1.0.0/16', '10.1.0.0/30', '10.2.0.1/32', '0.0.0.0/0', '203.0.113.0/24'],
	ports: [80, 8080, 53],
} as const;

const pick = <T>(items: readonly T[]) => fc.constantFrom(...items);
const some = <T>(arbitrary: fc.Arbitrary<T>, most = 2) => fc.array(arbitrary, { minLength: 1, maxLength: most });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
/** Without members that are `undefined`, as JSON. */
const clean = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

const namespace = pick(world.namespaces);
const label = pick(['app', 'tier']);
const value = pick(['web', 'db', 'front']);
const labels = fc.dictionary(label, value, { maxKeys: 2 });

const meta = (names: readonly string[], namespaced: boolean) =>
	fc.record({
		name: pick(names),
		...(namespaced ? { namespace } : {}),
		labels,
	});

export const pod: fc.Arbitrary<JsonObject> = fc
	.record({
		name: pick(['p0', 'p1', 'p2']),
		namespace,
		labels,
		node: pick(world.nodes),
		address: pick(world.addresses),
		hostNetwork: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
		phase: pick(['Running', 'Running', 'Running', 'Succeeded']),
		ending: fc.integer({ min: 0, max: 5 }).map((draw) => draw === 0),
		account: pick(['default', 'robot']),
		ports: fc.subarray([
			{ name: 'web', containerPort: 80, protocol: 'TCP' },
			{ name: 'web', containerPort: 8080, protocol: 'TCP' },
			{ name: 'dns', containerPort: 53, protocol: 'UDP' },
		]),
	})
	.map((draw) =>
		clean({
			apiVersion: 'v1',
			kind: 'Pod',
			metadata: {
				name: draw.name,
				namespace: draw.namespace,
				labels: draw.labels,
				...(draw.ending ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
			},
			spec: {
				nodeName: draw.node,
				hostNetwork: draw.hostNetwork,
				serviceAccountName: draw.account,
				containers: [{ ports: draw.ports }],
			},
			status: { phase: draw.phase, podIP: draw.address },
		}),
	);

const namespaceObject = fc
	.record({ name: namespace, labels: fc.dictionary(pick(['env', 'app']), value, { maxKeys: 2 }) })
	.map((metadata) => clean({ apiVersion: 'v1', kind: 'Namespace', metadata }));

const serviceAccount = fc
	.record({ name: pick(['default', 'robot']), namespace, labels: fc.dictionary(pick(['trust']), value) })
	.map((metadata) => clean({ apiVersion: 'v1', kind: 'ServiceAccount', metadata }));

const labelSelector = fc.oneof(
	fc.constant({}),
	fc.record({ matchLabels: labels }),
	fc.record({
		matchExpressions: some(
			fc.oneof(
				fc.record({ key: label, operator: pick(['In', 'NotIn']), values: some(value) }),
				fc.record({ key: label, operator: pick(['Exists', 'DoesNotExist']) }),
			),
		),
	}),
);
const namespaceSelector = fc.oneof(
	fc.constant({}),
	fc.record({ matchLabels: fc.dictionary(pick(['env', 'app']), value, { maxKeys: 1 }) }),
);

const kubernetesPort = fc.oneof(
	fc.record({ protocol: pick(['TCP', 'UDP']) }),
	fc.record({ protocol: maybe(pick(['TCP', 'UDP'])), port: pick<string | number>([...world.ports, 'web', 'dns']) }),
	fc.constant({ protocol: 'TCP', port: 79, endPort: 90 }),
);
const kubernetesPeer = fc.oneof(
	fc.record({ podSelector: labelSelector }),
	fc.record({ namespaceSelector }),
	fc.record({ podSelector: labelSelector, namespaceSelector }),
	fc.record({
		ipBlock: fc.record({
			cidr: pick(['10.0.0.0/8', '0.0.0.0/0']),
			except: maybe(some(pick(['10.1.0.0/30', '10.2.0.1/32']))),
		}),
	}),
);
const kubernetesRule = (peers: 'from' | 'to') =>
	fc.record({ [peers]: maybe(some(kubernetesPeer)), ports: maybe(some(kubernetesPort)) });

export const kubernetesPolicy: fc.Arbitrary<JsonObject> = fc
	.record({
		metadata: meta(['a', 'b'], true),
		spec: fc.record({
			podSelector: labelSelector,
			policyTypes: maybe(fc.subarray(['Ingress', 'Egress'], { minLength: 1 })),
			ingress: maybe(fc.array(kubernetesRule('from'), { maxLength: 2 })),
			egress: maybe(fc.array(kubernetesRule('to'), { maxLength: 2 })),
		}),
	})
	.map((draw) => clean({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', ...draw }));

const selector = pick([
	'',
	'all()',
	"app == 'web'",
	"app != 'web'",
	'has(tier)',
	"!has(app) || tier == 'front'",
	"app in {'web','db'} && tier not in {'front'}",
	"app starts with 'w'",
]);
const notEmpty = selector.filter((text) => text !== '');
const entity = fc.oneof(
	fc.constant({}),
	fc.record({
		selector: maybe(selector),
		notSelector: maybe(notEmpty),
		namespaceSelector: maybe(pick(["env == 'web'", 'all()', 'global()', "projectcalico.org/name == 'dev'"])),
	}),
	fc.record({ nets: maybe(some(pick(world.nets))), notNets: maybe(some(pick(world.nets))) }),
	fc.record({
		serviceAccounts: fc.record({
			names: maybe(some(pick(['robot', 'default']))),
			selector: maybe(pick(["trust == 'web'"])),
		}),
	}),
	fc.record({ selector: notEmpty, nets: some(pick(world.nets)) }),
);
const calicoPorts = some(pick<string | number>([80, '79:90', 'web', 'dns', 53]));
const calicoRule = fc
	.record({
		action: pick(['Allow', 'Allow', 'Deny', 'Pass', 'Log']),
		protocol: maybe(pick(['TCP', 'UDP', 'ICMP'])),
		notProtocol: maybe(pick(['UDP'])),
		source: entity,
		destination: entity,
		ports: maybe(calicoPorts),
		notPorts: maybe(calicoPorts),
	})
	.map(({ ports, notPorts, destination, ...rule }) => ({
		...rule,
		destination: {
			...destination,
			...(rule.protocol === 'TCP' || rule.protocol === 'UDP' ? { ports, notPorts } : {}),
		},
	}));
const calicoSpec = {
	tier: maybe(pick(['default', 'first', 'last'])),
	order: maybe(pick([1, 10, 10.5, -3])),
	selector: maybe(selector),
	serviceAccountSelector: maybe(pick(["projectcalico.org/name == 'robot'", "trust == 'web'"])),
	types: maybe(fc.subarray(['Ingress', 'Egress'], { minLength: 1 })),
	ingress: maybe(fc.array(calicoRule, { maxLength: 3 })),
	egress: maybe(fc.array(calicoRule, { maxLength: 3 })),
};

export const calicoPolicy: fc.Arbitrary<JsonObject> = fc.oneof(
	fc
		.record({
			metadata: meta(['a', 'b'], true),
			kind: pick(['NetworkPolicy', 'StagedNetworkPolicy']),
			spec: fc.record(calicoSpec),
		})
		.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', ...draw })),
	fc
		.record({
			metadata: meta(['a', 'b', 'c'], false),
			kind: pick(['GlobalNetworkPolicy', 'GlobalNetworkPolicy', 'StagedGlobalNetworkPolicy']),
			spec: fc.record({ ...calicoSpec, namespaceSelector: maybe(pick(["env == 'web'", 'all()', '!has(env)'])) }),
		})
		.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', ...draw })),
);

const clusterPeer = fc.oneof(
	fc.record({ namespaces: namespaceSelector }),
	fc.record({ pods: fc.record({ namespaceSelector, podSelector: labelSelector }) }),
);
const clusterProtocol = fc.oneof(
	fc.record({ tcp: fc.oneof(fc.constant({}), fc.constant({ destinationPort: { number: 80 } })) }),
	fc.record({ udp: fc.constant({ destinationPort: { range: { start: 50, end: 60 } } }) }),
	fc.record({ destinationNamedPort: pick(['web']) }),
);
const clusterRule = (peers: 'from' | 'to') =>
	fc.record({
		action: pick(['Accept', 'Deny', 'Pass']),
		[peers]: some(
			peers === 'to' ? fc.oneof(clusterPeer, fc.record({ networks: some(pick(world.nets)) })) : clusterPeer,
		),
		protocols: maybe(some(clusterProtocol)),
	});
export const clusterPolicy: fc.Arbitrary<JsonObject> = fc
	.record({
		metadata: meta(['a', 'b'], false),
		spec: fc.record({
			tier: pick(['Admin', 'Baseline']),
			priority: pick([1, 5]),
			subject: clusterPeer,
			ingress: maybe(fc.array(clusterRule('from'), { maxLength: 2 })),
			egress: maybe(fc.array(clusterRule('to'), { maxLength: 2 })),
		}),
	})
	.map((draw) => clean({ apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', ...draw }));

export const tier: fc.Arbitrary<JsonObject> = fc
	.record({
		metadata: fc.record({ name: pick(['first', 'last']) }),
		spec: fc.record({ order: maybe(pick([10, 5_000_000])), defaultAction: maybe(pick(['Pass', 'Deny'])) }),
	})
	.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', kind: 'Tier', ...draw }));

export const networkSet: fc.Arbitrary<JsonObject> = fc.oneof(
	fc
		.record({ metadata: meta(['s'], true), spec: fc.record({ nets: some(pick(world.nets)) }) })
		.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', kind: 'NetworkSet', ...draw })),
	fc
		.record({ metadata: meta(['g'], false), spec: fc.record({ nets: some(pick(world.nets)) }) })
		.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', kind: 'GlobalNetworkSet', ...draw })),
);

const hostEndpoint = fc
	.record({
		metadata: meta(['h0', 'h1'], false),
		spec: fc.record({
			node: pick(world.nodes),
			interfaceName: pick(['*', 'eth0']),
			expectedIPs: maybe(some(pick(world.addresses))),
			profiles: maybe(fc.subarray(['p', 'projectcalico-default-allow', 'q'])),
		}),
	})
	.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', kind: 'HostEndpoint', ...draw }));

const profile = fc
	.record({
		metadata: fc.record({ name: pick(['p', 'q', 'projectcalico-default-allow']) }),
		spec: fc.record({
			labelsToApply: maybe(fc.dictionary(pick(['app', 'role']), pick(['web', 'db']), { maxKeys: 2 })),
			ingress: maybe(fc.array(calicoRule, { maxLength: 2 })),
			egress: maybe(fc.array(calicoRule, { maxLength: 2 })),
		}),
	})
	.map((draw) => clean({ apiVersion: 'projectcalico.org/v3', kind: 'Profile', ...draw }));

const slice = fc
	.record({
		namespace,
		name: pick(['e0', 'e1']),
		service: pick(['svc', 'other']),
		addresses: some(pick(world.addresses)),
		port: pick(world.ports),
	})
	.map((draw) =>
		clean({
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { namespace: draw.namespace, name: draw.name, labels: { 'kubernetes.io/service-name': draw.service } },
			addressType: 'IPv4',
			endpoints: [{ addresses: draw.addresses }],
			ports: [{ port: draw.port, protocol: 'TCP' }],
		}),
	);

const servicePolicy = fc
	.record({ namespace, service: pick(['svc', 'other']), direction: pick(['ingress', 'egress']) })
	.map(({ namespace: own, service, direction }) =>
		clean({
			apiVersion: 'projectcalico.org/v3',
			kind: 'NetworkPolicy',
			metadata: { namespace: own, name: 'service' },
			spec: {
				types: ['Ingress', 'Egress'],
				[direction]: [
					{ action: 'Allow', [direction === 'ingress' ? 'source' : 'destination']: { services: { name: service } } },
				],
			},
		}),
	);

const node = fc.record({ name: pick(world.nodes), address: pick(['10.9.0.1', '10.9.0.2']) }).map(({ name, address }) =>
	clean({
		apiVersion: 'v1',
		kind: 'Node',
		metadata: { name },
		status: { addresses: [{ type: 'InternalIP', address }] },
	}),
);

/** Any object that policy reads. */
export const object: fc.Arbitrary<JsonObject> = fc.oneof(
	{ weight: 6, arbitrary: pod },
	{ weight: 2, arbitrary: namespaceObject },
	{ weight: 1, arbitrary: serviceAccount },
	{ weight: 3, arbitrary: kubernetesPolicy },
	{ weight: 4, arbitrary: calicoPolicy },
	{ weight: 1, arbitrary: clusterPolicy },
	{ weight: 2, arbitrary: tier },
	{ weight: 2, arbitrary: networkSet },
	{ weight: 2, arbitrary: hostEndpoint },
	{ weight: 2, arbitrary: profile },
	{ weight: 2, arbitrary: slice },
	{ weight: 2, arbitrary: servicePolicy },
	{ weight: 1, arbitrary: node },
);

/** Objects of the kinds that the oracle covers. */
export const oracleObject: fc.Arbitrary<JsonObject> = fc.oneof(
	{ weight: 6, arbitrary: pod },
	{ weight: 2, arbitrary: namespaceObject },
	{ weight: 1, arbitrary: serviceAccount },
	{ weight: 3, arbitrary: kubernetesPolicy },
	{ weight: 4, arbitrary: calicoPolicy },
	{ weight: 1, arbitrary: clusterPolicy },
	{ weight: 1, arbitrary: tier },
	{ weight: 1, arbitrary: networkSet },
);
