import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { parseConfiguration } from '../../src/cni/configuration.ts';
import { parseEnvironment } from '../../src/cni/environment.ts';
import { CniError } from '../../src/cni/errors.ts';
import { runPlugin as answer } from '../../src/cni/plugin.ts';
import { NoDaemonError } from '../../src/control/index.ts';
import { bundle, daemon, network, newSocket, pod, runPlugin } from '../support/cni-plugin.ts';

test.before(bundle);

/** Another program at the socket, with the same response for every request. */
async function stranger(says: string) {
	const socket = newSocket();
	const server = createServer((connection) => connection.once('data', () => connection.end(says)));
	await new Promise<void>((done) => server.listen(socket, done));
	return { socket, close: () => server.close() };
}

const newest = { cniVersion: '1.1.0' };
const { CNI_CONTAINERID: _, CNI_IFNAME: __, ...noContainer } = pod;

// Refused before any request: one line of JSON, exit code 1, and the daemon receives nothing.
const refusedHere: readonly {
	title: string;
	environment?: Record<string, string>;
	input: string | Uint8Array | ((socket: string) => string);
	code: number;
}[] = [
	{ title: 'an empty standard input', input: '', code: 6 },
	{ title: 'a list', input: '[]', code: 6 },
	{ title: 'null', input: 'null', code: 6 },
	{ title: 'bytes that are not text', input: Uint8Array.of(0xff, 0xfe, 0x7b), code: 6 },
	{ title: 'half of a large document', input: `{"x":"${'y'.repeat(5_000_000)}`, code: 6 },
	...['0.1.0', '0.2.0', '1.0', '2.0.0', '', 1].map((cniVersion) => ({
		title: `version ${JSON.stringify(cniVersion)}`,
		input: (socket: string) => network(socket, { cniVersion }),
		code: 1,
	})),
	{ title: 'a network without a name', input: (socket) => network(socket, { name: undefined }), code: 7 },
	{ title: 'a network whose name is a number', input: (socket) => network(socket, { name: 5 }), code: 7 },
	{ title: 'a socket that is a number', input: () => network(5 as unknown as string), code: 7 },
	{ title: 'a verb in lower case', environment: { ...pod, CNI_COMMAND: 'add' }, input: network, code: 4 },
	{ title: 'an unknown verb', environment: { ...pod, CNI_COMMAND: 'UPDATE' }, input: network, code: 4 },
	...['ADD', 'DEL', 'CHECK'].flatMap((CNI_COMMAND) => [
		{
			title: `${CNI_COMMAND} without a container`,
			environment: { ...pod, CNI_COMMAND, CNI_CONTAINERID: '' },
			input: network,
			code: 4,
		},
		{
			title: `${CNI_COMMAND} without an interface`,
			environment: { ...pod, CNI_COMMAND, CNI_IFNAME: '' },
			input: network,
			code: 4,
		},
	]),
	{
		title: 'CHECK without a namespace',
		environment: { ...pod, CNI_COMMAND: 'CHECK', CNI_NETNS: '' },
		input: network,
		code: 4,
	},
	...['x', 5, [], null, { ips: 'x' }, { ips: [{}] }].map((prevResult) => ({
		title: `CHECK after ${JSON.stringify(prevResult)}`,
		environment: { ...pod, CNI_COMMAND: 'CHECK' },
		input: (socket: string) => network(socket, { prevResult }),
		code: 7,
	})),
	...['no', 0, null].map((flag) => ({
		title: `assign_ipv4 ${flag}`,
		input: (socket: string) => network(socket, {}, { assign_ipv4: flag }),
		code: 7,
	})),
	{ title: 'pools that are not a list', input: (socket) => network(socket, {}, { ipv4_pools: 'blue' }), code: 7 },
	{
		title: 'GC whose attachments are null',
		environment: { CNI_COMMAND: 'GC' },
		input: (socket) => network(socket, { ...newest, 'cni.dev/valid-attachments': null }),
		code: 7,
	},
];
for (const { title, environment = { ...pod, CNI_COMMAND: 'ADD' }, input, code } of refusedHere)
	test(`refused with code ${code}, without a request to the daemon: ${title}`, async (t) => {
		const { socket, asked, close } = await daemon({});
		const { code: exit, output } = await runPlugin(environment, typeof input === 'function' ? input(socket) : input);
		close();
		t.is(exit, 1);
		t.like(JSON.parse(output), { code });
		t.is(typeof JSON.parse(output).msg, 'string');
		t.deepEqual(asked, []);
	});

// For STATUS the error means that the node assigns no addresses, for other verbs that a retry may
// help.
const strangers: readonly { title: string; says: string }[] = [
	{ title: 'sends nothing', says: '' },
	{ title: 'uses another protocol', says: 'SSH-2.0-OpenSSH_9.2\r\n' },
	{ title: 'responds with an HTML page', says: 'HTTP/1.1 200 OK\r\n\r\n<html>' },
	{ title: 'refuses with an unknown body', says: 'HTTP/1.1 502 Bad Gateway\r\n\r\n{"oops":1}' },
	{
		title: 'has an internal error',
		says: 'HTTP/1.1 500 Oh\r\n\r\n{"error":{"code":"internal","message":"undefined is no function"}}',
	},
	{
		title: 'is older than the plugin',
		says: 'HTTP/1.1 404 No\r\n\r\n{"error":{"code":"no-such-endpoint","message":"there is nothing at /v1/cni/add"}}',
	},
];
for (const { title, says } of strangers)
	for (const [CNI_COMMAND, code] of [
		['ADD', 11],
		['DEL', 11],
		['STATUS', 50],
	] as const)
		test(`${CNI_COMMAND} is refused with code ${code} if the server ${title}`, async (t) => {
			const { socket, close } = await stranger(says);
			const { code: exit, output } = await runPlugin({ ...pod, CNI_COMMAND }, network(socket, newest));
			close();
			t.is(exit, 1);
			t.like(JSON.parse(output), { ...newest, code });
		});

for (const [title, body] of [
	['no list', { ready: true }],
	['an empty list', { addresses: [] }],
] as const)
	test(`an ADD response with ${title} of addresses is a failure`, async (t) => {
		const { socket, close } = await daemon({ '/v1/cni/add': { status: 200, body } });
		const { output } = await runPlugin({ ...pod, CNI_COMMAND: 'ADD' }, network(socket));
		close();
		t.like(JSON.parse(output), { code: 11 });
	});

for (const [title, make] of [
	['a file', (path: string) => writeFileSync(path, '')],
	['a folder', (path: string) => mkdirSync(path)],
	['too long for a socket', undefined],
] as const)
	test(`a path that is ${title} is reported as a missing daemon`, async (t) => {
		const socket = make === undefined ? join(newSocket(), 'x'.repeat(200)) : newSocket();
		make?.(socket);
		const { code, output } = await runPlugin({ ...pod, CNI_COMMAND: 'DEL' }, network(socket));
		t.is(code, 1);
		t.like(JSON.parse(output), { code: 11 });
	});

for (const [code, details] of [
	['ENOENT', /is bgpmeshd running/],
	['ECONNREFUSED', /is bgpmeshd running/],
	['EACCES', /may not use the socket/],
	['ETIMEDOUT', /does not answer/],
	['EPROTO', /not bgpmeshd/],
] as const)
	test(`the error for a daemon missing by ${code} contains a remedy`, async (t) => {
		const missed = () => Promise.reject(new NoDaemonError('/s', code));
		const refused = answer(parseEnvironment({ ...pod, CNI_COMMAND: 'ADD' }), parseConfiguration(network('/s')), missed);
		t.like(await t.throwsAsync(refused, { instanceOf: CniError, message: `no daemon answers at /s: ${code}` }), {
			code: 11,
		});
		t.regex((await t.throwsAsync<CniError>(refused))?.details ?? '', details);
	});

for (const [title, CNI_COMMAND, environment, overrides] of [
	['GC with an empty list, and without a container', 'GC', noContainer, { ...newest, 'cni.dev/valid-attachments': [] }],
	['STATUS without a container', 'STATUS', noContainer, newest],
	['a pod without a stated namespace', 'DEL', { ...pod, CNI_ARGS: 'K8S_POD_NAME=web-1' }, {}],
	['empty arguments between separators', 'DEL', { ...pod, CNI_ARGS: ';;IgnoreUnknown=1;;A=b;' }, {}],
] as const)
	test(`accepted: ${title}`, async (t) => {
		const answer = { status: 200, body: {} };
		const { socket, asked, close } = await daemon({
			'/v1/cni/gc': answer,
			'/v1/cni/status': answer,
			'/v1/cni/del': answer,
		});
		t.deepEqual(await runPlugin({ ...environment, CNI_COMMAND }, network(socket, overrides)), { code: 0, output: '' });
		close();
		t.is(asked.length, 1);
	});
