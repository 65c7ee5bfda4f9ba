import { ControlError, type GarbageView, type Handlers } from '../control/index.ts';
import type { Clock, Logger, Random, Timer } from '../core/index.ts';
import {
	type Allocator,
	type ClaimDependencies,
	type ClusterSnapshot,
	type CollectedGarbage,
	cidrsOf,
	endCooldowns,
	GarbageCollector,
	type IpamStore,
	type Leak,
	type Retry,
	valuesOf,
} from '../ipam/index.ts';
import { type ApiClient, ApiError, coreKinds, LeaderLease, toResource } from '../kubernetes/index.ts';
import { listPodFacts, podFacts } from './pod-facts.ts';

/** `auto`: on unless Calico's own collector runs in the cluster. */
export type GarbageCollectionMode = 'auto' | 'on' | 'off';

export interface GarbageServiceDependencies {
	readonly node: string;
	readonly mode: GarbageCollectionMode;
	/** Grace period: how long garbage must be observed before it is removed. */
	readonly graceMs: number;
	readonly client: ApiClient;
	readonly store: IpamStore;
	readonly allocator: Allocator;
	readonly retry: Retry;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/** The present duty, as text for the operator. */
type Duty = Pick<GarbageView, 'collector' | 'reason'>;

/** Calico's limit of one round. */
const mostAddresses = 10_000;
const mostReleaseMs = 1000;
const leaseNamespace = 'kube-system';
const leaseName = 'bgpmesh-ipam-garbage-collector';

/**
 * Releases orphaned addresses, on one node of the cluster at a time. The holder of the lease
 * inspects twice per grace period, and releases garbage that was observed for the whole period. It
 * is off where Calico's kube-controllers run, which do the same.
 */
export class GarbageService {
	readonly #dependencies: GarbageServiceDependencies;
	readonly #lease: LeaderLease;
	readonly #collector: GarbageCollector;
	readonly #claims: ClaimDependencies;
	#duty: Duty;
	#timer: Timer | undefined;
	#stopped = false;
	#total: CollectedGarbage = { addresses: 0, claims: 0, handles: 0, spared: 0 };

	constructor(dependencies: GarbageServiceDependencies) {
		const { client, node, store, clock, retry, allocator, log, graceMs } = dependencies;
		this.#dependencies = dependencies;
		this.#duty =
			dependencies.mode === 'off'
				? { collector: 'off', reason: 'ipam.garbageCollection is off' }
				: { collector: 'waiting', reason: 'it has just started' };
		this.#claims = { store, clock, retry };
		this.#lease = new LeaderLease({
			client,
			namespace: leaseNamespace,
			name: leaseName,
			identity: node,
			durationSeconds: Math.max(1, Math.round((periodMs(graceMs) * 1.5) / 1000)),
			clock,
		});
		this.#collector = new GarbageCollector({
			graceMs,
			mostAddresses,
			claims: this.#claims,
			allocator,
			clock,
			log,
			snapshot: () => this.#snapshot(),
			podUsesAddresses: (leak) => podUses(client, leak),
		});
	}

	/** Starts the rounds. */
	start(): void {
		if (this.#dependencies.mode !== 'off') this.#schedule();
	}

	/** Ends the rounds and releases the lease, so that the next node can start at once. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#timer?.cancel();
		if (this.#duty.collector !== 'running') return;
		// Limits the wait: the next node can wait for the lease to expire, but the daemon must
		// stop.
		const patience = new Promise<void>((resolve) => void this.#dependencies.clock.after(mostReleaseMs, resolve));
		await Promise.race([this.#lease.release().catch(() => undefined), patience]);
	}

	/** Totals since the start, for metrics. */
	get total(): CollectedGarbage & { readonly leading: boolean } {
		return { ...this.#total, leading: this.#duty.collector === 'running' };
	}

	readonly handlers: Pick<Handlers, 'ipamGarbage' | 'ipamCollect'> = {
		ipamGarbage: async () => this.#view(),
		ipamCollect: async () => {
			const collected = await this.#turn();
			if (this.#duty.collector !== 'running')
				throw new ControlError(409, 'not-the-collector', `this node does not collect: ${this.#duty.reason ?? ''}`);
			return { ...(await this.#view()), collected };
		},
	};

	/** The present suspects, with or without an expired grace period. */
	async #view(): Promise<GarbageView> {
		const { graceMs } = this.#dependencies;
		const { leaks, claims, handles, suspicions } = await this.#collector.suspects();
		const since = (key: string) => new Date(suspicions.get(key) ?? this.#dependencies.clock.wallMs()).toISOString();
		return {
			...this.#duty,
			graceSeconds: graceMs / 1000,
			leaks: leaks.map(({ handleId, addresses, reason }) => ({
				handleId,
				addresses: addresses.map(({ address }) => address),
				reason,
				since: since(`handle ${handleId}`),
			})),
			claims: claims.map(({ node, cidr, reason }) => ({ node, cidr, reason, since: since(`claim ${node} ${cidr}`) })),
			handles: handles.map(({ handleId }) => ({ handleId, since: since(`orphan ${handleId}`) })),
		};
	}

	#schedule(): void {
		if (this.#stopped) return;
		const jitter = 0.9 + this.#dependencies.random() / 5;
		this.#timer = this.#dependencies.clock.after(periodMs(this.#dependencies.graceMs) * jitter, () => {
			this.#turn()
				.catch((error: unknown) =>
					this.#dependencies.log.warn('garbage could not be collected, the next round tries again', {
						error: error instanceof Error ? error.message : String(error),
					}),
				)
				.finally(() => this.#schedule());
		});
	}

	/** Runs one round if this node is the collector. */
	async #turn(): Promise<CollectedGarbage> {
		const nothing = { addresses: 0, claims: 0, handles: 0, spared: 0 };
		this.#duty = await this.#dutyNow();
		if (this.#duty.collector !== 'running') return nothing;
		const collected = await this.#collector.collect();
		this.#total = sum(this.#total, collected);
		if (collected.addresses + collected.claims + collected.handles > 0)
			this.#dependencies.log.info('garbage collected', { ...collected });
		return collected;
	}

	async #dutyNow(): Promise<Duty> {
		const { mode, store, client, node } = this.#dependencies;
		if (mode === 'off') return this.#duty;
		const other = mode === 'auto' ? await otherCollector(client) : undefined;
		if (other !== undefined) return { collector: 'off', reason: other };
		const readOnly = await store.readOnlyReason();
		if (readOnly !== undefined) return { collector: 'waiting', reason: readOnly };
		const holder = await this.#lease.ask();
		if (holder === node) return { collector: 'running' };
		return {
			collector: 'waiting',
			reason:
				holder === ''
					? 'another node has just taken the lease'
					: `node ${holder} holds the lease ${leaseNamespace}/${leaseName}`,
		};
	}

	/**
	 * Reads blocks before pods: a pod that starts in between is known when its address is examined.
	 */
	async #snapshot(): Promise<ClusterSnapshot> {
		const { store, client, clock } = this.#dependencies;
		const [blocks, handles, affinities] = await Promise.all([
			store.blocks.list(),
			store.handles.list(),
			store.affinities.list(),
		]);
		const { cooldownSeconds } = await store.config();
		const [nodes, pods] = await Promise.all([client.list(coreKinds.nodes), listPodFacts(client)]);
		return {
			// An address with an ended cooldown counts as free before that is persisted.
			blocks: valuesOf(blocks).map((block) => endCooldowns(block, cooldownSeconds, clock.wallMs())),
			unreadable: cidrsOf(blocks.unreadable),
			handles: valuesOf(handles),
			affinities: valuesOf(affinities),
			nodes: new Set(nodes.items.map((object) => toResource(object).name)),
			pods,
		};
	}
}

/** Two inspections per grace period. */
const periodMs = (graceMs: number): number => graceMs / 2;

const sum = (left: CollectedGarbage, right: CollectedGarbage): CollectedGarbage => ({
	addresses: left.addresses + right.addresses,
	claims: left.claims + right.claims,
	handles: left.handles + right.handles,
	spared: left.spared + right.spared,
});

/** The last check before a release: reads the pod itself, not an earlier list. */
async function podUses(client: ApiClient, { addresses }: Leak): Promise<boolean> {
	for (const { address, attributes } of addresses) {
		const { pod, namespace } = attributes;
		if (pod === undefined || namespace === undefined) continue;
		const found = await client.get(coreKinds.pods, pod, namespace);
		if (found === undefined) continue;
		const facts = podFacts(found);
		if (
			!facts.finished &&
			(facts.addresses.includes(address) || (facts.addresses.length === 0 && facts.node === attributes['node']))
		)
			return true;
	}
	return false;
}

/**
 * The reason why another program collects here; `undefined`: none does. An evicted pod stays in the
 * list but does not run.
 */
export async function otherCollector(client: ApiClient): Promise<string | undefined> {
	try {
		const { items } = await client.list(coreKinds.pods, { labelSelector: 'k8s-app=calico-kube-controllers' });
		return items.every((pod) => podFacts(pod).finished)
			? undefined
			: "Calico's kube-controllers run in this cluster and collect";
	} catch (error) {
		if (!(error instanceof ApiError) || error.code !== 403) throw error;
		return (
			"Pods may not be listed, so that neither abandoned addresses are known, nor whether Calico's " +
			'kube-controllers run'
		);
	}
}
