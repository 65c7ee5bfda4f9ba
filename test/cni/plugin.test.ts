import { createServer as createTcpServer } from 'node:net';
import test from 'ava';
import { bundle, daemon, network, newSocket, pod, runPlugin as run } from '../support/cni-plugin.ts';

test.before(bundle);

const grant = { addresses: [{ family: 'ipv4', address: '10.0.0.5', block: '10.0.0.0/26' }] };

test('ADD requests an address for the pod and returns a result as the specification defines', async (t) => {
	const { socket, asked, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
	const { code, output } = await run(
		{ CNI_COMMAND: 'ADD', ...pod },
		network(socket, {}, { ipv4_pools: ['blue'], gateway: '169.254.1.1' }),
	);
	close();
	t.is(code, 0);
	t.deepEqual(JSON.parse(output), {
		cniVersion: '1.0.0',
		ips: [{ address: '10.0.0.5/32', gateway: '169.254.1.1' }],
		routes: [{ dst: '0.0.0.0/0' }],
		dns: {},
	});
	t.deepEqual(asked, [
		{
			path: '/v1/cni/add',
			body: {
				request: {
					network: 'k8s-pod-network',
					containerId: 'c0ffee',
					ifname: 'eth0',
					pod: { name: 'web-1', namespace: 'default', uid: 'u1' },
					families: ['ipv4'],
					ipv4Pools: ['blue'],
					ipv6Pools: [],
				},
			},
		},
	]);
});

test('a result for an old version contains the family of each address', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
	const { output } = await run(
		{ CNI_COMMAND: 'ADD', ...pod },
		network(socket, { cniVersion: '0.3.1' }, { prefix: 'block' }),
	);
	close();
	t.deepEqual(JSON.parse(output), {
		cniVersion: '0.3.1',
		ips: [{ version: '4', address: '10.0.0.5/26' }],
		routes: [],
		dns: {},
	});
});

const wanted: readonly { title: string; args?: string; overrides: object; addresses: readonly string[] }[] = [
	{ title: 'IP of CNI_ARGS', args: 'IP=10.0.0.9', overrides: {}, addresses: ['10.0.0.9'] },
	{
		title: 'several in CNI_ARGS, as the plugin static accepts them',
		args: 'IP=10.0.0.9/24, fd00::9/64',
		overrides: {},
		addresses: ['10.0.0.9', 'fd00::9'],
	},
	{ title: 'args.cni.ips', overrides: { args: { cni: { ips: ['10.0.0.9'] } } }, addresses: ['10.0.0.9'] },
	{
		title: 'the capability ips, with a prefix length',
		overrides: { runtimeConfig: { ips: ['10.0.0.9/24', 'fd00::9'] } },
		addresses: ['10.0.0.9', 'fd00::9'],
	},
	{
		title: 'all of these sources',
		args: 'IP=10.0.0.9',
		overrides: { args: { cni: { ips: ['10.0.0.9'] } }, runtimeConfig: { ips: ['fd00::9/64'], portMappings: [] } },
		addresses: ['10.0.0.9', '10.0.0.9', 'fd00::9'],
	},
];
for (const { title, args, overrides, addresses } of wanted)
	test(`ADD requests certain addresses: ${title}`, async (t) => {
		const { socket, asked, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
		const { code } = await run(
			{ CNI_COMMAND: 'ADD', ...pod, ...(args === undefined ? {} : { CNI_ARGS: args }) },
			network(socket, overrides),
		);
		close();
		t.is(code, 0);
		t.like(asked, [{ body: { request: { wantedAddresses: addresses } } }]);
	});

const withGateway = { ...grant.addresses[0], gateway: '10.0.0.1' };
const six = { family: 'ipv6', address: 'fd00::5', block: 'fd00::/122', gateway: 'fd00::1' };

test("a gateway from the daemon is returned with the block's length and a default route by it", async (t) => {
	const { socket, asked, close } = await daemon({
		'/v1/cni/add': { status: 200, body: { addresses: [withGateway, six] } },
	});
	const { output } = await run(
		{ CNI_COMMAND: 'ADD', ...pod },
		network(socket, {}, { gateway: 'auto', assign_ipv6: true }),
	);
	close();
	t.deepEqual(JSON.parse(output), {
		cniVersion: '1.0.0',
		ips: [
			{ address: '10.0.0.5/26', gateway: '10.0.0.1' },
			{ address: 'fd00::5/122', gateway: 'fd00::1' },
		],
		routes: [
			{ dst: '0.0.0.0/0', gw: '10.0.0.1' },
			{ dst: '::/0', gw: 'fd00::1' },
		],
		dns: {},
	});
	t.like(asked, [{ body: { request: { gateways: ['ipv4', 'ipv6'] } } }]);
});

test('routes of the configuration precede the default route', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/add': { status: 200, body: { addresses: [withGateway] } } });
	const { output } = await run(
		{ CNI_COMMAND: 'ADD', ...pod },
		network(socket, {}, { gateway: 'auto', routes: [{ dst: '10.0.0.0/8' }] }),
	);
	close();
	t.deepEqual(JSON.parse(output).routes, [{ dst: '10.0.0.0/8' }]);
});

test('a daemon without gateway support is detected', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
	const { output } = await run({ CNI_COMMAND: 'ADD', ...pod }, network(socket, {}, { gateway: 'auto' }));
	close();
	t.like(JSON.parse(output), { code: 100, msg: 'the daemon gave 10.0.0.5 without a gateway' });
});

test('DEL prints nothing', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/del': { status: 200, body: { addresses: [] } } });
	t.deepEqual(await run({ CNI_COMMAND: 'DEL', ...pod }, network(socket)), { code: 0, output: '' });
	close();
});

const refusals: readonly {
	title: string;
	environment: Record<string, string>;
	input: (socket: string) => string;
	code: number;
	message: RegExp;
}[] = [
	{
		title: 'without a daemon the error is to try again later',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: () => network('/nowhere/bgpmesh.sock'),
		code: 11,
		message: /no daemon answers at \/nowhere\/bgpmesh\.sock: ENOENT/,
	},
	{
		title: 'STATUS without a daemon reports not available',
		environment: { CNI_COMMAND: 'STATUS' },
		input: () => network('/nowhere/bgpmesh.sock', { cniVersion: '1.1.0' }),
		code: 50,
		message: /no daemon answers/,
	},
	{
		title: 'a version later than supported',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, { cniVersion: '9.0.0' }),
		code: 1,
		message: /cniVersion "9\.0\.0" is not supported/,
	},
	{
		title: 'input that is not JSON',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: () => '{',
		code: 6,
		message: /standard input is not JSON/,
	},
	{ title: 'no command', environment: {}, input: (socket) => network(socket), code: 4, message: /CNI_COMMAND is ''/ },
	{
		title: 'a container ID with a slash',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_CONTAINERID: '../x' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_CONTAINERID is '\.\.\/x'/,
	},
	{
		title: 'a flag that is neither true nor false',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, {}, { assign_ipv4: 'maybe' }),
		code: 7,
		message: /ipam\.assign_ipv4 is "maybe"/,
	},
	{
		title: 'an inside gateway, next to addresses without its length',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, {}, { gateway: 'auto', prefix: 'host' }),
		code: 7,
		message: /ipam\.gateway is "auto" and ipam\.prefix is "host"/,
	},
	{
		title: 'invalid routes',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, {}, { routes: ['10.0.0.0/8'] }),
		code: 7,
		message: /ipam\.routes is/,
	},
	{
		title: 'requested addresses that are not in a list',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, { runtimeConfig: { ips: '10.0.0.9' } }),
		code: 7,
		message: /runtimeConfig\.ips is "10\.0\.0\.9"/,
	},
	{
		title: 'a prefix that is neither',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, {}, { prefix: 'blok' }),
		code: 7,
		message: /ipam\.prefix is "blok"/,
	},
	{
		title: 'an ipam that is not an object',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, { ipam: 'bgpmesh-ipam' }),
		code: 7,
		message: /ipam is "bgpmesh-ipam"/,
	},
	{
		title: 'ADD without a network namespace',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_NETNS: '' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_NETNS is ''/,
	},
	{
		title: 'CHECK with an invalid previous result',
		environment: { CNI_COMMAND: 'CHECK', ...pod },
		input: (socket) => network(socket, { prevResult: { ips: [{ addres: '10.0.0.5/32' }] } }),
		code: 7,
		message: /prevResult is/,
	},
	{
		title: 'no interface',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_IFNAME: '' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_IFNAME is ''/,
	},
	{
		title: 'an interface name that the kernel rejects',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_IFNAME: 'sixteen-letters-' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_IFNAME is 'sixteen-letters-'/,
	},
	{
		title: 'an unknown argument',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_ARGS: 'COLOUR=blue;IP=10.0.0.9' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_ARGS has COLOUR/,
	},
	{
		title: 'a pod without a namespace',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web-1;K8S_POD_NAMESPACE=' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_ARGS has K8S_POD_NAMESPACE without a value/,
	},
	{
		title: 'an argument without a value',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_ARGS: 'IgnoreUnknown' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_ARGS has 'IgnoreUnknown'/,
	},
	{
		title: 'an invalid network name',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, { name: '../x' }),
		code: 7,
		message: /the network's name is '\.\.\/x'/,
	},
	{
		title: 'CHECK in a version without CHECK',
		environment: { CNI_COMMAND: 'CHECK', ...pod },
		input: (socket) => network(socket, { cniVersion: '0.3.1' }),
		code: 1,
		message: /CHECK does not exist in CNI 0\.3\.1/,
	},
	{
		title: 'STATUS in a version without STATUS',
		environment: { CNI_COMMAND: 'STATUS' },
		input: (socket) => network(socket),
		code: 1,
		message: /STATUS does not exist in CNI 1\.0\.0/,
	},
	{
		title: 'CHECK without the result of ADD',
		environment: { CNI_COMMAND: 'CHECK', ...pod },
		input: (socket) => network(socket),
		code: 7,
		message: /prevResult/,
	},
	{
		title: 'GC without the valid attachments',
		environment: { CNI_COMMAND: 'GC' },
		input: (socket) => network(socket, { cniVersion: '1.1.0' }),
		code: 7,
		message: /valid-attachments/,
	},
	{
		title: 'GC with an attachment without a container: all others would lose their addresses',
		environment: { CNI_COMMAND: 'GC' },
		input: (socket) =>
			network(socket, {
				cniVersion: '1.1.0',
				'cni.dev/valid-attachments': [{ containerID: 'c0ffee', ifname: 'eth0' }, { containerId: 'beef' }],
			}),
		code: 7,
		message: /valid-attachments is/,
	},
	{
		title: 'DEL without a daemon: an error to try again later, or the address leaks',
		environment: { CNI_COMMAND: 'DEL', ...pod },
		input: () => network('/nowhere/bgpmesh.sock'),
		code: 11,
		message: /no daemon answers/,
	},
	{
		title: 'pools that are full',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket),
		code: 100,
		message: /no free address/,
	},
];
for (const { title, environment, input, code, message } of refusals) {
	test(`refused with code ${code}: ${title}`, async (t) => {
		const { socket, close } = await daemon({
			'/v1/cni/add': { status: 409, body: { error: { code: 'no-address', message: 'no free address' } } },
		});
		const result = await run(environment, input(socket));
		close();
		t.is(result.code, 1);
		const answer = JSON.parse(result.output);
		t.is(answer.code, code);
		t.regex(answer.msg, message);
	});
}

test('VERSION responds without a configuration', async (t) => {
	const { code, output } = await run({ CNI_COMMAND: 'VERSION' }, '');
	t.is(code, 0);
	t.deepEqual(JSON.parse(output).supportedVersions, ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']);
});

test('VERSION responds to a later version with the supported versions', async (t) => {
	const { code, output } = await run({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"9.0.0"}');
	t.is(code, 0);
	t.is(JSON.parse(output).cniVersion, '1.1.0');
});

test('an error uses the version of the request, with any other error in it', async (t) => {
	const { output } = await run({ CNI_COMMAND: 'ADD', ...pod }, JSON.stringify({ cniVersion: '0.4.0', ipam: {} }));
	t.like(JSON.parse(output), { cniVersion: '0.4.0', code: 7 });
});

test('DEL ignores invalid arguments and keys of ADD, and works without a namespace', async (t) => {
	const { socket, asked, close } = await daemon({ '/v1/cni/del': { status: 200, body: { addresses: [] } } });
	const environment = { CNI_COMMAND: 'DEL', ...pod, CNI_NETNS: '', CNI_ARGS: 'COLOUR=blue' };
	const input = network(
		socket,
		{ runtimeConfig: { ips: 1 }, prevResult: 'none' },
		{ assign_ipv4: 'maybe', ipv4_pools: 'blue', gateway: 7, prefix: 'x' },
	);
	t.deepEqual(await run(environment, input), { code: 0, output: '' });
	close();
	t.is(asked.length, 1);
});

const newest = { cniVersion: '1.1.0' };
const questions: readonly { command: string; overrides: object; path: string; body: unknown }[] = [
	{
		command: 'CHECK',
		overrides: { prevResult: { ips: [{ address: '10.0.0.5/32' }, { address: 'fd00::5/128' }] } },
		path: '/v1/cni/check',
		body: {
			request: {
				network: 'k8s-pod-network',
				containerId: 'c0ffee',
				ifname: 'eth0',
				pod: { name: 'web-1', namespace: 'default', uid: 'u1' },
				addresses: ['10.0.0.5', 'fd00::5'],
			},
		},
	},
	{ command: 'STATUS', overrides: newest, path: '/v1/cni/status', body: undefined },
	{
		command: 'GC',
		overrides: { ...newest, 'cni.dev/valid-attachments': [{ containerID: 'c0ffee', ifname: 'eth0' }] },
		path: '/v1/cni/gc',
		body: { request: { network: 'k8s-pod-network', validAttachments: [{ containerId: 'c0ffee', ifname: 'eth0' }] } },
	},
];
for (const { command, overrides, path, body } of questions) {
	test(`${command} sends one request to the daemon and prints nothing`, async (t) => {
		const { socket, asked, close } = await daemon({ [path]: { status: 200, body: { ready: true } } });
		t.deepEqual(await run({ CNI_COMMAND: command, ...pod }, network(socket, overrides)), { code: 0, output: '' });
		close();
		t.deepEqual(asked, [{ path, body }]);
	});
}

test('a daemon that stops midway through its response is an error to retry', async (t) => {
	const socket = newSocket();
	const server = createTcpServer((connection) => {
		connection.once('data', () => connection.end('HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"addresses":'));
	});
	await new Promise<void>((done) => server.listen(socket, done));
	const { output } = await run({ CNI_COMMAND: 'ADD', ...pod }, network(socket));
	server.close();
	t.like(JSON.parse(output), { code: 11 });
});
