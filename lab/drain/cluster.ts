import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
	kubeconfigOf,
	packagedDefinitions,
	parseTokenFile,
	selfSigned,
	startApiServer,
} from '../../src/apiserver/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiClient, calicoKinds, coreKinds, loadCredentials } from '../../src/kubernetes/index.ts';
import {
	asNumber,
	drainNodes,
	serverAddress,
	serviceAddress,
	serviceRange,
	torAddress,
	torAsNumber,
} from './network.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);

/** State of a pod in its EndpointSlice. */
export type PodState = 'ready' | 'terminating';

const conditions: Readonly<Record<PodState, JsonObject>> = {
	ready: { ready: true, serving: true, terminating: false },
	terminating: { ready: false, serving: true, terminating: true },
};

/** A Service of type LoadBalancer with external policy Local, and the API server that has it. */
export class DrainCluster {
	readonly kubeconfig: string;
	readonly #client: ApiClient;
	readonly #close: () => Promise<void>;
	/** By address. */
	readonly #pods = new Map<string, { readonly node: string; readonly state: PodState }>();
	#slice: JsonObject | undefined;

	private constructor(kubeconfig: string, client: ApiClient, close: () => Promise<void>) {
		this.kubeconfig = kubeconfig;
		this.#client = client;
		this.#close = close;
	}

	static async start(folder: string): Promise<DrainCluster> {
		const certificate = selfSigned('drain', [serverAddress], Date.now());
		const server = await startApiServer({
			listen: { address: serverAddress, port: 0 },
			users: parseTokenFile('secret,admin,admin,system:masters\n'),
			certificate,
			customDefinitions: packagedDefinitions(),
		});
		const kubeconfig = join(folder, 'kubeconfig');
		const entry = { server: server.url, certificate: certificate.cert, token: 'secret' };
		writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(entry)));
		const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
		const cluster = new DrainCluster(kubeconfig, client, () => server.close());
		await cluster.#create();
		return cluster;
	}

	close(): Promise<void> {
		return this.#close();
	}

	async #create(): Promise<void> {
		const client = this.#client;
		for (const { name, address } of drainNodes) {
			const made = await client.create(coreKinds.nodes, {
				apiVersion: 'v1',
				kind: 'Node',
				metadata: { name, annotations: { 'projectcalico.org/IPv4Address': `${address}/24` } },
			});
			const status = { addresses: [{ type: 'InternalIP', address }] };
			await client.replace(coreKinds.nodes, { ...made, status }, 'status');
		}
		await client.create(kinds.bgpConfigurations, {
			apiVersion: layout,
			kind: 'BGPConfiguration',
			metadata: { name: 'default' },
			spec: {
				nodeToNodeMeshEnabled: false,
				asNumber,
				serviceLoadBalancerIPs: [{ cidr: serviceRange }],
				serviceLoadBalancerAggregation: 'Disabled',
			},
		});
		await client.create(kinds.bgpPeers, {
			apiVersion: layout,
			kind: 'BGPPeer',
			metadata: { name: 'tor' },
			spec: { peerIP: torAddress, asNumber: torAsNumber },
		});
		const service = await client.create(
			coreKinds.services,
			{
				apiVersion: 'v1',
				kind: 'Service',
				metadata: { name: 'web', namespace: 'default' },
				spec: {
					type: 'LoadBalancer',
					externalTrafficPolicy: 'Local',
					ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
				},
			},
			'default',
		);
		const status = { loadBalancer: { ingress: [{ ip: serviceAddress }] } };
		await client.replace(coreKinds.services, { ...service, status }, 'status');
	}

	/** Writes the pods with this change; `undefined` removes one. */
	async setPods(changes: readonly { address: string; node: string; state: PodState | undefined }[]): Promise<void> {
		for (const { address, node, state } of changes)
			if (state === undefined) this.#pods.delete(address);
			else this.#pods.set(address, { node, state });
		const slice = {
			apiVersion: 'discovery.k8s.io/v1',
			kind: 'EndpointSlice',
			metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
			addressType: 'IPv4',
			endpoints: [...this.#pods].map(([address, pod]) => ({
				addresses: [address],
				nodeName: pod.node,
				conditions: conditions[pod.state],
			})),
			ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
		};
		this.#slice =
			this.#slice === undefined
				? await this.#client.create(coreKinds.endpointSlices, slice, 'default')
				: await this.#client.replace(coreKinds.endpointSlices, {
						...slice,
						metadata: this.#slice['metadata'] ?? slice.metadata,
					});
	}

	/** `kubectl cordon` and `uncordon`. */
	cordon(node: string, unschedulable: boolean): Promise<void> {
		return this.#patchNode(node, { spec: { unschedulable } });
	}

	/** The label that excludes a node from load balancers. */
	exclude(node: string, excluded: boolean): Promise<void> {
		const labels = { 'node.kubernetes.io/exclude-from-external-load-balancers': excluded ? 'true' : null };
		return this.#patchNode(node, { metadata: { labels } });
	}

	/** A patch, since the daemons of the nodes write annotations of the same objects. */
	async #patchNode(name: string, patch: JsonObject): Promise<void> {
		await this.#client.patch(coreKinds.nodes, name, patch, 'application/merge-patch+json');
	}
}
