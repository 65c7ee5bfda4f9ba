import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { crc32c, ipPacket, readTransport } from '../../lab/frames/packets.ts';
import { HostReceiver, HostSender, inside } from '../../lab/frames/sockets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { parseAddress, prefixKey } from '../../src/core/index.ts';
import {
	type Attacher,
	ClsactAttacher,
	InterfaceServices,
	natPurpose,
	openNatMaps,
	openSocketMaps,
	SocketServices,
	TcxAttacher,
} from '../../src/ebpf/index.ts';
import { NatLayout } from '../../src/ebpf/services/nat-maps.ts';
import { Conntrack, loadRuleset } from '../../src/linux/index.ts';
import { Mark, NftablesServices } from '../../src/nftables/index.ts';
import type { DirectionPolicy, HostEndpoint, NodePolicy, Policy } from '../../src/policy/index.ts';
import {
	addressFrontendKey,
	type Backend,
	differenceOf,
	emptyModel,
	emptySettings,
	type Frontend,
	nodePortFrontendKey,
	type Pool,
	type ServiceProtocol,
	type ServicesModel,
} from '../../src/services/index.ts';
import { direction, nets, nodePolicy, policy, rule } from '../nftables/fixtures.ts';
import { noNamespaces } from '../support/namespace.ts';
import { Host, tcpPort, udpPort } from './hosts.ts';
import { noBpf } from './support.ts';

const missing = noBpf ?? noNamespaces;
if (missing !== undefined) console.warn(`SKIPPED: services from outside by programs: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

/** Addresses of one family. */
const families = {
	ipv4: {
		client: '203.0.113.2',
		node: '192.0.2.2',
		podSide: '10.42.0.254',
		balancer: '198.51.100.10',
		second: '198.51.100.11',
		backends: ['10.42.0.1', '10.42.0.2'],
	},
	ipv6: {
		client: 'fd00:113::2',
		node: 'fd00:192::2',
		podSide: 'fd00:42::fe',
		balancer: 'fd00:198::10',
		second: 'fd00:198::11',
		backends: ['fd00:42::1', 'fd00:42::2'],
	},
} as const;
type FamilyName = keyof typeof families;
const familyNames = Object.keys(families) as FamilyName[];

interface ServiceOptions {
	readonly local?: boolean;
	readonly affinity?: number;
	readonly port?: number;
	readonly backends?: readonly string[];
	readonly targetPort?: number;
	readonly sourceRanges?: readonly string[];
	readonly drop?: boolean;
}

/** A service at a load balancer address, or at a node port without one. */
function service(
	family: FamilyName,
	address: string | undefined,
	protocol: ServiceProtocol,
	options: ServiceOptions = {},
) {
	const { port = 80, backends = families[family].backends, affinity, local = false, sourceRanges } = options;
	const servicePort = `ns/${address ?? 'node'}:${port}/${protocol}@${family}`;
	const key = `${servicePort}#${local ? 'local' : 'cluster'}`;
	const targetPort = options.targetPort ?? (protocol === 'tcp' ? tcpPort : udpPort);
	const pool: Pool = {
		...{ key, servicePort, family, protocol },
		backends: backends.map((backend): Backend => ({ address: backend, port: targetPort, local: true })),
		...(affinity === undefined ? {} : { affinityTimeoutSeconds: affinity }),
	};
	const outside =
		options.drop === true ? { type: 'drop' as const } : { type: 'dnat' as const, pool: key, masquerade: !local };
	const common = {
		servicePort,
		service: 'ns/s',
		family,
		protocol,
		port,
		actions: { pod: outside, node: outside, outside },
	};
	const frontend: Frontend =
		address === undefined
			? { type: 'node-port', key: nodePortFrontendKey(family, protocol, port), ...common }
			: {
					...{ type: 'load-balancer-ip', key: addressFrontendKey(address, protocol, port), address },
					...(sourceRanges === undefined ? {} : { sourceRanges: sourceRanges.map((range) => prefixKey(range)) }),
					...common,
				};
	return { pool, frontend };
}

const modelOf = (...services: readonly ReturnType<typeof service>[]): ServicesModel => ({
	...emptyModel,
	settings: {
		...emptySettings,
		podRanges: [prefixKey('10.42.0.0/16'), prefixKey('fd00:42::/64')],
		nodePortAddresses: {
			ipv4: { type: 'addresses', addresses: [families.ipv4.node] },
			ipv6: { type: 'addresses', addresses: [families.ipv6.node] },
		},
	},
	pools: new Map(services.map(({ pool }) => [pool.key, pool])),
	frontends: new Map(services.map(({ frontend }) => [frontend.key, frontend])),
});

/** `client -- router -- node -- pods`, with the programs at the node's `eth0` and rules that masquerade but do not translate. */
async function open(t: ExecutionContext, letter: string, attachment: 'tcx' | 'clsact' = 'tcx') {
	const [client, router, node, pods] = ['c', 'r', 'n', 'p'].map((name) => `bmo${process.pid}${letter}${name}`) as [
		string,
		string,
		string,
		string,
	];
	const namespaces = [client, router, node, pods];
	t.teardown(() => namespaces.forEach(removeNamespace));
	for (const namespace of namespaces) addRouterNamespace(namespace);
	ipBatch([
		`link add c0 netns ${client} type veth peer name r0 netns ${router}`,
		`link add eth0 index 900 netns ${node} type veth peer name r1 netns ${router}`,
		`link add pods0 netns ${node} type veth peer name p0 netns ${pods}`,
	]);
	const { ipv4, ipv6 } = families;
	ipBatch(
		[
			'link set c0 up',
			'addr add 203.0.113.2/24 dev c0',
			'addr add fd00:113::2/64 dev c0 nodad',
			'route add default via 203.0.113.1',
			'route add default via fd00:113::1',
		],
		client,
	);
	ipBatch(
		[
			'link set r0 up',
			'link set r1 up',
			'addr add 203.0.113.1/24 dev r0',
			'addr add fd00:113::1/64 dev r0 nodad',
			'addr add 192.0.2.1/24 dev r1',
			'addr add fd00:192::1/64 dev r1 nodad',
			`route add 198.51.100.0/24 via ${ipv4.node}`,
			`route add fd00:198::/64 via ${ipv6.node}`,
		],
		router,
	);
	ipBatch(
		[
			'link set eth0 up',
			'link set pods0 up',
			`addr add ${ipv4.node}/24 dev eth0`,
			`addr add ${ipv6.node}/64 dev eth0 nodad`,
			`addr add ${ipv4.podSide}/24 dev pods0`,
			`addr add ${ipv6.podSide}/64 dev pods0 nodad`,
			'route add default via 192.0.2.1',
			'route add default via fd00:192::1',
		],
		node,
	);
	ipBatch(
		[
			'link set p0 up',
			...ipv4.backends.map((address) => `addr add ${address}/24 dev p0`),
			...ipv6.backends.map((address) => `addr add ${address}/64 dev p0 nodad`),
			`route add default via ${ipv4.podSide}`,
			`route add default via ${ipv6.podSide}`,
		],
		pods,
	);
	await Host.start(t, pods, [...ipv4.backends, ...ipv6.backends]);
	const rules = inside(node, () => new NftablesServices({ load: (text) => inside(node, () => loadRuleset(text)) }));
	t.teardown(() => rules.close());
	const poolMaps = openSocketMaps(undefined, { frontends: 64, backends: 64, sockets: 64 });
	const maps = openNatMaps(undefined, { frontends: 64, sources: 64, flows: 1024 });
	/** Of programs that judge before translation. */
	const early: Attacher[] = [];
	const attacher =
		attachment === 'tcx'
			? new TcxAttacher({ purpose: natPurpose, inside: (act) => inside(node, act), beside: early })
			: inside(node, () => new ClsactAttacher({ purpose: natPurpose }));
	const services = new InterfaceServices({ maps, pools: poolMaps, attacher, masqueradeMark: Mark.masquerade });
	const pools = new SocketServices({ maps: poolMaps, cgroup: '', nodeCookie: undefined });
	t.teardown(() => {
		services.close();
		for (const map of [...maps.values(), ...poolMaps.values()]) map.close();
	});
	await services.attach([{ index: 900, name: 'eth0' }]);
	const set = async (model: ServicesModel) => {
		// No service is known to the rules: they masquerade marked packets, and translate nothing.
		await rules.sync({ ...emptyModel, settings: model.settings });
		pools.sync(model);
		services.sync(model);
	};
	const names = { client, router, node, pods };
	return { client: await Host.start(t, client, []), set, rules, services, pools, maps, early, names };
}

/** The one packet of SCTP that arrives, behind its IP header. */
async function receiveSctp(receiver: HostReceiver): Promise<Uint8Array> {
	for (let tries = 0; tries < 500; tries++) {
		const packet = receiver.receive();
		// IPv4 comes with its header.
		if (packet !== undefined) return packet.slice(receiver.family === 'ipv4' ? ((packet[0] ?? 0) & 15) * 4 : 0);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	throw new Error('no packet of SCTP arrived');
}

/** The checksum is that of the packet (RFC 9260 §6.8). */
function hasChecksum(body: Uint8Array): boolean {
	const blank = body.slice();
	blank.fill(0, 8, 12);
	return new DataView(body.buffer, body.byteOffset).getUint32(8, true) === crc32c(blank);
}

for (const family of familyNames) {
	const { client: own, podSide, balancer, second, node, backends } = families[family];

	kernelTest(`${family}: a service of SCTP is translated by nftables beside the programs`, async (t) => {
		const { client, rules, pools, services, maps, names } = await open(t, `x${family[3]}`);
		const [backend] = backends;
		const all = { local: true, backends: [backend] };
		const model = modelOf(
			service(family, balancer, 'sctp', { ...all, targetPort: 9999 }),
			service(family, balancer, 'tcp', all),
		);
		await rules.sync(model);
		pools.sync(model);
		services.sync(model);
		const [atPod, atClient] = [names.pods, names.client].map((name) => new HostReceiver(name, family, 132));
		const [toNode, toClient] = [names.client, names.pods].map((name) => new HostSender(name, family));
		if (!(atPod && atClient && toNode && toClient)) return t.fail();
		t.teardown(() => {
			for (const socket of [atPod, atClient, toNode, toClient]) socket.close();
		});
		const [here, there] = [parseAddress(own), parseAddress(balancer)];
		const sctp = { protocol: 132, source: here, destination: there, sourcePort: 4000, destinationPort: 80 };
		t.true(toNode.send(ipPacket(sctp), there));
		const question = await receiveSctp(atPod);
		t.like(readTransport(132, question), { sourcePort: 4000, destinationPort: 9999 });
		t.true(hasChecksum(question));

		const answer = { ...sctp, source: parseAddress(backend), destination: here };
		t.true(toClient.send(ipPacket({ ...answer, sourcePort: 9999, destinationPort: 4000 }), here));
		const answered = await receiveSctp(atClient);
		t.like(readTransport(132, answered), { sourcePort: 80, destinationPort: 4000 });
		t.true(hasChecksum(answered));

		t.is((await client.ask('tcp', balancer, 80)).client, own);
		const protocols = [...(maps.get('nat_flows')?.keys() ?? [])].map((key) => key[NatLayout.flow.protocol]);
		t.deepEqual(protocols, [6], 'programs translate TCP alone');
		return undefined;
	});

	kernelTest(
		`${family}: from outside to load balancer address and node port, source kept or masqueraded`,
		async (t) => {
			const { client, set } = await open(t, `a${family[3]}`);
			await set(
				modelOf(
					service(family, balancer, 'tcp', { local: true }),
					service(family, balancer, 'udp', { local: true }),
					service(family, second, 'tcp'),
					service(family, second, 'udp'),
					service(family, undefined, 'tcp', { port: 30_080 }),
					service(family, undefined, 'udp', { port: 30_080, local: true }),
				),
			);
			for (const type of ['tcp', 'udp'] as const)
				for (const [to, port, source] of [
					[balancer, 80, own],
					[second, 80, podSide],
					[node, 30_080, type === 'tcp' ? podSide : own],
				] as const) {
					const servers = new Set<string | undefined>();
					for (let round = 0; round < 40 && servers.size < 2; round++) {
						const answer = await client.ask(type, to, port);
						t.is(answer.peer, `${to} ${port}`, answer.error);
						t.is(answer.client, source);
						servers.add(answer.server);
					}
					t.deepEqual([...servers].sort(), [...backends], `${type} ${to}`);
				}
			t.regex((await client.ask('udp', node, 30_081)).error ?? '', /ECONNREFUSED/, "other ports are the node's");
		},
	);

	kernelTest(`${family}: datagrams in fragments and errors of ICMP are translated in both directions`, async (t) => {
		const { client, set, names } = await open(t, `i${family[3]}`);
		await set(
			modelOf(
				service(family, balancer, 'tcp', { local: true }),
				service(family, balancer, 'udp', { local: true }),
				service(family, second, 'tcp'),
				service(family, second, 'udp', { targetPort: 9999 }),
			),
		);
		const large = await client.ask('udp', balancer, 80, { send: 5000, answer: 7000 });
		t.deepEqual([large.sent, large.received], [5000, 7000], large.error);
		t.regex((await client.ask('udp', second, 80)).error ?? '', /ECONNREFUSED/, 'no server: an error to the client');
		ipBatch(['link set r0 mtu 1300'], names.router);
		ipBatch(['link set pods0 mtu 1400'], names.node);
		for (const to of [balancer, second]) {
			const bulk = await client.ask('tcp', to, 80, { send: 200_000, answer: 300_000 });
			t.deepEqual([bulk.sent, bulk.received], [200_000, 300_000], `${to} ${bulk.error}`);
		}
	});

	kernelTest(`${family}: affinity, source ranges, drop, and UDP that stays until its backend is gone`, async (t) => {
		const { client, set, services, pools } = await open(t, `s${family[3]}`);
		const [one, two] = backends;
		const range = family === 'ipv4' ? '203.0.113.0/24' : 'fd00:113::/64';
		const other = family === 'ipv4' ? '203.0.114.0/24' : 'fd00:114::/64';
		const model = modelOf(
			service(family, balancer, 'tcp', { affinity: 60 }),
			service(family, balancer, 'udp'),
			service(family, second, 'tcp', { port: 81, sourceRanges: [range] }),
			service(family, second, 'udp', { port: 82, sourceRanges: [other] }),
			service(family, second, 'udp', { port: 83, drop: true }),
		);
		await set(model);
		const seen = new Set<string | undefined>();
		for (let round = 0; round < 12; round++) seen.add((await client.ask('tcp', balancer, 80)).server);
		t.is(seen.size, 1, 'affinity');
		t.is((await client.ask('tcp', second, 81)).peer, `${second} 81`);
		t.is((await client.ask('udp', second, 82, { wait: 300 })).error, 'timeout', 'outside of the source ranges');
		t.is((await client.ask('udp', second, 83, { wait: 300 })).error, 'timeout', 'no endpoint here');
		const stays = new Set<string | undefined>();
		for (let round = 0; round < 8; round++) stays.add((await client.ask('udp', balancer, 80, { socket: 'a' })).server);
		t.is(stays.size, 1);
		const [kept] = stays;
		const left = kept === one ? two : one;
		const after = modelOf(
			service(family, balancer, 'tcp', { affinity: 60, backends: [[...seen][0] === one ? two : one] }),
			service(family, balancer, 'udp', { backends: [left] }),
		);
		const difference = differenceOf(model, after);
		pools.apply(difference, after);
		services.apply(difference, after);
		t.false(seen.has((await client.ask('tcp', balancer, 80)).server), 'a backend that is gone is forgotten');
		t.is((await client.ask('udp', balancer, 80, { socket: 'a' })).server, kept, 'a flow stays');
		const stale = services.flows
			.udpFlows()
			.filter(({ replySource, originalPort }) => replySource === kept && originalPort === 80);
		t.is(services.flows.remove(stale), stale.length);
		t.true(stale.length > 0);
		t.is((await client.ask('udp', balancer, 80, { socket: 'a' })).server, left);
	});
}

kernelTest('a packet passes that another processor has overtaken', async (t) => {
	const { client, set, maps } = await open(t, 'o');
	const { balancer } = families.ipv4;
	await set(modelOf(service('ipv4', balancer, 'udp', { local: true })));
	const flows = maps.get('nat_flows');
	const kept = (await client.ask('udp', balancer, 80, { socket: 'a' })).server;
	const [key] = flows?.keys() ?? [];
	const value = key && flows?.get(key);
	if (flows === undefined || key === undefined || value === undefined) return t.fail();
	for (let round = 0; round < 20; round++) {
		// The time of its last packet is later than that of the next one; below the slack of the clock.
		new DataView(value.buffer, value.byteOffset).setBigUint64(0, process.hrtime.bigint() + 15_000_000n, true);
		flows.set(key, value);
		t.like(await client.ask('udp', balancer, 80, { socket: 'a' }), { server: kept, peer: `${balancer} 80` });
	}
	return undefined;
});

kernelTest('clsact: a service from outside, and a second one from the same port of the client', async (t) => {
	const { client, set, services, maps, names } = await open(t, 'k', 'clsact');
	const { balancer, second, backends } = families.ipv4;
	await set(
		modelOf(
			service('ipv4', balancer, 'udp', { local: true, backends: [backends[0]] }),
			service('ipv4', second, 'udp', { local: true, backends: [backends[0]] }),
		),
	);
	t.is((await client.ask('udp', balancer, 80, { from: 5000 })).peer, `${balancer} 80`);
	// The ends of both connections at the backend are the same: nftables must translate the second one; here it has none.
	t.is((await client.ask('udp', second, 80, { from: 5000, wait: 300 })).error, 'timeout');
	t.is((await client.ask('udp', balancer, 80, { from: 5000 })).peer, `${balancer} 80`, 'the first one goes on');
	services.drain();
	t.is((await client.ask('udp', balancer, 80, { from: 5000 })).peer, `${balancer} 80`, 'drained: known connections');
	t.is((await client.ask('udp', balancer, 80, { from: 5001, wait: 300 })).error, 'timeout', 'drained: no new ones');
	// Another process, which has attached nothing.
	const attacher = inside(names.node, () => new ClsactAttacher({ purpose: natPurpose }));
	const later = new InterfaceServices({ maps, pools: new Map(), attacher, masqueradeMark: Mark.masquerade });
	t.teardown(() => later.close());
	t.is((await client.ask('udp', balancer, 80, { from: 5000 })).peer, `${balancer} 80`);
	t.is(later.flows.connections().length, 1);
	await later.detach();
	t.is((await client.ask('udp', balancer, 80, { from: 5000, wait: 300 })).error, 'timeout', 'without programs');
});

/** A host endpoint that is closed, but for what policy before translation allows. */
function closedHost(stage: 'preDnat' | 'untracked', before: Policy): NodePolicy {
	const closed = policy('closed', [rule('deny')], [rule('deny')]);
	const both = { ingress: direction('ingress', [closed]), egress: direction('egress', [closed]) };
	const early = (toward: 'ingress' | 'egress', policies: readonly Policy[]): DirectionPolicy => ({
		...{ ...direction(toward, policies, 'pass'), otherwise: 'continue' },
	});
	const of = (one: typeof stage) => (one === stage ? [before] : []);
	const host: HostEndpoint = {
		...{ type: 'host', key: 'uplink', interfaceName: 'eth0', normal: both, forward: both },
		preDnat: { ingress: early('ingress', of('preDnat')) },
		untracked: { ingress: early('ingress', of('untracked')), egress: early('egress', of('untracked')) },
	};
	return nodePolicy([], [closed, before], [], { hosts: new Map([[host.key, host]]) });
}

for (const attachment of ['tcx', 'clsact'] as const)
	for (const family of familyNames)
		kernelTest(
			`${family}, ${attachment}: preDNAT policy sees the address of the service, whichever programs come first`,
			async (t) => {
				t.timeout(120_000);
				const { balancer, second } = families[family];
				const { client, set, services, early, names } = await open(t, `e${attachment[0]}${family[3]}`, attachment);
				await set(modelOf(service(family, balancer, 'tcp'), service(family, second, 'tcp', { local: true })));
				t.is((await client.ask('tcp', second, 80)).peer, `${second} 80`, 'without policy');
				const enforcer = openEbpf(names.node, attachment === 'tcx' ? 'best' : 'clsact', { early });
				t.teardown(() => enforcer.close());
				const port = { ports: { ranges: [{ first: 80, last: 80 }], sets: [] } };
				const to = (address: string) => ({ nets: nets(`${address}/${family === 'ipv4' ? 32 : 128}`), ...port });
				const state = closedHost(
					'preDnat',
					policy('may-ask', [rule('allow', { protocol: 6, destination: to(balancer) }), rule('deny', { protocol: 6 })]),
				);
				for (const order of ['services first', 'policy first']) {
					await enforcer.kernel.sync(state);
					for (let round = 0; round < 3; round++)
						t.is((await client.ask('tcp', balancer, 80)).peer, `${balancer} 80`, `${order}: allowed past later policy`);
					t.truthy((await client.ask('tcp', second, 80)).error, `${order}: denied`);
					await services.detach();
					await services.attach([{ index: 900, name: 'eth0' }]);
				}
			},
		);

for (const family of familyNames)
	kernelTest(`${family}: doNotTrack policy lets packets pass without a connection in the kernel`, async (t) => {
		t.timeout(60_000);
		const { node, balancer } = families[family];
		const { client, names, set } = await open(t, `u${family[3]}`);
		await set(modelOf(service(family, balancer, 'udp', { port: udpPort })));
		await Host.start(t, names.node, [node]);
		const enforcer = openEbpf(names.node);
		t.teardown(() => enforcer.close());
		const port = { ports: { ranges: [{ first: udpPort, last: udpPort }], sets: [] } };
		const conntrack = inside(names.node, () => new Conntrack());
		t.teardown(() => conntrack.close());
		const tracked = async () =>
			(await conntrack.list(family)).filter(({ original: { sourcePort, destinationPort } }) =>
				[sourcePort, destinationPort].includes(udpPort),
			).length;
		await enforcer.kernel.sync(nodePolicy([], [], []));
		t.is((await client.ask('udp', node, udpPort)).peer, `${node} ${udpPort}`, 'without policy');
		t.true((await tracked()) > 0, 'without policy');
		t.is((await client.ask('udp', balancer, udpPort)).peer, `${balancer} ${udpPort}`, 'without policy');
		await conntrack.flush(family);
		const answers = [rule('allow', { protocol: 17, source: port })];
		const stateless = policy('stateless', [rule('allow', { protocol: 17, destination: port })], answers);
		await enforcer.kernel.sync(closedHost('untracked', stateless));
		for (let round = 0; round < 3; round++) t.is((await client.ask('udp', node, udpPort)).peer, `${node} ${udpPort}`);
		t.is(await tracked(), 0);
		t.truthy((await client.ask('udp', balancer, udpPort)).error, 'nor is it translated');
		t.is(await tracked(), 0);
		t.truthy((await client.ask('tcp', node, tcpPort)).error, 'ordinary policy denies the rest');
		await enforcer.kernel.sync(closedHost('untracked', policy('no-answers', stateless.ingress)));
		t.truthy((await client.ask('udp', node, udpPort)).error, 'answers need a rule');
	});
