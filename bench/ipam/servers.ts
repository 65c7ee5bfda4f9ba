import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ApiClient, calicoKinds, type JsonObject, loadCredentials, toResource } from '../../src/kubernetes/index.ts';
import type { Target } from '../kubernetes/client.ts';
import { startOurs, startTheirs } from '../kubernetes/targets.ts';

/** The repository's folder. */
export const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** A server with Calico's definitions, and the file that leads to it. */
export interface PreparedServer {
	readonly name: string;
	readonly kubeconfig: string;
	readonly folder: string;
	stop(): Promise<void>;
}

const definitionKind = { kind: 'CustomResourceDefinition', apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions', namespaced: false };

/** The embedded server and kube-apiserver with etcd, one after the other, each with a folder that is synced on every write; `use` has it to itself. */
export async function forEachServer(only: 'ours' | 'theirs' | undefined, use: (server: PreparedServer) => Promise<void>): Promise<void> {
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
	const cluster = { server: url, 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') };
	const named = [{ name: 'bench', cluster }];
	const contexts = [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }];
	const users = [{ name: 'bench', user: { token } }];
	writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'bench', contexts, clusters: named, users }), {
		mode: 0o600,
	});
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const definitions = join(root, 'config/crds');
	// The embedded server brings them along.
	const known = new Set((await client.list(definitionKind)).items.map((definition) => toResource(definition).name));
	for (const file of readdirSync(definitions).filter((each) => each.endsWith('.yaml'))) {
		const definition = parse(readFileSync(join(definitions, file), 'utf8')) as JsonObject;
		if (!known.has(toResource(definition).name)) await client.create(definitionKind, definition);
	}
	for (let attempt = 0; ; attempt++) {
		const served = await Promise.all(Object.values(calicoKinds('crd.projectcalico.org/v1')).map((kind) => client.list(kind).catch(() => undefined)));
		if (served.every((list) => list !== undefined)) break;
		if (attempt === 150) throw new Error(`${name}: the definitions are not served`);
		await new Promise((done) => setTimeout(done, 200));
	}
	return { name, kubeconfig, folder, stop };
}
