import test from 'ava';
import type { JsonObject } from '../../../src/json/index.ts';
import {
	type BgpPeer,
	defaultBgpConfiguration,
	type NodeFacts,
	type PeerRoute,
	ResourceError,
	toBgpPeer,
	toNodeFacts,
	topology,
	toResource,
} from '../../../src/kubernetes/index.ts';

const peer = (name: string, spec: JsonObject): BgpPeer =>
	toBgpPeer(toResource({ kind: 'BGPPeer', metadata: { name }, spec }));
const tor = (name: string, spec: JsonObject) => peer(name, { peerIP: '10.9.0.1', asNumber: 65001, ...spec });
const node = (name: string, annotations: JsonObject, labels: JsonObject = {}): NodeFacts =>
	toNodeFacts(toResource({ metadata: { name, labels, annotations } }));
const a = node('a', { 'projectcalico.org/IPv4Address': '10.0.1.2/24', 'projectcalico.org/IPv6Address': 'fd00::2/64' });
const b = node('b', { 'projectcalico.org/IPv4Address': '10.0.2.2/24' }, { rack: 'two' });

const seenFrom = (self: string, peers: readonly BgpPeer[], nodes: readonly NodeFacts[] = [a]) =>
	topology({
		node: self,
		nodes,
		peers,
		configuration: { ...defaultBgpConfiguration, nodeToNodeMesh: false },
		listenPortOf: () => undefined,
		filters: new Map(),
		pools: [],
		workloads: [],
		password: () => undefined,
	});

interface Row {
	readonly title: string;
	readonly peers: readonly BgpPeer[];
	readonly routes: readonly PeerRoute[];
	readonly problems?: readonly string[];
}

const rows: readonly Row[] = [
	{ title: 'without reachableBy there is no route', peers: [tor('tor', {})], routes: [] },
	{
		title: 'reachableBy adds a route to the peer, for any port',
		peers: [tor('tor', { peerIP: '10.9.0.1:1790', reachableBy: '10.0.1.1' })],
		routes: [{ address: '10.9.0.1', gateway: '10.0.1.1', resource: 'tor' }],
	},
	{
		title: 'an IPv6 gateway in any notation is one address',
		peers: [tor('tor', { peerIP: 'fd09::1', reachableBy: 'fd00:0:0::1' })],
		routes: [{ address: 'fd09::1', gateway: 'fd00::1', resource: 'tor' }],
	},
	{
		title: 'a peer of another node needs no route here',
		peers: [tor('tor', { node: 'b', reachableBy: '10.0.1.1' })],
		routes: [],
	},
	{
		title: 'a gateway of the other family adds no route, with a warning',
		peers: [tor('tor', { reachableBy: 'fd00::1' })],
		routes: [],
		problems: [
			'BGPPeer tor: reachableBy fd00::1 is of another address family than 10.9.0.1; no route to 10.9.0.1 is added',
		],
	},
	{
		title: 'the peer as its own gateway adds no route, with a warning',
		peers: [tor('tor', { reachableBy: '10.9.0.1' })],
		routes: [],
		problems: ['BGPPeer tor: reachableBy 10.9.0.1 is the peer itself; no route to 10.9.0.1 is added'],
	},
	{
		title: 'this node as gateway adds no route, with a warning',
		peers: [tor('tor', { reachableBy: '10.0.1.2' })],
		routes: [],
		problems: ["BGPPeer tor: reachableBy 10.0.1.2 is this node's own address; no route to 10.9.0.1 is added"],
	},
	{
		title:
			'of two gateways for one address the first by name counts, in any order of arrival, and the other is reported',
		peers: [tor('two', { peerIP: '10.9.0.1:1790', reachableBy: '10.0.1.9' }), tor('one', { reachableBy: '10.0.1.1' })],
		routes: [{ address: '10.9.0.1', gateway: '10.0.1.1', resource: 'one' }],
		problems: ['BGPPeer two: reachableBy 10.0.1.9 for 10.9.0.1 is passed over, since BGPPeer one has 10.0.1.1'],
	},
	{
		title: 'a global peer precedes one of the node, also with its gateway',
		peers: [
			tor('a-node', { node: 'a', peerIP: '10.9.0.1:1790', reachableBy: '10.0.1.9' }),
			tor('z-global', { reachableBy: '10.0.1.1' }),
		],
		routes: [{ address: '10.9.0.1', gateway: '10.0.1.1', resource: 'z-global' }],
		problems: ['BGPPeer a-node: reachableBy 10.0.1.9 for 10.9.0.1 is passed over, since BGPPeer z-global has 10.0.1.1'],
	},
	{
		title: 'two peers with the same gateway cause no warning',
		peers: [tor('one', { reachableBy: '10.0.1.1' }), tor('two', { peerIP: '10.9.0.1:1790', reachableBy: '10.0.1.1' })],
		routes: [{ address: '10.9.0.1', gateway: '10.0.1.1', resource: 'one' }],
	},
];
for (const { title, peers, routes, problems = [] } of rows) {
	test(title, (t) => {
		const result = seenFrom('a', peers);
		t.deepEqual(result.peerRoutes, routes);
		t.deepEqual(result.problems, problems);
	});
}

test('peers by selector and reverse peerings use the same gateway, as in Calico', (t) => {
	const peers = [peer('racks', { node: 'a', peerSelector: "rack == 'two'", reachableBy: '10.0.1.1' })];
	t.deepEqual(seenFrom('a', peers, [a, b]).peerRoutes, [
		{ address: '10.0.2.2', gateway: '10.0.1.1', resource: 'racks' },
	]);
	t.deepEqual(
		seenFrom('b', peers, [a, b]).peerRoutes.map(({ address, gateway }) => [address, gateway]),
		[['10.0.1.2', '10.0.1.1']],
	);
});

test('a session that waits for its password needs no route yet', (t) => {
	const waiting = tor('tor', { reachableBy: '10.0.1.1', password: { secretKeyRef: { name: 's', key: 'k' } } });
	t.deepEqual(seenFrom('a', [waiting]).peerRoutes, []);
});

test('a gateway that is not an address is an error of its resource', (t) => {
	t.throws(() => tor('tor', { reachableBy: 'router-1' }), { instanceOf: ResourceError, message: /reachableBy/ });
});
