import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { parseTokenFile, selfSigned, startApiServer } from '../../src/kubernetes/apiserver/index.ts';
import { ApiClient, coreKinds, type JsonObject, loadCredentials } from '../../src/kubernetes/index.ts';

const crds = join(resolve(import.meta.dirname ?? '.', '../../..'), 'config/crds');

/** An API server on the loopback with Calico's resources and one node, `address` as in its annotation; until the test ends. */
export async function startKubeServer(
	t: ExecutionContext,
	folder: string,
	node: { readonly name: string; readonly address: string },
): Promise<{ readonly kubeconfig: string; readonly client: ApiClient }> {
	const certificate = selfSigned('test', ['127.0.0.1'], Date.now());
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters\n'),
		certificate,
		customDefinitions: readdirSync(crds)
			.filter((file) => file.endsWith('.yaml'))
			.map((file) => parse(readFileSync(join(crds, file), 'utf8')) as JsonObject),
	});
	t.teardown(() => server.close());
	const kubeconfig = join(folder, 'kubeconfig');
	const cluster = { server: server.url, 'certificate-authority-data': Buffer.from(certificate.cert).toString('base64') };
	const contexts = [{ name: 'c', context: { cluster: 'c', user: 'u' } }];
	const named = { contexts, clusters: [{ name: 'c', cluster }], users: [{ name: 'u', user: { token: 'secret' } }] };
	writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'c', ...named }));
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const annotations = { 'projectcalico.org/IPv4Address': node.address };
	await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name, annotations } });
	return { kubeconfig, client };
}
