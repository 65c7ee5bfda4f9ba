import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
	ControlClient,
	ControlError,
	ControlServer,
	type Handlers,
	type MonitorEvent,
	NoDaemonError,
	SocketInUseError,
	SocketPathError,
} from '../../src/control/index.ts';
import { type PeerView, silentLogger } from '../../src/core/index.ts';

const never = (): never => {
	throw new Error('not asked in these tests');
};
const handlers: Handlers = {
	status: never,
	peers: () => ({ peers: [] }),
	// Of a peer's many fields these tests need the name.
	peer: ({ peer }) => {
		if (peer !== 'fd00::1/a b') throw new ControlError(404, 'no-such-peer', `no peer is called '${peer}'`, 'bgpmesh peers lists them', { known: ['tor'] });
		return { name: peer } as PeerView;
	},
	peerEnable: ({ peer }) => ({ peer, action: 'enable', done: true }),
	peerDisable: ({ peer, text }) => ({ peer, action: 'disable', done: true, reason: text ?? '' }),
	peerReset: ({ peer, soft }) => ({ peer, action: soft === true ? 'soft-reset' : 'reset', done: true }),
	peerRefresh: never,
	routes: ({ limit, covered }) => ({ routes: [], truncated: limit === 7 && covered === true }),
	explanation: never,
	fib: never,
	config: never,
	reload: never,
	pools: never,
	ipamBlocks: never,
	ipamAddress: never,
	ipamCheck: never,
	ipamFix: never,
	ipamRelease: never,
	ipamGarbage: never,
	ipamCollect: never,
	cniAdd: never,
	cniDelete: never,
	cniCheck: never,
	cniCollect: never,
	cniStatus: never,
	lint: never,
	monitor(_request, send, signal) {
		send({ type: 'config', at: '', event: 'reloaded', message: 'one\nü' });
		send({ type: 'lost', at: '', count: 2 });
		signal.addEventListener('abort', () => undefined);
	},
};

const socketPath = () => join(mkdtempSync(join(tmpdir(), 'bgpmesh-control-')), 'control.sock');

async function serve(t: ExecutionContext, socket = socketPath()): Promise<ControlClient> {
	const renderMetrics = async () => ({ contentType: 'text/plain', text: 'up 1\n' });
	const server = new ControlServer({ socket, group: undefined, metrics: undefined, handlers, renderMetrics, log: silentLogger });
	await server.start();
	t.teardown(() => server.stop());
	return new ControlClient(socket);
}

test('parameters of path, query and body arrive with their types', async (t) => {
	const client = await serve(t);
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
	t.is((await client.ask('peer', { peer: 'fd00::1/a b' })).name, 'fd00::1/a b');
	t.true((await client.ask('routes', { limit: 7, covered: true })).truncated);
	t.deepEqual(await client.ask('peerReset', { peer: 'tor', soft: true }), { peer: 'tor', action: 'soft-reset', done: true });
	t.is((await client.ask('peerDisable', { peer: 'tor', text: 'Wartung für 1 h' })).reason, 'Wartung für 1 h');
});

test('a refusal arrives as the same error, with its hint and what it says to programs', async (t) => {
	const client = await serve(t);
	const error = await t.throwsAsync(client.ask('peer', { peer: 'x' }), { instanceOf: ControlError });
	t.like(error, { status: 404, code: 'no-such-peer', message: "no peer is called 'x'", hint: 'bgpmesh peers lists them' });
	t.deepEqual(error?.details, { known: ['tor'] });
});

test('an error of the daemon itself is an answer, not a broken connection', async (t) => {
	const client = await serve(t);
	t.like(await t.throwsAsync(client.ask('fib', {}), { instanceOf: ControlError }), { status: 500, code: 'internal' });
});

const badRequests = [
	{ title: 'an unknown path', path: '/v2/peers', status: 404, code: 'no-such-endpoint' },
	{ title: 'the wrong method', path: '/v1/reload', status: 405, code: 'method-not-allowed' },
	{ title: 'an unknown parameter', path: '/v1/routes?limt=1', status: 400, code: 'bad-request' },
	{ title: 'a number that is none', path: '/v1/routes?limit=-1', status: 400, code: 'bad-request' },
	{ title: 'a broken escape', path: '/v1/peers/%zz', status: 400, code: 'bad-request' },
];
for (const { title, path, status, code } of badRequests) {
	test(`${title} is refused`, async (t) => {
		const socket = socketPath();
		await serve(t, socket);
		const { request } = await import('node:http');
		const answer = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
			request({ socketPath: socket, path, agent: false }, async (response) => {
				let body = '';
				for await (const chunk of response) body += chunk;
				resolve({ status: response.statusCode, body });
			})
				.once('error', reject)
				.end();
		});
		t.is(answer.status, status);
		t.is(JSON.parse(answer.body).error.code, code);
	});
}

test('a stream is one JSON value a line, and ends when its reader goes', async (t) => {
	const client = await serve(t);
	const seen: MonitorEvent[] = [];
	for await (const event of client.listen('monitor', {})) {
		seen.push(event);
		if (seen.length === 2) break;
	}
	t.deepEqual(seen, [
		{ type: 'config', at: '', event: 'reloaded', message: 'one\nü' },
		{ type: 'lost', at: '', count: 2 },
	]);
});

test('metrics are beside the endpoints', async (t) => {
	t.is(await (await serve(t)).metrics(), 'up 1\n');
});

test('the socket is for owner and group alone', async (t) => {
	const socket = socketPath();
	await serve(t, socket);
	t.is(statSync(socket).mode & 0o777, 0o660);
});

test('a socket where a daemon answers is left to it', async (t) => {
	const socket = socketPath();
	const client = await serve(t, socket);
	await t.throwsAsync(serve(t, socket), { instanceOf: SocketInUseError });
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
});

test('a socket that a dead daemon left is taken over', async (t) => {
	const socket = socketPath();
	const dead: Server = createServer();
	await new Promise<void>((resolve) => dead.listen(socket, resolve));
	// A closed libuv pipe removes its file; a killed process does not: the name of another socket stands for it.
	const { linkSync } = await import('node:fs');
	linkSync(socket, `${socket}.left`);
	await new Promise((resolve) => dead.close(resolve));
	const client = await serve(t, `${socket}.left`);
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
});

test('a daemon that will be back leaves its socket as a sign', async (t) => {
	const socket = socketPath();
	const make = () =>
		new ControlServer({
			socket,
			group: undefined,
			metrics: undefined,
			handlers,
			renderMetrics: async () => ({ contentType: '', text: '' }),
			log: silentLogger,
		});
	const [first, second, third] = [make(), make(), make()];
	t.deepEqual(await first.start(), { leftBehind: false });
	await first.stop({ leaveBehind: true });
	t.deepEqual(await second.start(), { leftBehind: true });
	await second.stop();
	t.deepEqual(await third.start(), { leftBehind: false });
	await third.stop();
});

test('a file that is no socket is not removed', async (t) => {
	const socket = socketPath();
	writeFileSync(socket, 'precious');
	await t.throwsAsync(serve(t, socket), { instanceOf: SocketPathError });
	t.is(statSync(socket).size, 8);
});

test('without a daemon the client says so', async (t) => {
	t.like(await t.throwsAsync(new ControlClient(socketPath()).ask('peers', {}), { instanceOf: NoDaemonError }), { code: 'ENOENT' });
});
