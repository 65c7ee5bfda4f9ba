import type { Family, PrefixKey } from '../core/index.ts';
import type { PoolVerdict } from './pool.ts';
import type { PoolUse } from './values.ts';

/** A request for one address of each given family, all or none. */
export interface AssignRequest {
	/**
	 * A repeated request with the same handle, for the same interface, returns the same addresses.
	 */
	readonly handleId: string;
	/**
	 * Stored with the address: `node`, `pod`, `namespace`, `timestamp`, `type`; `ifname`: the
	 * container's interface.
	 */
	readonly attributes: Readonly<Record<string, string>>;
	readonly families: readonly Family[];
	readonly use: PoolUse;
	/** The pod's namespace; absent for addresses of the node itself. */
	readonly namespace?: string;
	/** Pool names or CIDRs by family; absent: all pools that select node and namespace. */
	readonly pools?: Readonly<Partial<Record<Family, readonly string[]>>>;
	/**
	 * Addresses of the handle to ignore: they are about to be released, and a replacement is
	 * required before that.
	 */
	readonly except?: readonly string[];
	/** A specific address by family, in place of any address. */
	readonly addresses?: Readonly<Partial<Record<Family, string>>>;
	/**
	 * Families whose result includes a gateway inside the block; the gateway is created if the
	 * block has none. Addresses then come only from the node's own blocks.
	 */
	readonly gateways?: readonly Family[];
}

/** An assigned address. */
export interface AssignedAddress {
	readonly family: Family;
	readonly address: string;
	readonly block: PrefixKey;
	readonly pool: string | undefined;
	/** True if the handle had this address before. */
	readonly known: boolean;
	/** Present if it was requested. */
	readonly gateway?: string;
}

/** The reason why there is no address: as one sentence, and per pool. */
export interface Unavailable {
	readonly type: 'unavailable';
	readonly family: Family;
	readonly reason: string;
	readonly pools: readonly PoolVerdict[];
	/** True if a later retry can succeed (a limit or a lock, not an invalid request). */
	readonly temporary: boolean;
}

export type AssignResult = { readonly type: 'assigned'; readonly addresses: readonly AssignedAddress[] } | Unavailable;
