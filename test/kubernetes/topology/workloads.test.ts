import test from 'ava';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	type BgpConfiguration,
	type BgpPeer,
	defaultBgpConfiguration,
	type NodeFacts,
	peeringAddressProblems,
	ResourceError,
	toBgpConfiguration,
	toBgpPeer,
	toNodeFacts,
	topology,
	toResource,
	toWorkload,
	type Workload,
} from '../../../src/kubernetes/index.ts';

const peer = (name: string, spec: JsonObject): BgpPeer =>
	toBgpPeer(toResource({ kind: 'BGPPeer', metadata: { name }, spec: { asNumber: 65401, ...spec } }));
const node = (name: string, annotations: JsonObject, labels: JsonObject = {}): NodeFacts =>
	toNodeFacts(toResource({ metadata: { name, labels, annotations } }));
const a = node('a', { 'projectcalico.org/IPv4Address': '10.0.1.2/24' }, { rack: 'one' });
const both = node('a', {
	'projectcalico.org/IPv4Address': '10.0.1.2/24',
	'projectcalico.org/IPv6Address': 'fd00::2/64',
});

interface PodGiven {
	readonly labels?: JsonObject;
	readonly annotations?: JsonObject;
	readonly spec?: JsonObject;
	readonly status?: JsonObject;
}
const pod = (
	name: string,
	{
		labels = { color: 'red' },
		annotations = {},
		spec = {},
		status = { phase: 'Running', podIP: '10.65.0.2' },
	}: PodGiven = {},
) => toWorkload(toResource({ kind: 'Pod', metadata: { name, namespace: 'shop', labels, annotations }, spec, status }));
const workload = (address: string, labels: JsonObject = { color: 'red' }): Workload =>
	pod(`p-${address}`, { labels, status: { phase: 'Running', podIP: address } }) as Workload;

const seen = (
	peers: readonly BgpPeer[],
	workloads: readonly Workload[],
	self = a,
	configuration: Partial<BgpConfiguration> = {},
) =>
	topology({
		node: self.name,
		nodes: [self],
		peers,
		configuration: { ...defaultBgpConfiguration, ...configuration },
		listenPortOf: () => undefined,
		filters: new Map(),
		pools: [],
		workloads,
		password: () => undefined,
	});
const sessions = (...given: Parameters<typeof seen>) =>
	seen(...given).peers.map(({ name, asNumber }) => `${name} ${asNumber}`);

test('a selected pod is a passive neighbour, and may connect to any address of the node', (t) => {
	const [only, ...others] = seen(
		[peer('red', { localWorkloadSelector: "color == 'red'" })],
		[workload('10.65.0.2'), workload('10.65.0.3', { color: 'blue' })],
	).peers;
	t.like(only, {
		name: 'Local_Workload_10_65_0_2',
		address: '10.65.0.2',
		asNumber: 65401,
		passive: true,
		localAddress: undefined,
		multihopTtl: 255,
	});
	t.is(only?.description, 'BGPPeer red');
	t.deepEqual(only?.nextHopSelf, { ipv4: '10.0.1.2' });
	t.deepEqual(others, []);
});

const selectorRows: readonly {
	readonly title: string;
	readonly peers: readonly BgpPeer[];
	readonly sessions: readonly string[];
	readonly problems?: readonly string[];
}[] = [
	{
		title: 'a global resource applies to every node',
		peers: [peer('x', { localWorkloadSelector: 'all()' })],
		sessions: ['Local_Workload_10_65_0_2 65401'],
	},
	{
		title: 'a resource of another node does not apply to this one',
		peers: [peer('x', { node: 'b', localWorkloadSelector: 'all()' })],
		sessions: [],
	},
	{
		title: 'a node selector includes this node',
		peers: [peer('x', { nodeSelector: "rack == 'one'", localWorkloadSelector: 'all()' })],
		sessions: ['Local_Workload_10_65_0_2 65401'],
	},
	{
		title: 'a selector of other nodes selects no pod here',
		peers: [peer('x', { nodeSelector: "rack == 'two'", localWorkloadSelector: 'all()' })],
		sessions: [],
	},
	{
		title: 'of two resources the first by name counts, global or not',
		peers: [
			peer('z', { localWorkloadSelector: 'all()', asNumber: 2 }),
			peer('y', { node: 'a', localWorkloadSelector: 'all()', asNumber: 1 }),
		],
		sessions: ['Local_Workload_10_65_0_2 1'],
	},
	{
		title: "Calico's own labels of a workload select it",
		peers: [
			peer('x', {
				localWorkloadSelector: "projectcalico.org/namespace == 'shop' && projectcalico.org/orchestrator == 'k8s'",
			}),
		],
		sessions: ['Local_Workload_10_65_0_2 65401'],
	},
	{
		title: 'labels of namespaces are refused by name, and another resource selects the pod',
		peers: [
			peer('x', { localWorkloadSelector: "color == 'red' && !(pcns.team == 'a')" }),
			peer('y', { localWorkloadSelector: 'all()', asNumber: 2 }),
		],
		sessions: ['Local_Workload_10_65_0_2 2'],
		problems: [
			'BGPPeer x: localWorkloadSelector names labels of namespaces or service accounts (pcns.team), which are not looked at; no session is made for it',
		],
	},
	{
		title: 'an address beside the selector, and a gateway, are ignored and reported',
		peers: [peer('x', { localWorkloadSelector: 'all()', peerIP: '10.9.0.1', reachableBy: '10.0.1.1' })],
		sessions: ['Local_Workload_10_65_0_2 65401'],
		problems: ['BGPPeer x: peerIP, reachableBy beside localWorkloadSelector: passed over'],
	},
];
for (const row of selectorRows) {
	test(row.title, (t) => {
		const result = seen(row.peers, [workload('10.65.0.2')]);
		t.deepEqual(
			result.peers.map(({ name, asNumber }) => `${name} ${asNumber}`),
			row.sessions,
		);
		t.deepEqual(result.problems, row.problems ?? []);
		t.deepEqual(result.peerRoutes, []);
	});
}

test('a dual-stack pod has one session per family that its node has, too', (t) => {
	const dual = pod('dual', {
		status: { phase: 'Running', podIPs: [{ ip: '10.65.0.2' }, { ip: 'FD65:0::2' }] },
	}) as Workload;
	const all = [peer('x', { localWorkloadSelector: 'all()' })];
	t.deepEqual(sessions(all, [dual]), ['Local_Workload_10_65_0_2 65401']);
	t.deepEqual(sessions(all, [dual], both), ['Local_Workload_10_65_0_2 65401', 'Local_Workload_fd65__2 65401']);
});

test('a pod selector that does not parse is an error of its resource', (t) => {
	t.throws(() => peer('x', { localWorkloadSelector: 'color ==' }), {
		instanceOf: ResourceError,
		message: /localWorkloadSelector/,
	});
});

const podRows: readonly {
	readonly title: string;
	readonly given: PodGiven;
	readonly addresses: readonly string[] | undefined;
}[] = [
	{ title: 'that runs has the address of its status', given: {}, addresses: ['10.65.0.2'] },
	{
		title: 'has the address of the CNI plugin before the kubelet reports it',
		given: {
			annotations: { 'cni.projectcalico.org/podIPs': '10.65.0.9/32,fd65::9/128' },
			status: { phase: 'Pending' },
		},
		addresses: ['10.65.0.9', 'fd65::9'],
	},
	{
		title: 'has none after the CNI plugin released it',
		given: { annotations: { 'cni.projectcalico.org/podIP': '', 'cni.projectcalico.org/podIPs': '' } },
		addresses: undefined,
	},
	{ title: 'without an address yet is none', given: { status: { phase: 'Pending' } }, addresses: undefined },
	{ title: 'in the network of its node is none', given: { spec: { hostNetwork: true } }, addresses: undefined },
	{
		title: 'that has ended is none',
		given: { status: { phase: 'Succeeded', podIP: '10.65.0.2' } },
		addresses: undefined,
	},
	{
		title: 'with an invalid address has none',
		given: { status: { phase: 'Running', podIP: 'x' } },
		addresses: undefined,
	},
];
for (const { title, given, addresses } of podRows) {
	test(`a pod ${title}`, (t) => {
		t.deepEqual(pod('p', given)?.addresses, addresses);
	});
}

test("a pod's labels are its own and those of Calico", (t) => {
	t.deepEqual(pod('p', { spec: { serviceAccountName: 'till' } })?.labels, {
		color: 'red',
		'projectcalico.org/namespace': 'shop',
		'projectcalico.org/orchestrator': 'k8s',
		'projectcalico.org/serviceaccount': 'till',
	});
});

test('a peering address for pods that no interface has is reported, with the address that works', (t) => {
	const configuration = toBgpConfiguration(
		toResource({
			metadata: { name: 'default' },
			spec: { localWorkloadPeeringIPV4: '169.254.0.179', localWorkloadPeeringIPV6: 'fe80::179' },
		}),
		undefined,
	);
	const [four, six, ...more] = peeringAddressProblems(configuration, a);
	t.regex(
		four ?? '',
		/localWorkloadPeeringIPV4 169\.254\.0\.179 is put on the interfaces of pods by Felix alone.*speak to 10\.0\.1\.2 instead$/,
	);
	t.regex(six ?? '', /localWorkloadPeeringIPV6 fe80::179 .*on an interface$/);
	t.deepEqual(more, []);
	t.deepEqual(peeringAddressProblems(defaultBgpConfiguration, a), []);
});
