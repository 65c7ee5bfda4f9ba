import test from 'ava';
import { type FibRouteView, type PeerView, prefixKey, type RouteView } from '../../src/core/index.ts';
import { toNodeStatusRequest, toResource } from '../../src/kubernetes/index.ts';
import { mostRoutesReported, type NodeStatusSources, nodeStatus } from '../../src/node/node-status.ts';

const peer = (name: string, address: string, state: PeerView['state']): PeerView => ({
	name,
	address,
	port: 179,
	asNumber: 64512,
	localAsNumber: 64512,
	kind: 'internal',
	reflectorClient: false,
	dynamic: false,
	passive: false,
	state,
	enabled: true,
	since: '2026-01-02T03:00:00.123Z',
	prefixes: [],
	messages: {
		received: { open: 0, update: 0, notification: 0, keepalive: 0, refresh: 0, bytes: 0 },
		sent: { open: 0, update: 0, notification: 0, keepalive: 0, refresh: 0, bytes: 0 },
	},
	establishedCount: 0,
});
const route = (prefix: string, more: Partial<RouteView> = {}): RouteView => ({
	prefix: prefixKey(prefix),
	source: 'internal',
	best: true,
	stale: false,
	origin: 'igp',
	asPath: '',
	communities: [],
	largeCommunities: [],
	extendedCommunities: [],
	clusterList: [],
	...more,
});
const installed = (prefix: string, device?: string): FibRouteView => ({
	prefix: prefixKey(prefix),
	type: device === undefined ? 'blackhole' : 'unicast',
	onlink: false,
	metric: 1024,
	state: 'installed',
	...(device === undefined ? {} : { device }),
});

const kernelRoutes: readonly FibRouteView[] = [
	installed('192.168.1.0/26'),
	installed('192.168.2.0/26', 'tunl0'),
	installed('fd10::/64', 'eth0'),
	{ ...installed('192.168.4.0/26', 'eth0'), state: 'failed' },
];

const sources: NodeStatusSources = {
	version: '1.2.3',
	routerId: '10.0.1.2',
	startedAt: new Date('2026-01-02T02:00:00.5Z'),
	configuredAt: new Date('2026-01-02T02:30:00.5Z'),
	peers: [
		peer('Mesh_10_0_1_3', '10.0.1.3', 'established'),
		peer('Global_10_0_1_1', '10.0.1.1', 'open-confirm'),
		peer('Node_fd00__1', 'fd00::1', 'active'),
		peer('tor', 'fd00::9', 'established'),
	],
	routes: (family) =>
		[
			route('192.168.1.0/26', { source: 'local' }),
			route('192.168.2.0/26', { nextHop: '10.0.1.3', peer: 'Mesh_10_0_1_3' }),
			route('192.168.2.0/26', { nextHop: '10.0.1.1', peer: 'Global_10_0_1_1', best: false }),
			route('192.168.3.0/26', { nextHop: '10.0.1.1', peer: 'Global_10_0_1_1', ineligible: 'loop' }),
			route('192.168.4.0/26', { nextHop: '10.0.1.1', peer: 'Global_10_0_1_1' }),
			route('fd10::/64', { nextHop: 'fd00::9', peer: 'tor' }),
		].filter(({ prefix }) => prefix.includes(':') === (family === 'ipv6')),
	kernelRoutes: (prefix) => kernelRoutes.filter((route) => route.prefix === prefix),
};
const now = new Date('2026-01-02T03:04:05.678Z');

test('the class Agent reports the state of the daemon, once for each family', (t) => {
	const daemon = {
		state: 'Ready',
		version: 'bgpmesh 1.2.3',
		routerID: '10.0.1.2',
		lastBootTime: '2026-01-02T02:00:00Z',
		lastReconfigurationTime: '2026-01-02T02:30:00Z',
	};
	t.deepEqual(nodeStatus(['Agent'], sources, now), {
		lastUpdated: '2026-01-02T03:04:05Z',
		agent: { birdV4: daemon, birdV6: daemon },
		bgp: null,
		routes: null,
	});
});

test("the class BGP reports the sessions by family, in Calico's terms", (t) => {
	const since = '2026-01-02T03:00:00Z';
	t.deepEqual(nodeStatus(['BGP'], sources, now)['bgp'], {
		numberEstablishedV4: 1,
		numberNotEstablishedV4: 1,
		numberEstablishedV6: 1,
		numberNotEstablishedV6: 1,
		peersV4: [
			{ peerIP: '10.0.1.3', type: 'NodeMesh', state: 'Established', since },
			{ peerIP: '10.0.1.1', type: 'GlobalPeer', state: 'OpenConfirm', since },
		],
		peersV6: [
			{ peerIP: 'fd00::1', type: 'NodePeer', state: 'Active', since },
			{ peerIP: 'fd00::9', type: 'NodePeer', state: 'Established', since },
		],
	});
});

test('the class Routes reports installed and candidate routes, with their source', (t) => {
	t.deepEqual(nodeStatus(['Routes'], sources, now)['routes'], {
		routesV4: [
			{
				type: 'FIB',
				destination: '192.168.1.0/26',
				gateway: 'N/A',
				interface: 'blackhole',
				learnedFrom: { sourceType: 'Static' },
			},
			{
				type: 'FIB',
				destination: '192.168.2.0/26',
				gateway: '10.0.1.3',
				interface: 'tunl0',
				learnedFrom: { sourceType: 'NodeMesh', peerIP: '10.0.1.3' },
			},
			{
				type: 'RIB',
				destination: '192.168.2.0/26',
				gateway: '10.0.1.1',
				learnedFrom: { sourceType: 'BGPPeer', peerIP: '10.0.1.1' },
			},
			{
				type: 'RIB',
				destination: '192.168.4.0/26',
				gateway: '10.0.1.1',
				learnedFrom: { sourceType: 'BGPPeer', peerIP: '10.0.1.1' },
			},
		],
		routesV6: [
			{
				type: 'FIB',
				destination: 'fd10::/64',
				gateway: 'fd00::9',
				interface: 'eth0',
				learnedFrom: { sourceType: 'BGPPeer', peerIP: 'fd00::9' },
			},
		],
	});
});

test('a full table is truncated: an object must fit into the store', (t) => {
	const many = Array.from({ length: mostRoutesReported + 1 }, (_, index) =>
		route(`10.${index >> 8}.${index & 255}.0/24`, { nextHop: '10.0.1.1', peer: 'Global_10_0_1_1' }),
	);
	const status = nodeStatus(['Routes'], { ...sources, routes: (family) => (family === 'ipv4' ? many : []) }, now);
	t.is((status['routes'] as { routesV4: unknown[] }).routesV4.length, mostRoutesReported);
	t.true(JSON.stringify(status).length < 1_000_000);
});

for (const [title, spec, request] of [
	[
		'as asked',
		{ node: 'a', classes: ['Routes', 'Agent'], updatePeriodSeconds: 60 },
		{ node: 'a', classes: ['Agent', 'Routes'], updatePeriodSeconds: 60 },
	],
	['with the default', { node: 'a', classes: ['BGP'] }, { node: 'a', classes: ['BGP'], updatePeriodSeconds: 10 }],
	[
		'once',
		{ node: 'a', classes: ['BGP'], updatePeriodSeconds: 0 },
		{ node: 'a', classes: ['BGP'], updatePeriodSeconds: 0 },
	],
	[
		'an unknown class',
		{ node: 'a', classes: ['BGP', 'Felix'], updatePeriodSeconds: 100_000 },
		{ node: 'a', classes: ['BGP'], updatePeriodSeconds: 86_400 },
	],
	['an empty spec', {}, { node: '', classes: [], updatePeriodSeconds: 10 }],
] as const) {
	test(`a CalicoNodeStatus is decoded: ${title}`, (t) => {
		t.deepEqual(toNodeStatusRequest(toResource({ metadata: { name: 'x' }, spec })), { name: 'x', ...request });
	});
}
