import { execFileSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside, Wire } from '../../lab/frames/sockets.ts';
import { formatAddress, type PrefixKey, prefixKey } from '../../src/core/index.ts';
import {
	type DirectNodes,
	InterfaceServices,
	natPurpose,
	openNatMaps,
	openSocketMaps,
	SocketServices,
	TcxAttacher,
} from '../../src/ebpf/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { Mark, NftablesServices } from '../../src/nftables/index.ts';
import { emptyModel, resolveSettings, ServicesState } from '../../src/services/index.ts';
import { macOf, macText } from '../../src/vxlan/index.ts';
import { endpoint, service, slice } from '../services/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { Host, tcpPort, udpPort } from './hosts.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: direct server return: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const nodeNames = ['a', 'b'] as const;
type NodeName = (typeof nodeNames)[number];
const nodePort = 30_080;
const deviceIndex = 901;

const families = {
	ipv4: {
		client: '203.0.113.2',
		balancer: '198.51.100.10',
		clusterIp: '172.30.0.1',
		/** Of the node to its pods: what a pod sees of a client that is masqueraded. */
		podSides: { a: '10.42.0.254', b: '10.42.1.254' },
		nodes: { a: '192.0.2.2', b: '192.0.3.2' },
		pods: { a: ['10.42.0.1'], b: ['10.42.1.1', '10.42.1.2'] },
		addressType: 'IPv4',
	},
	ipv6: {
		client: 'fd00:113::2',
		balancer: 'fd00:198::10',
		clusterIp: 'fd00:172::1',
		podSides: { a: 'fd00:42::fe', b: 'fd00:43::fe' },
		nodes: { a: 'fd00:192::2', b: 'fd00:193::2' },
		pods: { a: ['fd00:42::1'], b: ['fd00:43::1', 'fd00:43::2'] },
		addressType: 'IPv6',
	},
} as const;
type FamilyName = keyof typeof families;
const familyNames = Object.keys(families) as FamilyName[];

interface ServiceOptions {
	/** Addresses of pods that are ready; others of the service terminate and serve. */
	readonly ready: readonly string[];
	readonly terminating?: readonly string[];
	readonly affinity?: boolean;
}

/** A service of TCP and UDP at a load balancer address and at a node port, for both nodes. */
function objectsOf(family: FamilyName, { ready, terminating = [], affinity = false }: ServiceOptions): JsonObject[] {
	const { balancer, clusterIp, addressType, pods } = families[family];
	const nodeOf = (address: string) => nodeNames.find((name) => (pods[name] as readonly string[]).includes(address));
	const ports = [
		{ name: 't', port: 80, protocol: 'TCP', nodePort },
		{ name: 'u', port: 80, protocol: 'UDP', nodePort },
	];
	return [
		service(
			'web',
			{
				...{ type: 'LoadBalancer', clusterIP: clusterIp, ports, externalTrafficPolicy: 'Cluster' },
				...(affinity ? { sessionAffinity: 'ClientIP' } : {}),
			},
			{ status: { loadBalancer: { ingress: [{ ip: balancer }] } } },
		),
		slice(
			'web-1',
			'web',
			[
				...ready.map((address) => endpoint(address, nodeOf(address))),
				...terminating.map((address) =>
					endpoint(address, nodeOf(address), { conditions: { ready: false, serving: true, terminating: true } }),
				),
			],
			{
				addressType,
				ports: [
					{ name: 't', port: tcpPort, protocol: 'TCP' },
					{ name: 'u', port: udpPort, protocol: 'UDP' },
				],
			},
		),
	];
}

/** A node with the programs at `eth0` and at the device to the other nodes. */
class Node {
	readonly name: NodeName;
	readonly services: InterfaceServices;
	readonly namespace: string;
	readonly #maps = openNatMaps(undefined, { frontends: 64, sources: 64, flows: 1024 }, true);
	readonly #poolMaps = openSocketMaps(undefined, { frontends: 64, backends: 64, sockets: 64 });
	readonly #pools = new SocketServices({ maps: this.#poolMaps, cgroup: '', nodeCookie: undefined });
	readonly #rules: NftablesServices;

	constructor(t: ExecutionContext, name: NodeName, namespace: string) {
		this.name = name;
		this.namespace = namespace;
		this.#rules = inside(
			namespace,
			() => new NftablesServices({ load: (text) => inside(namespace, () => loadRuleset(text)) }),
		);
		this.services = this.open(t);
		t.teardown(() => {
			this.#rules.close();
			for (const map of [...this.#maps.values(), ...this.#poolMaps.values()]) map.close();
		});
	}

	/** What a later process opens with the same maps. */
	open(t: ExecutionContext): InterfaceServices {
		const attacher = new TcxAttacher({ purpose: natPurpose, inside: (act) => inside(this.namespace, act) });
		t.teardown(() => attacher.close());
		return new InterfaceServices({
			...{ maps: this.#maps, pools: this.#poolMaps, attacher, masqueradeMark: Mark.masquerade },
		});
	}

	attach(direct = true): Promise<void> {
		const device = { index: deviceIndex, name: 'bgpmesh-dsr' };
		return this.services.attach([{ index: 900, name: 'eth0' }], direct ? device : undefined);
	}

	/** Both are written: the programs that read the maps, and rules that masquerade but translate nothing. */
	async set(
		family: FamilyName,
		objects: readonly JsonObject[],
		{ on = true, optOut = [] }: { readonly on?: boolean; readonly optOut?: readonly PrefixKey[] } = {},
	): Promise<void> {
		const { nodes } = families[family];
		const options = {
			podRanges: [prefixKey('10.42.0.0/16'), prefixKey('fd00:42::/64'), prefixKey('fd00:43::/64')],
			...{ serviceRanges: [], masqueradeAll: false, nodePortAddresses: 'primary' as const },
			...(on ? { directReturn: { optOut } } : {}),
		};
		const settings = resolveSettings(options, [nodes[this.name]]);
		const state = new ServicesState({ node: { name: this.name, primary: { [family]: nodes[this.name] } }, settings });
		const [web, ...slices] = objects;
		if (web !== undefined) state.setService(web);
		for (const one of slices) state.setSlice(one);
		state.settle();
		await this.#rules.sync({ ...emptyModel, settings });
		this.#pools.sync(state.model);
		this.services.sync(state.model);
	}
}

/** `client -- router -- node a, node b -- their pods`; the load balancer address leads to node a. */
async function open(t: ExecutionContext, letter: string) {
	const name = (part: string) => `bmd${process.pid}${letter}${part}`;
	const [client, router] = [name('c'), name('r')];
	const nodes = { a: name('a'), b: name('b') };
	const pods = { a: name('p'), b: name('q') };
	const namespaces = [client, router, ...Object.values(nodes), ...Object.values(pods)];
	t.teardown(() => namespaces.forEach(removeNamespace));
	for (const namespace of namespaces) addRouterNamespace(namespace);
	const { ipv4, ipv6 } = families;
	ipBatch([`link add c0 netns ${client} type veth peer name r0 netns ${router}`]);
	ipBatch(
		[
			...['link set c0 up', `addr add ${ipv4.client}/24 dev c0`, `addr add ${ipv6.client}/64 dev c0 nodad`],
			...['route add default via 203.0.113.1', 'route add default via fd00:113::1'],
		],
		client,
	);
	ipBatch(['link set r0 up', 'addr add 203.0.113.1/24 dev r0', 'addr add fd00:113::1/64 dev r0 nodad'], router);
	for (const [place, one] of nodeNames.entries()) {
		const [node, inner] = [nodes[one], pods[one]];
		const [net4, net6] = [`192.0.${2 + place}`, `fd00:19${2 + place}:`];
		ipBatch([
			`link add eth0 index 900 netns ${node} type veth peer name r${one} index ${910 + place} netns ${router}`,
			`link add pods0 netns ${node} type veth peer name p0 netns ${inner}`,
		]);
		ipBatch(
			[
				...[`link set r${one} up`, `addr add ${net4}.1/24 dev r${one}`, `addr add ${net6}:1/64 dev r${one} nodad`],
				...[`route add 10.42.${place}.0/24 via ${net4}.2`, `route add fd00:4${2 + place}::/64 via ${net6}:2`],
			],
			router,
		);
		ipBatch(
			[
				...['link set eth0 up', 'link set pods0 up'],
				...[`addr add ${ipv4.nodes[one]}/24 dev eth0`, `addr add ${ipv6.nodes[one]}/64 dev eth0 nodad`],
				...[`addr add ${ipv4.podSides[one]}/24 dev pods0`, `addr add ${ipv6.podSides[one]}/64 dev pods0 nodad`],
				...[`route add default via ${net4}.1`, `route add default via ${net6}:1`],
				`link add bgpmesh-dsr index ${deviceIndex} address ${macText(macOf(one, 'ipv4'))} type vxlan id 4097 dstport 4789 nolearning local ${ipv4.nodes[one]}`,
				'link set bgpmesh-dsr up',
			],
			node,
		);
		ipBatch(
			[
				'link set p0 up',
				...ipv4.pods[one].map((address) => `addr add ${address}/24 dev p0`),
				...ipv6.pods[one].map((address) => `addr add ${address}/64 dev p0 nodad`),
				...[`route add default via ${ipv4.podSides[one]}`, `route add default via ${ipv6.podSides[one]}`],
			],
			inner,
		);
		await Host.start(t, inner, [...ipv4.pods[one], ...ipv6.pods[one]]);
	}
	ipBatch([`route add 198.51.100.0/24 via ${ipv4.nodes.a}`, `route add fd00:198::/64 via ${ipv6.nodes.a}`], router);
	for (const one of nodeNames) {
		const other = one === 'a' ? 'b' : 'a';
		// What the daemon writes: where the device of the other node is.
		const entry = `fdb append ${macText(macOf(other, 'ipv4'))} dev bgpmesh-dsr dst ${ipv4.nodes[other]} self permanent`;
		bridge(nodes[one], entry);
	}
	const node = { a: new Node(t, 'a', nodes.a), b: new Node(t, 'b', nodes.b) };
	const accepting: DirectNodes = new Map([
		['a', macOf('a', 'ipv4')],
		['b', macOf('b', 'ipv4')],
	]);
	for (const one of nodeNames) {
		await node[one].attach();
		node[one].services.followNodes(accepting);
	}
	return { client: await Host.start(t, client, []), node, router, accepting };
}

const bridge = (namespace: string, line: string): void => {
	execFileSync('bridge', ['-n', namespace, '-batch', '-'], { input: `${line}\n`, env: systemEnvironment() });
};

/** What came from a node to the router, as it is outside of a tunnel: `SOURCE -> DESTINATION PORT`. */
class Capture {
	readonly #wire: Wire;
	readonly #family: FamilyName;

	constructor(t: ExecutionContext, router: string, node: NodeName, family: FamilyName) {
		this.#wire = new Wire(router, 910 + nodeNames.indexOf(node));
		this.#family = family;
		t.teardown(() => this.#wire.close());
	}

	/** All since the last call, each once. */
	read(): Set<string> {
		const seen = new Set<string>();
		const [type, at, bytes] = this.#family === 'ipv4' ? [0x0800, 26, 4] : [0x86dd, 22, 16];
		for (let frame = this.#wire.receive(); frame !== undefined; frame = this.#wire.receive()) {
			if (new DataView(frame.buffer, frame.byteOffset).getUint16(12) !== type) continue;
			const address = (from: number) => formatAddress(frame.slice(from, from + bytes));
			const port = new DataView(frame.buffer, frame.byteOffset).getUint16(at + 2 * bytes + 2);
			seen.add(`${address(at)} -> ${address(at + bytes)} ${port}`);
		}
		return seen;
	}
}

for (const family of familyNames) {
	const { client: own, balancer, podSides, nodes, pods } = families[family];
	const all = [...pods.a, ...pods.b];

	kernelTest(`${family}: the node of the backend answers the client itself, and the pod sees the client`, async (t) => {
		const { client, node, router } = await open(t, `a${family[3]}`);
		const objects = objectsOf(family, { ready: all });
		for (const one of nodeNames) await node[one].set(family, objects);
		const [fromA, fromB] = [new Capture(t, router, 'a', family), new Capture(t, router, 'b', family)];
		let from = 20_000;
		for (const type of ['tcp', 'udp'] as const)
			for (const [to, port] of [
				[balancer, 80],
				[nodes.a, nodePort],
			] as const) {
				const servers = new Set<string | undefined>();
				for (let round = 0; round < 60 && servers.size < 3; round++) {
					from++;
					const answer = await client.ask(type, to, port, { from });
					t.is(answer.peer, `${to} ${port}`, answer.error);
					t.is(answer.client, own, 'the pod sees the client');
					const isAtB = (pods.b as readonly (string | undefined)[]).includes(answer.server);
					const path = `${to} -> ${own} ${from}`;
					t.is(fromA.read().has(path), !isAtB, 'an answer leaves the node of its backend');
					t.is(fromB.read().has(path), isAtB);
					servers.add(answer.server);
				}
				t.deepEqual([...servers].sort(), [...all].sort(), `${type} ${to}`);
			}
		t.true(node.a.services.flows.directConnections > 0);
		t.true(node.b.services.flows.arrivedConnections > 0);
		t.is(node.b.services.flows.directConnections, 0);
	});

	kernelTest(`${family}: masqueraded as ever: when it is off, for clients left out, to nodes without it`, async (t) => {
		const { client, node, accepting } = await open(t, `m${family[3]}`);
		const objects = objectsOf(family, { ready: pods.b });
		const asks = async (source: string, message: string) => {
			for (const type of ['tcp', 'udp'] as const) {
				const answer = await client.ask(type, balancer, 80);
				t.deepEqual([answer.peer, answer.client], [`${balancer} 80`, source], `${type} ${message} ${answer.error}`);
			}
		};
		for (const one of nodeNames) await node[one].set(family, objects);
		await asks(own, 'on');
		await node.a.set(family, objects, { optOut: [prefixKey(family === 'ipv4' ? '203.0.113.0/24' : 'fd00:113::/64')] });
		await asks(nodes.a, 'left out');
		await node.a.set(family, objects, { optOut: [prefixKey(family === 'ipv4' ? '203.0.114.0/24' : 'fd00:114::/64')] });
		await asks(own, 'others are left out');
		node.a.services.followNodes(new Map([...accepting].filter(([name]) => name !== 'b')));
		await asks(nodes.a, 'a node without it');
		node.a.services.followNodes(accepting);
		await asks(own, 'a node with it again');
		const before = await client.ask('udp', balancer, 80, { socket: 'kept' });
		await node.a.set(family, objects, { on: false });
		await asks(nodes.a, 'off');
		t.is((await client.ask('udp', balancer, 80, { socket: 'kept' })).client, own, 'a flow from before goes on');
		t.is(before.client, own);
		await node.a.set(family, objectsOf(family, { ready: pods.a }), { on: false });
		await asks(podSides.a, 'off, by a backend of this node');
	});

	kernelTest(`${family}: a port of a client whose translated connection has ended begins a direct one`, async (t) => {
		const { client, node } = await open(t, `p${family[3]}`);
		const objects = objectsOf(family, { ready: pods.b });
		for (const [on, source] of [
			[false, nodes.a],
			[true, own],
			[false, nodes.a],
		] as const) {
			for (const one of nodeNames) await node[one].set(family, objects, { on });
			const answer = await client.ask('tcp', balancer, 80, { from: 21_000 });
			t.deepEqual([answer.peer, answer.client], [`${balancer} 80`, source], answer.error);
		}
	});

	kernelTest(`${family}: affinity, and connections stay with a backend that ends`, async (t) => {
		const { client, node } = await open(t, `s${family[3]}`);
		const set = async (options: ServiceOptions) => {
			for (const one of nodeNames) await node[one].set(family, objectsOf(family, options));
		};
		await set({ ready: all, affinity: true });
		const seen = new Set<string | undefined>();
		for (let round = 0; round < 12; round++) seen.add((await client.ask('tcp', balancer, 80)).server);
		t.is(seen.size, 1, 'affinity');
		const [first, second] = pods.b;
		await set({ ready: pods.b });
		const kept = (await client.ask('udp', balancer, 80, { socket: 'a' })).server;
		const [left, ...rest] = kept === first ? [second] : [first];
		if (left === undefined || kept === undefined || rest.length > 0) return t.fail();
		await set({ ready: [left], terminating: [kept] });
		t.is((await client.ask('udp', balancer, 80, { socket: 'a' })).server, kept, 'a flow stays with what serves');
		for (let round = 0; round < 4; round++) t.is((await client.ask('tcp', balancer, 80)).server, left);
		await set({ ready: [left] });
		const stale = node.b.services.flows.udpFlows().filter(({ replySource }) => replySource === kept);
		t.is(stale.length, 1);
		t.is(node.b.services.flows.remove(stale), 1);
		const flows = node.a.services.flows.udpFlows();
		t.true(flows.length > 0);
		t.true(
			flows.every(({ replySource }) => replySource === left),
			'the node of the flow still has a backend',
		);
		t.is((await client.ask('udp', balancer, 80, { socket: 'a' })).server, left, 'the same node');
		// No backend is left at the node: the flow begins anew.
		await set({ ready: pods.a });
		const gone = node.a.services.flows.udpFlows().filter(({ replySource }) => replySource !== pods.a[0]);
		t.is(node.a.services.flows.remove(gone), gone.length);
		const atB = node.b.services.flows.udpFlows();
		node.b.services.flows.remove(atB);
		t.is((await client.ask('udp', balancer, 80, { socket: 'a' })).server, pods.a[0]);
		return undefined;
	});

	kernelTest(`${family}: fragments, errors of ICMP and large packets over the tunnel`, async (t) => {
		const { client, node, router } = await open(t, `f${family[3]}`);
		for (const one of nodeNames) await node[one].set(family, objectsOf(family, { ready: pods.b }));
		const large = await client.ask('udp', balancer, 80, { send: 5000, answer: 7000 });
		t.deepEqual([large.sent, large.received, large.client], [5000, 7000, own], large.error);
		// Answers are too large for the client's link: the error about them comes to the other node.
		ipBatch(['link set r0 mtu 1300'], router);
		const bulk = await client.ask('tcp', balancer, 80, { send: 200_000, answer: 300_000 });
		t.deepEqual([bulk.sent, bulk.received, bulk.client], [200_000, 300_000, own], bulk.error);
	});

	kernelTest(`${family}: a new connection at a node without a backend is dropped there and begins anew`, async (t) => {
		const { client, node } = await open(t, `n${family[3]}`);
		for (const one of nodeNames) await node[one].set(family, objectsOf(family, { ready: pods.b }));
		await node.b.set(family, objectsOf(family, { ready: pods.a }));
		t.is((await client.ask('udp', balancer, 80, { wait: 300 })).error, 'timeout', 'the other node is ahead');
		const asked = client.ask('tcp', balancer, 80);
		await new Promise((resolve) => setTimeout(resolve, 300));
		await node.a.set(family, objectsOf(family, { ready: pods.a }));
		t.is((await asked).server, pods.a[0], 'SYN again takes another node');
	});
}

kernelTest('a process that comes later goes on with the maps, and without the device nothing is sent', async (t) => {
	const { client, node, accepting } = await open(t, 'r');
	const { client: own, balancer, nodes, pods } = families.ipv4;
	const objects = objectsOf('ipv4', { ready: pods.b });
	for (const one of nodeNames) await node[one].set('ipv4', objects);
	t.is((await client.ask('udp', balancer, 80, { socket: 'kept' })).client, own);
	// Programs are replaced while a connection stands.
	await node.a.attach();
	node.a.services.followNodes(accepting);
	t.is((await client.ask('udp', balancer, 80, { socket: 'kept' })).client, own);
	await node.a.attach(false);
	t.is((await client.ask('udp', balancer, 80)).client, nodes.a, 'programs without it do not know the flag');
	await node.a.attach();
	t.is((await client.ask('udp', balancer, 80, { socket: 'kept' })).client, own);
});
