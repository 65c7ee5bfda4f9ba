import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestFn } from 'ava';
import { parse } from 'yaml';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiClient, calicoKinds, loadCredentials } from '../../src/kubernetes/index.ts';
import { connect, kubeconfig } from '../kubernetes/contract/cluster.ts';
import type { ServerUnderTest } from '../kubernetes/contract/transcript.ts';
import { calicoDefinitions, missingCalico } from './calico.ts';
import { testCalicoctl } from './calicoctl.ts';
import { testDaemon } from './daemon.ts';
import { testIpam } from './ipam.ts';

const layout = 'crd.projectcalico.org/v1';

export interface CalicoSuite {
	/** Used in the titles of skipped tests. */
	readonly on: string;
	/** Features that the server lacks. */
	readonly missing: readonly string[];
	/**
	 * The source of the cluster's resource definitions; kinds that Calico does not have use ours.
	 */
	readonly definitions: 'ours' | 'of Calico';
	start(): Promise<ServerUnderTest>;
}

/** All tests of Calico's own code, on one server; skipped by name if a program is missing. */
export function testCalico(test: TestFn, { on, missing, definitions, start }: CalicoSuite): void {
	const absent = [
		...missing,
		...missingCalico,
		...(definitions === 'ours' || existsSync(calicoDefinitions) ? [] : ['its definitions']),
	];
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
		// calicoctl reads it to see whether the datastore is locked.
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

/** Calico's resource definitions, from its Go module. */
async function install(server: ServerUnderTest, folder: string): Promise<void> {
	const client = new ApiClient(await loadCredentials(kubeconfig(server, folder)), Math.random);
	const kind = {
		kind: 'CustomResourceDefinition',
		apiVersion: 'apiextensions.k8s.io/v1',
		plural: 'customresourcedefinitions',
		namespaced: false,
	};
	for (const file of readdirSync(calicoDefinitions).filter((name) => name.endsWith('.yaml')))
		await client.create(kind, parse(readFileSync(join(calicoDefinitions, file), 'utf8')) as JsonObject);
}
