import { createServer } from 'node:net';
import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { type HealthCheck, HealthServers, type PlaneHealth } from '../../src/services/index.ts';

/** A port that was free a moment ago. */
const freePort = (): Promise<number> =>
	new Promise((resolve) => {
		const server = createServer();
		server.listen(0, '127.0.0.1', () => {
			const address = server.address();
			server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
		});
	});

const healthy: PlaneHealth = { isHealthy: true, isNodeLeaving: false, lastUpdatedMs: 0, nowMs: 0 };
const of = (check: HealthCheck): ReadonlyMap<string, HealthCheck> => new Map([[check.service, check]]);

test('a health check port reports the number of local ready endpoints, and closes with its Service', async (t) => {
	let health = healthy;
	const servers = new HealthServers({ health: () => health, log: silentLogger });
	t.teardown(() => servers.stop());
	const port = await freePort();
	const ask = async () => {
		const response = await fetch(`http://127.0.0.1:${port}/`);
		return [response.status, response.headers.get('x-load-balancing-endpoint-weight'), await response.json()];
	};
	const body = (localEndpoints: number, serviceProxyHealthy = true) => ({
		service: { namespace: 'ns', name: 'web' },
		localEndpoints,
		serviceProxyHealthy,
	});
	servers.set(of({ service: 'ns/web', port, localEndpoints: 2 }));
	await servers.whenListening();
	t.deepEqual(await ask(), [200, '2', body(2)]);
	servers.set(of({ service: 'ns/web', port, localEndpoints: 0 }));
	t.deepEqual(await ask(), [503, '0', body(0)]);
	servers.set(of({ service: 'ns/web', port, localEndpoints: 1 }));
	health = { ...healthy, isHealthy: false };
	t.deepEqual(await ask(), [503, '1', body(1, false)]);
	servers.set(new Map());
	await t.throwsAsync(ask());
	t.deepEqual(servers.ports, []);
});

test('a node that leaves is alive and not healthy', async (t) => {
	let health = healthy;
	const servers = new HealthServers({ health: () => health, log: silentLogger });
	t.teardown(() => servers.stop());
	const port = await freePort();
	await servers.servePlane(port);
	const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
	t.deepEqual([await ask('/healthz'), await ask('/livez'), await ask('/other')], [200, 200, 404]);
	health = { ...healthy, isNodeLeaving: true };
	t.deepEqual([await ask('/healthz'), await ask('/livez')], [503, 200]);
});
