import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import type { JsonObject } from '../../../src/json/index.ts';
import { type LintResources, lint, type Resource, toResource } from '../../../src/kubernetes/index.ts';

const resource = (kind: string, name: string, spec: JsonObject): Resource =>
	toResource({ kind, metadata: { name }, spec });
const node = (
	name: string,
	address: string,
	clusterId?: string,
	labels: Record<string, string> = {},
	more: Record<string, string> = {},
): Resource =>
	toResource({
		kind: 'Node',
		metadata: {
			name,
			labels,
			annotations: {
				...(address === '' ? {} : { 'projectcalico.org/IPv4Address': address }),
				...(clusterId === undefined ? {} : { 'projectcalico.org/RouteReflectorClusterID': clusterId }),
				...more,
			},
		},
	});
const pool = (name: string, cidr: string, more: JsonObject = {}) => resource('IPPool', name, { cidr, ...more });
const peer = (name: string, spec: JsonObject) => resource('BGPPeer', name, spec);
const bgp = (spec: JsonObject) => [resource('BGPConfiguration', 'default', spec)];
const serviceOf = (name: string, externalIPs: readonly string[], ingress: readonly JsonObject[]) =>
	toResource({
		kind: 'Service',
		metadata: { name, namespace: 'default' },
		spec: { type: 'LoadBalancer', externalIPs },
		status: { loadBalancer: { ingress } },
	});
const felix = (spec: JsonObject) => [resource('FelixConfiguration', 'default', spec)];

const sound: LintResources = {
	nodes: [node('a', '10.0.1.2/24'), node('b', '10.0.1.3/24')],
	pools: [pool('pods', '192.168.0.0/16', { ipipMode: 'CrossSubnet' }), pool('plain', '172.20.0.0/16')],
	bgpConfigurations: [],
	felixConfigurations: [],
	bgpPeers: [],
	bgpFilters: [],
	clusterInformations: [resource('ClusterInformation', 'default', { datastoreReady: true })],
	blocks: [],
	affinities: [],
	reservations: [],
	password: () => undefined,
};
const reflectors = { rr: 'yes' };
const toReflectors = peer('to-reflectors', { nodeSelector: 'all()', peerSelector: 'has(rr)' });
const meshOff = { nodeToNodeMeshEnabled: false };
const apart = (clusterId: string) => ({
	nodes: [
		node('a', '10.0.1.2/24'),
		node('r', '10.0.1.4/24', '1.0.0.1', { one: '' }),
		node('s', '10.0.1.5/24', clusterId, { two: '' }),
	],
	bgpPeers: [
		peer('one', { nodeSelector: '!has(one) && !has(two)', peerSelector: 'has(one)' }),
		peer('two', { nodeSelector: '!has(one) && !has(two)', peerSelector: 'has(two)' }),
	],
	bgpConfigurations: bgp(meshOff),
});

const rows: readonly {
	readonly title: string;
	readonly given: Partial<LintResources>;
	readonly finds: readonly string[];
}[] = [
	{ title: 'a valid mesh with the defaults', given: {}, finds: [] },
	{
		title: 'a reservation with an unreadable part',
		given: { reservations: [resource('IPReservation', 'r', { reservedCIDRs: ['10.0.0.0/8', '10.0.0.300'] })] },
		finds: [
			'error unreadable-reservation IPReservation r: reservedCIDRs has 10.0.0.300, which is neither an address nor a prefix',
		],
	},
	{
		title: 'overlapping blocks, blocks of another size than their pool, and a claim outside of all pools',
		given: {
			blocks: ['192.168.0.0/26', '192.168.0.0/28', '172.20.0.0/26'].map((cidr) => prefixKey(cidr)),
			affinities: [
				resource('BlockAffinity', 'x', { cidr: '0.0.0.0/0', node: 'a', state: 'confirmed', deleted: 'false' }),
				resource('BlockAffinity', 'y', { cidr: '172.20.0.0/26', node: 'a', state: 'confirmed', deleted: 'false' }),
			],
		},
		finds: [
			'error claim-outside-pools BlockAffinity a 0.0.0.0/0: the confirmed claim of node a to 0.0.0.0/0 lies in no pool: a node that starts does not announce it',
			'error overlapping-blocks IPAMBlock 192.168.0.0/28: it overlaps block 192.168.0.0/26: neither gives addresses any more',
			'warning block-size-changed IPPool pods: its blockSize is 26, and it has blocks of another size: 192.168.0.0/28',
		],
	},
	{
		title: 'reflectors that see each other, and clients of both',
		given: {
			nodes: [
				node('a', '10.0.1.2/24'),
				node('r', '10.0.1.4/24', '1.0.0.1', reflectors),
				node('s', '10.0.1.5/24', '1.0.0.1', reflectors),
			],
			bgpPeers: [toReflectors],
			bgpConfigurations: bgp(meshOff),
		},
		finds: [],
	},
	{
		title: 'addresses of Services outside all announced ranges',
		given: {
			bgpConfigurations: bgp({
				serviceExternalIPs: [{ cidr: '203.0.113.0/24' }],
				serviceLoadBalancerIPs: [{ cidr: '198.51.100.0/24' }],
			}),
			services: [
				serviceOf('covered', ['203.0.113.7'], [{ ip: '198.51.100.7' }]),
				serviceOf('uncovered', ['203.0.114.7'], [{ ip: '198.51.101.7' }, { ip: '198.51.101.8', ipMode: 'Proxy' }]),
			],
		},
		finds: [
			'warning service-address-uncovered Service default/uncovered: external IP 203.0.114.7 lies in no range of serviceExternalIPs: BGP does not announce it',
			'warning service-address-uncovered Service default/uncovered: load balancer address 198.51.101.7 lies in no range of serviceLoadBalancerIPs: BGP does not announce it',
		],
	},
	{
		title: 'addresses of Services without announced ranges',
		given: { services: [serviceOf('web', ['203.0.114.7'], [{ ip: '198.51.101.7' }])] },
		finds: [],
	},
	{
		title: 'no services, and the default metric',
		given: { bgpConfigurations: bgp({ serviceClusterIPs: [], ipv4NormalRoutePriority: 1024 }) },
		finds: [],
	},
	{
		title: 'another metric of routes than that of Felix',
		given: { bgpConfigurations: bgp({ ipv6NormalRoutePriority: 600 }) },
		finds: ['warning route-priority FelixConfiguration default: ipv6NormalRoutePriority is 1024, and 600 in'],
	},
	{
		title: 'a metric of migration that is not below the ordinary one',
		given: {
			felixConfigurations: [resource('FelixConfiguration', 'default', { ipv4ElevatedRoutePriority: 1024 })],
		},
		finds: ['warning route-priority FelixConfiguration default: ipv4ElevatedRoutePriority 1024 is not below'],
	},
	{
		title: 'a cluster-wide option in the configuration of a node',
		given: {
			bgpConfigurations: [
				resource('BGPConfiguration', 'node.a', { nodeToNodeMeshEnabled: false, asNumber: 65001, listenPort: 1790 }),
			],
		},
		finds: [
			'warning not-obeyed BGPConfiguration node.a: nodeToNodeMeshEnabled, asNumber: it counts in `default` alone',
		],
	},
	{
		title: 'peer options that only Calico supports',
		given: {
			bgpPeers: [
				peer('tor', {
					peerIP: '10.0.1.1',
					asNumber: 65001,
					failureDetectionMode: 'BFDIfDirectlyConnected',
					restartMode: 'GracefulRestart',
					birdGatewayMode: 'Recursive',
				}),
			],
		},
		finds: ['warning not-obeyed BGPPeer tor: failureDetectionMode: '],
	},
	{
		title: 'both program IPIP routes',
		given: { bgpConfigurations: bgp({ programClusterRoutes: 'Enabled' }) },
		finds: ['error program-cluster-routes IPPool pods: both Felix and BGP program IPIP routes'],
	},
	{
		title: 'neither programs unencapsulated routes',
		given: { bgpConfigurations: bgp({ programClusterRoutes: 'Disabled' }) },
		finds: ['error program-cluster-routes IPPool plain: neither Felix nor BGP programs unencapsulated routes'],
	},
	{
		title: 'BGP programs everything, and Felix nothing',
		given: {
			bgpConfigurations: bgp({ programClusterRoutes: 'Enabled' }),
			felixConfigurations: felix({ programClusterRoutes: 'Disabled' }),
		},
		finds: [],
	},
	{
		title: 'a kind of route without a pool is no contradiction',
		given: {
			bgpConfigurations: bgp({ programClusterRoutes: 'Disabled' }),
			pools: [pool('pods', '192.168.0.0/16', { ipipMode: 'Always' })],
		},
		finds: [],
	},
	{
		title: 'two reflectors of one cluster ID without a session',
		given: apart('1.0.0.1'),
		finds: ['error same-cluster-id Node r, s: both reflect with cluster ID 1.0.0.1'],
	},
	{ title: 'two reflectors of different cluster IDs without a session', given: apart('1.0.0.2'), finds: [] },
	{
		title: 'reflectors while the mesh is enabled',
		given: { nodes: [...sound.nodes, node('r', '10.0.1.4/24', '1.0.0.1', reflectors)], bgpPeers: [toReflectors] },
		finds: ['warning mesh-and-reflectors BGPConfiguration default: '],
	},
	{
		title: 'overlapping pools, one inside the other',
		given: { pools: [pool('pods', '192.168.0.0/16'), pool('more', '192.168.128.0/17')] },
		finds: ['error overlapping-pools IPPool pods: 192.168.0.0/16 overlaps 192.168.128.0/17 of IPPool more'],
	},
	{
		title: 'a pool inside the service range, one with two tunnels, and one of link-local addresses',
		given: {
			pools: [
				pool('p', '10.96.0.0/16'),
				pool('q', '192.168.0.0/16', { ipipMode: 'Always', vxlanMode: 'Always' }),
				pool('r', '169.254.1.0/24'),
			],
			bgpConfigurations: bgp({ serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] }),
		},
		finds: ['error pool-in-services IPPool p: ', 'error two-tunnels IPPool q: ', 'error unusable-pool IPPool r: '],
	},
	{
		title: 'a one-way session, with the way back configured manually',
		given: {
			nodes: [node('a', '10.0.1.2/24', undefined, { edge: '' }), node('b', '10.0.1.3/24')],
			bgpPeers: [
				peer('edge', { nodeSelector: 'has(edge)', peerIP: '10.0.1.3', asNumber: 64512, reversePeering: 'Manual' }),
			],
			bgpConfigurations: bgp(meshOff),
		},
		finds: [
			'error no-sessions Node b: it has no neighbour',
			'error one-way BGPPeer edge: a has a session with b, which has none with it',
		],
	},
	{
		title: 'a one-way session between nodes of different AS numbers',
		given: {
			nodes: [
				node('a', '10.0.1.2/24', undefined, { edge: '' }),
				node('b', '10.0.1.3/24', undefined, {}, { 'projectcalico.org/ASNumber': '65001' }),
			],
			bgpPeers: [peer('edge', { nodeSelector: 'has(edge)', peerIP: '10.0.1.3', asNumber: 65009 })],
			bgpConfigurations: bgp(meshOff),
		},
		finds: [
			'error no-sessions Node b: ',
			'error one-way BGPPeer edge: ',
			'warning as-number BGPPeer edge: asNumber is 65009, and node b at 10.0.1.3 has 65001',
		],
	},
	{
		title: 'references of a peer to missing resources',
		given: {
			bgpPeers: [
				peer('p', { node: 'gone', peerIP: '10.0.1.1', asNumber: 1, filters: ['nothing'] }),
				peer('q', { nodeSelector: 'has(absent)', peerSelector: 'has(' }),
				peer('r', { nodeSelector: 'has(absent)' }),
			],
		},
		finds: [
			'error no-filter BGPPeer p: BGPFilter nothing does not exist',
			'error no-target BGPPeer r: ',
			'error unusable BGPPeer q: ',
			'warning selects-nothing BGPPeer p: there is no node gone',
			'warning selects-nothing BGPPeer r: nodeSelector: no node has the labels of has(absent)',
		],
	},
	{
		title: 'a missing password',
		given: {
			bgpPeers: [peer('p', { peerIP: '10.0.9.1', asNumber: 1, password: { secretKeyRef: { name: 's', key: 'k' } } })],
		},
		finds: ['error no-password BGPPeer p: '],
	},
	{
		title: 'a gateway that every node has on its link',
		given: { bgpPeers: [peer('tor', { peerIP: '10.9.0.1', asNumber: 1, reachableBy: '10.0.1.1' })] },
		finds: [],
	},
	{
		title: 'gateways of the other family, mixed with valid ones, and on the link of some nodes only',
		given: {
			nodes: [node('a', '10.0.1.2/24'), node('b', '10.0.2.3/24'), node('c', '10.0.3.3/32')],
			bgpPeers: [
				peer('one', { peerIP: '10.9.0.1', asNumber: 1, reachableBy: '10.0.1.1' }),
				peer('six', { peerIP: '10.9.0.6', asNumber: 1, reachableBy: 'fd00::1' }),
				peer('two', { peerIP: '10.9.0.1:1790', asNumber: 1, reachableBy: '10.0.1.9' }),
			],
		},
		finds: [
			'error reachable-by BGPPeer six: reachableBy fd00::1 is of another address family than 10.9.0.6',
			'error reachable-by BGPPeer two: reachableBy 10.0.1.9 for 10.9.0.1 is passed over, since BGPPeer one has 10.0.1.1',
			'warning gateway-off-link BGPPeer one: reachableBy 10.0.1.1 is not in the subnet of node b (10.0.2.0/24)',
		],
	},
	{
		title: 'pods as peers, with ignored options and without an AS number',
		given: {
			bgpPeers: [
				peer('k', { localWorkloadSelector: "color == 'red'", asNumber: 65401 }),
				peer('l', { localWorkloadSelector: "pcns.team == 'a'", asNumber: 65401 }),
				peer('m', { localWorkloadSelector: 'all()', peerSelector: 'all()' }),
			],
		},
		finds: [
			'error local-workload BGPPeer l: localWorkloadSelector names labels of namespaces or service accounts (pcns.team)',
			'warning local-workload BGPPeer m: peerSelector beside localWorkloadSelector: passed over',
			'warning no-as-number BGPPeer m: ',
		],
	},
	{
		title: 'a peer outside the cluster without an AS number, and a node of it without one',
		given: { bgpPeers: [peer('tor', { peerIP: '10.0.9.1' }), peer('inside', { node: 'a', peerIP: '10.0.1.3' })] },
		finds: [
			"warning no-as-number BGPPeer tor: the other side is none of the cluster's nodes, and asNumber is missing: it is taken for one of AS 64512",
		],
	},
	{
		title: 'two resources for one address, of which one takes effect',
		given: {
			bgpPeers: [
				peer('a-node', { nodeSelector: 'all()', peerIP: '10.9.0.1', asNumber: 1 }),
				peer('z-global', { peerIP: '10.9.0.1', asNumber: 2 }),
				peer('other-port', { peerIP: '10.9.0.1:1790', asNumber: 2 }),
			],
		},
		finds: [
			'warning passed-over BGPPeer a-node: BGPPeer z-global is about 10.9.0.1 on the same nodes, and comes first',
		],
	},
	{
		title: 'two resources for one address on different nodes',
		given: {
			bgpPeers: [
				peer('one', { node: 'a', peerIP: '10.9.0.1', asNumber: 1 }),
				peer('two', { node: 'b', peerIP: '10.9.0.1', asNumber: 1 }),
			],
		},
		finds: [],
	},
	{
		title: 'an IPv6 peer of nodes without an IPv6 address',
		given: { bgpPeers: [peer('six', { peerIP: 'fd00::9', asNumber: 1 })] },
		finds: ['warning other-family BGPPeer six: fd00::9 is an IPv6 address, and node a, b has none for BGP'],
	},
	{
		title: 'invalid communities, and a missing password of the mesh',
		given: {
			bgpConfigurations: bgp({
				communities: [{ name: 'gold', value: '65000:1' }],
				prefixAdvertisements: [{ cidr: '192.168.0.0/16', communities: ['gold', 'gild'] }],
				nodeMeshPassword: { secretKeyRef: { name: 's', key: 'k' } },
			}),
		},
		finds: [
			'error no-community BGPConfiguration default: prefixAdvertisements 192.168.0.0/16: gild is neither a value nor defined in communities',
			'error no-password BGPConfiguration default: nodeMeshPassword: Secret s has no key k; no session of the mesh is made',
		],
	},
	{
		title: 'a reflector without clients',
		given: {
			nodes: [node('a', '10.0.1.2/24'), node('b', '10.0.1.3/24'), node('r', '10.0.1.4/24', '1.0.0.1', reflectors)],
			bgpPeers: [
				peer('edge', { node: 'r', peerIP: '10.9.0.1', asNumber: 1 }),
				peer('ab', { node: 'a', peerIP: '10.0.1.3' }),
			],
			bgpConfigurations: bgp(meshOff),
		},
		finds: ['warning idle-reflector Node r: it has cluster ID 1.0.0.1, and no client'],
	},
	{
		title: 'without the mesh a chain of nodes, whose ends exchange no routes',
		given: {
			nodes: [node('a', '10.0.1.2/24'), node('b', '10.0.1.3/24'), node('c', '10.0.1.4/24')],
			bgpPeers: [peer('ab', { node: 'a', peerIP: '10.0.1.3' }), peer('bc', { node: 'b', peerIP: '10.0.1.4' })],
			bgpConfigurations: bgp(meshOff),
		},
		finds: ['error no-path Node a, c: the mesh is disabled, and they have neither a session nor a reflector in common'],
	},
	{
		title: 'clients of two reflectors with a session and cluster IDs of their own',
		given: {
			nodes: [
				node('a', '10.0.1.2/24', undefined, { left: '' }),
				node('b', '10.0.1.3/24', undefined, { right: '' }),
				node('r', '10.0.1.4/24', '1.0.0.1', { one: '' }),
				node('s', '10.0.1.5/24', '1.0.0.2', { two: '' }),
			],
			bgpPeers: [
				peer('left', { nodeSelector: 'has(left)', peerSelector: 'has(one)' }),
				peer('right', { nodeSelector: 'has(right)', peerSelector: 'has(two)' }),
				peer('between', { nodeSelector: 'has(one)', peerSelector: 'has(two)' }),
			],
			bgpConfigurations: bgp(meshOff),
		},
		finds: [],
	},
	{
		title: "clients of two reflectors of one cluster ID, which reject each other's reflected routes",
		given: {
			nodes: [
				node('a', '10.0.1.2/24', undefined, { left: '' }),
				node('b', '10.0.1.3/24', undefined, { right: '' }),
				node('r', '10.0.1.4/24', '1.0.0.1', { one: '' }),
				node('s', '10.0.1.5/24', '1.0.0.1', { two: '' }),
			],
			bgpPeers: [
				peer('left', { nodeSelector: 'has(left)', peerSelector: 'has(one)' }),
				peer('right', { nodeSelector: 'has(right)', peerSelector: 'has(two)' }),
				peer('between', { nodeSelector: 'has(one)', peerSelector: 'has(two)' }),
			],
			bgpConfigurations: bgp(meshOff),
		},
		finds: ['error no-path Node a, b: '],
	},
	{
		title: 'nodes connected by a top-of-rack router',
		given: { bgpPeers: [peer('tor', { peerIP: '10.0.1.1', asNumber: 65000 })], bgpConfigurations: bgp(meshOff) },
		finds: [],
	},
	{
		title: 'blocks that are invalid in any pool, and a missing tunnel',
		given: {
			pools: [
				pool('fine', '172.20.0.0/16', { blockSize: 32 }),
				pool('large', '10.7.0.0/24', { blockSize: 23 }),
				pool('odd', '10.8.0.0/16', { blockSize: 19 }),
				pool('six', 'fd10::/112', { ipipMode: 'Always', blockSize: 122 }),
			],
			felixConfigurations: felix({ programClusterRoutes: 'EnabledIPIPOnly' }),
		},
		finds: [
			'error ipip-ipv6 IPPool six: ipipMode Always of an IPv6 pool',
			'error unusable-pool IPPool large: its blocks of /23 are larger than itself, /24: no address is given from it',
			'error unusable-pool IPPool odd: its blockSize 19 is not between 20 and 32: no address is given from it',
		],
	},
	{
		title: 'nodes without, with duplicate, and with unusual addresses',
		given: {
			nodes: [node('a', '10.0.1.2/24'), node('b', '10.0.1.2/24'), node('c', ''), node('d', '10.0.1.5/24', 'x')],
		},
		finds: [
			'error same-address Node a, b: ',
			'error unusable Node d: annotation projectcalico.org/RouteReflectorClusterID',
			'warning no-address Node c: ',
		],
	},
	{
		title: 'a locked datastore',
		given: { clusterInformations: [resource('ClusterInformation', 'default', { datastoreReady: false })] },
		finds: ['warning datastore-not-ready ClusterInformation default: '],
	},
	{
		title: 'an unparsable resource does not hide the others',
		given: {
			pools: [
				pool('bad', '300.0.0.0/8'),
				pool('p', '192.168.0.0/16', { nodeSelector: 'has(' }),
				pool('q', '10.9.0.0/16', { nodeSelector: 'has(x)' }),
			],
		},
		finds: ['error selector IPPool p: ', 'error unusable IPPool bad: ', 'warning selects-nothing IPPool q: '],
	},
];

for (const { title, given, finds } of rows) {
	test(`${title}: ${finds.length === 0 ? 'nothing is found' : 'it is found'}`, (t) => {
		const found = lint({ ...sound, ...given }).map(
			({ severity, rule, subject, problem }) => `${severity} ${rule} ${subject}: ${problem}`,
		);
		t.deepEqual(
			found.map((text, index) => {
				const wanted = finds[index];
				return wanted !== undefined && text.startsWith(wanted) ? wanted : text;
			}),
			[...finds],
		);
	});
}

test('for a thousand nodes the result contains the number of examined nodes', (t) => {
	const nodes = Array.from({ length: 1000 }, (_, index) =>
		node(`n${index}`, `10.1.${index >> 8}.${index & 255}/16`, undefined, { all: '' }),
	);
	const found = lint({
		...sound,
		nodes,
		bgpPeers: [peer('p', { nodeSelector: 'has(all)', peerIP: '10.0.0.1', asNumber: 65000 })],
	});
	t.deepEqual(
		found.map(({ rule }) => rule),
		['not-everything'],
	);
});
