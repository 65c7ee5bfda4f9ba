import { mkdtempSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ControlServer, type Handlers } from '../../src/control/index.ts';
import { Boundary, silentLogger, systemClock } from '../../src/core/index.ts';
import { loopbackAddress, testPort } from '../support/loopback.ts';

/** Every handler responds, or fails like code with a fault. */
const handlers = new Proxy({} as Handlers, {
	get: (_, name) => () => {
		if (name === 'fib') throw new TypeError('a fault in a handler');
		return { peers: [], routes: [] };
	},
});

interface Target {
	readonly title: string;
	readonly at: NetConnectOpts;
}

async function serve(t: ExecutionContext) {
	const boundary = new Boundary({ log: silentLogger, clock: systemClock });
	const socket = join(mkdtempSync(join(tmpdir(), 'bgpmesh-hostile-')), 's');
	const address = loopbackAddress();
	const server = new ControlServer({
		renderHealth: async () => ({ ok: true, text: '' }),
		socket,
		group: undefined,
		metrics: { address, port: testPort },
		handlers,
		renderMetrics: async () => ({ contentType: 'text/plain', text: ['up 1\n'] }),
		boundary,
	});
	await server.start();
	t.teardown(() => server.stop());
	const listeners: readonly [Target, ...Target[]] = [
		{ title: 'control', at: { path: socket } },
		{ title: 'metrics', at: { host: address, port: testPort } },
	];
	return { boundary, listeners };
}

/** Sends bytes, half-closes, and returns the whole response. */
function exchange(at: NetConnectOpts, bytes: Uint8Array | string): Promise<string> {
	return new Promise((resolve) => {
		let text = '';
		const socket = connect(at);
		socket.setEncoding('latin1');
		socket.on('data', (chunk) => {
			text += chunk;
		});
		socket.on('error', () => undefined);
		socket.on('close', () => resolve(text));
		socket.end(bytes);
	});
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

const targets = [
	'//',
	'http://[',
	'///%zz',
	'//[',
	'http://',
	'http://x',
	'*',
	'?',
	'\\\\',
	'/..//%2e%2e/',
	'javascript:1',
	'//user:pass@host:99999/',
	'/v1/peers/%',
	'/v1/peers/%ff%fe',
	'/v1/routes?%zz=%zz',
	'/v1/__proto__',
	'/v1/routes?__proto__=1',
	`/${'a/'.repeat(4000)}`,
];
for (const target of targets) {
	test(`both listeners respond to the target ${target.slice(0, 40)} with 4xx`, async (t) => {
		const { boundary, listeners } = await serve(t);
		for (const { title, at } of listeners) {
			const status = statusOf(await exchange(at, get(target)));
			t.true(status >= 400 && status < 500, `${title}: ${status}`);
			t.is(statusOf(await exchange(at, get('/metrics'))), 200);
		}
		t.deepEqual(
			[...boundary.caught.values()].filter((number) => number > 0),
			[],
		);
	});
}

test('a fault in a handler gets a response and a count, and the next request is served', async (t) => {
	const { boundary, listeners } = await serve(t);
	const [{ at }] = listeners;
	t.is(statusOf(await exchange(at, get('/v1/fib'))), 500);
	t.is(boundary.caught.get('control'), 1);
	t.is(statusOf(await exchange(at, get('/v1/peers'))), 200);
});

/** A generator of numbers in [0, 1) that is reproducible by its seed. */
function mulberry32(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

const scraps = [
	'GET ',
	'POST ',
	'PUT ',
	'CONNECT ',
	'OPTIONS ',
	'PRI * HTTP/2.0',
	'/',
	'//',
	'http://',
	'[',
	']',
	'%',
	'%zz',
	'?',
	'#',
	'&',
	'=',
	'/v1/',
	'routes',
	'peers',
	'reload',
	'cni/add',
	'monitor',
	' HTTP/1.1',
	' HTTP/9.9',
	'\r\n',
	'\n',
	'\0',
	'\u00ff',
	':',
	'Host: x',
	'Content-Length: 5',
	'Content-Length: -1',
	'Content-Length: 99999999999999999999',
	'Transfer-Encoding: chunked',
	'Expect: 100-continue',
	'Upgrade: websocket',
	'Connection: upgrade',
	'{"dryRun":',
	'true}',
	'[[[[',
	'limit=1',
	'0\r\n\r\n',
	'\r\n\r\n',
];

test('requests of random fragments never end the server, nor reach the boundary', async (t) => {
	const seed = Math.floor(Math.random() * 2 ** 32);
	t.log(`seed ${seed}`);
	const random = mulberry32(seed);
	const scrap = () => scraps[Math.floor(random() * scraps.length)] ?? '';
	const { boundary, listeners } = await serve(t);
	for (let round = 0; round < 300; round++) {
		const wellBegun = random() < 0.5;
		const body = Array.from({ length: 1 + Math.floor(random() * 12) }, scrap).join('');
		const text = wellBegun ? `${get(`/${body.replace(/[\r\n ]/g, '')}`)}${scrap()}` : body;
		for (const { at } of listeners) await exchange(at, Buffer.from(text, 'latin1'));
	}
	for (const { title, at } of listeners) t.is(statusOf(await exchange(at, get('/metrics'))), 200, title);
	t.deepEqual(
		[...boundary.caught].filter(([, number]) => number > 0).map(([entry]) => entry),
		[],
	);
});

test('a request truncated in its body is no fault', async (t) => {
	const { boundary, listeners } = await serve(t);
	for (const { at } of listeners)
		await new Promise<void>((resolve) => {
			const socket = connect(at, () => {
				socket.write('POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"dry', () => {
					socket.on('close', () => resolve());
					setTimeout(() => socket.destroy(), 20);
				});
			});
			socket.on('error', () => undefined);
		});
	t.is(statusOf(await exchange(listeners[0].at, get('/metrics'))), 200);
	t.deepEqual(
		[...boundary.caught.values()].filter((number) => number > 0),
		[],
	);
});
