import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import {
	type ApiServer,
	type ApiServerOptions,
	parseTokenFile,
	selfSigned,
	startApiServer,
} from '../../src/apiserver/index.ts';

const limits = { headersMs: 300, requestMs: 600, handshakeMs: 300, connections: 8 };

async function start(t: ExecutionContext, more: Partial<ApiServerOptions> = {}): Promise<ApiServer> {
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters'),
		limits,
		...more,
	});
	t.teardown(() => server.close());
	return server;
}

/** The complete output of the server until it closes the connection. */
const answerOf = (socket: Socket): Promise<string> =>
	new Promise((resolve) => {
		let text = '';
		socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
		socket.on('error', () => resolve(text));
		socket.on('close', () => resolve(text));
	});

async function raw(server: ApiServer, bytes: string): Promise<string> {
	const socket = connect(server.port, '127.0.0.1');
	socket.write(bytes);
	return answerOf(socket);
}

const authorization = 'Authorization: Bearer secret\r\n';
const targets = [
	'//',
	'///%zz',
	'http://[',
	'http://x/api',
	'*',
	'/%zz',
	'/api/v1/../..//%',
	'/\u00ff',
	'/api?limit=%zz&labelSelector=(((',
];
for (const target of targets) {
	test(`a request for ${target} gets 4xx or a resource, never a server error`, async (t) => {
		const answer = await raw(
			await start(t),
			`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}\r\n`,
		);
		t.regex(answer, /^HTTP\/1\.1 [24]\d\d /);
	});
}

test('GET // is 400', async (t) => {
	t.regex(
		await raw(await start(t), `GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}\r\n`),
		/^HTTP\/1\.1 400 /,
	);
});

const halves: readonly [string, string][] = [
	['no bytes', ''],
	['half of its headers', 'GET /api HTTP/1.1\r\nHost: x\r\nX: '],
	['an incomplete body', `POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\n${authorization}Content-Length: 100\r\n\r\n{`],
];
for (const [what, bytes] of halves) {
	test(`a client that sends ${what} is disconnected`, async (t) => {
		// Resolves when the server has closed: without a limit it never does.
		t.notRegex(await raw(await start(t), bytes), /^HTTP\/1\.1 [25]/);
	});
}

test('a client that does not start its TLS handshake is disconnected', async (t) => {
	const certificate = selfSigned('test', ['127.0.0.1'], Date.now());
	t.is(await raw(await start(t, { certificate }), ''), '');
});

test('a client that is silent after its TLS handshake is disconnected', async (t) => {
	const certificate = selfSigned('test', ['127.0.0.1'], Date.now());
	const server = await start(t, { certificate });
	t.notRegex(
		await answerOf(tlsConnect({ port: server.port, host: '127.0.0.1', ca: certificate.cert })),
		/^HTTP\/1\.1 2/,
	);
});

test('connections beyond the limit are closed at once, and earlier ones continue', async (t) => {
	const server = await start(t, { limits: { ...limits, headersMs: 20_000, requestMs: 20_000 } });
	const held = Array.from({ length: limits.connections }, () => connect(server.port, '127.0.0.1'));
	await Promise.all(held.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
	t.is(await raw(server, 'GET /version HTTP/1.1\r\nHost: x\r\n\r\n'), '');
	const [first] = held;
	if (first === undefined) throw new Error('no connection');
	const answer = answerOf(first);
	first.write(`GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}\r\n`);
	t.regex(await answer, /^HTTP\/1\.1 200 /);
	for (const socket of held) socket.destroy();
});

test('a watch lasts longer than the request timeouts', async (t) => {
	const server = await start(t);
	const answer = raw(
		server,
		`GET /api/v1/namespaces?watch=true&timeoutSeconds=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization}\r\n`,
	);
	t.regex(await answer, /0\r\n\r\n$/);
});
