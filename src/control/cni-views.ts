import type { Family } from '../core/index.ts';

/**
 * The pod's interface, where the daemon makes it: the plugin is the main plugin (`type: bgpmesh`).
 */
export interface CniInterface {
	/** Path of the pod's network namespace; `''` at DEL and GC, where it may be gone. */
	readonly namespace: string;
	/** Absent: what the overlay leaves of the uplink's MTU. */
	readonly mtuBytes?: number;
	/** Hardware address, as `02:00:00:00:00:01`; absent: the kernel chooses. */
	readonly mac?: string;
}

/** A container of a network, and the pod it belongs to, where there is one. */
export interface CniAttachment {
	/** Absent: another main plugin makes the interface, and the request is about addresses alone. */
	readonly interface?: CniInterface;
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
	/**
	 * Certain addresses, one of a family at most: then these alone, also against `families`; absent:
	 * any.
	 */
	readonly wantedAddresses?: readonly string[];
	/** Families that want a gateway inside the address's block; absent: none does. */
	readonly gateways?: readonly Family[];
}

/** CHECK: the addresses that ADD gave. */
export interface CniCheckRequest extends CniAttachment {
	readonly addresses: readonly string[];
}

/**
 * GC: the attachments of a network that are still there; everything else of it on this node is
 * released.
 */
export interface CniCollectRequest {
	/** Present: interfaces that no attachment has are removed, too. */
	readonly interface?: CniInterface;
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
	/** The hardware address that the pod's annotation requests. */
	readonly mac?: string;
	/** The interface that was made; present where the request has one. */
	readonly interface?: { readonly hostName: string; readonly mac: string; readonly mtuBytes: number };
}

/** What was released. */
export interface ReleasedView {
	readonly addresses: readonly string[];
}

/** `ready`: addresses can be given now. */
export interface CniStatusView {
	readonly ready: boolean;
}
