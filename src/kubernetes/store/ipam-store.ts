import type { Clock, Logger, PrefixKey, Random } from '../../core/index.ts';
import {
	type Affinity,
	affinityLabels,
	type Block,
	blockOfName,
	type Handle,
	type IpamStore,
	type Pool,
	type UnreadableResource,
} from '../../ipam/index.ts';
import { textAt } from '../../json/index.ts';
import type { ApiClient, ResourceKind } from '../client/api-client.ts';
import { Informer, type InformerDependencies } from '../informer/informer.ts';
import {
	cidrsOfBlock,
	fromAffinity,
	fromBlock,
	fromHandle,
	toAffinity,
	toBlock,
	toHandle,
	toIpamConfig,
	toPool,
	toReservation,
} from '../model/ipam.ts';
import { toNodeFacts } from '../model/node.ts';
import { type ApiLayout, type Resource, ResourceError, readResource, specOf, toResource } from '../model/resource.ts';
import { ClaimLabels } from './claim-labels.ts';
import { type CalicoKinds, calicoKinds, coreKinds } from './kinds.ts';
import { noCache, ownCache, type ResourceCache, ResourceStore } from './resource-store.ts';

export interface KubernetesIpamStoreDependencies {
	readonly client: ApiClient;
	readonly layout: ApiLayout;
	/** The node whose affinities are followed. */
	readonly node: string;
	/** Informer of all Nodes, or at least of this one; its creator starts it. */
	readonly nodes: Informer;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}

/**
 * Maximum wait for a complete list, in milliseconds: no decision is made on an incomplete one. The
 * caller retries.
 */
const patienceMs = 10_000;

/**
 * The allocator's store on a cluster, with its informers: settings, this node's affinities, its own
 * Node. Blocks and handles are not watched; their cache contains the last state that this process
 * read or wrote.
 */
export class KubernetesIpamStore implements IpamStore {
	readonly blocks: ResourceStore<Block>;
	readonly affinities: ResourceStore<Affinity>;
	readonly handles: ResourceStore<Handle>;
	/** This node's affinities; blocks of confirmed ones are originated. */
	readonly claims: Informer;
	readonly poolInformer: Informer;
	/** ClusterInformation: a migration locks the datastore with it. */
	readonly clusterInformer: Informer;
	readonly #claimLabels: ClaimLabels;
	readonly #client: ApiClient;
	readonly #kinds: CalicoKinds;
	readonly #log: Logger;
	readonly #values = {
		affinities: new WeakMap<Resource, Affinity | undefined>(),
		pools: new WeakMap<Resource, Pool | undefined>(),
		reservations: new WeakMap<Resource, readonly PrefixKey[] | undefined>(),
	};
	readonly #problems = new WeakMap<Resource, string>();
	readonly #nodes: Informer;
	readonly #settings: { readonly reservations: Informer; readonly configs: Informer; readonly namespaces: Informer };

	constructor({ client, layout, node, nodes, log, clock, random }: KubernetesIpamStoreDependencies) {
		const kinds = calicoKinds(layout);
		const informer = (kind: ResourceKind, more: Pick<InformerDependencies, 'labelSelector' | 'mayLack'> = {}) =>
			new Informer({ client, kind, log, clock, random, ...more });
		const labels = affinityLabels(node, 'host', '' as PrefixKey);
		this.#client = client;
		this.#kinds = kinds;
		this.#log = log;
		this.claims = informer(kinds.affinities, {
			labelSelector: `projectcalico.org/hostname-hash=${labels['projectcalico.org/hostname-hash']}`,
		});
		this.#claimLabels = new ClaimLabels({
			client,
			kind: kinds.affinities,
			node,
			log,
			clock,
			random,
			claims: this.claims,
		});
		this.poolInformer = informer(kinds.pools);
		this.clusterInformer = informer(kinds.clusterInformations, { mayLack: true });
		this.#settings = {
			reservations: informer(kinds.reservations, { mayLack: true }),
			configs: informer(kinds.ipamConfigs, { mayLack: true }),
			namespaces: informer(coreKinds.namespaces),
		};
		this.#nodes = nodes;
		this.blocks = new ResourceStore<Block>(
			client,
			{
				kind: kinds.blocks,
				toValue: toBlock,
				toSpec: fromBlock,
				isDeleted: ({ deleted }) => deleted,
				cidrsOf: cidrsOfBlock,
			},
			ownCache(),
			log,
		);
		const claims = this.claims;
		// Affinities of other nodes are read occasionally (to reclaim a block), and not kept here.
		const claimCache: ResourceCache = {
			get: (name) => claims.items.get(name),
			absorb: (object) => (textAt(object, 'spec', 'node') === node ? claims.absorb(object) : toResource(object)),
			forget: (name, version) => claims.forget(name, version),
		};
		this.affinities = new ResourceStore<Affinity>(
			client,
			{
				kind: kinds.affinities,
				toValue: toAffinity,
				toSpec: (affinity) => fromAffinity(affinity, layout),
				labels: ({ node: of, type, cidr }) => affinityLabels(of, type, cidr),
				isDeleted: ({ deleted }) => deleted,
			},
			claimCache,
			log,
		);
		this.handles = new ResourceStore<Handle>(
			client,
			{ kind: kinds.handles, toValue: toHandle, toSpec: fromHandle, isDeleted: ({ deleted }) => deleted },
			noCache,
			log,
		);
	}

	/** Follows the cluster until `stop`. */
	start(): void {
		for (const informer of this.informers) if (informer !== this.claims) informer.start();
		this.#claimLabels.start();
	}

	stop(): void {
		this.#claimLabels.stop();
		for (const informer of this.informers) informer.stop();
	}

	/** Resolves when all informers have their first list. */
	async synced(): Promise<void> {
		await Promise.all(this.informers.map((informer) => new Promise<void>((resolve) => informer.onSynced(resolve))));
	}

	/** Informer of the cluster's namespaces. */
	get namespaces(): Informer {
		return this.#settings.namespaces;
	}

	async blockCidrs(): Promise<readonly PrefixKey[]> {
		const { items } = await this.#client.list(this.#kinds.blocks, { form: 'metadata' });
		return items.flatMap((object) => blockOfName(textAt(object, 'metadata', 'name') ?? '') ?? []);
	}

	async affinitiesOf(node: string): Promise<readonly Affinity[]> {
		await this.#claimLabels.listed(patienceMs);
		return this.#readable(this.claims, this.#values.affinities, toAffinity).filter(
			(affinity) => affinity.node === node && !affinity.deleted,
		);
	}

	async pools(fresh?: 'fresh'): Promise<readonly Pool[]> {
		if (fresh === 'fresh') {
			const { items } = await this.#client.list(this.#kinds.pools);
			return items.map(toResource).flatMap((resource) => this.#read(resource, toPool) ?? []);
		}
		await this.poolInformer.listed(patienceMs);
		return this.#readable(this.poolInformer, this.#values.pools, toPool);
	}

	async reservations(): Promise<readonly PrefixKey[]> {
		await this.#settings.reservations.listed(patienceMs);
		return this.#readable(this.#settings.reservations, this.#values.reservations, (resource) =>
			this.#readReservation(resource),
		).flat();
	}

	async config() {
		await this.#settings.configs.listed(patienceMs);
		return toIpamConfig(this.#settings.configs.items.get('default'));
	}

	async nodeLabels(node: string): Promise<Readonly<Record<string, string>>> {
		await this.#nodes.listed(patienceMs);
		const resource = this.#nodes.items.get(node);
		return resource === undefined ? {} : toNodeFacts(resource).labels;
	}

	async namespaceLabels(namespace: string): Promise<Readonly<Record<string, string>>> {
		return (await this.#namespace(namespace))?.labels ?? {};
	}

	async namespaceAnnotations(namespace: string): Promise<Readonly<Record<string, string>>> {
		return (await this.#namespace(namespace))?.annotations ?? {};
	}

	async readOnlyReason(): Promise<string | undefined> {
		await this.clusterInformer.listed(patienceMs);
		const cluster = this.clusterInformer.items.get('default');
		const isReady = cluster === undefined || specOf(cluster)['datastoreReady'] !== false;
		return isReady
			? undefined
			: 'ClusterInformation default has datastoreReady: false: a migration or an upgrade holds the datastore';
	}

	unreadable(): readonly UnreadableResource[] {
		const known: readonly (readonly [
			UnreadableResource['kind'],
			readonly Pick<UnreadableResource, 'name' | 'problem'>[],
		])[] = [
			['block', this.blocks.unreadable],
			['claim', [...this.affinities.unreadable, ...this.#misread(this.claims, this.#values.affinities, toAffinity)]],
			['handle', this.handles.unreadable],
			['pool', this.#misread(this.poolInformer, this.#values.pools, toPool)],
			[
				'reservation',
				this.#misread(this.#settings.reservations, this.#values.reservations, (resource) =>
					this.#readReservation(resource),
				),
			],
		];
		const all = known.flatMap(([kind, found]) =>
			found.map(({ name, problem }) => [`${kind} ${name}`, { kind, name, problem }] as const),
		);
		return [...new Map(all).values()];
	}

	/** All informers of this store. */
	get informers(): readonly Informer[] {
		return [this.claims, this.poolInformer, this.clusterInformer, ...Object.values(this.#settings)];
	}

	/**
	 * A namespace that is not in the copy yet is read from the server: a pod may be created
	 * directly after its namespace.
	 */
	async #namespace(name: string): Promise<Resource | undefined> {
		await this.#settings.namespaces.listed(patienceMs);
		const known = this.#settings.namespaces.items.get(name);
		if (known !== undefined) return known;
		const asked = await this.#client.get(coreKinds.namespaces, name);
		return asked && toResource(asked);
	}

	/**
	 * The values of all readable resources, each decoded once; an unreadable one is logged once per
	 * change.
	 */
	#readable<T>({ items }: Informer, cache: WeakMap<Resource, T | undefined>, read: (resource: Resource) => T): T[] {
		const values: T[] = [];
		for (const resource of items.values()) {
			if (!cache.has(resource)) cache.set(resource, this.#read(resource, read));
			const value = cache.get(resource);
			if (value !== undefined) values.push(value);
		}
		return values;
	}

	/** The resources of an informer that can not be read, completely or in part. */
	#misread<T>(
		informer: Informer,
		cache: WeakMap<Resource, T | undefined>,
		read: (resource: Resource) => T,
	): Pick<UnreadableResource, 'name' | 'problem'>[] {
		this.#readable(informer, cache, read);
		return [...informer.items.values()].flatMap((resource) => {
			const problem = this.#problems.get(resource);
			return problem === undefined ? [] : [{ name: resource.name, problem }];
		});
	}

	#read<T>(resource: Resource, read: (resource: Resource) => T): T | undefined {
		try {
			return readResource(resource, read);
		} catch (error) {
			if (!(error instanceof ResourceError)) throw error;
			this.#log.warn('resource can not be used', { resource: error.resource, reason: error.message });
			this.#problems.set(resource, error.problem);
			return undefined;
		}
	}

	#readReservation(resource: Resource): readonly PrefixKey[] {
		const { cidrs, unreadable } = toReservation(resource);
		if (unreadable.length > 0) {
			this.#log.warn('what is reserved here can not be read, the rest of it counts', {
				reservation: resource.name,
				unreadable,
			});
			this.#problems.set(resource, `reservedCIDRs has ${unreadable.join(', ')}; the rest of it counts`);
		}
		return cidrs;
	}
}
