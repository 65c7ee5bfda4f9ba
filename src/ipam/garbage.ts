/**
 * Garbage, as a decision on a snapshot: addresses without an owner, empty blocks, affinities of
 * deleted nodes, handles without addresses. Two observations, one grace period apart, must agree.
 * The addresses of a handle are released together or not at all. Calico: node controller of
 * kube-controllers.
 */
import type { PrefixKey } from '../core/index.ts';
import { ordinalToAddress } from './addresses.ts';
import { isEmpty, ordinalsOfHandle } from './block.ts';
import { gatewayType } from './gateway.ts';
import { blocksOf } from './handle.ts';
import { handleName, sanitizeHandle } from './names.ts';
import { type Affinity, type Block, type Handle, hostAffinity } from './values.ts';

/** The fields of a pod that concern its addresses. */
export interface PodFacts {
	readonly node: string | undefined;
	/** Empty while not known. */
	readonly addresses: readonly string[];
	/** Succeeded or failed: its addresses should have been released. */
	readonly finished: boolean;
}

/** The cluster at one moment. */
export interface ClusterSnapshot {
	readonly blocks: readonly Block[];
	/** CIDRs of existing blocks that can not be read: excluded from all decisions. */
	readonly unreadable?: readonly PrefixKey[];
	readonly handles: readonly Handle[];
	readonly affinities: readonly Affinity[];
	readonly nodes: ReadonlySet<string>;
	/** By `namespace/name`. */
	readonly pods: ReadonlyMap<string, PodFacts>;
}

/** An allocated address. */
export interface HeldAddress {
	readonly address: string;
	readonly block: PrefixKey;
	readonly handleId: string;
	readonly sequenceNumber: bigint;
	readonly attributes: Readonly<Record<string, string>>;
	/** The second owner, while a virtual machine migrates. */
	readonly alternate?: Readonly<Record<string, string>>;
}

/** Addresses of one handle without an owner, with a reason for the operator. */
export interface Leak {
	readonly handleId: string;
	readonly addresses: readonly HeldAddress[];
	readonly reason: string;
}

/** A releasable claim: on an empty block that its node does not need, or of a deleted node. */
export interface SpareClaim {
	readonly node: string;
	readonly cidr: PrefixKey;
	readonly requireEmpty: boolean;
	readonly reason: string;
}

/** Start time of each suspicion. */
export type Suspicions = ReadonlyMap<string, number>;

export interface GarbageReport {
	readonly leaks: readonly Leak[];
	readonly claims: readonly SpareClaim[];
	readonly handles: readonly Handle[];
	/** Input of the next inspection. */
	readonly suspicions: Suspicions;
}

export interface GarbageOptions {
	readonly graceMs: number;
	/** Maximum number of addresses in one report (Calico: 10,000). */
	readonly mostAddresses: number;
}

/**
 * Compares blocks and handles with existing owners. Pure; `suspicions` carries the results of
 * earlier inspections.
 */
export function findGarbage(
	snapshot: ClusterSnapshot,
	suspicions: Suspicions,
	nowMs: number,
	{ graceMs, mostAddresses }: GarbageOptions,
): GarbageReport {
	const next = new Map<string, number>();
	const isOldEnough = (key: string): boolean => {
		const since = suspicions.get(key) ?? nowMs;
		next.set(key, since);
		return nowMs - since >= graceMs && suspicions.has(key);
	};
	const byHandle = groupByHandle(snapshot.blocks);
	// They may contain an address in use.
	const beyond = new Set(
		snapshot.handles.filter((handle) => isBeyond(handle, snapshot)).map(({ handleId }) => handleName(handleId)),
	);
	const leaks: Leak[] = [];
	let taken = 0;
	for (const [handleId, addresses] of byHandle) {
		const reasons = addresses.map((held) => whyLeaked(held, snapshot));
		const [reason] = reasons;
		// One address in use keeps all addresses of the handle.
		if (
			reason === undefined ||
			reasons.includes(undefined) ||
			beyond.has(handleName(handleId)) ||
			!isOldEnough(`handle ${handleId}`) ||
			taken + addresses.length > mostAddresses
		)
			continue;
		taken += addresses.length;
		leaks.push({ handleId, addresses, reason });
	}
	const claims = spareClaims(snapshot).filter(({ node, cidr }) => isOldEnough(`claim ${node} ${cidr}`));
	const handles = orphanedHandles(snapshot, beyond).filter(({ handleId }) => isOldEnough(`orphan ${handleId}`));
	return { leaks, claims, handles, suspicions: next };
}

/** All addresses in use, by handle. */
function groupByHandle(blocks: readonly Block[]): Map<string, HeldAddress[]> {
	const byHandle = new Map<string, HeldAddress[]>();
	for (const block of blocks) {
		for (const [ordinal, index] of block.allocations.entries()) {
			const attribute = index === null ? undefined : block.attributes[index];
			if (attribute?.handleId === undefined || attribute.releasedAt !== undefined) continue;
			const handleId = sanitizeHandle(attribute.handleId);
			const held: HeldAddress = {
				address: ordinalToAddress(block.cidr, ordinal),
				block: block.cidr,
				handleId,
				sequenceNumber: block.sequenceNumberForAllocation[ordinal] ?? 0n,
				attributes: attribute.secondary ?? {},
				...(attribute.alternate === undefined ? {} : { alternate: attribute.alternate }),
			};
			const others = byHandle.get(handleId);
			if (others === undefined) byHandle.set(handleId, [held]);
			else others.push(held);
		}
	}
	return byHandle;
}

/**
 * The reason why an address is orphaned; `undefined`: it has an owner, or the owner is not known.
 */
function whyLeaked(
	{ address, block: cidr, attributes, alternate }: HeldAddress,
	{ nodes, pods, blocks }: ClusterSnapshot,
): string | undefined {
	const { node, pod, namespace, type } = attributes;
	// A gateway is released with its block. Exception: a block without affinity, which Calico does
	// not count as empty.
	if (type === gatewayType)
		return blocks.some((block) => block.cidr === cidr && block.affinity === undefined && isEmpty(block))
			? `gateway of ${cidr}, which has no owner`
			: undefined;
	if (type !== undefined)
		return node !== undefined && !nodes.has(node) ? `tunnel address of node ${node}, which does not exist` : undefined;
	// Without a pod name there is nothing to compare: the address belongs to a load balancer or is
	// a manual assignment.
	if (pod === undefined || namespace === undefined) return undefined;
	// A virtual machine keeps its address while it is stopped or moves to another pod: its
	// controller releases it.
	if (attributes['vmi-name'] !== undefined || alternate !== undefined) return undefined;
	const facts = pods.get(`${namespace}/${pod}`);
	if (facts === undefined) return `pod ${namespace}/${pod} does not exist`;
	if (facts.finished) return `pod ${namespace}/${pod} has finished`;
	if (facts.addresses.length === 0)
		return node !== undefined && facts.node !== undefined && facts.node !== node
			? `pod ${namespace}/${pod} runs on node ${facts.node}`
			: undefined;
	return facts.addresses.includes(address)
		? undefined
		: `pod ${namespace}/${pod} has other addresses (${facts.addresses.join(', ')})`;
}

/**
 * Affinities of deleted nodes, and empty blocks of nodes that have another block with free
 * addresses.
 */
function spareClaims({ affinities, blocks, unreadable = [], nodes }: ClusterSnapshot): SpareClaim[] {
	const closed = new Set(unreadable);
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	const claims: SpareClaim[] = [];
	const byNode = new Map<string, Affinity[]>();
	for (const affinity of affinities)
		if (affinity.type === 'host') byNode.set(affinity.node, [...(byNode.get(affinity.node) ?? []), affinity]);
	for (const [node, own] of byNode) {
		if (!nodes.has(node)) {
			const judged = own.filter(({ cidr }) => !closed.has(cidr));
			claims.push(
				...judged.map(({ cidr }) => ({ node, cidr, requireEmpty: true, reason: `node ${node} does not exist` })),
			);
			continue;
		}
		const isSpare = ({ cidr }: Affinity): boolean => {
			const block = byCidr.get(cidr);
			return block !== undefined && block.affinity === hostAffinity(node) && isEmpty(block);
		};
		for (const family of ['ipv4', 'ipv6'] as const) {
			const ofFamily = own.filter(({ cidr }) => cidr.includes(':') === (family === 'ipv6'));
			const spare = ofFamily.filter(isSpare);
			// A node keeps at least one block for its next pod.
			const surplus = spare.length === ofFamily.length ? spare.slice(1) : spare;
			claims.push(
				...surplus.map(({ cidr }) => ({
					node,
					cidr,
					requireEmpty: true,
					reason: `the block is empty and node ${node} has others`,
				})),
			);
		}
	}
	return claims;
}

/** Handles without an allocation in any block: the write of the block failed. */
function orphanedHandles({ handles, blocks }: ClusterSnapshot, beyond: ReadonlySet<string>): Handle[] {
	const held = new Set(
		blocks.flatMap(({ attributes }) =>
			attributes.flatMap(({ handleId }) => (handleId === undefined ? [] : [handleName(sanitizeHandle(handleId))])),
		),
	);
	return handles.filter(({ handleId }) => {
		const name = handleName(handleId);
		return !held.has(name) && !beyond.has(name);
	});
}

/** True if the handle counts addresses of an unreadable block. */
const isBeyond = (handle: Handle, { unreadable = [] }: ClusterSnapshot): boolean =>
	blocksOf(handle).some((cidr) => unreadable.includes(cidr));

/** True if the leak is unchanged. The last check before the release. */
export function stillHeld(leak: Leak, blocks: ReadonlyMap<PrefixKey, Block>): boolean {
	return leak.addresses.every(({ block: cidr, address, sequenceNumber }) => {
		const block = blocks.get(cidr);
		return (
			block !== undefined &&
			ordinalsOfHandle(block, leak.handleId).some(
				(ordinal) =>
					ordinalToAddress(cidr, ordinal) === address &&
					(block.sequenceNumberForAllocation[ordinal] ?? 0n) === sequenceNumber,
			)
		);
	});
}
