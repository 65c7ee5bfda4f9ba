import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kubeconfigOf, packagedDefinitions } from '../../src/apiserver/index.ts';
import { ApiClient, calicoKinds, loadCredentials, toResource } from '../../src/kubernetes/index.ts';
import type { Target } from '../kubernetes/client.ts';
import { startOurs, startTheirs } from '../kubernetes/targets.ts';

/** The repository's folder. */
export const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** A server with Calico's definitions, and its kubeconfig. */
export interface PreparedServer {
	readonly name: string;
	readonly kubeconfig: string;
	readonly folder: string;
	stop(): Promise<void>;
}

const definitionKind = {
	kind: 'CustomResourceDefinition',
	apiVersion: 'apiextensions.k8s.io/v1',
	plural: 'customresourcedefinitions',
	namespaced: false,
};

/**
 * The embedded server and kube-apiserver with etcd, one after the other, each with a folder that is
 * synced on every write; `use` has exclusive access.
 */
export async function forEachServer(
	only: 'ours' | 'theirs' | undefined,
	use: (server: PreparedServer) => Promise<void>,
): Promise<void> {
	for (const start of [...(only === 'theirs' ? [] : [startOurs]), ...(only === 'ours' ? [] : [startTheirs])]) {
		const target = await start();
		if (typeof target === 'string') {
			process.stdout.write(`not measured: kube-apiserver: ${target}\n`);
			continue;
		}
		try {
			await use(await prepare(target));
		} finally {
			await target.stop();
		}
	}
}

async function prepare({ name, url, token, certificateAuthority, stop }: Target): Promise<PreparedServer> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-ipam-'));
	const kubeconfig = join(folder, 'kubeconfig');
	const entry = { server: url, certificate: certificateAuthority, token };
	writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)), { mode: 0o600 });
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	// The embedded server includes them.
	const known = new Set((await client.list(definitionKind)).items.map((definition) => toResource(definition).name));
	for (const definition of packagedDefinitions())
		if (!known.has(toResource(definition).name)) await client.create(definitionKind, definition);
	for (let attempt = 0; ; attempt++) {
		const served = await Promise.all(
			Object.values(calicoKinds('crd.projectcalico.org/v1')).map((kind) => client.list(kind).catch(() => undefined)),
		);
		if (served.every((list) => list !== undefined)) break;
		if (attempt === 150) throw new Error(`${name}: the definitions are not served`);
		await new Promise((done) => setTimeout(done, 200));
	}
	return { name, kubeconfig, folder, stop };
}
