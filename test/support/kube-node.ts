import { writeFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { type JsonObject, textAt } from '../../src/json/index.ts';
import { type ApiClient, calicoKinds, coreKinds, type ResourceKind } from '../../src/kubernetes/index.ts';
import { RunningDaemon } from './daemon.ts';
import { startKubeServer } from './kube-server.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);

/**
 * An API server on the loopback with Calico's resources, and one node of its cluster whose daemon
 * follows it.
 */
export class KubeNode {
	readonly daemon = new RunningDaemon();
	readonly #name: string;
	#client: ApiClient | undefined;
	#close: () => Promise<void> = async () => {};

	constructor(name: string) {
		this.#name = name;
	}

	/**
	 * `address` as in the node's annotation, with its length; the daemon's configuration is `bgp`
	 * (in YAML flow form) and what `rest` adds. `pods` exist before the daemon starts.
	 */
	async start(
		t: ExecutionContext,
		{
			address,
			bgp,
			rest,
			pods = [],
		}: {
			readonly address: string;
			readonly bgp: string;
			readonly rest: string;
			readonly pods?: readonly JsonObject[];
		},
	): Promise<this> {
		const { folder, socket, configFile } = this.daemon;
		const { kubeconfig, client, close } = await startKubeServer(t, folder, { name: this.#name, address });
		this.#client = client;
		this.#close = close;
		await this.apply(kinds.bgpConfigurations, 'BGPConfiguration', 'default', {
			nodeToNodeMeshEnabled: false,
			asNumber: 64512,
		});
		for (const pod of pods) await client.create(coreKinds.pods, pod, textAt(pod, 'metadata', 'namespace'));
		writeFileSync(
			configFile,
			`node: ${this.#name}\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: ${bgp}\ncontrol: { socket: ${socket} }\nlog: { format: text }\n${rest}\n`,
		);
		await this.daemon.start(t);
		return this;
	}

	/** The API server goes away; it does not come back. */
	stopServer(): Promise<void> {
		return this.#close();
	}

	get client(): ApiClient {
		if (this.#client === undefined) throw new Error('the node has not been started');
		return this.#client;
	}

	/** Creates one of Calico's resources, or replaces its `spec`. */
	async apply(kind: ResourceKind, name: string, resource: string, spec: JsonObject): Promise<void> {
		const known = await this.client.get(kind, resource);
		if (known === undefined)
			await this.client.create(kind, { apiVersion: layout, kind: name, metadata: { name: resource }, spec });
		else await this.client.replace(kind, { ...known, spec });
	}

	/** A BGPPeer. */
	peer(name: string, spec: JsonObject): Promise<void> {
		return this.apply(kinds.bgpPeers, 'BGPPeer', name, spec);
	}

	async removePeer(name: string): Promise<void> {
		await this.client.remove(kinds.bgpPeers, name);
	}
}
