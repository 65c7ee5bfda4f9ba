import { prefixKey, silentLogger, systemClock } from '../../../src/core/index.ts';
import type { IpamStore } from '../../../src/ipam/index.ts';
import {
	ApiClient,
	calicoKinds,
	coreKinds,
	Informer,
	KubernetesIpamStore,
	loadCredentials,
	toAffinity,
	toBlock,
	toHandle,
	toResource,
} from '../../../src/kubernetes/index.ts';
import { type ModelCluster, modelPool } from '../../support/ipam-model.ts';

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const dependencies = { log: silentLogger, clock: systemClock, random: Math.random };

/** A process that dies between two requests: neither this write nor a later one is sent. */
class DyingClient extends ApiClient {
	beforeWrite: () => Promise<void> = async () => {};

	override async create(...given: Parameters<ApiClient['create']>) {
		await this.beforeWrite();
		return super.create(...given);
	}

	override async replace(...given: Parameters<ApiClient['replace']>) {
		await this.beforeWrite();
		return super.replace(...given);
	}

	override async remove(...given: Parameters<ApiClient['remove']>) {
		await this.beforeWrite();
		return super.remove(...given);
	}
}

/** Clusters for the model on a server with Calico's definitions; each run has its own pool. */
export function modelClusters(kubeconfig: string): () => Promise<ModelCluster> {
	let runs = 0;
	return async () => {
		const run = runs++;
		const prefix = `model-${run}-`;
		const pool = modelPool(`model-${run}`, `10.204.${run % 256}.0/29`);
		const credentials = await loadCredentials(kubeconfig);
		const api = new ApiClient(credentials, Math.random);
		await api.create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name: pool.name },
			spec: { cidr: pool.cidr, blockSize: pool.blockSize, nodeSelector: 'all()' },
		});
		return {
			pool,
			prefix,
			async connect(node, cooldownSeconds, beforeWrite) {
				const client = new DyingClient(credentials, Math.random);
				client.beforeWrite = beforeWrite;
				const nodes = new Informer({ client, kind: coreKinds.nodes, ...dependencies });
				const real = new KubernetesIpamStore({ client, layout, node, nodes, ...dependencies });
				nodes.start();
				real.start();
				await real.synced();
				const store: IpamStore = {
					blocks: real.blocks,
					affinities: real.affinities,
					handles: real.handles,
					blockCidrs: () => real.blockCidrs(),
					affinitiesOf: (name) => real.affinitiesOf(name),
					pools: (fresh) => real.pools(fresh),
					reservations: () => real.reservations(),
					config: async () => ({ ...(await real.config()), cooldownSeconds }),
					nodeLabels: (name) => real.nodeLabels(name),
					namespaceLabels: (name) => real.namespaceLabels(name),
					readOnlyReason: () => real.readOnlyReason(),
					unreadable: () => real.unreadable(),
				};
				return {
					store,
					stop() {
						nodes.stop();
						real.stop();
					},
				};
			},
			async snapshot() {
				const [blocks, handles, affinities] = await Promise.all([
					api.list(kinds.blocks),
					api.list(kinds.handles),
					api.list(kinds.affinities),
				]);
				const base = pool.cidr.slice(0, -'0/29'.length);
				return {
					blocks: blocks.items
						.map((item) => toBlock(toResource(item)))
						.filter(({ cidr, deleted }) => !deleted && prefixKey(cidr).startsWith(base)),
					handles: handles.items
						.map((item) => toHandle(toResource(item)))
						.filter(({ handleId, deleted }) => !deleted && handleId.startsWith(prefix)),
					affinities: affinities.items
						.map((item) => toAffinity(toResource(item)))
						.filter(({ node, deleted }) => !deleted && node.startsWith(prefix)),
				};
			},
		};
	};
}
