import { request as httpRequest } from 'node:http';
import test from 'ava';
import { type ApiServer, parseTokenFile, startApiServer } from '../../src/apiserver/index.ts';
import { at, type JsonValue, parseJson } from '../../src/json/index.ts';

/**
 * Behaviour that the contract suite cannot request from the real server: its etcd here is too old,
 * or its history too long.
 */
let server: ApiServer;
test.before(async () => {
	server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters'),
	});
});
test.after.always(() => server?.close());

const headers = { authorization: 'Bearer secret', 'content-type': 'application/json' };
const maps = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string) => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });

async function ask(path: string, init: RequestInit = {}): Promise<{ code: number; body: JsonValue }> {
	const response = await fetch(`${server.url}${path}`, { headers, ...init });
	return { code: response.status, body: parseJson(await response.text()) };
}

/** The first lines of a watch. */
function lines(path: string, count: number): Promise<JsonValue[]> {
	return new Promise((resolve, reject) => {
		let text = '';
		const request = httpRequest(`${server.url}${path}`, { headers }, (response) => {
			const finish = () => {
				resolve(
					text
						.split('\n')
						.filter((line) => line !== '')
						.slice(0, count)
						.map(parseJson),
				);
				request.destroy();
			};
			response.setEncoding('utf8').on('data', (chunk: string) => {
				text += chunk;
				if (text.split('\n').length > count) finish();
			});
			response.on('end', finish);
		});
		request.on('error', reject);
		request.end();
	});
}

test.serial('a watch from a compacted version gets 410 in its stream', async (t) => {
	const { body } = await ask(maps, { method: 'POST', body: configMap('old') });
	const version = Number(at(body, 'metadata', 'resourceVersion'));
	await ask(maps, { method: 'POST', body: configMap('newer') });
	server.compact();
	const [event] = await lines(`${maps}?watch=true&resourceVersion=${version}`, 1);
	t.is(at(event, 'type'), 'ERROR');
	t.like(at(event, 'object'), { kind: 'Status', code: 410, reason: 'Expired' });
	t.regex(String(at(event, 'object', 'message')), /^too old resource version: \d+ \(\d+\)$/);
});

test.serial('a list of a compacted version gets 410', async (t) => {
	const { code, body } = await ask(`${maps}?resourceVersion=1&resourceVersionMatch=Exact`);
	t.is(code, 410);
	t.is(at(body, 'reason'), 'Expired');
});

test.serial('a page of a compacted state gets 410 and a token to continue', async (t) => {
	const first = await ask(`${maps}?limit=1`);
	await ask(maps, { method: 'POST', body: configMap('between') });
	server.compact();
	const second = await ask(`${maps}?limit=1&continue=${String(at(first.body, 'metadata', 'continue'))}`);
	t.is(second.code, 410);
	const third = await ask(`${maps}?limit=10&continue=${String(at(second.body, 'metadata', 'continue'))}`);
	t.is(third.code, 200);
	t.deepEqual(
		(at(third.body, 'items') as JsonValue[]).map((item) => at(item, 'metadata', 'name')),
		['old'],
	);
});

test.serial('a watch list begins with the existing objects and marks their end', async (t) => {
	const events = await lines(
		`${maps}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
		4,
	);
	t.deepEqual(
		events.map((event) => at(event, 'type')),
		['ADDED', 'ADDED', 'ADDED', 'BOOKMARK'],
	);
	t.deepEqual(at(events[3], 'object', 'metadata', 'annotations'), { 'k8s.io/initial-events-end': 'true' });
});

test.serial('a bookmark is sent before the timeout', async (t) => {
	const { body } = await ask(maps);
	const events = await lines(
		`${maps}?watch=true&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion=${String(at(body, 'metadata', 'resourceVersion'))}`,
		2,
	);
	t.deepEqual(
		events.map((event) => at(event, 'type')),
		['BOOKMARK'],
	);
	t.is(at(events[0], 'object', 'metadata', 'resourceVersion'), at(body, 'metadata', 'resourceVersion'));
});

test.serial('a watch from a future version waits for later events', async (t) => {
	const { body } = await ask(maps);
	const version = Number(at(body, 'metadata', 'resourceVersion'));
	const events = lines(`${maps}?watch=true&timeoutSeconds=3000000&resourceVersion=${version + 1}`, 1);
	await new Promise((resolve) => setTimeout(resolve, 100));
	await ask(maps, { method: 'POST', body: configMap('future-1') });
	await ask(maps, { method: 'POST', body: configMap('future-2') });
	t.deepEqual(
		(await events).map((event) => at(event, 'object', 'metadata', 'name')),
		['future-2'],
	);
});

test.serial('a body that is too large is refused', async (t) => {
	const { code, body } = await ask(maps, { method: 'POST', body: `{"data":"${'x'.repeat(3 * 1024 * 1024)}"}` });
	t.is(code, 413);
	t.is(at(body, 'reason'), 'RequestEntityTooLarge');
});

test.serial('a body that is nested too deeply is refused', async (t) => {
	const { code } = await ask('/api/v1/namespaces/default/pods', {
		method: 'POST',
		body: `{"kind":"Pod","apiVersion":"v1","spec":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
	});
	t.is(code, 400);
});

test.serial('a foreground deletion deletes dependents, an orphaning one releases them', async (t) => {
	for (const policy of ['Foreground', 'Orphan']) {
		const { body } = await ask(maps, { method: 'POST', body: configMap('owner') });
		const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: at(body, 'metadata', 'uid') };
		await ask(maps, {
			method: 'POST',
			body: JSON.stringify({
				apiVersion: 'v1',
				kind: 'ConfigMap',
				metadata: { name: 'owned', ownerReferences: [owner] },
			}),
		});
		t.is((await ask(`${maps}/owner?propagationPolicy=${policy}`, { method: 'DELETE' })).code, 200);
		for (let attempt = 0; attempt < 100 && (await ask(`${maps}/owner`)).code !== 404; attempt++)
			await new Promise((resolve) => setTimeout(resolve, 10));
		const { code, body: owned } = await ask(`${maps}/owned`);
		t.is(code, policy === 'Orphan' ? 200 : 404);
		t.is(at(owned, 'metadata', 'ownerReferences'), undefined);
		await ask(`${maps}/owned`, { method: 'DELETE' });
	}
});

test.serial('deleting a namespace deletes its objects', async (t) => {
	await ask('/api/v1/namespaces', {
		method: 'POST',
		body: '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"going"}}',
	});
	await ask('/api/v1/namespaces/going/configmaps', { method: 'POST', body: configMap('a') });
	t.is((await ask('/api/v1/namespaces/going', { method: 'DELETE' })).code, 200);
	for (let attempt = 0; attempt < 100 && (await ask('/api/v1/namespaces/going')).code !== 404; attempt++)
		await new Promise((resolve) => setTimeout(resolve, 10));
	t.is((await ask('/api/v1/namespaces/going')).code, 404);
	t.is((await ask('/api/v1/namespaces/going/configmaps/a')).code, 404);
});
