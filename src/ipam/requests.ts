import type { Family, PrefixKey } from '../core/index.ts';
import type { PoolVerdict } from './pool.ts';
import type { PoolUse } from './values.ts';

/** What is asked for: one address of each family given, all or none. */
export interface AssignRequest {
	/** Asking again with the same handle, for the same interface, gives the same addresses. */
	readonly handleId: string;
	/** Written beside the address: `node`, `pod`, `namespace`, `timestamp`, `type`; `ifname`: which of the container's interfaces it is for. */
	readonly attributes: Readonly<Record<string, string>>;
	readonly families: readonly Family[];
	readonly use: PoolUse;
	/** The pod's namespace; absent for addresses of the node itself. */
	readonly namespace?: string;
	/** Pool names or CIDRs to take from, by family; absent: whichever select node and namespace. */
	readonly pools?: Readonly<Partial<Record<Family, readonly string[]>>>;
	/** Addresses that the handle holds and that do not count: they are on their way out, and another is wanted before they go. */
	readonly except?: readonly string[];
	/** A certain address, by family, in place of any. */
	readonly addresses?: Readonly<Partial<Record<Family, string>>>;
	/** Families whose answer names a gateway inside the block; it is set aside where there is none yet. Addresses then come from the node's own blocks alone. */
	readonly gateways?: readonly Family[];
}

/** An address that was given. */
export interface AssignedAddress {
	readonly family: Family;
	readonly address: string;
	readonly block: PrefixKey;
	readonly pool: string | undefined;
	/** It was this handle's before. */
	readonly known: boolean;
	/** Where one was asked for. */
	readonly gateway?: string;
}

/** Why there is no address: in one sentence, and pool by pool. */
export interface Unavailable {
	readonly type: 'unavailable';
	readonly family: Family;
	readonly reason: string;
	readonly pools: readonly PoolVerdict[];
	/** Trying again later may help (a limit or a lock, not a mistake in the request). */
	readonly temporary: boolean;
}

export type AssignResult = { readonly type: 'assigned'; readonly addresses: readonly AssignedAddress[] } | Unavailable;
