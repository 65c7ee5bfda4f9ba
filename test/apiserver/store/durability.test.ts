import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { parseTokenFile, startApiServer } from '../../../src/apiserver/index.ts';
import { arrayAt, isObject, type JsonValue, parseJson, textAt } from '../../../src/json/index.ts';

const users = parseTokenFile('secret,admin,admin,system:masters');
const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
const listen = { address: '127.0.0.1', port: 0 };

async function list(url: string, path: string): Promise<readonly JsonValue[]> {
	const body = parseJson(await (await fetch(`${url}${path}`, { headers })).text());
	return isObject(body) ? arrayAt(body, 'items') : [];
}

const configMap = (name: string) =>
	JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { name } });

test('acknowledged writes survive kill -9', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-durable-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const program = fileURLToPath(new URL('./durable-server.js', import.meta.url));
	const acknowledged = new Map<string, string>();
	for (let life = 0; life < 3; life++) {
		const child = spawn(process.execPath, [program, join(folder, 'store')], { stdio: ['ignore', 'pipe', 'inherit'] });
		const ended = new Promise((resolve) => child.once('exit', resolve));
		const url = await new Promise<string>((resolve, reject) => {
			child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
			child.once('exit', () => reject(new Error('the server ended')));
		});
		for (const item of await list(url, '/api/v1/namespaces/default/configmaps')) {
			const name = textAt(item, 'metadata', 'name') ?? '';
			const version = acknowledged.get(name);
			if (version !== undefined) t.is(textAt(item, 'metadata', 'resourceVersion'), version);
		}
		let stop = false;
		const writer = async (index: number) => {
			for (let count = 0; !stop; count++) {
				const name = `w${life}-${index}-${count}`;
				const response = await fetch(`${url}/api/v1/namespaces/default/configmaps`, {
					method: 'POST',
					headers,
					body: configMap(name),
				}).catch(() => undefined);
				if (response?.status !== 201) return;
				const version = textAt(parseJson(await response.text().catch(() => 'null')), 'metadata', 'resourceVersion');
				if (version !== undefined) acknowledged.set(name, version);
			}
		};
		const writers = Array.from({ length: 8 }, (_, index) => writer(index));
		while (acknowledged.size < 60 * (life + 1)) await new Promise((resolve) => setTimeout(resolve, 5));
		child.kill('SIGKILL');
		await ended;
		stop = true;
		await Promise.all(writers);
	}
	const server = await startApiServer({ listen, users, dataFolder: join(folder, 'store') });
	t.teardown(() => server.close());
	const found = new Map(
		(await list(server.url, '/api/v1/namespaces/default/configmaps')).map((item) => [
			textAt(item, 'metadata', 'name'),
			textAt(item, 'metadata', 'resourceVersion'),
		]),
	);
	for (const [name, version] of acknowledged) t.is(found.get(name), version, name);
	t.true(acknowledged.size >= 180);
});

test('one folder serves one server', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-durable-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const server = await startApiServer({ listen, users, dataFolder: folder });
	t.teardown(() => server.close());
	await t.throwsAsync(startApiServer({ listen, users, dataFolder: folder }), {
		name: 'JournalError',
		code: 'LEVEL_LOCKED',
		message: `${folder}: another server is using it`,
	});
});

test('a damaged folder is refused with an error', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-durable-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const server = await startApiServer({ listen, users, dataFolder: folder });
	await server.close();
	for (const name of readdirSync(folder).filter((name) => name.startsWith('MANIFEST')))
		writeFileSync(join(folder, name), 'nonsense');
	await t.throwsAsync(startApiServer({ listen, users, dataFolder: folder }), {
		name: 'JournalError',
		code: 'LEVEL_CORRUPTION',
		message: `${folder}: it is damaged`,
	});
});

test('after a restart versions continue, and a watch from before gets 410', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-durable-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	const path = '/api/v1/namespaces/default/configmaps';
	const versionOf = async (response: Response) =>
		Number(textAt(parseJson(await response.text()), 'metadata', 'resourceVersion'));
	const first = await startApiServer({ listen, users, dataFolder: folder });
	const early = await versionOf(await fetch(`${first.url}${path}`, { method: 'POST', headers, body: configMap('a') }));
	await fetch(`${first.url}${path}`, { method: 'POST', headers, body: configMap('b') });
	await fetch(`${first.url}${path}/b`, { method: 'DELETE', headers });
	const last = await versionOf(await fetch(`${first.url}${path}`, { headers }));
	await first.close();
	const second = await startApiServer({ listen, users, dataFolder: folder });
	t.teardown(() => second.close());
	t.true((await versionOf(await fetch(`${second.url}${path}`, { headers }))) >= last);
	const watch = await (await fetch(`${second.url}${path}?watch=true&resourceVersion=${early}`, { headers })).text();
	t.regex(watch, /^\{"type":"ERROR","object":\{.*"code":410/);
	t.true(
		(await versionOf(await fetch(`${second.url}${path}`, { method: 'POST', headers, body: configMap('c') }))) > last,
	);
});
