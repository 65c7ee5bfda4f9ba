import { execFileSync } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices, ServiceConntrack } from '../../src/nftables/index.ts';
import { addressFrontendKey, nodePortFrontendKey, resolveSettings, ServicesState } from '../../src/services/index.ts';
import { eventually } from '../support/eventually.ts';
import { ip, noNamespaces } from '../support/namespace.ts';
import { enterServiceNode } from '../support/service-node.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: counters of services: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.serial.skip;

const settings = resolveSettings(
	{
		podRanges: [prefixKey('10.42.0.0/16')],
		serviceRanges: [prefixKey('10.96.0.0/16')],
		masqueradeAll: false,
		nodePortAddresses: 'primary',
	},
	['10.0.1.2'],
);

const service = (name: string, spec: JsonObject, status: JsonObject = {}): JsonObject => ({
	metadata: { name, namespace: 'default' },
	spec: {
		ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: spec['type'] === undefined ? 0 : 30080 }],
		...spec,
	},
	status,
});
const slice = (name: string, addresses: readonly string[], own = `${name}-1`): JsonObject => ({
	metadata: { name: own, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
	addressType: 'IPv4',
	endpoints: addresses.map((address) => ({ addresses: [address], nodeName: 'node-b', conditions: {} })),
	ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
});

/** Resolves when the connection stands or fails, with the socket. */
const open = (host: string, port: number, timeoutMs = 200): Promise<Socket> =>
	new Promise((resolve) => {
		const socket = connect({ host, port });
		const end = () => resolve(socket);
		socket.once('connect', end);
		socket.once('error', end);
		socket.setTimeout(timeoutMs, () => {
			socket.destroy();
			end();
		});
	});

/** How often a connection to a place is tried. */
async function knock(times: number, host: string, port: number): Promise<void> {
	for (let turn = 0; turn < times; turn++) (await open(host, port)).destroy();
}

/** Without an answer the first packet may be repeated: once or more is 1. */
async function outcomes(kernel: NftablesServices): Promise<unknown> {
	const all = await kernel.outcomes();
	const some = (count: number): number => Math.min(1, count);
	return {
		...all,
		dropped: some(all.dropped),
		'source-refused': some(all['source-refused']),
		'unused-address': some(all['unused-address']),
	};
}

async function start(t: ExecutionContext): Promise<{ kernel: NftablesServices; state: ServicesState }> {
	await enterServiceNode(t);
	const kernel = new NftablesServices({ load: loadRuleset });
	t.teardown(() => kernel.close());
	const state = new ServicesState({ node: { name: 'node-a', primary: { ipv4: '10.0.1.2' } }, settings });
	return { kernel, state };
}

namespaceTest(
	'new connections are counted by frontend and by outcome, and counts survive a change of endpoints',
	async (t) => {
		const { kernel, state } = await start(t);
		state.setService(service('web', { type: 'NodePort', clusterIP: '10.96.0.10' }));
		state.setSlice(slice('web', ['10.128.0.1']));
		state.setService(service('none', { clusterIP: '10.96.0.11' }));
		state.settle();
		await kernel.sync(state.model);
		await knock(3, '10.96.0.10', 80);
		await knock(2, '10.0.1.2', 30080);
		await knock(4, '10.96.0.11', 80);
		// The network's first answer is late: one packet, no repetition in the time of the test.
		await knock(1, '10.96.0.99', 80);
		const web = addressFrontendKey('10.96.0.10', 'tcp', 80);
		const counts = await kernel.frontends();
		t.is(counts.get(web), 3);
		t.is(counts.get(nodePortFrontendKey('ipv4', 'tcp', 30080)), 2);
		t.is(counts.get(addressFrontendKey('10.96.0.11', 'tcp', 80)), 4);
		t.deepEqual(await outcomes(kernel), {
			translated: 5,
			rejected: 4,
			dropped: 0,
			'source-refused': 0,
			'unused-address': 1,
		});

		state.setSlice(slice('web', ['10.128.0.1', '10.128.0.2', '10.128.0.3']));
		await kernel.apply(state.settle(), state.model);
		await knock(1, '10.96.0.10', 80);
		t.is((await kernel.frontends()).get(web), 4);
		t.is((await kernel.outcomes()).translated, 6);

		state.removeService('default/web');
		await kernel.apply(state.settle(), state.model);
		t.false((await kernel.frontends()).has(web));
		t.is((await kernel.outcomes()).translated, 6);
	},
);

namespaceTest('refused sources, and policy Local without an endpoint here, have counters of their own', async (t) => {
	const { kernel, state } = await start(t);
	const status = { loadBalancer: { ingress: [{ ip: '198.51.100.7' }] } };
	state.setService(
		service(
			'web',
			{ type: 'LoadBalancer', clusterIP: '10.96.0.10', loadBalancerSourceRanges: ['203.0.113.0/24'] },
			status,
		),
	);
	state.setSlice(slice('web', ['10.128.0.1']));
	state.setService(service('here', { clusterIP: '10.96.0.11', internalTrafficPolicy: 'Local' }));
	state.setSlice(slice('here', ['10.128.0.1']));
	state.settle();
	await kernel.sync(state.model);
	await knock(1, '198.51.100.7', 80);
	await knock(1, '10.96.0.11', 80);
	t.deepEqual(await outcomes(kernel), {
		translated: 0,
		rejected: 0,
		dropped: 1,
		'source-refused': 1,
		'unused-address': 0,
	});
});

namespaceTest('connections are those that exist, by backend; one that has ended is none', async (t) => {
	const { kernel, state } = await start(t);
	const conntrack = new ServiceConntrack();
	t.teardown(() => conntrack.close());
	state.setService(service('web', { clusterIP: '10.96.0.10' }));
	state.setSlice(slice('web', ['10.128.0.1']));
	state.settle();
	await kernel.sync(state.model);
	// The server itself is no Service.
	const own = createServer(() => undefined).listen(9000, '10.0.1.2');
	t.teardown(() => own.close());
	const sockets = [await open('10.96.0.10', 80), await open('10.96.0.10', 80), await open('10.0.1.2', 9000)];
	t.teardown(() => {
		for (const socket of sockets) socket.destroy();
	});
	const expected = (count: number) => [
		{
			protocol: 'tcp',
			destination: '10.96.0.10',
			destinationPort: 80,
			backend: '10.128.0.1',
			backendPort: 8080,
			count,
		},
	];
	t.deepEqual(await conntrack.connections(), expected(2));
	sockets[0]?.resetAndDestroy();
	for (let turn = 0; turn < 100 && (await conntrack.connections())[0]?.count === 2; turn++)
		await new Promise((resolve) => setTimeout(resolve, 20));
	t.deepEqual(await conntrack.connections(), expected(1));
	t.regex(
		execFileSync('nft', ['list', 'table', 'inet', 'bgpmesh_services'], { encoding: 'utf8', env: systemEnvironment() }),
		/counter packets 2/,
	);
});

namespaceTest(
	'node ports at all local addresses leave the loopback addresses to the programs of the node',
	async (t) => {
		await enterServiceNode(t);
		ip('addr add fd00:1::2/64 dev up0 nodad');
		ip('route add local fd00:2::/64 dev lo');
		const kernel = new NftablesServices({ load: loadRuleset });
		t.teardown(() => kernel.close());
		const state = new ServicesState({
			node: { name: 'node-a', primary: { ipv4: '10.0.1.2', ipv6: 'fd00:1::2' } },
			settings: resolveSettings(
				{
					podRanges: [prefixKey('10.42.0.0/16')],
					serviceRanges: [prefixKey('10.96.0.0/16')],
					masqueradeAll: false,
					nodePortAddresses: 'all',
				},
				['10.0.1.2', 'fd00:1::2'],
			),
		});
		const clusterIps = (end: string): JsonObject => ({
			clusterIP: `10.96.0.${end}`,
			clusterIPs: [`10.96.0.${end}`, `fd00:96::${end}`],
			ipFamilies: ['IPv4', 'IPv6'],
		});
		const nodePort = (port: number): JsonObject => ({
			type: 'NodePort',
			ports: [{ name: 'p', port: 80, protocol: 'TCP', nodePort: port }],
		});
		state.setService(service('web', { ...nodePort(30080), ...clusterIps('10') }));
		state.setSlice(slice('web', ['10.128.0.1']));
		state.setSlice({ ...slice('web', ['fd00:2::1'], 'web-2'), addressType: 'IPv6' });
		state.setService(service('none', { ...nodePort(30081), ...clusterIps('11') }));
		state.settle();
		await kernel.sync(state.model);

		// Programs of the node at the ports of both Services, the one without endpoints included.
		const accepted: string[] = [];
		for (const host of ['127.0.0.1', '127.9.9.9', '::1'])
			for (const port of [30080, 30081]) {
				const server = createServer((socket) => {
					accepted.push(`${host} ${port}`);
					socket.on('error', () => undefined);
				});
				await new Promise<void>((resolve) => server.listen(port, host, resolve));
				t.teardown(() => server.close());
				const socket = await open(host, port, 5000);
				t.is(socket.readyState, 'open', `${host} ${port}`);
				await eventually('the program of the node accepts', () => accepted.at(-1) === `${host} ${port}`, 10);
				socket.destroy();
			}
		const counted = async () => {
			const counts = await kernel.frontends();
			return (['ipv4', 'ipv6'] as const).map((family) =>
				[30080, 30081].map((port) => counts.get(nodePortFrontendKey(family, 'tcp', port)) ?? 0),
			);
		};
		t.deepEqual(await counted(), [
			[0, 0],
			[0, 0],
		]);
		t.deepEqual(await outcomes(kernel), {
			translated: 0,
			rejected: 0,
			dropped: 0,
			'source-refused': 0,
			'unused-address': 0,
		});

		for (const host of ['10.0.1.2', 'fd00:1::2']) for (const port of [30080, 30081]) await knock(1, host, port);
		t.deepEqual(await counted(), [
			[1, 1],
			[1, 1],
		]);
		const { translated, rejected } = await kernel.outcomes();
		t.deepEqual({ translated, rejected }, { translated: 2, rejected: 2 });
	},
);
