import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const repository = resolve(fileURLToPath(import.meta.url), '../../../../..');

test('the bundle of @kubernetes/client-node reads kubeconfigs and runs credential plugins', async (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-client-bundle-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	const { bundleClient } = (await import(join(repository, 'scripts/lib/bundle-client.mjs'))) as {
		bundleClient(outfile: string): Promise<string>;
	};
	const bundle = await bundleClient(join(folder, 'client-node.mjs'));
	const { KubeConfig } = (await import(bundle)) as Pick<typeof import('@kubernetes/client-node'), 'KubeConfig'>;
	const credential = JSON.stringify({
		apiVersion: 'client.authentication.k8s.io/v1',
		kind: 'ExecCredential',
		status: { token: 'from-a-plugin' },
	});
	const file = join(folder, 'kubeconfig');
	writeFileSync(
		file,
		`apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'https://127.0.0.1:1' } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
users: [{ name: u, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: echo, args: ['${credential}'] } } }]
current-context: x
`,
	);
	const config = new KubeConfig();
	config.loadFromFile(file);
	t.is(config.getCurrentCluster()?.server, 'https://127.0.0.1:1');
	const options: { headers?: unknown } = {};
	await config.applyToHTTPSOptions(options);
	t.deepEqual(options.headers, { Authorization: 'Bearer from-a-plugin' });
});
