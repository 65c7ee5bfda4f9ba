import test from 'ava';
import { communityProblem } from '../../../src/bgp/index.ts';
import { prefixKey } from '../../../src/core/index.ts';
import { type JsonObject, parseJson } from '../../../src/json/index.ts';
import {
	type BgpConfiguration,
	type BgpPeer,
	defaultBgpConfiguration,
	type NodeFacts,
	ResourceError,
	type Topology,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toNodeFacts,
	topology,
	toResource,
	unreadableFilter,
} from '../../../src/kubernetes/index.ts';

const node = (
	name: string,
	address: string,
	annotations: Record<string, string> = {},
	labels: Record<string, string> = {},
): NodeFacts =>
	toNodeFacts(
		toResource({
			metadata: { name, labels, annotations: { 'projectcalico.org/IPv4Address': address, ...annotations } },
		}),
	);

const peer = (name: string, spec: JsonObject): BgpPeer =>
	toBgpPeer(toResource({ kind: 'BGPPeer', metadata: { name }, spec }));

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

test('the passive side of a session is chosen by text comparison of the addresses, the same on both sides', (t) => {
	for (const left of three) {
		for (const right of three.filter((other) => other !== left)) {
			const passiveAt = (self: NodeFacts, other: NodeFacts) =>
				seenFrom(self.name, { nodes: three }).peers.find(({ address }) => address === other.ipv4?.address)?.passive;
			t.not(passiveAt(left, right), passiveAt(right, left), `${left.name} and ${right.name}`);
		}
	}
	// 10.0.1.2 is the greater text: a numeric comparison would have the opposite result.
	t.true(seenFrom('b', { nodes: three }).peers.find(({ address }) => address === '10.0.1.2')?.passive);
});

test('reflectors leave the mesh, and their clients are the nodes without their cluster ID', (t) => {
	const nodes = [
		...three,
		node('r1', '10.0.1.100/24', { 'projectcalico.org/RouteReflectorClusterID': '1.0.0.1' }, { role: 'rr' }),
		node('r2', '10.0.2.100/24', { 'projectcalico.org/RouteReflectorClusterID': '1.0.0.1' }, { role: 'rr' }),
	];
	const peers = [peer('to-reflectors', { nodeSelector: 'all()', peerSelector: "role == 'rr'" })];
	t.deepEqual(names(seenFrom('a', { nodes, peers, configuration: { nodeToNodeMesh: false } })), [
		'Node_10_0_1_100',
		'Node_10_0_2_100',
	]);
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
	t.deepEqual(names(seenFrom('a', { nodes, peers })), [
		'Mesh_10_0_1_10',
		'Mesh_10_0_2_2',
		'Node_10_0_1_100',
		'Node_10_0_2_100',
	]);
});

test('the reverse peering of a session is implicit, unless it is manual', (t) => {
	const peers = [peer('a-to-b', { node: 'a', peerIP: '10.0.1.10' })];
	const alone = { nodes: three, configuration: { nodeToNodeMesh: false } };
	t.deepEqual(names(seenFrom('b', { ...alone, peers })), ['Node_10_0_1_2']);
	t.deepEqual(
		names(
			seenFrom('b', {
				...alone,
				peers: [peer('a-to-b', { node: 'a', peerIP: '10.0.1.10', reversePeering: 'Manual' })],
			}),
		),
		[],
	);
	t.deepEqual(names(seenFrom('c', { ...alone, peers })), []);
});

const racks = [
	node('a', '10.0.1.2/24', { 'projectcalico.org/ASNumber': '65001', 'projectcalico.org/IPv6Address': 'fd00::2/64' }),
	node(
		'b',
		'10.0.1.10/24',
		{ 'projectcalico.org/ASNumber': '65002', 'projectcalico.org/IPv6Address': 'fd00::10/64' },
		{ role: 'rr' },
	),
];
/** The sessions of node b for a resource about node a: each with the AS that it expects of a. */
const waysBack: readonly {
	readonly title: string;
	readonly spec: JsonObject;
	readonly found: readonly (readonly [string, number])[];
}[] = [
	{
		title: 'to nodes of a selector, in both families and for any ASes',
		spec: { peerSelector: "role == 'rr'" },
		found: [
			['Node_10_0_1_2', 65001],
			['Node_fd00__2', 65001],
		],
	},
	{
		title: 'to a node by address with its AS, in that family',
		spec: { peerIP: '10.0.1.10', asNumber: 65002 },
		found: [['Node_10_0_1_2', 65001]],
	},
	{
		title: 'over IPv6, if the peer address is IPv6',
		spec: { peerIP: 'fd00::10', asNumber: 65002 },
		found: [['Node_fd00__2', 65001]],
	},
	{ title: 'not to a node by address with another AS', spec: { peerIP: '10.0.1.10', asNumber: 65003 }, found: [] },
	{
		title: "not to a node by address without its AS, if it differs from the cluster's",
		spec: { peerIP: '10.0.1.10' },
		found: [],
	},
	{
		title: 'to a node by address with its port',
		spec: { peerIP: '10.0.1.10:179', asNumber: 65002 },
		found: [['Node_10_0_1_2', 65001]],
	},
	{
		title: 'not to a node by address with another port',
		spec: { peerIP: '10.0.1.10:1179', asNumber: 65002 },
		found: [],
	},
	{
		title: 'with the AS that the other node has in that peering',
		spec: { peerIP: '10.0.1.10', asNumber: 65002, localASNumber: 65099 },
		found: [['Node_10_0_1_2', 65099]],
	},
];
for (const { title, spec, found } of waysBack) {
	test(`the reverse peering of a session leads ${title}`, (t) => {
		const { peers } = seenFrom('b', {
			nodes: racks,
			peers: [peer('p', { node: 'a', ...spec })],
			configuration: { nodeToNodeMesh: false },
		});
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
			seenFrom('a', { nodes: [three[0] as NodeFacts], peers: [peer('p', { peerIP: '10.9.0.1', asNumber, ...spec })] })
				.peers[0]?.nextHopMode;
		t.deepEqual([modeOf(64512), modeOf(65001)], [internal, external] as never);
	});
}

test('a global peer precedes a node-specific one of the same address and port', (t) => {
	const peers = [
		peer('a-specific', { node: 'a', peerIP: '10.9.0.1', asNumber: 65001 }),
		peer('z-global', { peerIP: '10.9.0.1', asNumber: 65002 }),
	];
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
		const [only] = seenFrom('a', {
			nodes: [three[0] as NodeFacts],
			peers: [peer('p', { peerIP: peerIp, asNumber: 65001 })],
		}).peers;
		t.like(only, { name, port, passive: false, multihopTtl: 255 });
	});
}

test('the session options of a BGPPeer take effect', (t) => {
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

test('a session with an unknown password waits, and reports it', (t) => {
	const result = seenFrom('a', {
		nodes: [three[0] as NodeFacts],
		peers: [
			peer('tor', { peerIP: '10.9.0.1', asNumber: 65001, password: { secretKeyRef: { name: 'tor', key: 'key' } } }),
		],
	});
	t.deepEqual(result.peers, []);
	t.deepEqual(result.problems, ['BGPPeer tor: Secret tor has no key key; the session to 10.9.0.1 waits for it']);
});

const isSound = (value: string) => communityProblem(value) === undefined;
test('communities that are neither defined nor valid are omitted and reported: one error does not end all sessions', (t) => {
	const prefix = prefixKey('192.168.0.0/16');
	const configuration = {
		communities: { gold: '65000:1', bad: '70000:1' },
		prefixAdvertisements: [{ prefix, communities: ['gold', 'silver', 'bad', '65000:2:3'] }],
	};
	const result = seenFrom('a', { nodes: three, configuration });
	const operations = result.peers.flatMap(({ exportPolicies = [] }) =>
		exportPolicies.flatMap(({ terms }) => terms.flatMap((term) => term.operations)),
	);
	const values = operations.flatMap((operation) => ('value' in operation ? [String(operation.value)] : []));
	t.deepEqual([...new Set(values)], ['65000:1', '65000:2:3']);
	t.true(values.every(isSound));
	t.deepEqual(result.problems, [
		'BGPConfiguration: prefixAdvertisements 192.168.0.0/16: silver is neither a value nor defined in communities; routes go without it',
		"BGPConfiguration: prefixAdvertisements 192.168.0.0/16: bad: '70000:1' is not a community such as 65000:100; routes go without it",
	]);
});

test('a BGPFilter with an invalid community is an error of its resource', (t) => {
	const filter = (rule: JsonObject) => () =>
		toBgpFilter(toResource({ metadata: { name: 'f' }, spec: { exportV4: [{ action: 'Accept', ...rule }] } }));
	t.throws(filter({ operations: [{ addCommunity: { value: 'gold' } }] }), {
		instanceOf: ResourceError,
		message: /exportV4.*'gold' is not a community/,
	});
	t.throws(filter({ communities: { values: ['1:2:x'] } }), {
		instanceOf: ResourceError,
		message: /'1:2:x' is not a large community/,
	});
});

test("a node's own advertisements may use the communities of its own resource", (t) => {
	const own = toResource({
		metadata: { name: 'node.a' },
		spec: {
			communities: [{ name: 'gold', value: '65000:9' }],
			prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['gold'] }],
		},
	});
	t.deepEqual(toBgpConfiguration(undefined, own).communities, { gold: '65000:9' });
});

const listening: readonly [
	title: string,
	ipv6: boolean,
	bindMode: string | undefined,
	address: string,
	problems: number,
][] = [
	['everywhere over IPv4 if the node has only IPv4', false, undefined, '0.0.0.0', 0],
	['everywhere over both families if the node has both', true, undefined, '::', 0],
	["at the node's address with bindMode NodeIP", false, 'NodeIP', '10.0.1.2', 0],
	['everywhere, with a warning, with bindMode NodeIP and two addresses', true, 'NodeIP', '::', 1],
];
for (const [title, ipv6, bindMode, address, problems] of listening) {
	test(`a node listens ${title}`, (t) => {
		const self = node('a', '10.0.1.2/24', ipv6 ? { 'projectcalico.org/IPv6Address': 'fd00::2/64' } : {});
		const configuration = toBgpConfiguration(
			toResource({ metadata: { name: 'default' }, spec: bindMode === undefined ? {} : { bindMode } }),
			undefined,
		);
		const result = seenFrom('a', { nodes: [self], configuration });
		t.is(result.listenAddress, address);
		t.is(result.problems.length, problems);
	});
}

test('a node without an address has no sessions and reports the reason', (t) => {
	t.like(seenFrom('new', { nodes: [...three, toNodeFacts(toResource({ metadata: { name: 'new' } }))] }), {
		routerId: undefined,
		peers: [],
		problems: [
			'node new has no address yet: annotations projectcalico.org/IPv4Address and projectcalico.org/IPv6Address',
		],
	});
});

test('labels of the annotation projectcalico.org/labels count for selectors, and precede those of Kubernetes', (t) => {
	const facts = toNodeFacts(
		toResource({
			metadata: {
				name: 'a',
				labels: { rack: '1', zone: 'x' },
				annotations: { 'projectcalico.org/labels': '{"rack":"2"}' },
			},
		}),
	);
	t.deepEqual(facts.labels, { rack: '2', zone: 'x' });
});

test('an unparsable annotation is reported and ignored', (t) => {
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
		{
			name: 'f.exportV4[1]',
			match: { prefixes: [{ prefix: '0.0.0.0/0', operator: 'in' }] },
			action: 'reject',
			operations: [],
		},
	]);
	t.throws(() => toBgpFilter(toResource({ metadata: { name: 'f' }, spec: { importV4: [{ action: 'Maybe' }] } })), {
		message: 'f: f.importV4[0].action is none of Accept, Reject',
	});
});

const unreadableRules: readonly [string, JsonObject][] = [
	['an unknown criterion', { action: 'Accept', routeType: 'static' }],
	['an unknown source', { action: 'Accept', source: 'LocalPeers' }],
	['an unknown peer type', { action: 'Accept', peerType: 'mesh' }],
	['a prefix of the other family', { action: 'Accept', cidr: 'fd00::/8', matchOperator: 'In' }],
	['a prefix without an operator', { action: 'Accept', cidr: '10.0.0.0/8' }],
	['an operator without a prefix', { action: 'Accept', matchOperator: 'In' }],
	[
		'lengths in the wrong order',
		{ action: 'Accept', cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { min: 24, max: 16 } },
	],
	[
		'a length beyond the family',
		{ action: 'Accept', cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { max: 33 } },
	],
	['communities without a value', { action: 'Accept', communities: { values: [] } }],
	['a community that is a number', { action: 'Accept', communities: { values: [1] } }],
	['an AS path of text', { action: 'Accept', asPathPrefix: ['x'] }],
	['an AS number beyond 32 bits', { action: 'Accept', asPathPrefix: [4_294_967_296] }],
	['an interface that is a number', { action: 'Accept', interface: 1 }],
	[
		'two operations in one',
		{ action: 'Accept', operations: [{ setPriority: { value: 5 }, addCommunity: { value: '1:2' } }] },
	],
	['an operation of a later version', { action: 'Accept', operations: [{ removeCommunity: { value: '1:2' } }] }],
	['no action', { cidr: '10.0.0.0/8', matchOperator: 'In' }],
];
for (const [title, rule] of unreadableRules) {
	test(`a BGPFilter with ${title} is rejected as a whole`, (t) => {
		for (const key of ['importV4', 'exportV4'])
			t.throws(() => toBgpFilter(toResource({ metadata: { name: 'f' }, spec: { [key]: [rule] } })), {
				instanceOf: ResourceError,
			});
	});
}

test('an unreadable BGPFilter passes no route, of either family, in either direction', (t) => {
	const filter = unreadableFilter('f', 'why');
	for (const terms of [filter.import, filter.export])
		t.deepEqual(
			terms.map(({ match, action }) => [match, action]),
			[
				[
					{
						prefixes: [
							{ prefix: prefixKey('0.0.0.0/0'), operator: 'in' },
							{ prefix: prefixKey('::/0'), operator: 'in' },
						],
					},
					'reject',
				],
			],
		);
});

test('two BGPPeers with one address and different ports are two sessions, and so is a mesh node at another port', (t) => {
	const peers = [
		peer('tor', { peerIP: '10.0.1.254:1179', asNumber: 64999 }),
		peer('tor-second', { peerIP: '10.0.1.254:2179', asNumber: 64998 }),
		peer('node-b', { peerIP: '10.0.1.10:1179', asNumber: 64512 }),
	];
	t.deepEqual(names(seenFrom('a', { nodes: three, peers })), [
		'Mesh_10_0_1_10',
		'Mesh_10_0_2_2',
		'Global_10_0_1_10_port_1179',
		'Global_10_0_1_254_port_1179',
		'Global_10_0_1_254_port_2179',
	]);
});

test("an address that is not a host address, or is this node's, gets no session, and is reported", (t) => {
	const addresses = ['0.0.0.0', '255.255.255.255', '224.0.0.1', '240.0.0.1', '::', 'ff02::1'];
	const peers = addresses.map((peerIP, index) => peer(`p${index}`, { peerIP, asNumber: 64512 }));
	const nodes = [node('a', '10.0.1.2/24'), node('twin', '10.0.1.2/24')];
	const { peers: made, problems } = seenFrom('a', { nodes, peers });
	t.deepEqual(made, []);
	t.is(problems.length, addresses.length + 1);
	t.true(problems.some((problem) => problem.startsWith("mesh with node twin: 10.0.1.2 is this node's own address")));
});

const absurdPeers: readonly JsonObject[] = [
	{ peerIP: '10.9.0.77:99999' },
	{ peerIP: '10.9.0.77:0' },
	{ peerIP: 'not-an-ip\n' },
	{ peerIP: '10.9.0.2', asNumber: -1 },
	{ peerIP: '10.9.0.2', asNumber: 4_294_967_296 },
	{ peerIP: '10.9.0.2', ttlSecurity: 256 },
	{ peerIP: '10.9.0.2', keepaliveTime: '24h' },
	{ peerIP: '10.9.0.2', keepaliveTime: 'never' },
	{ peerIP: '10.9.0.2', maxRestartTime: '2h' },
	{ peerIP: '10.9.0.2', numAllowedLocalASNumbers: -1 },
	{ peerSelector: 'has(' },
	{ peerSelector: `${'('.repeat(5000)}all()${')'.repeat(5000)}` },
];
for (const spec of absurdPeers) {
	test(`a BGPPeer with ${JSON.stringify(spec).slice(0, 60)} is unusable`, (t) => {
		t.throws(() => peer('p', spec), { instanceOf: ResourceError });
	});
}

test('an IPv6-only node has a router ID by hash, sessions and routes over IPv6', (t) => {
	const v6 = (name: string, address: string) =>
		toNodeFacts(toResource({ metadata: { name, annotations: { 'projectcalico.org/IPv6Address': address } } }));
	const nodes = [v6('node-a', 'fd00::2/64'), v6('node-b', 'fd00::3/64'), node('old', '10.0.1.2/24')];
	const result = seenFrom('node-a', { nodes, configuration: { bindToNodeAddress: true } });
	// sha256('node-a') begins with 66 57 0f f0.
	t.is(result.routerId, '102.87.15.240');
	t.is(result.listenAddress, 'fd00::2');
	t.deepEqual(
		result.peers.map(({ name, families, localAddress, nextHopSelf }) => ({
			name,
			families,
			localAddress,
			nextHopSelf,
		})),
		[{ name: 'Mesh_fd00__3', families: ['ipv6'], localAddress: 'fd00::2', nextHopSelf: { ipv6: 'fd00::2' } }],
	);
	t.deepEqual(result.problems, []);
});
