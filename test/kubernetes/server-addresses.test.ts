import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { kubeconfigOf, parseTokenFile, selfSigned, startApiServer } from '../../src/apiserver/index.ts';
import { apiServersOf } from '../../src/daemon/services/api-servers.ts';
import { ApiClient, coreKinds, loadCredentials, ServerAddresses } from '../../src/kubernetes/index.ts';

/**
 * Credentials with an address where no server listens, and a server at another address with a
 * certificate for `certified`.
 */
async function setUp(t: import('ava').ExecutionContext, certified: string) {
	const certificate = selfSigned('test', [certified], Date.now());
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters\n'),
		certificate,
		customDefinitions: [],
	});
	t.teardown(() => server.close());
	const kubeconfig = join(mkdtempSync(join(tmpdir(), 'bgpmesh-addresses-')), 'kubeconfig');
	const entry = { server: 'https://127.0.0.9:9', certificate: certificate.cert, token: 'secret' };
	writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)));
	const addresses = new ServerAddresses();
	const client = new ApiClient(await loadCredentials(kubeconfig, addresses), Math.random);
	return { client, addresses, port: Number(new URL(server.url).port) };
}

test('a client reaches the server at another address, verified by the certificate name of its credentials', async (t) => {
	const { client, addresses, port } = await setUp(t, '127.0.0.9');
	// The first address does not respond: the next one is tried.
	addresses.set([
		{ host: '127.0.0.8', port: 9 },
		{ host: '127.0.0.1', port },
	]);
	t.true((await client.list(coreKinds.namespaces)).items.length > 0);
	t.is(client.server, 'https://127.0.0.9:9');
});

test('a server with a certificate for another name is refused', async (t) => {
	const { client, addresses, port } = await setUp(t, '127.0.0.1');
	addresses.set([{ host: '127.0.0.1', port }]);
	await t.throwsAsync(
		client.create(coreKinds.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }),
	);
});

test('after the last address the address of the credentials is tried, then the first again', (t) => {
	const addresses = new ServerAddresses();
	const [one, two] = [
		{ host: '10.0.0.1', port: 6443 },
		{ host: '10.0.0.2', port: 6443 },
	];
	addresses.set([one, two]);
	t.is(addresses.current(), one);
	addresses.failed(two);
	t.is(addresses.current(), one, 'the failure of another address changes nothing');
	addresses.failed(one);
	t.is(addresses.current(), two);
	addresses.failed(two);
	t.is(addresses.current(), undefined);
	addresses.failed(undefined);
	t.is(addresses.current(), one);
});

test('the addresses of API servers are the ready endpoints of their Service', (t) => {
	const endpoint = (address: string, ready: boolean) => ({ address, ready, serving: ready, terminating: false });
	t.deepEqual(
		apiServersOf([
			{
				key: 'default/kubernetes',
				service: 'default/kubernetes',
				family: 'ipv4',
				ports: [{ name: 'https', port: 6443, protocol: 'tcp' }],
				endpoints: [endpoint('10.0.0.2', true), endpoint('10.0.0.1', true), endpoint('10.0.0.3', false)],
			},
		]),
		[
			{ host: '10.0.0.1', port: 6443 },
			{ host: '10.0.0.2', port: 6443 },
		],
	);
});
