import { mkdtempSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
	ControlClient,
	ControlError,
	ControlServer,
	type Handlers,
	Line,
	type MonitorEvent,
	NoDaemonError,
	SocketInUseError,
	SocketPathError,
} from '../../src/control/index.ts';
import { Boundary, type PeerView, silentLogger, systemClock } from '../../src/core/index.ts';

const never = (): never => {
	throw new Error('not asked in these tests');
};
const handlers: Handlers = {
	status: never,
	peers: () => ({ peers: [] }),
	// The only field of a peer that these tests need.
	peer: ({ peer }) => {
		if (peer !== 'fd00::1/a b')
			throw new ControlError(404, 'no-such-peer', `no peer is called '${peer}'`, 'bgpmesh peers lists them', {
				known: ['tor'],
			});
		return { name: peer } as PeerView;
	},
	peerEnable: ({ peer }) => ({ peer, action: 'enable', done: true }),
	peerDisable: ({ peer, text }) => ({ peer, action: 'disable', done: true, reason: text ?? '' }),
	peerReset: ({ peer, soft }) => ({ peer, action: soft === true ? 'soft-reset' : 'reset', done: true }),
	peerRefresh: never,
	routes: ({ limit, covered }) => ({ routes: [], truncated: limit === 7 && covered === true }),
	explanation: never,
	fib: never,
	planes: never,
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
	policy: never,
	policyEndpoints: never,
	policyTrace: never,
	policyPlan: never,
	policyDrops: never,
	policyFlows: never,
	ebpf: never,
	services: never,
	servicesTakeover: never,
	lint: never,
	async *monitor() {
		yield [
			new Line<MonitorEvent>({ type: 'config', at: '', event: 'reloaded', message: 'one\nü' }),
			new Line<MonitorEvent>({ type: 'lost', at: '', count: 2 }),
		];
	},
};

const boundary = () => new Boundary({ log: silentLogger, clock: systemClock });
const socketPath = () => join(mkdtempSync(join(tmpdir(), 'bgpmesh-control-')), 'control.sock');

async function serve(t: ExecutionContext, socket = socketPath(), caught = boundary()): Promise<ControlClient> {
	const renderMetrics = async () => ({ contentType: 'text/plain', text: ['up', undefined, ' 1\n'] });
	const server = new ControlServer({
		socket,
		group: undefined,
		metrics: undefined,
		handlers,
		renderMetrics,
		boundary: caught,
		renderHealth: async (what) => ({ ok: what === 'alive', text: `${what}\n` }),
	});
	await server.start();
	t.teardown(() => server.stop());
	return new ControlClient(socket);
}

test('parameters of path, query and body arrive with their types', async (t) => {
	const client = await serve(t);
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
	t.is((await client.ask('peer', { peer: 'fd00::1/a b' })).name, 'fd00::1/a b');
	t.true((await client.ask('routes', { limit: 7, covered: true })).truncated);
	t.deepEqual(await client.ask('peerReset', { peer: 'tor', soft: true }), {
		peer: 'tor',
		action: 'soft-reset',
		done: true,
	});
	t.is((await client.ask('peerDisable', { peer: 'tor', text: 'Wartung für 1 h' })).reason, 'Wartung für 1 h');
});

test('a refusal arrives as the same error, with its hint and its details', async (t) => {
	const client = await serve(t);
	const error = await t.throwsAsync(client.ask('peer', { peer: 'x' }), { instanceOf: ControlError });
	t.like(error, {
		status: 404,
		code: 'no-such-peer',
		message: "no peer is called 'x'",
		hint: 'bgpmesh peers lists them',
	});
	t.deepEqual(error?.details, { known: ['tor'] });
});

test('an unexpected exception counts at the entry of its endpoint', async (t) => {
	const caught = boundary();
	const client = await serve(t, socketPath(), caught);
	for (const act of [
		() => client.ask('cniAdd', { request: {} }),
		() => client.ask('cniStatus', {}),
		() => client.ask('reload', {}),
		() => client.ask('fib', {}),
	])
		await t.throwsAsync(act(), { instanceOf: ControlError });
	t.like(Object.fromEntries(caught.caught), { cni: 2, config: 1, control: 1, metrics: 0 });
});

test('an internal error of the daemon is a response, not a broken connection', async (t) => {
	const client = await serve(t);
	t.like(await t.throwsAsync(client.ask('fib', {}), { instanceOf: ControlError }), { status: 500, code: 'internal' });
});

const badRequests = [
	{ title: 'an unknown path', path: '/v2/peers', status: 404, code: 'no-such-endpoint' },
	{ title: 'the wrong method', path: '/v1/reload', status: 405, code: 'method-not-allowed' },
	{ title: 'an unknown parameter', path: '/v1/routes?limt=1', status: 400, code: 'bad-request' },
	{ title: 'an invalid number', path: '/v1/routes?limit=-1', status: 400, code: 'bad-request' },
	{ title: 'an invalid escape', path: '/v1/peers/%zz', status: 400, code: 'bad-request' },
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

test('a stream has one JSON value per line, and ends when its reader disconnects', async (t) => {
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

test('only owner and group can access the socket', async (t) => {
	const socket = socketPath();
	await serve(t, socket);
	t.is(statSync(socket).mode & 0o777, 0o660);
});

test('a socket of a running daemon is not taken over', async (t) => {
	const socket = socketPath();
	const client = await serve(t, socket);
	await t.throwsAsync(serve(t, socket), { instanceOf: SocketInUseError });
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
});

test('a socket of a dead daemon is taken over', async (t) => {
	const socket = socketPath();
	const dead: Server = createServer();
	await new Promise<void>((resolve) => dead.listen(socket, resolve));
	// A closed libuv pipe removes its file; a killed process does not: the name of another socket
	// simulates it.
	const { linkSync } = await import('node:fs');
	linkSync(socket, `${socket}.left`);
	await new Promise((resolve) => dead.close(resolve));
	const client = await serve(t, `${socket}.left`);
	t.deepEqual(await client.ask('peers', {}), { peers: [] });
});

test('a restarting daemon leaves its socket file in place', async (t) => {
	const socket = socketPath();
	const make = () =>
		new ControlServer({
			socket,
			group: undefined,
			metrics: undefined,
			handlers,
			renderMetrics: async () => ({ contentType: '', text: [] }),
			boundary: boundary(),
			renderHealth: async () => ({ ok: true, text: '' }),
		});
	const [first, second, third] = [make(), make(), make()];
	t.deepEqual(await first.start(), { leftBehind: false });
	await first.stop({ leaveBehind: true });
	t.deepEqual(await second.start(), { leftBehind: true });
	await second.stop();
	t.deepEqual(await third.start(), { leftBehind: false });
	await third.stop();
});

test('a file that is not a socket is not removed', async (t) => {
	const socket = socketPath();
	writeFileSync(socket, 'precious');
	await t.throwsAsync(serve(t, socket), { instanceOf: SocketPathError });
	t.is(statSync(socket).size, 8);
});

test('a path that is too long, or in a missing folder, is refused with the reason', async (t) => {
	const long = `${socketPath()}${'x'.repeat(107)}`;
	t.regex((await t.throwsAsync(serve(t, long), { instanceOf: SocketPathError })).message, /has at most 107$/);
	const dangling = socketPath();
	symlinkSync('/nowhere/at/all', dangling);
	t.regex(
		(await t.throwsAsync(serve(t, dangling), { instanceOf: SocketPathError })).message,
		/is a symbolic link to \/nowhere\/at\/all, where nothing is: remove the link/,
	);
});

test('without a daemon the client throws NoDaemonError', async (t) => {
	t.like(await t.throwsAsync(new ControlClient(socketPath()).ask('peers', {}), { instanceOf: NoDaemonError }), {
		code: 'ENOENT',
	});
});
