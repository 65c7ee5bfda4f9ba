import { ControlError, type LintView } from '../../control/index.ts';
import type { Clock, Logger, PrefixKey, Random } from '../../core/index.ts';
import { Allocator, conflictRetry } from '../../ipam/index.ts';
import {
	ApiClient,
	type ApiLayout,
	arrayAt,
	type CalicoKinds,
	type Credentials,
	calicoKinds,
	coreKinds,
	detectLayout,
	Informer,
	type JsonObject,
	KubernetesIpamStore,
	lint,
	loadCredentials,
	NoCalicoResourcesError,
	objectAt,
	type ResourceKind,
	type SecretKey,
	selectorMatches,
	textAt,
	toResource,
} from '../../kubernetes/index.ts';
import { type AddressHandlers, addressService } from './address-service.ts';
import { ipamService } from './ipam-service.ts';
import { NodeDuties } from './node-duties.ts';
import { type ClusterState, ProblemLog, readState } from './state.ts';

export interface ClusterOptions {
	readonly node: string;
	readonly kubeconfig: string | undefined;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}

/** Calico looks for the Secrets of passwords in its own namespace. */
const secretNamespaces = ['kube-system', 'calico-system'];

/** Changes that arrive together are one change, in milliseconds. */
const settleMs = 50;
const retryMs = 5000;

/** What a cluster wants of this node, followed; and what this node does in the cluster. */
export class Cluster {
	readonly allocator: Allocator;
	readonly addresses: AddressHandlers;
	readonly #options: ClusterOptions;
	readonly #client: ApiClient;
	readonly #store: KubernetesIpamStore;
	readonly #kinds: CalicoKinds;
	readonly #informers: {
		readonly nodes: Informer;
		readonly pods: Informer;
		readonly bgpConfigurations: Informer;
		readonly bgpPeers: Informer;
		readonly bgpFilters: Informer;
		readonly secrets: readonly Informer[];
	};
	readonly #duties: NodeDuties;
	readonly #problems: ProblemLog;
	#listener: ((state: ClusterState) => void) | undefined;
	#timer: { cancel(): void } | undefined;
	#announced: ReadonlySet<PrefixKey> = new Set();
	#stopped = false;

	private constructor(options: ClusterOptions, client: ApiClient, layout: ApiLayout) {
		const { node, log, clock, random } = options;
		const kinds = calicoKinds(layout);
		const informer = (
			kind: ResourceKind,
			more: { readonly fieldSelector?: string; readonly prune?: (object: JsonObject) => JsonObject; readonly namespace?: string } = {},
		) => new Informer({ client, kind, log, clock, random, ...more });
		this.#options = options;
		this.#kinds = kinds;
		this.#client = client;
		const nodes = informer(coreKinds.nodes, { prune: pruneNode });
		this.#informers = {
			nodes,
			pods: informer(coreKinds.pods, { fieldSelector: `spec.nodeName=${node}`, prune: prunePod }),
			bgpConfigurations: informer(kinds.bgpConfigurations),
			bgpPeers: informer(kinds.bgpPeers),
			bgpFilters: informer(kinds.bgpFilters),
			secrets: secretNamespaces.map((namespace) => informer(coreKinds.secrets, { namespace })),
		};
		this.#store = new KubernetesIpamStore({ client, layout, node, nodes, log, clock, random });
		this.allocator = new Allocator({ node, store: this.#store, clock, random, retry: conflictRetry(random), log, selectorMatches });
		const retry = conflictRetry(random);
		this.addresses = {
			...addressService({ node, allocator: this.allocator, store: this.#store, client, pods: this.#informers.pods, log }),
			...ipamService({ node, allocator: this.allocator, store: this.#store, retry, announced: () => this.#announced }),
		};
		this.#duties = new NodeDuties({ node, client, nodes, pools: this.#store.poolInformer, allocator: this.allocator, store: this.#store, log });
		this.#problems = new ProblemLog(log);
	}

	/** Connects; where the API server is away, waits for it and says so: the kernel's routes stay meanwhile. @throws Error about credentials that can't be read */
	static async open(options: ClusterOptions): Promise<Cluster> {
		const credentials: Credentials = await loadCredentials(options.kubeconfig);
		const client = new ApiClient(credentials, options.random);
		for (;;) {
			try {
				return new Cluster(options, client, await detectLayout(client));
			} catch (error) {
				const reason = error instanceof NoCalicoResourcesError || error instanceof Error ? error.message : String(error);
				options.log.warn('waiting for the API server', { server: credentials.server, reason });
				await new Promise<void>((resolve) => options.clock.after(retryMs, resolve));
			}
		}
	}

	/** Follows the cluster: resolves with the first complete state that has an address for this node; later ones go to `listener`. */
	async start(listener: (state: ClusterState) => void): Promise<ClusterState> {
		const { secrets, ...single } = this.#informers;
		const all = [...Object.values(single), ...secrets, this.#store.claims, this.#store.poolInformer];
		for (const informer of [...Object.values(single), ...secrets]) informer.start();
		this.#store.start();
		await Promise.all(all.map((informer) => new Promise<void>((resolve) => informer.onSynced(resolve))));
		await this.#duties.perform();
		const first = this.state();
		this.#problems.tell(first.problems);
		this.#listener = listener;
		for (const informer of all.filter((candidate) => candidate !== single.pods)) informer.onChanges(() => this.#changed());
		return first;
	}

	/** As of now. */
	state(): ClusterState {
		const { nodes, bgpConfigurations, bgpPeers, bgpFilters } = this.#informers;
		return readState(
			this.#options.node,
			{ nodes, bgpConfigurations, bgpPeers, bgpFilters, pools: this.#store.poolInformer, claims: this.#store.claims },
			(key) => this.#password(key),
		);
	}

	/** What contradicts itself in the resources as they are now. @throws ControlError while the API server is away */
	async lint(): Promise<LintView> {
		const { nodes, bgpConfigurations, bgpPeers, bgpFilters } = this.#informers;
		const list = async (kind: ResourceKind) => (await this.#client.list(kind)).items.map(toResource);
		const items = (informer: Informer) => [...informer.items.values()];
		try {
			const [felixConfigurations, clusterInformations] = await Promise.all([list(this.#kinds.felixConfigurations), list(this.#kinds.clusterInformations)]);
			const resources = {
				nodes: items(nodes),
				pools: items(this.#store.poolInformer),
				bgpConfigurations: items(bgpConfigurations),
				bgpPeers: items(bgpPeers),
				bgpFilters: items(bgpFilters),
				felixConfigurations,
				clusterInformations,
			};
			return {
				checked: { nodes: resources.nodes.length, pools: resources.pools.length, peers: resources.bgpPeers.length, filters: resources.bgpFilters.length },
				findings: lint({ ...resources, password: (key) => this.#password(key) }),
			};
		} catch (error) {
			throw new ControlError(503, 'no-apiserver', `the API server did not answer: ${error instanceof Error ? error.message : String(error)}`);
		}
	}

	/** What BGP announces of this node's own, for `ipam check`. */
	setAnnounced(prefixes: ReadonlySet<PrefixKey>): void {
		this.#announced = prefixes;
	}

	/** Since when the API server is away; `undefined`: it answers. */
	awaySinceMs(): number | undefined {
		const since = [this.#informers.nodes, this.#store.claims].flatMap(({ failingSinceMs }) => (failingSinceMs === undefined ? [] : [failingSinceMs]));
		return since.length === 0 ? undefined : Math.min(...since);
	}

	get server(): string {
		return this.#client.server;
	}

	stop(): void {
		this.#stopped = true;
		this.#timer?.cancel();
		const { secrets, ...single } = this.#informers;
		for (const informer of [...Object.values(single), ...secrets]) informer.stop();
		this.#store.stop();
	}

	#changed(): void {
		if (this.#timer !== undefined || this.#stopped) return;
		this.#timer = this.#options.clock.after(settleMs, () => {
			this.#timer = undefined;
			const state = this.state();
			this.#problems.tell(state.problems);
			this.#listener?.(state);
			void this.#duties.perform();
		});
	}

	#password({ name, key }: SecretKey): string | undefined {
		for (const informer of this.#informers.secrets) {
			for (const namespace of secretNamespaces) {
				const encoded = textAt(informer.items.get(`${namespace}/${name}`)?.raw, 'data', key);
				if (encoded !== undefined) return Buffer.from(encoded, 'base64').toString('latin1');
			}
		}
		return undefined;
	}
}

/** Of a Node only what `toNodeFacts` reads: the list of images and the conditions are most of it. */
function pruneNode(node: JsonObject): JsonObject {
	return {
		metadata: withoutManagedFields(node),
		spec: { podCIDRs: arrayAt(node, 'spec', 'podCIDRs') },
		status: { addresses: arrayAt(node, 'status', 'addresses') },
	};
}

/** Of a Pod its annotations. */
const prunePod = (pod: JsonObject): JsonObject => ({ metadata: withoutManagedFields(pod) });

function withoutManagedFields(object: JsonObject): JsonObject {
	const { managedFields: _, ...metadata } = objectAt(object, 'metadata');
	return metadata;
}
