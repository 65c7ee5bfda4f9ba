import test from 'ava';
import { health } from '../../src/apiserver/api/health.ts';
import { RequestMetrics } from '../../src/apiserver/http/metrics.ts';
import { loadDefinitions, Registry } from '../../src/apiserver/resources/index.ts';
import { type Journal, Store } from '../../src/apiserver/store/index.ts';
import { systemClock } from '../../src/core/index.ts';

const full: Journal = {
	load: async () => ({ revision: 0, entries: [] }),
	append: () => Promise.reject(new Error('no space left on device')),
	close: async () => {},
};
const ask = (store: Store, path: string) => {
	const url = new URL(path, 'http://server');
	return health({ store }, { query: url.searchParams }, url.pathname.slice(1).split('/'));
};

test('a server with a full disk is not ready, and the response names the failed check', async (t) => {
	const store = await Store.open(full, systemClock);
	t.like(ask(store, '/readyz'), { code: 200, text: 'ok' });
	await t.throwsAsync(
		store.write('/nodes', 'a', () => ({})),
		{ name: 'StoreFailedError' },
	);
	t.like(ask(store, '/readyz'), {
		code: 500,
		text: '[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n',
	});
	t.is(ask(store, '/livez/etcd').code, 500);
	t.is(ask(store, '/livez/ping').code, 200);
	t.like(ask(store, '/readyz?exclude=etcd'), { code: 200, text: 'ok' });
});

test('verbose health output lists all checks', async (t) => {
	const store = await Store.open(undefined, systemClock);
	t.like(ask(store, '/livez?verbose&exclude=log&exclude=other'), {
		code: 200,
		text: '[+]ping ok\n[+]log excluded: ok\n[+]etcd ok\nwarn: some health checks cannot be excluded: no matches for "other"\nlivez check passed\n',
	});
});

test('metrics count requests and objects', async (t) => {
	const store = await Store.open(undefined, systemClock);
	await store.write('/nodes', 'a', () => ({ metadata: {} }));
	await store.write('/nodes', 'b', () => ({ metadata: {} }));
	await store.write('/nodes', 'b', undefined);
	const metrics = new RequestMetrics();
	for (const code of [200, 200, 404]) metrics.count({ method: 'GET' }, code);
	const lines = metrics.text({ store, registry: new Registry(loadDefinitions()) }).split('\n');
	for (const line of [
		'apiserver_storage_objects{resource="nodes"} 1',
		'apiserver_request_total{code="200",verb="GET"} 2',
		'apiserver_request_total{code="404",verb="GET"} 1',
	])
		t.true(lines.includes(line), line);
	t.true(lines.every((line) => line === '' || /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? [\d.e+-]+)$/.test(line)));
});
