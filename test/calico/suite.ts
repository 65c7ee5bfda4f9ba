import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestFn } from 'ava';
import { parse } from 'yaml';
import { ApiClient, calicoKinds, type JsonObject, loadCredentials } from '../../src/kubernetes/index.ts';
import { connect, kubeconfig } from '../kubernetes/contract/cluster.ts';
import type { ServerUnderTest } from '../kubernetes/contract/transcript.ts';
import { calicoDefinitions, missingCalico } from './calico.ts';
import { testCalicoctl } from './calicoctl.ts';
import { testDaemon } from './daemon.ts';
import { testIpam } from './ipam.ts';

const layout = 'crd.projectcalico.org/v1';

export interface CalicoSuite {
	/** In the name of what is skipped. */
	readonly on: string;
	/** What the server lacks. */
	readonly missing: readonly string[];
	/** Whose resource definitions the cluster has: of kinds that Calico does not have, ours all the same. */
	readonly definitions: 'ours' | 'of Calico';
	start(): Promise<ServerUnderTest>;
}

/** All that is asked of Calico's own code, on one server; skipped by name where something is missing. */
export function testCalico(test: TestFn, { on, missing, definitions, start }: CalicoSuite): void {
	const absent = [...missing, ...missingCalico, ...(definitions === 'ours' || existsSync(calicoDefinitions) ? [] : ['its definitions'])];
	if (absent.length > 0) {
		test.skip(`Calico's own code on ${on}: ${absent.join(', ')} not found; \`npm run setup:calico\` and \`npm run setup:kube\` build them`, () => {});
		return;
	}
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-calico-'));
	let server: ServerUnderTest;
	test.before(async () => {
		server = await start();
		if (definitions === 'of Calico') await install(server, folder);
		const api = await connect(server, folder);
		// calicoctl asks it whether the data store is locked.
		await api.create(calicoKinds(layout).clusterInformations, {
			apiVersion: layout,
			kind: 'ClusterInformation',
			metadata: { name: 'default' },
			spec: { datastoreReady: true },
		});
	});
	test.after.always(() => server?.stop());
	testCalicoctl(test, () => server, folder);
	testIpam(test, () => server, folder);
	testDaemon(test, () => server, folder);
}

/** Calico's resource definitions, as its Go module brings them. */
async function install(server: ServerUnderTest, folder: string): Promise<void> {
	const client = new ApiClient(await loadCredentials(kubeconfig(server, folder)), Math.random);
	const kind = { kind: 'CustomResourceDefinition', apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions', namespaced: false };
	for (const file of readdirSync(calicoDefinitions).filter((name) => name.endsWith('.yaml')))
		await client.create(kind, parse(readFileSync(join(calicoDefinitions, file), 'utf8')) as JsonObject);
}
