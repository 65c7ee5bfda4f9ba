import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { parseTokenFile, selfSigned, startApiServer } from '../../src/kubernetes/apiserver/index.ts';
import { ApiClient, calicoKinds, coreKinds, type JsonObject, loadCredentials, type ResourceKind } from '../../src/kubernetes/index.ts';
import { RunningDaemon } from './daemon.ts';

const layout = 'crd.projectcalico.org/v1';
const crds = join(resolve(import.meta.dirname ?? '.', '../../..'), 'config/crds');
const kinds = calicoKinds(layout);

/** An API server on the loopback with Calico's resources, and one node of its cluster whose daemon follows it. */
export class KubeNode {
	readonly daemon = new RunningDaemon();
	readonly #name: string;
	#client: ApiClient | undefined;

	constructor(name: string) {
		this.#name = name;
	}

	/** `address` as in the node's annotation, with its length; the daemon's configuration is `bgp` (in YAML flow form) and what `rest` adds. */
	async start(t: ExecutionContext, { address, bgp, rest }: { readonly address: string; readonly bgp: string; readonly rest: string }): Promise<this> {
		const { folder, socket, configFile } = this.daemon;
		const certificate = selfSigned('node', ['127.0.0.1'], Date.now());
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
		this.#client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
		const annotations = { 'projectcalico.org/IPv4Address': address };
		await this.client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: this.#name, annotations } });
		await this.apply(kinds.bgpConfigurations, 'BGPConfiguration', 'default', { nodeToNodeMeshEnabled: false, asNumber: 64512 });
		writeFileSync(
			configFile,
			`node: ${this.#name}\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: ${bgp}\ncontrol: { socket: ${socket} }\nlog: { format: text }\n${rest}\n`,
		);
		await this.daemon.start(t);
		return this;
	}

	get client(): ApiClient {
		if (this.#client === undefined) throw new Error('the node has not been started');
		return this.#client;
	}

	/** Creates one of Calico's resources, or replaces its `spec`. */
	async apply(kind: ResourceKind, name: string, resource: string, spec: JsonObject): Promise<void> {
		const known = await this.client.get(kind, resource);
		if (known === undefined) await this.client.create(kind, { apiVersion: layout, kind: name, metadata: { name: resource }, spec });
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
