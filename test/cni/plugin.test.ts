import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';

const plugin = resolve(import.meta.dirname ?? '.', '../../../bin/bgpmesh-ipam.js');

/** Runs the plugin as a container runtime does. */
async function run(environment: Record<string, string>, input: string): Promise<{ code: number | null; output: string }> {
	const child = spawn(process.execPath, [plugin], { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
	child.stdin.end(input);
	const output = await text(child.stdout);
	const code = child.exitCode ?? (await new Promise<number | null>((done) => child.once('exit', done)));
	return { code, output };
}

/** A daemon that answers one path, and remembers what it was asked. */
async function daemon(answers: Record<string, { status: number; body: object }>) {
	const asked: { path: string; body: unknown }[] = [];
	const socket = join(mkdtempSync(join(tmpdir(), 'cni-')), 'bgpmesh.sock');
	const server = createServer(async (request, response) => {
		const body = await text(request);
		asked.push({ path: request.url ?? '', body: body === '' ? undefined : JSON.parse(body) });
		const { status, body: answer } = answers[request.url ?? ''] ?? { status: 404, body: { error: { code: 'no-such-endpoint', message: 'nothing' } } };
		response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
	});
	await new Promise<void>((done) => server.listen(socket, done));
	return { socket, asked, close: () => server.close() };
}

const pod = {
	CNI_CONTAINERID: 'c0ffee',
	CNI_NETNS: '/run/netns/x',
	CNI_IFNAME: 'eth0',
	CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1;K8S_POD_UID=u1',
};
const network = (socket: string, overrides: object = {}, ipam: object = {}) =>
	JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'ptp', ipam: { type: 'bgpmesh-ipam', socket, ...ipam }, ...overrides });
const grant = { addresses: [{ family: 'ipv4', address: '10.0.0.5', block: '10.0.0.0/26' }] };

test('ADD asks for an address for the pod and answers as the specification says', async (t) => {
	const { socket, asked, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
	const { code, output } = await run({ CNI_COMMAND: 'ADD', ...pod }, network(socket, {}, { ipv4_pools: ['blue'], gateway: '169.254.1.1' }));
	close();
	t.is(code, 0);
	t.deepEqual(JSON.parse(output), { cniVersion: '1.0.0', ips: [{ address: '10.0.0.5/32', gateway: '169.254.1.1' }], routes: [{ dst: '0.0.0.0/0' }], dns: {} });
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

test('an old caller is told the family of each address', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/add': { status: 200, body: grant } });
	const { output } = await run({ CNI_COMMAND: 'ADD', ...pod }, network(socket, { cniVersion: '0.3.1' }, { prefix: 'block' }));
	close();
	t.deepEqual(JSON.parse(output), { cniVersion: '0.3.1', ips: [{ version: '4', address: '10.0.0.5/26' }], routes: [], dns: {} });
});

test('DEL answers nothing', async (t) => {
	const { socket, close } = await daemon({ '/v1/cni/del': { status: 200, body: { addresses: [] } } });
	t.deepEqual(await run({ CNI_COMMAND: 'DEL', ...pod }, network(socket)), { code: 0, output: '' });
	close();
});

const refusals: readonly { title: string; environment: Record<string, string>; input: (socket: string) => string; code: number; message: RegExp }[] = [
	{
		title: 'without a daemon, try again later',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: () => network('/nowhere/bgpmesh.sock'),
		code: 11,
		message: /no daemon answers at \/nowhere\/bgpmesh\.sock: ENOENT/,
	},
	{
		title: 'STATUS without a daemon: not available',
		environment: { CNI_COMMAND: 'STATUS' },
		input: () => network('/nowhere/bgpmesh.sock', { cniVersion: '1.1.0' }),
		code: 50,
		message: /no daemon answers/,
	},
	{
		title: 'a version from the future',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, { cniVersion: '9.0.0' }),
		code: 1,
		message: /cniVersion "9\.0\.0" is not supported/,
	},
	{ title: 'input that is not JSON', environment: { CNI_COMMAND: 'ADD', ...pod }, input: () => '{', code: 6, message: /standard input is not JSON/ },
	{ title: 'no command', environment: {}, input: (socket) => network(socket), code: 4, message: /CNI_COMMAND is ''/ },
	{
		title: 'a container ID with a slash',
		environment: { ...pod, CNI_COMMAND: 'ADD', CNI_CONTAINERID: '../x' },
		input: (socket) => network(socket),
		code: 4,
		message: /CNI_CONTAINERID is '\.\.\/x'/,
	},
	{
		title: 'a flag that is neither',
		environment: { CNI_COMMAND: 'ADD', ...pod },
		input: (socket) => network(socket, {}, { assign_ipv4: 'maybe' }),
		code: 7,
		message: /ipam\.assign_ipv4 is "maybe"/,
	},
	{ title: 'pools that are full', environment: { CNI_COMMAND: 'ADD', ...pod }, input: (socket) => network(socket), code: 100, message: /no free address/ },
];
for (const { title, environment, input, code, message } of refusals) {
	test(`refused with code ${code}: ${title}`, async (t) => {
		const { socket, close } = await daemon({ '/v1/cni/add': { status: 409, body: { error: { code: 'no-address', message: 'no free address' } } } });
		const result = await run(environment, input(socket));
		close();
		t.is(result.code, 1);
		const answer = JSON.parse(result.output);
		t.is(answer.code, code);
		t.regex(answer.msg, message);
	});
}

test('VERSION answers without a configuration', async (t) => {
	const { code, output } = await run({ CNI_COMMAND: 'VERSION' }, '');
	t.is(code, 0);
	t.deepEqual(JSON.parse(output).supportedVersions, ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']);
});
