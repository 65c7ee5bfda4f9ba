import type { Clock, Logger, PrefixKey, Timer } from '../core/index.ts';
import { type Allocator, type IpamStore, rangeGateway, rangesOf } from '../ipam/index.ts';
import type { JsonObject } from '../json/index.ts';
import { type ApiClient, coreKinds, type Informer, toNodeFacts } from '../kubernetes/index.ts';
import type { AddressDetector } from './addresses/keeper.ts';
import { mustSayUp, type NetworkState, networkCondition } from './network-condition.ts';
import { writeOwnAddresses } from './own-address.ts';
import type { AddressMode } from './state.ts';
import { TunnelAddressKeeper, type TunnelKind, tunnelAddressPools, tunnelKinds } from './tunnel-address.ts';

export interface NodeDutiesDependencies {
	readonly node: string;
	readonly client: Pick<ApiClient, 'patch'>;
	readonly nodes: Pick<Informer, 'items' | 'synced' | 'absorb'>;
	readonly pools: Pick<Informer, 'items' | 'synced'>;
	/** The source of the Node's address annotations. */
	readonly addresses: Pick<AddressDetector, 'annotations'>;
	readonly allocator: Allocator;
	readonly store: IpamStore;
	readonly mode: AddressMode;
	/**
	 * `true`: the condition NetworkUnavailable is written only after the first call of
	 * `setNetworkProblem`.
	 */
	readonly awaitsNetwork?: boolean;
	/** Waits until BGP no longer announces a block of this node; `false`: it still does. */
	readonly withdrawn: (cidr: PrefixKey) => Promise<boolean>;
	readonly clock: Clock;
	readonly log: Logger;
}

/** Retry delay after a failure if no change comes earlier, in milliseconds. */
const retryMs = 30_000;
/** Calico's AUTODETECT_POLL_INTERVAL. */
const addressPollMs = 60_000;

/**
 * The node's writes about itself: its addresses, its tunnel addresses, its interrupted claims, and
 * the condition of its network.
 */
export class NodeDuties {
	readonly #dependencies: NodeDutiesDependencies;
	readonly #tunnels: readonly { readonly kind: TunnelKind; readonly keeper: TunnelAddressKeeper }[];
	#running: Promise<void> | undefined;
	#again = false;
	/** For work that no change event triggers. */
	#next: Timer | undefined;
	/** True after this process has set the condition to available. */
	#saidUp = false;
	#networkKnown: boolean;
	#networkProblem: string | undefined;
	/** The problem in the present condition. */
	#saidProblem: string | undefined;
	#stopped = false;

	constructor(dependencies: NodeDutiesDependencies) {
		const { node, allocator, store } = dependencies;
		this.#dependencies = dependencies;
		this.#networkKnown = dependencies.awaitsNetwork !== true;
		this.#tunnels = tunnelKinds.map((kind) => ({
			kind,
			keeper: new TunnelAddressKeeper({
				node,
				kind,
				allocator,
				store,
				annotate: (address) => this.#annotate({ [kind.annotation]: address ?? null }),
			}),
		}));
	}

	/**
	 * Updates the Node resource to its desired state; one run at a time. Never rejects: a failure
	 * is logged and retried at the next change or after a delay.
	 */
	perform(): Promise<void> {
		this.#again = true;
		this.#running ??= this.#performWhileAsked().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	/**
	 * Sets the reason why pods have no network on this node; `undefined`: they have one. Updates
	 * the Node's condition.
	 */
	setNetworkProblem(problem: string | undefined): void {
		if (this.#networkKnown && problem === this.#networkProblem) return;
		this.#networkKnown = true;
		this.#networkProblem = problem;
		void this.perform();
	}

	/**
	 * Ends all writes. `leaving`: no restart is expected, so the condition keeps new pods off this
	 * node.
	 */
	async stop(leaving: boolean): Promise<void> {
		this.#stopped = true;
		this.#next?.cancel();
		await this.#running;
		if (leaving && (this.#saidUp || this.#saidProblem !== undefined)) await this.#sayNetwork('down');
	}

	async #performWhileAsked(): Promise<void> {
		const { clock, log } = this.#dependencies;
		while (this.#again && !this.#stopped) {
			this.#again = false;
			this.#next?.cancel();
			const dueMs = await this.#perform().catch((error: unknown) => {
				log.warn('could not write about this node', { error: error instanceof Error ? error.message : String(error) });
				return retryMs;
			});
			// Interfaces change without an event: addresses are checked periodically, as in Calico.
			const nextMs = Math.min(dueMs ?? addressPollMs, addressPollMs);
			if (!this.#stopped) this.#next = clock.after(nextMs, () => void this.perform());
		}
	}

	/** Returns the delay in milliseconds until the next run without a change. */
	async #perform(): Promise<number | undefined> {
		const { node, client, nodes, pools, allocator, mode, clock, log } = this.#dependencies;
		// The last known state is no basis for decisions; the first lists trigger the next run.
		if (!nodes.synced || !pools.synced) return undefined;
		const resource = nodes.items.get(node);
		if (resource === undefined) {
			log.warn('this node is not in the cluster', {
				node,
				hint: 'is `node` in the configuration the name of its Node resource?',
			});
			return undefined;
		}
		const facts = toNodeFacts(resource);
		const { addresses } = this.#dependencies;
		const written = await writeOwnAddresses({
			node,
			client,
			nodes,
			clock,
			addresses: (newest) => addresses.annotations(newest),
		});
		if (Object.keys(written).length > 0) log.info('wrote about this node', { annotations: written });
		await this.#performNetwork(resource.raw);
		const { ipv4, ipv6 } = toNodeFacts(nodes.items.get(node) ?? resource);
		// On an IPv6-only node an IPv4 tunnel carries no traffic.
		const poolsFor = ({ serves, family }: TunnelKind) =>
			family === 'ipv4' && ipv4 === undefined && ipv6 !== undefined
				? []
				: tunnelAddressPools(pools.items.values(), facts.labels, serves);
		if (mode === 'blocks') {
			await allocator.finishClaims();
			for (const { kind, keeper } of this.#tunnels)
				await keeper.reconcile({ annotated: kind.annotated(facts), pools: poolsFor(kind) });
			// After the tunnel addresses, one of which may have been the last address of such a
			// block.
			return allocator.giveUpUnselected(this.#dependencies.withdrawn);
		}
		for (const { kind, keeper } of this.#tunnels) {
			// As Calico with USE_POD_CIDR: the second address of the node's range.
			const [range] = rangesOf(facts.podCidrs, kind.family);
			const annotated = kind.annotated(facts);
			await keeper.reconcile(
				range === undefined
					? { annotated, pools: [] }
					: { annotated, pools: poolsFor(kind), fixed: rangeGateway(range) },
			);
		}
		return undefined;
	}

	/**
	 * With a problem the condition is True with the problem as its message; otherwise it is False.
	 */
	async #performNetwork(raw: JsonObject): Promise<void> {
		if (!this.#networkKnown) return;
		const problem = this.#networkProblem;
		if (problem !== undefined) {
			if (problem !== this.#saidProblem) await this.#sayNetwork({ problem });
			this.#saidProblem = problem;
			return;
		}
		if (this.#saidProblem !== undefined || mustSayUp(raw, this.#saidUp)) await this.#sayNetwork('up');
		this.#saidProblem = undefined;
		this.#saidUp = true;
	}

	/** `null` removes an annotation. */
	async #annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
		const { node, client, nodes, log } = this.#dependencies;
		if (Object.keys(annotations).length === 0) return;
		nodes.absorb(
			await client.patch(coreKinds.nodes, node, { metadata: { annotations } }, 'application/merge-patch+json'),
		);
		log.info('wrote about this node', { annotations });
	}

	async #sayNetwork(state: NetworkState): Promise<void> {
		const { node, client, nodes, log } = this.#dependencies;
		const condition: JsonObject = { status: { conditions: [networkCondition(state, new Date())] } };
		nodes.absorb(
			await client.patch(coreKinds.nodes, node, condition, 'application/strategic-merge-patch+json', {
				subresource: 'status',
			}),
		);
		log.info('condition NetworkUnavailable written', typeof state === 'object' ? { ...state } : { network: state });
	}
}
