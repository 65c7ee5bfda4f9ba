import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import {
	kubeconfigOf,
	packagedDefinitions,
	parseTokenFile,
	selfSigned,
	startApiServer,
} from '../../src/apiserver/index.ts';
import type { Clock } from '../../src/core/index.ts';
import { ApiClient, coreKinds, loadCredentials } from '../../src/kubernetes/index.ts';

interface KubeServer {
	readonly kubeconfig: string;
	readonly client: ApiClient;
	readonly close: () => Promise<void>;
}

/**
 * An API server on the loopback with Calico's resources and one node, `address` as in its
 * annotation; until the test ends.
 */
export async function startKubeServer(
	t: ExecutionContext,
	folder: string,
	node: { readonly name: string; readonly address: string },
): Promise<KubeServer> {
	const server = await startEmptyKubeServer(t, folder);
	const annotations = { 'projectcalico.org/IPv4Address': node.address };
	await server.client.create(coreKinds.nodes, {
		apiVersion: 'v1',
		kind: 'Node',
		metadata: { name: node.name, annotations },
	});
	return server;
}

/** An API server at `address` of this namespace, without nodes; until the test ends. */
export async function startEmptyKubeServer(
	t: Pick<ExecutionContext, 'teardown'>,
	folder: string,
	address = '127.0.0.1',
	clock?: Clock,
): Promise<KubeServer> {
	const certificate = selfSigned('test', [address], Date.now());
	const server = await startApiServer({
		listen: { address, port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters\n'),
		certificate,
		customDefinitions: packagedDefinitions(),
		...(clock === undefined ? {} : { clock }),
	});
	let closed: Promise<void> | undefined;
	const close = () => {
		closed ??= server.close();
		return closed;
	};
	t.teardown(close);
	const kubeconfig = join(folder, 'kubeconfig');
	const entry = { server: server.url, certificate: certificate.cert, token: 'secret' };
	writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)));
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	return { kubeconfig, client, close };
}
