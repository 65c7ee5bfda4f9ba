import type { Clock, Logger, PrefixKey, Timer } from '../../core/index.ts';
import { type Allocator, type IpamStore, rangeGateway, rangesOf } from '../../ipam/index.ts';
import { type ApiClient, coreKinds, type Informer, type JsonObject, nodeAnnotations, toNodeFacts } from '../../kubernetes/index.ts';
import { mustSayUp, networkCondition } from './network-condition.ts';
import { ownAddresses, writeOwnAddresses } from './own-address.ts';
import type { AddressMode } from './state.ts';
import { TunnelAddressKeeper, tunnelAddressPools } from './tunnel-address.ts';

export interface NodeDutiesOptions {
	readonly node: string;
	readonly client: Pick<ApiClient, 'patch'>;
	readonly nodes: Pick<Informer, 'items' | 'synced' | 'absorb'>;
	readonly pools: Pick<Informer, 'items' | 'synced'>;
	readonly allocator: Allocator;
	readonly store: IpamStore;
	readonly mode: AddressMode;
	/** Waits until BGP does not announce a block of this node any more; `false`: it still does. */
	readonly withdrawn: (cidr: PrefixKey) => Promise<boolean>;
	readonly clock: Clock;
	readonly log: Logger;
}

/** After a failure, unless a change comes before. */
const retryMs = 30_000;

/** What a node writes about itself: its addresses, its tunnel's address, its claims where they were left half done, and that its network is up. */
export class NodeDuties {
	readonly #options: NodeDutiesOptions;
	readonly #tunnel: TunnelAddressKeeper;
	#running: Promise<void> | undefined;
	#again = false;
	/** When there is something to do that no change tells of. */
	#next: Timer | undefined;
	/** This process has said that the network is up. */
	#saidUp = false;
	#stopped = false;

	constructor(options: NodeDutiesOptions) {
		const { node, allocator, store } = options;
		this.#options = options;
		this.#tunnel = new TunnelAddressKeeper({
			node,
			allocator,
			store,
			annotate: (address) => this.#annotate({ [nodeAnnotations.ipipTunnelAddress]: address ?? null }),
		});
	}

	/** Brings the Node resource to what it should say; one at a time. Never rejects: what failed is logged, and done at the next change or in a while. */
	perform(): Promise<void> {
		this.#again = true;
		this.#running ??= this.#performWhileAsked().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	/** Nothing more is written. `leaving`: nobody follows at once, so the scheduler is told that pods find no network here. */
	async stop(leaving: boolean): Promise<void> {
		this.#stopped = true;
		this.#next?.cancel();
		await this.#running;
		if (leaving && this.#saidUp) await this.#sayNetwork('down');
	}

	async #performWhileAsked(): Promise<void> {
		const { clock, log } = this.#options;
		while (this.#again && !this.#stopped) {
			this.#again = false;
			this.#next?.cancel();
			const nextMs = await this.#perform().catch((error: unknown) => {
				log.warn('could not write about this node', { error: error instanceof Error ? error.message : String(error) });
				return retryMs;
			});
			if (nextMs !== undefined && !this.#stopped) this.#next = clock.after(nextMs, () => void this.perform());
		}
	}

	/** Says in how many milliseconds it is to be called again although nothing changes. */
	async #perform(): Promise<number | undefined> {
		const { node, client, nodes, pools, allocator, mode, clock, log } = this.#options;
		// What is known of an earlier process only is nothing to decide on: the first lists are the occasion.
		if (!nodes.synced || !pools.synced) return undefined;
		const resource = nodes.items.get(node);
		if (resource === undefined) {
			log.warn('this node is not in the cluster', { node, hint: 'is `node` in the configuration the name of its Node resource?' });
			return undefined;
		}
		const facts = toNodeFacts(resource);
		const written = await writeOwnAddresses({ node, client, nodes, clock, addresses: ownAddresses });
		if (Object.keys(written).length > 0) log.info('wrote about this node', { annotations: written });
		if (mustSayUp(resource.raw, this.#saidUp)) await this.#sayNetwork('up');
		this.#saidUp = true;
		const given = { annotated: facts.tunnelAddresses.ipip, pools: tunnelAddressPools(pools.items.values(), facts.labels) };
		if (mode === 'blocks') {
			await allocator.finishClaims();
			await this.#tunnel.reconcile(given);
			// Behind the tunnel's address, which may have been the last one of such a block.
			return allocator.giveUpUnselected(this.#options.withdrawn);
		}
		// Calico with USE_POD_CIDR: the second address of the node's range.
		const [range] = rangesOf(facts.podCidrs, 'ipv4');
		await this.#tunnel.reconcile(range === undefined ? { ...given, pools: [] } : { ...given, fixed: rangeGateway(range) });
		return undefined;
	}

	/** `null` removes one. */
	async #annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
		const { node, client, nodes, log } = this.#options;
		if (Object.keys(annotations).length === 0) return;
		nodes.absorb(await client.patch(coreKinds.nodes, node, { metadata: { annotations } }, 'application/merge-patch+json'));
		log.info('wrote about this node', { annotations });
	}

	async #sayNetwork(state: 'up' | 'down'): Promise<void> {
		const { node, client, nodes, log } = this.#options;
		const condition: JsonObject = { status: { conditions: [networkCondition(state, new Date())] } };
		nodes.absorb(await client.patch(coreKinds.nodes, node, condition, 'application/strategic-merge-patch+json', { subresource: 'status' }));
		log.info('told the scheduler about the network of this node', { network: state });
	}
}
