import test from 'ava';
import { communityProblem } from '../../../src/bgp/index.ts';
import { prefixKey } from '../../../src/core/index.ts';
import {
	type BgpConfiguration,
	type BgpPeer,
	defaultBgpConfiguration,
	type JsonObject,
	type NodeFacts,
	parseJson,
	ResourceError,
	type Topology,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toNodeFacts,
	topology,
	toResource,
} from '../../../src/kubernetes/index.ts';

const node = (name: string, address: string, annotations: Record<string, string> = {}, labels: Record<string, string> = {}): NodeFacts =>
	toNodeFacts(toResource({ metadata: { name, labels, annotations: { 'projectcalico.org/IPv4Address': address, ...annotations } } }));

const peer = (name: string, spec: JsonObject): BgpPeer => toBgpPeer(toResource({ kind: 'BGPPeer', metadata: { name }, spec }));

interface Cluster {
	readonly nodes: readonly NodeFacts[];
	readonly peers?: readonly BgpPeer[];
	readonly configuration?: Partial<BgpConfiguration>;
	readonly passwords?: Readonly<Record<string, string>>;
}

function seenFrom(self: string, { nodes, peers = [], configuration = {}, passwords = {} }: Cluster): Topology {
	return topology({
		node: self,
		nodes,
		peers,
		configuration: { ...defaultBgpConfiguration, ...configuration },
		listenPortOf: () => undefined,
		filters: new Map(),
		pools: [],
		workloads: [],
		password: ({ name, key }) => passwords[`${name}/${key}`],
	});
}

const names = (result: Topology): string[] => result.peers.map(({ name }) => name);

const three = [node('a', '10.0.1.2/24'), node('b', '10.0.1.10/24'), node('c', '10.0.2.2/24')];

test('every node is in the mesh with every other', (t) => {
	t.deepEqual(names(seenFrom('a', { nodes: three })), ['Mesh_10_0_1_10', 'Mesh_10_0_2_2']);
	t.deepEqual(names(seenFrom('c', { nodes: three })), ['Mesh_10_0_1_2', 'Mesh_10_0_1_10']);
});

test('the passive side of a session is the one that the other side takes for active, by comparing text', (t) => {
	for (const left of three) {
		for (const right of three.filter((other) => other !== left)) {
			const passiveAt = (self: NodeFacts, other: NodeFacts) =>
				seenFrom(self.name, { nodes: three }).peers.find(({ address }) => address === other.ipv4?.address)?.passive;
			t.not(passiveAt(left, right), passiveAt(right, left), `${left.name} and ${right.name}`);
		}
	}
	// 10.0.1.2 is the greater text: a numeric comparison would say otherwise.
	t.true(seenFrom('b', { nodes: three }).peers.find(({ address }) => address === '10.0.1.2')?.passive);
});

test('reflectors leave the mesh, and their clients are those without their cluster ID', (t) => {
	const nodes = [
		...three,
		node('r1', '10.0.1.100/24', { 'projectcalico.org/RouteReflectorClusterID': '1.0.0.1' }, { role: 'rr' }),
		node('r2', '10.0.2.100/24', { 'projectcalico.org/RouteReflectorClusterID': '1.0.0.1' }, { role: 'rr' }),
	];
	const peers = [peer('to-reflectors', { nodeSelector: 'all()', peerSelector: "role == 'rr'" })];
	t.deepEqual(names(seenFrom('a', { nodes, peers, configuration: { nodeToNodeMesh: false } })), ['Node_10_0_1_100', 'Node_10_0_2_100']);
	const reflector = seenFrom('r1', { nodes, peers });
	t.deepEqual(
		reflector.peers.map(({ address, reflectorClient }) => [address, reflectorClient]),
		[
			['10.0.2.100', false],
			['10.0.1.2', true],
			['10.0.1.10', true],
			['10.0.2.2', true],
		],
	);
	t.is(reflector.clusterId, '1.0.0.1');
	t.deepEqual(names(seenFrom('a', { nodes, peers })), ['Mesh_10_0_1_10', 'Mesh_10_0_2_2', 'Node_10_0_1_100', 'Node_10_0_2_100']);
});

test('the way back of a session is there without being named, unless it is manual', (t) => {
	const peers = [peer('a-to-b', { node: 'a', peerIP: '10.0.1.10' })];
	const alone = { nodes: three, configuration: { nodeToNodeMesh: false } };
	t.deepEqual(names(seenFrom('b', { ...alone, peers })), ['Node_10_0_1_2']);
	t.deepEqual(names(seenFrom('b', { ...alone, peers: [peer('a-to-b', { node: 'a', peerIP: '10.0.1.10', reversePeering: 'Manual' })] })), []);
	t.deepEqual(names(seenFrom('c', { ...alone, peers })), []);
});

const racks = [
	node('a', '10.0.1.2/24', { 'projectcalico.org/ASNumber': '65001', 'projectcalico.org/IPv6Address': 'fd00::2/64' }),
	node('b', '10.0.1.10/24', { 'projectcalico.org/ASNumber': '65002', 'projectcalico.org/IPv6Address': 'fd00::10/64' }, { role: 'rr' }),
];
/** What node b makes of a resource that is about node a's sessions: each with the AS that it expects of a. */
const waysBack: readonly { readonly title: string; readonly spec: JsonObject; readonly found: readonly (readonly [string, number])[] }[] = [
	{
		title: 'to whom a selector names, in both families and whatever the ASes are',
		spec: { peerSelector: "role == 'rr'" },
		found: [
			['Node_10_0_1_2', 65001],
			['Node_fd00__2', 65001],
		],
	},
	{ title: 'to whom an address names with its AS, in that family', spec: { peerIP: '10.0.1.10', asNumber: 65002 }, found: [['Node_10_0_1_2', 65001]] },
	{ title: 'over IPv6, where that is the address', spec: { peerIP: 'fd00::10', asNumber: 65002 }, found: [['Node_fd00__2', 65001]] },
	{ title: 'not to whom an address names with another AS', spec: { peerIP: '10.0.1.10', asNumber: 65003 }, found: [] },
	{ title: 'not to whom an address names without its AS, where that is not the cluster’s', spec: { peerIP: '10.0.1.10' }, found: [] },
	{ title: 'to whom an address names with its port', spec: { peerIP: '10.0.1.10:179', asNumber: 65002 }, found: [['Node_10_0_1_2', 65001]] },
	{ title: 'not to whom an address names with another port', spec: { peerIP: '10.0.1.10:1179', asNumber: 65002 }, found: [] },
	{
		title: 'to the AS that the other side is there',
		spec: { peerIP: '10.0.1.10', asNumber: 65002, localASNumber: 65099 },
		found: [['Node_10_0_1_2', 65099]],
	},
];
for (const { title, spec, found } of waysBack) {
	test(`the way back of a session leads ${title}`, (t) => {
		const { peers } = seenFrom('b', { nodes: racks, peers: [peer('p', { node: 'a', ...spec })], configuration: { nodeToNodeMesh: false } });
		t.deepEqual(
			peers.map(({ name, asNumber }) => [name, asNumber]),
			found.map((row) => [...row]),
		);
		for (const back of peers) t.is(back.localAsNumber, undefined);
	});
}

const nextHops: readonly (readonly [spec: JsonObject, internal: string, external: string])[] = [
	[{}, 'auto', 'auto'],
	[{ keepOriginalNextHop: true }, 'auto', 'keep'],
	[{ keepOriginalNextHop: true, nextHopMode: 'Auto' }, 'auto', 'auto'],
	[{ keepOriginalNextHop: true, nextHopMode: 'Self' }, 'self', 'self'],
	[{ nextHopMode: 'Keep' }, 'keep', 'keep'],
];
for (const [spec, internal, external] of nextHops) {
	test(`next hops with ${JSON.stringify(spec)}: ${internal} inside the AS, ${external} towards others`, (t) => {
		const modeOf = (asNumber: number) =>
			seenFrom('a', { nodes: [three[0] as NodeFacts], peers: [peer('p', { peerIP: '10.9.0.1', asNumber, ...spec })] }).peers[0]?.nextHopMode;
		t.deepEqual([modeOf(64512), modeOf(65001)], [internal, external] as never);
	});
}

test('a global peer wins over a node-specific one of the same address and port', (t) => {
	const peers = [peer('a-specific', { node: 'a', peerIP: '10.9.0.1', asNumber: 65001 }), peer('z-global', { peerIP: '10.9.0.1', asNumber: 65002 })];
	t.deepEqual(
		seenFrom('a', { nodes: [three[0] as NodeFacts], peers }).peers.map(({ name, asNumber }) => [name, asNumber]),
		[['Global_10_9_0_1', 65002]],
	);
});

const addresses: readonly [peerIp: string, name: string, port: number][] = [
	['10.9.0.1', 'Global_10_9_0_1', 179],
	['10.9.0.1:1790', 'Global_10_9_0_1_port_1790', 1790],
	['[fd00::9]:1790', 'Global_fd00__9_port_1790', 1790],
	['fd00::9', 'Global_fd00__9', 179],
];
for (const [peerIp, name, port] of addresses) {
	test(`peerIP ${peerIp} is ${name}, port ${port}`, (t) => {
		const [only] = seenFrom('a', { nodes: [three[0] as NodeFacts], peers: [peer('p', { peerIP: peerIp, asNumber: 65001 })] }).peers;
		t.like(only, { name, port, passive: false, multihopTtl: 255 });
	});
}

test('what a BGPPeer says of its sessions holds', (t) => {
	const [only] = seenFrom('a', {
		nodes: [three[0] as NodeFacts],
		peers: [
			peer('tor', {
				peerIP: '10.9.0.1',
				asNumber: '1.10',
				localASNumber: 65099,
				ttlSecurity: 2,
				maxRestartTime: '1m30s',
				keepaliveTime: '20s',
				nextHopMode: 'Self',
				numAllowedLocalASNumbers: 1,
				sourceAddress: 'None',
				password: { secretKeyRef: { name: 'tor', key: 'key' } },
			}),
		],
		passwords: { 'tor/key': 's3cret' },
	}).peers;
	t.like(only, {
		asNumber: 65546,
		localAsNumber: 65099,
		replaceOwnAs: true,
		noPrependInbound: true,
		enforceFirstAs: false,
		ttlSecurityHops: 2,
		multihopTtl: undefined,
		gracefulRestart: { restartSeconds: 90 },
		holdTimeSeconds: 60,
		nextHopMode: 'self',
		allowOwnAs: 1,
		localAddress: undefined,
		md5Key: 's3cret',
	});
});

test('a session whose password is not known waits, and says so', (t) => {
	const result = seenFrom('a', {
		nodes: [three[0] as NodeFacts],
		peers: [peer('tor', { peerIP: '10.9.0.1', asNumber: 65001, password: { secretKeyRef: { name: 'tor', key: 'key' } } })],
	});
	t.deepEqual(result.peers, []);
	t.deepEqual(result.problems, ['BGPPeer tor: Secret tor has no key key; the session to 10.9.0.1 waits for it']);
});

const isSound = (value: string) => communityProblem(value) === undefined;
test('communities that are neither defined nor values are left out and told: one slip must not take every session away', (t) => {
	const prefix = prefixKey('192.168.0.0/16');
	const configuration = {
		communities: { gold: '65000:1', bad: '70000:1' },
		prefixAdvertisements: [{ prefix, communities: ['gold', 'silver', 'bad', '65000:2:3'] }],
	};
	const result = seenFrom('a', { nodes: three, configuration });
	const operations = result.peers.flatMap(({ exportPolicies = [] }) => exportPolicies.flatMap(({ terms }) => terms.flatMap((term) => term.operations)));
	const values = operations.flatMap((operation) => ('value' in operation ? [String(operation.value)] : []));
	t.deepEqual([...new Set(values)], ['65000:1', '65000:2:3']);
	t.true(values.every(isSound));
	t.deepEqual(result.problems, [
		'BGPConfiguration: prefixAdvertisements 192.168.0.0/16: silver is neither a value nor defined in communities; routes go without it',
		"BGPConfiguration: prefixAdvertisements 192.168.0.0/16: bad: '70000:1' is not a community such as 65000:100; routes go without it",
	]);
});

test('a BGPFilter with a community that is none is an error of its resource', (t) => {
	const filter = (rule: JsonObject) => () => toBgpFilter(toResource({ metadata: { name: 'f' }, spec: { exportV4: [{ action: 'Accept', ...rule }] } }));
	t.throws(filter({ operations: [{ addCommunity: { value: 'gold' } }] }), { instanceOf: ResourceError, message: /exportV4.*'gold' is not a community/ });
	t.throws(filter({ communities: { values: ['1:2:x'] } }), { instanceOf: ResourceError, message: /'1:2:x' is not a large community/ });
});

test("a node's own advertisements may name the communities of its own resource", (t) => {
	const own = toResource({
		metadata: { name: 'node.a' },
		spec: { communities: [{ name: 'gold', value: '65000:9' }], prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['gold'] }] },
	});
	t.deepEqual(toBgpConfiguration(undefined, own).communities, { gold: '65000:9' });
});

const listening: readonly [title: string, ipv6: boolean, bindMode: string | undefined, address: string, problems: number][] = [
	['everywhere over IPv4 where the node has only that', false, undefined, '0.0.0.0', 0],
	['everywhere over both families where the node has both', true, undefined, '::', 0],
	["at the node's address with bindMode NodeIP", false, 'NodeIP', '10.0.1.2', 0],
	['everywhere all the same, and says so, with bindMode NodeIP and two addresses', true, 'NodeIP', '::', 1],
];
for (const [title, ipv6, bindMode, address, problems] of listening) {
	test(`a node listens ${title}`, (t) => {
		const self = node('a', '10.0.1.2/24', ipv6 ? { 'projectcalico.org/IPv6Address': 'fd00::2/64' } : {});
		const configuration = toBgpConfiguration(toResource({ metadata: { name: 'default' }, spec: bindMode === undefined ? {} : { bindMode } }), undefined);
		const result = seenFrom('a', { nodes: [self], configuration });
		t.is(result.listenAddress, address);
		t.is(result.problems.length, problems);
	});
}

test('a node without an address has no sessions and says why', (t) => {
	t.like(seenFrom('new', { nodes: [...three, toNodeFacts(toResource({ metadata: { name: 'new' } }))] }), {
		routerId: undefined,
		peers: [],
		problems: ['node new has no IPv4 address yet: annotation projectcalico.org/IPv4Address'],
	});
});

test('labels of the annotation projectcalico.org/labels count for selectors, over those of Kubernetes', (t) => {
	const facts = toNodeFacts(
		toResource({ metadata: { name: 'a', labels: { rack: '1', zone: 'x' }, annotations: { 'projectcalico.org/labels': '{"rack":"2"}' } } }),
	);
	t.deepEqual(facts.labels, { rack: '2', zone: 'x' });
});

test('an annotation that does not parse is named and left out', (t) => {
	const { ipv4, problems } = node('a', '10.0.0.300/24');
	t.is(ipv4, undefined);
	t.deepEqual(problems, ["annotation projectcalico.org/IPv4Address: '10.0.0.300' is not an IPv4 or IPv6 address"]);
});

test('a rule of a BGPFilter becomes a term', (t) => {
	const filter = toBgpFilter(
		toResource(
			parseJson(`{"metadata":{"name":"f"},"spec":{"exportV4":[
				{"cidr":"10.0.0.0/8","matchOperator":"In","prefixLength":{"max":24},"source":"RemotePeers","peerType":"eBGP","communities":{"values":["65000:1"]},"asPathPrefix":[65001],"interface":"eth*","action":"Accept",
				 "operations":[{"addCommunity":{"value":"65000:1:2"}},{"prependASPath":{"prefix":[65000,65000]}},{"setPriority":{"value":512}}]},
				{"action":"Reject"}]}}`) as JsonObject,
		),
	);
	t.deepEqual(JSON.parse(JSON.stringify(filter.export)), [
		{
			name: 'f.exportV4[0]',
			match: {
				prefixes: [{ prefix: '10.0.0.0/8', operator: 'in', length: { max: 24 } }],
				source: 'remote',
				peerType: 'external',
				communities: ['65000:1'],
				asPathPrefix: [65001],
				interface: 'eth*',
			},
			action: 'accept',
			operations: [
				{ type: 'add-large-community', value: '65000:1:2' },
				{ type: 'prepend-as-path', asNumbers: [65000, 65000] },
				{ type: 'set-priority', value: 512 },
			],
		},
		{ name: 'f.exportV4[1]', match: { prefixes: [{ prefix: '0.0.0.0/0', operator: 'in' }] }, action: 'reject', operations: [] },
	]);
	t.throws(() => toBgpFilter(toResource({ metadata: { name: 'f' }, spec: { importV4: [{ action: 'Maybe' }] } })), {
		message: 'f: f.importV4[0].action is neither Accept nor Reject',
	});
});
