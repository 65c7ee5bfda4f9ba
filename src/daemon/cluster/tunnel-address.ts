import { type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import { type Allocator, attributeOf, blockName, handleName, type IpamStore, ordinalsOfHandle, ordinalToAddress, sanitizeHandle } from '../../ipam/index.ts';
import { type Resource, ResourceError, selectorMatches, toPool, toPoolRouting } from '../../kubernetes/index.ts';

/** A pool from which this node's tunnel may have its address. */
export interface TunnelAddressPool {
	readonly name: string;
	readonly cidr: PrefixKey;
}

/** An address of the tunnel's handle; `right`: it says that it is this node's tunnel's. */
export interface HeldAddress {
	readonly address: string;
	readonly right: boolean;
}

/** What a tunnel address follows from. */
export interface TunnelAddressFacts {
	/** What the Node says. */
	readonly annotated: string | undefined;
	readonly pools: readonly TunnelAddressPool[];
	readonly held: readonly HeldAddress[];
	/** With `host-local`: the one address that the node's range has for its tunnel. */
	readonly fixed?: string | undefined;
}

/** What is to be done, in this order: an address (given anew or held already), the annotation, and what is released after it. */
export type TunnelAddressPlan =
	| { readonly type: 'none'; readonly release: readonly string[] }
	| { readonly type: 'held'; readonly address: string; readonly release: readonly string[] }
	/** One that nobody needs to give. */
	| { readonly type: 'fixed'; readonly address: string; readonly release: readonly string[] }
	/** `preferred`: what the Node says already, where the pools still have it. */
	| { readonly type: 'assign'; readonly preferred: string | undefined; readonly release: readonly string[] };

/** The enabled pools with IPIP that give tunnel addresses to a node with these labels. A pool that does not parse gives none. */
export function tunnelAddressPools(pools: Iterable<Resource>, labels: Readonly<Record<string, string>>): readonly TunnelAddressPool[] {
	return [...pools].flatMap((resource) => {
		try {
			const { name, cidr, disabled, terminating, allowedUses, nodeSelector } = toPool(resource);
			const serves =
				!disabled && !terminating && allowedUses.includes('Tunnel') && toPoolRouting(resource).ipipMode !== 'Never' && selectorMatches(nodeSelector, labels);
			return serves ? [{ name, cidr }] : [];
		} catch (error) {
			if (error instanceof ResourceError) return [];
			throw error;
		}
	});
}

/** Calico `node/pkg/allocateip`: an address is kept while it is this node's tunnel's and in one of the pools. Pure. */
export function planTunnelAddress({ annotated, pools, held, fixed }: TunnelAddressFacts): TunnelAddressPlan {
	const inPools = (address: string) => pools.some(({ cidr }) => prefixContains(parsePrefix(cidr), parseAddress(address)));
	const usable = held.filter(({ address, right }) => right && inPools(address)).map(({ address }) => address);
	const kept = usable.find((address) => address === annotated) ?? usable[0];
	const release = held.map(({ address }) => address).filter((address) => address !== kept);
	if (pools.length === 0) return { type: 'none', release };
	if (fixed !== undefined) return { type: 'fixed', address: fixed, release: held.map(({ address }) => address) };
	if (kept !== undefined) return { type: 'held', address: kept, release };
	const isHeld = held.some(({ address }) => address === annotated);
	return { type: 'assign', preferred: annotated !== undefined && !isHeld && inPools(annotated) ? annotated : undefined, release };
}

export interface TunnelAddressOptions {
	readonly node: string;
	readonly allocator: Pick<Allocator, 'assign' | 'release' | 'releaseAddress'>;
	readonly store: Pick<IpamStore, 'handles' | 'blocks' | 'readOnlyReason'>;
	/** Writes the annotation of the Node; `undefined`: removes it. */
	readonly annotate: (address: string | undefined) => Promise<void>;
}

/** Keeps this node's tunnel address in step with the pools: a new one is in place before the old one is given back. */
export class TunnelAddressKeeper {
	readonly #options: TunnelAddressOptions;
	readonly #handleId: string;
	/** What was found right the last time: as long as nothing of it changes, nothing is asked. */
	#settled = '';

	constructor(options: TunnelAddressOptions) {
		this.#options = options;
		this.#handleId = `ipip-tunnel-addr-${options.node}`;
	}

	/** @throws Error, where there is no address or the API server does not answer */
	async reconcile({ annotated, pools, fixed }: Omit<TunnelAddressFacts, 'held'>): Promise<void> {
		const { allocator, store, annotate } = this.#options;
		const facts = (address: string | undefined) => JSON.stringify([address ?? null, pools, fixed ?? null]);
		if (this.#settled === facts(annotated)) return;
		// Nothing about addresses changes meanwhile, neither here nor on the Node.
		if ((await store.readOnlyReason()) !== undefined) return;
		const plan = planTunnelAddress({ annotated, pools, fixed, held: await this.#held() });
		const address = plan.type === 'none' ? undefined : plan.type === 'assign' ? await this.#assign(plan.preferred, pools, plan.release) : plan.address;
		if (address !== annotated) await annotate(address);
		// Only now: no Node names an address that somebody else may get.
		if (plan.type === 'none' || plan.type === 'fixed') await allocator.release(this.#handleId);
		else for (const old of plan.release) await allocator.releaseAddress(old, { handleId: this.#handleId });
		this.#settled = facts(address);
	}

	async #assign(preferred: string | undefined, pools: readonly TunnelAddressPool[], except: readonly string[]): Promise<string> {
		const { node, allocator } = this.#options;
		const request = {
			handleId: this.#handleId,
			attributes: { node, type: 'ipipTunnelAddress' },
			families: ['ipv4'],
			use: 'Tunnel',
			pools: { ipv4: pools.map(({ name }) => name) },
			except,
		} as const;
		const first = preferred === undefined ? undefined : await allocator.assign({ ...request, addresses: { ipv4: preferred } });
		const result = first?.type === 'assigned' ? first : await allocator.assign(request);
		if (result.type !== 'assigned') throw new Error(`no tunnel address: ${result.reason}`);
		const [given] = result.addresses;
		if (given === undefined) throw new Error('no tunnel address was given');
		return given.address;
	}

	/** What the handle holds, by the blocks themselves. */
	async #held(): Promise<readonly HeldAddress[]> {
		const { node, store } = this.#options;
		const handle = await store.handles.read(handleName(this.#handleId), 'fresh');
		const held: HeldAddress[] = [];
		// The keys are CIDRs as Calico and we write them: canonical.
		for (const cidr of Object.keys(handle?.value.blocks ?? {}) as PrefixKey[]) {
			const block = (await store.blocks.read(blockName(cidr), 'fresh'))?.value;
			if (block === undefined) continue;
			for (const ordinal of ordinalsOfHandle(block, sanitizeHandle(this.#handleId))) {
				const { secondary } = attributeOf(block, ordinal) ?? {};
				held.push({ address: ordinalToAddress(cidr, ordinal), right: secondary?.['node'] === node && secondary['type'] === 'ipipTunnelAddress' });
			}
		}
		return held;
	}
}
