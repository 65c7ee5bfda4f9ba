import { type Family, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../core/index.ts';
import {
	type Allocator,
	attributeOf,
	blockName,
	handleName,
	type IpamStore,
	ordinalsOfHandle,
	ordinalToAddress,
	sanitizeHandle,
} from '../ipam/index.ts';
import {
	type NodeFacts,
	nodeAnnotations,
	type PoolRouting,
	type Resource,
	ResourceError,
	readResource,
	toPool,
	toPoolRouting,
} from '../kubernetes/index.ts';
import { selectorMatchesIfReadable } from '../selector/index.ts';

/**
 * One kind of tunnel address of a node. Handles, attributes and annotations are those of Calico
 * `node/pkg/allocateip`.
 */
export interface TunnelKind {
	/** Value of the allocation's attribute `type`. */
	readonly attribute: string;
	/** Prefix of the handle; the node's name follows. */
	readonly handlePrefix: string;
	readonly annotation: string;
	readonly family: Family;
	/** True if a pool provides such addresses. */
	readonly serves: (pool: PoolRouting) => boolean;
	/** The present annotation of the Node. */
	readonly annotated: (facts: NodeFacts) => string | undefined;
}

const isVxlan = ({ vxlanMode, cidr }: PoolRouting, family: Family): boolean =>
	vxlanMode !== 'Never' && cidr.includes(':') === (family === 'ipv6');

/** In Calico's order of allocation. */
export const tunnelKinds: readonly TunnelKind[] = [
	{
		attribute: 'ipipTunnelAddress',
		handlePrefix: 'ipip-tunnel-addr-',
		annotation: nodeAnnotations.ipipTunnelAddress,
		family: 'ipv4',
		serves: ({ ipipMode, cidr }) => ipipMode !== 'Never' && !cidr.includes(':'),
		annotated: ({ tunnelAddresses }) => tunnelAddresses.ipip,
	},
	{
		attribute: 'vxlanTunnelAddress',
		handlePrefix: 'vxlan-tunnel-addr-',
		annotation: nodeAnnotations.vxlanTunnelAddress,
		family: 'ipv4',
		serves: (pool) => isVxlan(pool, 'ipv4'),
		annotated: ({ tunnelAddresses }) => tunnelAddresses.vxlan,
	},
	{
		attribute: 'vxlanV6TunnelAddress',
		handlePrefix: 'vxlan-v6-tunnel-addr-',
		annotation: nodeAnnotations.vxlanIpv6TunnelAddress,
		family: 'ipv6',
		serves: (pool) => isVxlan(pool, 'ipv6'),
		annotated: ({ tunnelAddresses }) => tunnelAddresses.vxlanIpv6,
	},
];

/** A pool for this node's tunnel address. */
export interface TunnelAddressPool {
	readonly name: string;
	readonly cidr: PrefixKey;
}

/**
 * An address of the tunnel's handle; `right`: its attributes name this node and this kind of
 * tunnel.
 */
export interface HeldAddress {
	readonly address: string;
	readonly right: boolean;
}

/** The inputs of the decision. */
export interface TunnelAddressFacts {
	/** The present annotation of the Node. */
	readonly annotated: string | undefined;
	readonly pools: readonly TunnelAddressPool[];
	readonly held: readonly HeldAddress[];
	/** With `host-local`: the tunnel address of the node's range. */
	readonly fixed?: string | undefined;
}

/**
 * The actions, in this order: assign an address (or keep one), write the annotation, release old
 * addresses.
 */
export type TunnelAddressPlan =
	| { readonly type: 'none'; readonly release: readonly string[] }
	| { readonly type: 'held'; readonly address: string; readonly release: readonly string[] }
	/** An address without an allocation. */
	| { readonly type: 'fixed'; readonly address: string; readonly release: readonly string[] }
	/** `preferred`: the annotated address, if the pools still contain it. */
	| { readonly type: 'assign'; readonly preferred: string | undefined; readonly release: readonly string[] };

/**
 * The enabled pools that provide tunnel addresses of a kind (default: IP in IP) to a node with
 * these labels. Unparsable pools are skipped.
 */
export function tunnelAddressPools(
	pools: Iterable<Resource>,
	labels: Readonly<Record<string, string>>,
	serving: TunnelKind['serves'] = ({ ipipMode }) => ipipMode !== 'Never',
): readonly TunnelAddressPool[] {
	return [...pools].flatMap((resource) => {
		try {
			const { name, cidr, disabled, terminating, allowedUses, nodeSelector } = readResource(resource, toPool);
			const serves =
				!disabled &&
				!terminating &&
				allowedUses.includes('Tunnel') &&
				serving(toPoolRouting(resource)) &&
				selectorMatchesIfReadable(nodeSelector, labels) === true;
			return serves ? [{ name, cidr }] : [];
		} catch (error) {
			if (error instanceof ResourceError) return [];
			throw error;
		}
	});
}

/**
 * Calico `node/pkg/allocateip`: an address is kept while it is allocated to this node's tunnel and
 * lies in one of the pools. Pure.
 */
export function planTunnelAddress({ annotated, pools, held, fixed }: TunnelAddressFacts): TunnelAddressPlan {
	const inPools = (address: string) =>
		pools.some(({ cidr }) => prefixContains(parsePrefix(cidr), parseAddress(address)));
	const usable = held.filter(({ address, right }) => right && inPools(address)).map(({ address }) => address);
	const kept = usable.find((address) => address === annotated) ?? usable[0];
	const release = held.map(({ address }) => address).filter((address) => address !== kept);
	if (pools.length === 0) return { type: 'none', release };
	if (fixed !== undefined) return { type: 'fixed', address: fixed, release: held.map(({ address }) => address) };
	if (kept !== undefined) return { type: 'held', address: kept, release };
	const isHeld = held.some(({ address }) => address === annotated);
	return {
		type: 'assign',
		preferred: annotated !== undefined && !isHeld && inPools(annotated) ? annotated : undefined,
		release,
	};
}

const ipipKind = { attribute: 'ipipTunnelAddress', handlePrefix: 'ipip-tunnel-addr-', family: 'ipv4' } as const;

export interface TunnelAddressDependencies {
	readonly node: string;
	/** Default: the kind of the IP-in-IP device. */
	readonly kind?: Pick<TunnelKind, 'attribute' | 'handlePrefix' | 'family'>;
	readonly allocator: Pick<Allocator, 'assign' | 'release' | 'releaseAddress'>;
	readonly store: Pick<IpamStore, 'handles' | 'blocks' | 'readOnlyReason'>;
	/** Writes the annotation of the Node; `undefined` removes it. */
	readonly annotate: (address: string | undefined) => Promise<void>;
}

/**
 * Keeps this node's tunnel address in step with the pools: a new address is in place before the old
 * one is released.
 */
export class TunnelAddressKeeper {
	readonly #dependencies: TunnelAddressDependencies;
	readonly #handleId: string;
	readonly #kind: Pick<TunnelKind, 'attribute' | 'handlePrefix' | 'family'>;
	/** The inputs of the last complete run: while they are unchanged, no request is sent. */
	#settled = '';

	constructor(dependencies: TunnelAddressDependencies) {
		this.#dependencies = dependencies;
		this.#kind = dependencies.kind ?? ipipKind;
		this.#handleId = `${this.#kind.handlePrefix}${dependencies.node}`;
	}

	/** @throws Error if no address is available, or the API server does not respond */
	async reconcile({ annotated, pools, fixed }: Omit<TunnelAddressFacts, 'held'>): Promise<void> {
		const { allocator, store, annotate } = this.#dependencies;
		const facts = (address: string | undefined) => JSON.stringify([address ?? null, pools, fixed ?? null]);
		if (this.#settled === facts(annotated)) return;
		// While writes are locked, neither allocations nor the annotation change.
		if ((await store.readOnlyReason()) !== undefined) return;
		const plan = planTunnelAddress({ annotated, pools, fixed, held: await this.#held() });
		const address =
			plan.type === 'none'
				? undefined
				: plan.type === 'assign'
					? await this.#assign(plan.preferred, pools, plan.release)
					: plan.address;
		if (address !== annotated) await annotate(address);
		// Released only after the annotation is written: no Node may name an address that another
		// owner may get.
		if (plan.type === 'none' || plan.type === 'fixed') await allocator.release(this.#handleId);
		else for (const old of plan.release) await allocator.releaseAddress(old, { handleId: this.#handleId });
		this.#settled = facts(address);
	}

	async #assign(
		preferred: string | undefined,
		pools: readonly TunnelAddressPool[],
		except: readonly string[],
	): Promise<string> {
		const { node, allocator } = this.#dependencies;
		const { attribute, family } = this.#kind;
		const request = {
			handleId: this.#handleId,
			attributes: { node, type: attribute },
			families: [family],
			use: 'Tunnel',
			pools: { [family]: pools.map(({ name }) => name) },
			except,
		} as const;
		const first =
			preferred === undefined ? undefined : await allocator.assign({ ...request, addresses: { [family]: preferred } });
		const result = first?.type === 'assigned' ? first : await allocator.assign(request);
		if (result.type !== 'assigned') throw new Error(`no tunnel address: ${result.reason}`);
		const [given] = result.addresses;
		if (given === undefined) throw new Error('no tunnel address was given');
		return given.address;
	}

	/** The addresses of the handle, read from the blocks. */
	async #held(): Promise<readonly HeldAddress[]> {
		const { node, store } = this.#dependencies;
		const handle = await store.handles.read(handleName(this.#handleId), 'fresh');
		const held: HeldAddress[] = [];
		// The keys are canonical CIDRs, as Calico and we write them.
		for (const cidr of Object.keys(handle?.value.blocks ?? {}) as PrefixKey[]) {
			const block = (await store.blocks.read(blockName(cidr), 'fresh'))?.value;
			if (block === undefined) continue;
			for (const ordinal of ordinalsOfHandle(block, sanitizeHandle(this.#handleId))) {
				const { secondary } = attributeOf(block, ordinal) ?? {};
				held.push({
					address: ordinalToAddress(cidr, ordinal),
					right: secondary?.['node'] === node && secondary['type'] === this.#kind.attribute,
				});
			}
		}
		return held;
	}
}
