/**
 * Raw bytes for the HTTP entries: the control socket, the metrics port and the API server. Every
 * response is 2xx to 4xx, or the connection ends; no exception reaches the process, and the entry
 * responds to a plain request afterwards.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTokenFile, startApiServer } from '../../src/apiserver/index.ts';
import { ControlServer, type Handlers } from '../../src/control/index.ts';
import { Boundary, silentLogger, systemClock } from '../../src/core/index.ts';
import { type Budget, Dice, type FuzzReport, Meter } from './random.ts';

/** A started HTTP entry. */
interface Entry {
	readonly name: string;
	readonly at: NetConnectOpts;
	/** A request with the response 200. */
	readonly plain: string;
	readonly paths: readonly string[];
	readonly headers: readonly string[];
	/** Exceptions that the entry's boundary caught. */
	caught(): number;
	/** 500 is an intended response: kube-apiserver sends it for some requests, and so does ours. */
	readonly decides500?: true;
	stop(): Promise<void>;
}

const answerMs = 2000;
/** Interval of the plain requests. */
const plainEvery = 100;

const methods = [
	'GET',
	'POST',
	'PUT',
	'PATCH',
	'DELETE',
	'HEAD',
	'OPTIONS',
	'CONNECT',
	'TRACE',
	'get',
	'G\u0000T',
	'',
	'X'.repeat(300),
];
const targets = [
	'//',
	'///%zz',
	'http://[',
	'http://x/',
	'*',
	'%',
	'/%zz',
	'/%00',
	'/..%2f..%2f',
	'/\u00ff',
	`/${'a'.repeat(9000)}`,
	'/?%',
	'/?a=%zz&b=%',
	'/?limit=-1',
	'/?limit=99999999999999999999',
	'/?__proto__=1',
	'/#x',
	'?',
	'',
];
const bodies = [
	'',
	'{',
	'[]',
	'null',
	'{"a":1}',
	'{"request":null}',
	'{"__proto__":{"x":1}}',
	'\u0000\u00ff',
	`${'['.repeat(20_000)}${']'.repeat(20_000)}`,
	`{"metadata":{"name":"${'x'.repeat(5000)}"}}`,
	'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"fuzz"}}',
	'[{"op":"replace","path":"/metadata/name","value":1},{"op":"test","path":"/%","value":[]}]',
	'metadata: [',
];
const odd = [
	'Content-Length: -1',
	'Content-Length: 99999999999',
	'Transfer-Encoding: chunked',
	'Transfer-Encoding: gzip',
	'Expect: 100-continue',
	'Upgrade: websocket',
	'Accept: application/json;as=Table;v=v1;g=meta.k8s.io',
	'Accept: */*;q=x',
	'Content-Type: application/json-patch+json',
	'Content-Type: application/apply-patch+yaml',
	'Content-Type: application/vnd.kubernetes.protobuf',
	'Content-Type: \u00ff',
	'Authorization: Bearer',
	`X: ${'y'.repeat(2000)}`,
	'No colon',
	': empty',
	'Host:',
];

function requestOf(dice: Dice, { paths, headers }: Pick<Entry, 'paths' | 'headers'>): Buffer {
	const base = dice.pick(paths);
	const target = dice.chance(0.4) ? dice.pick(targets) : dice.chance(0.3) ? `${base}${dice.pick(targets)}` : base;
	const body = dice.chance(0.5) ? dice.pick(bodies) : '';
	const lines = [
		`${dice.chance(0.8) ? dice.pick(methods.slice(0, 6)) : dice.pick(methods)} ${target} HTTP/${dice.chance(0.95) ? '1.1' : dice.pick(['1.0', '2.0', '9'])}`,
		'Host: x',
		'Connection: close',
		...(dice.chance(0.8) ? headers : []),
		...(dice.chance(0.4) ? [dice.pick(odd)] : []),
		...(body === '' || dice.chance(0.1) ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
		'',
		body,
	];
	const bytes = Buffer.from(lines.join('\r\n'), 'latin1');
	if (dice.chance(0.2))
		for (let count = 1 + dice.below(8); count > 0; count--) bytes[dice.below(bytes.length)] = dice.below(256);
	return dice.chance(0.1) ? bytes.subarray(0, dice.below(bytes.length)) : bytes;
}

/** The response of the entry, until the connection ends or no data arrived for this time. */
function ask(at: NetConnectOpts, bytes: Buffer): Promise<string> {
	return new Promise((resolve) => {
		let text = '';
		const socket = connect(at);
		const end = () => {
			clearTimeout(timer);
			socket.destroy();
			resolve(text);
		};
		const timer = setTimeout(end, answerMs);
		socket.setEncoding('latin1').on('data', (piece: string) => {
			text += piece;
			// A watch has no end.
			if (text.length > 100_000 || /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n[\s\S]*"type":"/.test(text)) end();
		});
		socket.on('error', end).on('close', end);
		// Ends a partial request, so that the entry need not wait for the rest.
		socket.end(bytes);
	});
}

async function fuzzEntry(entry: Entry, seed: number, budget: Budget): Promise<FuzzReport> {
	const dice = new Dice(seed);
	const meter = new Meter(budget);
	const counts: Record<string, number> = {};
	const failures: string[] = [];
	const uncaught = (error: unknown) =>
		failures.push(`seed ${seed}: uncaught: ${error instanceof Error ? error.stack : String(error)}`);
	process.on('uncaughtException', uncaught);
	process.on('unhandledRejection', uncaught);
	try {
		while (meter.next() && failures.length < 10) {
			const bytes = requestOf(dice, entry);
			const before = entry.caught();
			const answer = await ask(entry.at, bytes);
			const status = /^HTTP\/1\.1 (\d)(\d\d) /.exec(answer);
			const what = status === null ? 'closed' : `${status[1]}xx`;
			counts[what] = (counts[what] ?? 0) + 1;
			const input = JSON.stringify(bytes.toString('latin1').slice(0, 400));
			// 501 and 503 are responses for missing or unavailable features.
			if (status?.[1] === '5' && entry.decides500 !== true && !['01', '03', '04', '05'].includes(status[2] ?? ''))
				failures.push(
					`seed ${seed}, input ${meter.inputs}: ${answer.split('\r\n')[0]} ${answer.slice(-300)} for ${input}`,
				);
			if (entry.caught() > before)
				failures.push(`seed ${seed}, input ${meter.inputs}: an exception reached the boundary for ${input}`);
			if (meter.inputs % plainEvery === 0 && !/^HTTP\/1\.1 200 /.test(await ask(entry.at, Buffer.from(entry.plain))))
				failures.push(`seed ${seed}: a plain request is not answered after input ${meter.inputs}`);
		}
	} finally {
		process.off('uncaughtException', uncaught);
		process.off('unhandledRejection', uncaught);
		await entry.stop();
	}
	return { target: entry.name, inputs: meter.inputs, counts, failures };
}

/** The control server with handlers that respond to everything. */
async function startControl(): Promise<readonly [control: Entry, metrics: Entry]> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-fuzz-'));
	const boundary = new Boundary({ log: silentLogger, clock: systemClock });
	const handlers = new Proxy({} as Handlers, {
		get: (_, name) => (name === 'then' ? undefined : async () => ({ given: String(name) })),
	});
	const port = await freePort();
	const server = new ControlServer({
		socket: join(folder, 's'),
		group: undefined,
		metrics: { address: '127.0.0.1', port },
		handlers,
		renderMetrics: async () => ({ contentType: 'text/plain', text: ['a 1\n'] }),
		renderHealth: async () => ({ ok: true, text: 'ok\n' }),
		boundary,
	});
	await server.start();
	const common = {
		plain: 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
		headers: ['Content-Type: application/json'],
		caught: () => [...boundary.caught.values()].reduce((sum, count) => sum + count, 0),
	};
	let open = 2;
	const stop = async () => {
		if (--open > 0) return;
		await server.stop();
		rmSync(folder, { recursive: true, force: true });
	};
	return [
		{
			...common,
			name: 'control socket',
			at: { path: join(folder, 's') },
			paths: [
				'/v1/status',
				'/v1/peers',
				'/v1/peers/x',
				'/v1/routes',
				'/v1/cni/add',
				'/v1/reload',
				'/v1/ipam/address',
				'/metrics',
				'/healthz',
			],
			stop,
		},
		{
			...common,
			name: 'metrics port',
			at: { host: '127.0.0.1', port },
			paths: ['/metrics', '/healthz', '/readyz', '/'],
			stop,
		},
	];
}

async function startApi(): Promise<Entry> {
	let exceptions = 0;
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters'),
		limits: { headersMs: 500, requestMs: 1000 },
		log: { ...silentLogger, error: () => void exceptions++ },
	});
	return {
		name: 'API server',
		at: { host: '127.0.0.1', port: server.port },
		plain: 'GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer secret\r\n\r\n',
		paths: [
			'/api',
			'/api/v1',
			'/apis',
			'/api/v1/namespaces',
			'/api/v1/namespaces/default/configmaps',
			'/api/v1/namespaces/default/configmaps/fuzz',
			'/api/v1/nodes/x/status',
			'/api/v1/namespaces?watch=true&timeoutSeconds=1&resourceVersion=x',
			'/api/v1/namespaces?limit=1&continue=x',
			'/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
			'/apis/apps/v1/namespaces/default/deployments/x/scale',
			'/api/v1/namespaces/default/pods/x/eviction',
			'/openapi/v2',
			'/metrics',
		],
		headers: ['Authorization: Bearer secret', 'Content-Type: application/json'],
		caught: () => exceptions,
		decides500: true,
		stop: () => server.close(),
	};
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const address = server.address();
	await new Promise((resolve) => server.close(resolve));
	return typeof address === 'object' && address !== null ? address.port : 0;
}

/** All HTTP entries, one after another; each gets the budget. */
export async function fuzzHttp(seed: number, budget: Budget): Promise<readonly FuzzReport[]> {
	const [control, metrics] = await startControl();
	const reports = [await fuzzEntry(control, seed, budget), await fuzzEntry(metrics, seed + 1, budget)];
	return [...reports, await fuzzEntry(await startApi(), seed + 2, budget)];
}
