import type { Family, PrefixKey } from '../core/index.ts';

/** Unknown fields: preserved, and written back unchanged. */
export type UnknownFields = Readonly<Record<string, unknown>>;

/**
 * The owner of addresses of a block; several addresses may share one attribute. Calico
 * `ipamblocks.spec.attributes[]`.
 */
export interface AllocationAttribute {
	/** As written; compare only after `sanitizeHandle`. */
	readonly handleId: string | undefined;
	/** `node`, `pod`, `namespace`, `timestamp`, `type`, ...; Calico's ActiveOwnerAttrs. */
	readonly secondary: Readonly<Record<string, string>> | undefined;
	/**
	 * The second owner while a virtual machine migrates: the pod that takes the address over.
	 * Calico's AlternateOwnerAttrs.
	 */
	readonly alternate?: Readonly<Record<string, string>> | undefined;
	/** RFC 3339; present: the address was released and is in cooldown, without an owner. */
	readonly releasedAt: string | undefined;
	readonly other: UnknownFields;
}

/** A block of addresses, usually affine to a node. Calico `ipamblocks.spec`. */
export interface Block {
	readonly cidr: PrefixKey;
	/** `host:<node>` or `virtual:<name>`; `undefined`: none, while its addresses may be in use. */
	readonly affinity: string | undefined;
	/** RFC 3339. */
	readonly affinityClaimTime: string | undefined;
	/**
	 * Index: ordinal of the address in the block; value: index into `attributes`, `null` for free.
	 */
	readonly allocations: readonly (number | null)[];
	/** Free ordinals, first in, first out. */
	readonly unallocated: readonly number[];
	readonly attributes: readonly AllocationAttribute[];
	/** Raised at each write; begins at the nanoseconds of its creation, beyond 2^53. */
	readonly sequenceNumber: bigint;
	/** By ordinal: the block's sequence number at the assignment. */
	readonly sequenceNumberForAllocation: Readonly<Record<string, bigint>>;
	/** Marked for deletion; the next reader completes it. */
	readonly deleted: boolean;
	readonly other: UnknownFields;
}

/** The states of Calico's `blockaffinities`; old versions wrote `''`, which counts as confirmed. */
export type AffinityState = 'pending' | 'confirmed' | 'pendingDeletion' | '';

/** True if the block of such an affinity belongs to its node and is announced. */
export const isConfirmed = (state: AffinityState | undefined): boolean => state === 'confirmed' || state === '';

/** A node's claim to a block. Calico `blockaffinities.spec`. */
export interface Affinity {
	readonly state: AffinityState;
	readonly node: string;
	readonly type: 'host' | 'virtual';
	readonly cidr: PrefixKey;
	readonly deleted: boolean;
	readonly other: UnknownFields;
}

/** The number of addresses per block of one owner, such as a pod. Calico `ipamhandles.spec`. */
export interface Handle {
	/** In its original case; the resource name is in lower case. */
	readonly handleId: string;
	readonly blocks: Readonly<Record<string, number>>;
	readonly deleted: boolean;
	readonly other: UnknownFields;
}

export type PoolUse = 'Workload' | 'Tunnel' | 'LoadBalancer';

/** Calico `ippools.spec`, with its defaults applied. */
export interface Pool {
	readonly name: string;
	readonly cidr: PrefixKey;
	readonly family: Family;
	readonly blockSize: number;
	readonly disabled: boolean;
	readonly nodeSelector: string;
	readonly namespaceSelector: string;
	readonly allowedUses: readonly PoolUse[];
	readonly assignmentMode: 'Automatic' | 'Manual';
	/** `metadata.deletionTimestamp` is set: no new address is assigned. */
	readonly terminating: boolean;
	/**
	 * Differs after each change of `spec` and after each creation; opaque. Absent where the source
	 * has none.
	 */
	readonly version?: string;
}

/** Calico `ipamconfigs/default`, with its defaults applied. */
export interface IpamConfig {
	readonly strictAffinity: boolean;
	readonly autoAllocateBlocks: boolean;
	/** 0: the safety limit of 20. */
	readonly maxBlocksPerHost: number;
	readonly cooldownSeconds: number;
}

/** Calico's defaults if `ipamconfigs/default` is absent. */
export const defaultIpamConfig: IpamConfig = {
	strictAffinity: false,
	autoAllocateBlocks: true,
	maxBlocksPerHost: 0,
	cooldownSeconds: 0,
};

/** Calico's limit of blocks per node if none is configured. */
export const safetyBlocksPerHost = 20;

/**
 * The virtual host whose blocks hold the addresses of load balancers; no node has this name (Calico
 * kube-controllers).
 */
export const loadBalancerHost = 'load-balancer';

/** The affinity type of a host. */
export const affinityTypeOf = (node: string): Affinity['type'] => (node === loadBalancerHost ? 'virtual' : 'host');

/** The `affinity` field of a block for a node or for the virtual host. */
export const hostAffinity = (node: string): string => `${affinityTypeOf(node)}:${node}`;
