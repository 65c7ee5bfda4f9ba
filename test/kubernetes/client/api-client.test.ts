import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type JsonObject, textAt } from '../../../src/json/index.ts';
import { ApiClient, ApiError, ApiUnreachableError, coreKinds, loadCredentials } from '../../../src/kubernetes/index.ts';
import { eventually } from '../../support/eventually.ts';

const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'one', namespace: 'default' } };

/** A client of a server that responds as the test specifies. */
async function clientOf(
	t: ExecutionContext,
	answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<ApiClient> {
	const server = createServer(answer);
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	t.teardown(() => {
		server.closeAllConnections();
		server.close();
	});
	const file = join(mkdtempSync(join(tmpdir(), 'bgpmesh-client-')), 'kubeconfig');
	writeFileSync(
		file,
		`apiVersion: v1
kind: Config
clusters: [{ name: test, cluster: { server: 'http://127.0.0.1:${(server.address() as AddressInfo).port}', insecure-skip-tls-verify: true } }]
contexts: [{ name: test, context: { cluster: test, user: test } }]
users: [{ name: test, user: {} }]
current-context: test
`,
	);
	return new ApiClient(await loadCredentials(file), Math.random);
}

const status = (response: ServerResponse, code: number, reason: string, headers: Record<string, string> = {}): void => {
	response.writeHead(code, { 'content-type': 'application/json', ...headers });
	response.end(
		JSON.stringify({
			kind: 'Status',
			apiVersion: 'v1',
			status: 'Failure',
			code,
			reason,
			message: `because of ${reason}`,
		}),
	);
};

test('open watches do not use up the connections of requests', async (t) => {
	let watches = 0;
	const client = await clientOf(t, ({ url }, response) => {
		if (url?.includes('watch=true')) {
			watches++;
			response.writeHead(200, { 'content-type': 'application/json' });
			response.flushHeaders();
		} else response.end(JSON.stringify(lease));
	});
	const ending = new AbortController();
	const watched = Array.from({ length: 100 }, async () => {
		for await (const _ of client.watch(coreKinds.leases, {
			resourceVersion: '1',
			timeoutSeconds: 300,
			signal: ending.signal,
		}));
	});
	await eventually('all watches are open', () => watches === 100);
	t.like(await client.get(coreKinds.leases, 'one', 'default'), { kind: 'Lease' });
	ending.abort();
	t.true((await Promise.allSettled(watched)).every(({ status }) => status === 'rejected'));
});

test('a throttled write is repeated after the time in Retry-After, not earlier', async (t) => {
	const arrivals: number[] = [];
	const client = await clientOf(t, (_, response) => {
		arrivals.push(performance.now());
		if (arrivals.length === 1) status(response, 429, 'TooManyRequests', { 'retry-after': '1' });
		else response.end(JSON.stringify(lease));
	});
	t.like(await client.create(coreKinds.leases, lease), { kind: 'Lease' });
	t.is(arrivals.length, 2);
	t.true((arrivals[1] ?? 0) - (arrivals[0] ?? 0) >= 990);
});

test('a read whose connection breaks is repeated, a write whose response was lost is not', async (t) => {
	const methods: string[] = [];
	const client = await clientOf(t, ({ method, socket }, response) => {
		methods.push(method ?? '');
		if (methods.length === 1 || method === 'POST') socket.destroy();
		else response.end(JSON.stringify(lease));
	});
	t.like(await client.get(coreKinds.leases, 'one', 'default'), { kind: 'Lease' });
	await t.throwsAsync(client.create(coreKinds.leases, lease), { instanceOf: ApiUnreachableError });
	t.deepEqual(methods, ['GET', 'GET', 'POST']);
});

test('an error carries code, reason and message of the Status, also for a body that is not JSON', async (t) => {
	const client = await clientOf(t, ({ method }, response) => {
		if (method === 'POST') return status(response, 403, 'Forbidden');
		response.statusCode = 400;
		return void response.end('<html>proxy</html>');
	});
	const refused = await t.throwsAsync(client.create(coreKinds.leases, lease), { instanceOf: ApiError });
	t.like(refused, { code: 403, reason: 'Forbidden' });
	t.regex(refused?.message ?? '', /because of Forbidden/);
	t.like(await t.throwsAsync(client.get(coreKinds.leases, 'one', 'default'), { instanceOf: ApiError }), { code: 400 });
});

test('a connection is not reused when the server is about to close it', async (t) => {
	const sockets = new Set<unknown>();
	const client = await clientOf(t, ({ socket }, response) => {
		sockets.add(socket);
		response.setHeader('keep-alive', 'timeout=1');
		response.end(JSON.stringify(lease));
	});
	await client.get(coreKinds.leases, 'one', 'default');
	await client.get(coreKinds.leases, 'one', 'default');
	t.is(sockets.size, 2);
});

test('a kept connection is reused', async (t) => {
	const sockets = new Set<unknown>();
	const client = await clientOf(t, ({ socket }, response) => {
		sockets.add(socket);
		response.end(JSON.stringify(lease));
	});
	await client.get(coreKinds.leases, 'one', 'default');
	await client.get(coreKinds.leases, 'one', 'default');
	t.is(sockets.size, 1);
});

test('a list of any age is requested at once from the watch cache, and in pages without one', async (t) => {
	const asked: (string | undefined)[] = [];
	const client = await clientOf(t, ({ url }, response) => {
		asked.push(url?.split('?')[1]);
		const item = (name: string) => ({ metadata: { name, labels: { dropped: 'x' } } });
		const isSecond = url?.includes('continue=more');
		response.write(
			`{"kind":"LeaseList","metadata":{"resourceVersion":"9"${isSecond ? '' : ',"continue":"more"'}},"items":[${JSON.stringify(item(isSecond ? 'b' : 'a'))}`,
		);
		setImmediate(() => response.end(']}\n'));
	});
	const prune = ({ metadata }: JsonObject): JsonObject => ({ name: textAt({ metadata }, 'metadata', 'name') ?? '' });
	t.deepEqual(await client.list(coreKinds.leases, { age: 'any', prune }), {
		items: [{ name: 'a' }, { name: 'b' }],
		resourceVersion: '9',
	});
	t.deepEqual(asked, ['limit=500&resourceVersion=0', 'limit=500&continue=more']);
	await client.list(coreKinds.leases, { limit: 2 });
	t.deepEqual(asked.slice(2), ['limit=2', 'limit=2&continue=more']);
});

test('a list whose connection breaks midway is repeated, and no part of it is delivered twice', async (t) => {
	let answers = 0;
	const client = await clientOf(t, ({ socket }, response) => {
		response.write('{"kind":"LeaseList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a"}}');
		if (++answers === 1) setTimeout(() => socket.destroy(), 20);
		else response.end(']}');
	});
	t.deepEqual(await client.list(coreKinds.leases), { items: [{ metadata: { name: 'a' } }], resourceVersion: '9' });
	t.is(answers, 2);
});
