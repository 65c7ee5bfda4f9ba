import { type ApiLayout, type Informer, isRunningFelix, type KubernetesIpamStore } from '../kubernetes/index.ts';
import { type ClusterCopies, secretNamespaces } from './copies.ts';
import { type LastKnown, namedSecrets } from './last-known.ts';
import { type KindRefusal, kindRefusals, listedOrDoneWithout } from './refusals.ts';
import { type AddressMode, hasVxlanPool } from './state.ts';

export interface FollowedResourcesDependencies {
	/** None of them is started. */
	readonly copies: ClusterCopies;
	/** Has copies of its own: pools, claims, namespaces, ClusterInformation. */
	readonly store: KubernetesIpamStore;
	readonly layout: ApiLayout;
	readonly mode: AddressMode;
	/** The first list of all blocks is complete. */
	readonly blocksListed: () => void;
}

/**
 * This node's copies of the cluster's resources as a whole: their start and end, when they are
 * complete, which of them the API server refuses, and what of them a restart needs.
 */
export class FollowedResources {
	readonly #dependencies: FollowedResourcesDependencies;
	/** Copies that run from the start. */
	readonly #started: readonly Informer[];
	/** Copies from which the state is computed, by their name in the last known state. */
	readonly #named: readonly (readonly [string, Informer])[];
	#followsBlocks = false;

	constructor(dependencies: FollowedResourcesDependencies) {
		this.#dependencies = dependencies;
		const { copies, store } = dependencies;
		const { secrets, pods, ...named } = copies.waitedFor;
		this.#started = [...Object.values(named), pods, ...secrets, copies.felixConfigurations];
		this.#named = [
			...Object.entries({ ...named, pools: store.poolInformer, claims: store.claims }),
			...secrets.map((informer, index) => [`secrets-${secretNamespaces[index] ?? ''}`, informer] as const),
		];
	}

	/** Fills the copies with the objects of an earlier process; they count as unlisted. */
	restore(lastKnown: LastKnown | undefined): void {
		for (const [name, informer] of this.#named) informer.restore(lastKnown?.objects[name] ?? []);
	}

	/** Starts all copies that are always needed, and those of the store. */
	start(): void {
		for (const informer of this.#started) informer.start();
		this.#dependencies.store.start();
	}

	/** Resolves when every kind that the start waits for is listed, or cannot be read. */
	async listed(): Promise<void> {
		const { copies, store } = this.#dependencies;
		const waitedFor = this.#started.filter((informer) => informer !== copies.felixConfigurations);
		await Promise.all([...waitedFor, store.claims, store.poolInformer].map(listedOrDoneWithout));
	}

	/** Resolves when the settings of Felix are listed, or cannot be read. */
	async felixListed(): Promise<void> {
		const { copies, store } = this.#dependencies;
		await Promise.all([copies.felixConfigurations, store.clusterInformer].map(listedOrDoneWithout));
	}

	/** True if Calico's agent runs on this node. */
	get runsFelix(): boolean {
		return [...this.#dependencies.copies.waitedFor.pods.items.values()].some(isRunningFelix);
	}

	/** True if all copies for the state are complete. */
	get isComplete(): boolean {
		return this.#named.every(([, { synced }]) => synced);
	}

	/** True if the API server has answered for all copies for the state, even with a refusal. */
	get isAnswered(): boolean {
		return this.#named.every(([, { synced, refusal }]) => synced || refusal !== undefined);
	}

	/**
	 * Blocks change with every pod of the cluster: they are followed only if routes depend on them.
	 * Resolves when the first list is complete.
	 */
	async followBlocks(): Promise<void> {
		const { mode, store, copies, blocksListed } = this.#dependencies;
		if (this.#followsBlocks || mode !== 'blocks' || !hasVxlanPool(store.poolInformer.items.values())) return;
		this.#followsBlocks = true;
		copies.blocks.start();
		await listedOrDoneWithout(copies.blocks);
		blocksListed();
	}

	/** The objects that a restart without the API server needs; of Secrets only those in use. */
	known(): LastKnown {
		const { copies, layout } = this.#dependencies;
		const raw = ({ items }: Informer) => [...items.values()].map((resource) => resource.raw);
		const users = [...raw(copies.waitedFor.bgpPeers), ...raw(copies.waitedFor.bgpConfigurations)];
		const kept = ([name, informer]: readonly [string, Informer]) =>
			[name, name.startsWith('secrets-') ? namedSecrets(raw(informer), users) : raw(informer)] as const;
		return { layout, objects: Object.fromEntries(this.#named.map(kept)) };
	}

	/**
	 * Kinds that the API server does not let this node read, with the server's message and the lost
	 * function.
	 */
	get refusals(): readonly KindRefusal[] {
		const { copies, store } = this.#dependencies;
		const all = [
			...this.#started,
			...(this.#followsBlocks ? [copies.blocks] : []),
			copies.statusRequests,
			...store.informers,
		];
		return kindRefusals(all, store.namespaces);
	}

	stop(): void {
		const { copies, store } = this.#dependencies;
		for (const informer of [...this.#started, copies.blocks, copies.statusRequests]) informer.stop();
		store.stop();
	}
}
