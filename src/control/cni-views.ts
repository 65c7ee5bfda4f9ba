import type { Family } from '../core/index.ts';

/** Who asks: a container of a network, and the pod it belongs to, where there is one. */
export interface CniAttachment {
	readonly network: string;
	readonly containerId: string;
	readonly ifname: string;
	readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
}

/** ADD: an address of each family, all or none. */
export interface CniAddRequest extends CniAttachment {
	readonly families: readonly Family[];
	readonly ipv4Pools: readonly string[];
	readonly ipv6Pools: readonly string[];
	/** Certain addresses, one of a family at most: then these and no others, whatever `families` says; absent: any. */
	readonly wantedAddresses?: readonly string[];
	/** Families that want a gateway inside the address's block; absent: none does. */
	readonly gateways?: readonly Family[];
}

/** CHECK: the addresses that ADD gave. */
export interface CniCheckRequest extends CniAttachment {
	readonly addresses: readonly string[];
}

/** GC: the attachments of a network that are still there; everything else of it on this node is released. */
export interface CniCollectRequest {
	readonly network: string;
	readonly validAttachments: readonly { readonly containerId: string; readonly ifname: string }[];
}

/** An address that was given. */
export interface AddressGrant {
	readonly family: Family;
	readonly address: string;
	/** CIDR of its block. */
	readonly block: string;
	readonly pool?: string;
	/** In the block, and no pod's; where it was asked for. */
	readonly gateway?: string;
}

export interface AddressGrantsView {
	readonly addresses: readonly AddressGrant[];
}

/** What was released. */
export interface ReleasedView {
	readonly addresses: readonly string[];
}

/** `ready`: addresses can be given now. */
export interface CniStatusView {
	readonly ready: boolean;
}
