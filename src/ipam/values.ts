import type { Family, PrefixKey } from '../core/index.ts';

/** Fields that this version does not know: kept as they were read, written back as they were. */
export type UnknownFields = Readonly<Record<string, unknown>>;

/** What is known of the owner of addresses of a block; several addresses may share one. Calico `ipamblocks.spec.attributes[]`. */
export interface AllocationAttribute {
	/** As written; compare only after `sanitizeHandle`. */
	readonly handleId: string | undefined;
	/** `node`, `pod`, `namespace`, `timestamp`, `type`, ...; Calico's ActiveOwnerAttrs. */
	readonly secondary: Readonly<Record<string, string>> | undefined;
	/** RFC 3339; present: the address was released and cools down, nobody owns it. */
	readonly releasedAt: string | undefined;
	readonly other: UnknownFields;
}

/** A block of addresses, usually affine to a node. Calico `ipamblocks.spec`. */
export interface Block {
	readonly cidr: PrefixKey;
	/** `host:<node>` or `virtual:<what>`; `undefined`: nobody's, its addresses may still be in use. */
	readonly affinity: string | undefined;
	/** RFC 3339. */
	readonly affinityClaimTime: string | undefined;
	/** Index: ordinal of the address in the block; value: index into `attributes`, `null` for free. */
	readonly allocations: readonly (number | null)[];
	/** Free ordinals, first in first out. */
	readonly unallocated: readonly number[];
	readonly attributes: readonly AllocationAttribute[];
	/** Raised on each write; begins at the nanoseconds of its creation, beyond 2^53. */
	readonly sequenceNumber: bigint;
	/** By ordinal: the block's sequence number when the address was given. */
	readonly sequenceNumberForAllocation: Readonly<Record<string, bigint>>;
	/** Marked for deletion; whoever sees it finishes the deletion. */
	readonly deleted: boolean;
	readonly other: UnknownFields;
}

/** The states of Calico's `blockaffinities`; `''` was written by old versions and counts as confirmed. */
export type AffinityState = 'pending' | 'confirmed' | 'pendingDeletion' | '';

/** Does the block of such a claim belong to its node, to be announced? */
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

/** How many addresses of which blocks belong together: a pod's. Calico `ipamhandles.spec`. */
export interface Handle {
	/** In its original case; the resource's name is lower case. */
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
	/** `metadata.deletionTimestamp` is set: nothing new is taken from it. */
	readonly terminating: boolean;
}

/** Calico `ipamconfigs/default`, with its defaults applied. */
export interface IpamConfig {
	readonly strictAffinity: boolean;
	readonly autoAllocateBlocks: boolean;
	/** 0: the safety limit of 20. */
	readonly maxBlocksPerHost: number;
	readonly cooldownSeconds: number;
}

/** What Calico takes where `ipamconfigs/default` is absent. */
export const defaultIpamConfig: IpamConfig = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSeconds: 0 };

/** Calico's limit of blocks per node where none is configured. */
export const safetyBlocksPerHost = 20;

/** The affinity of a node as a block carries it. */
export const hostAffinity = (node: string): string => `host:${node}`;
