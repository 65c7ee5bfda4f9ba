/**
 * What can be taken back, as a decision on a snapshot: addresses whose owner is gone, empty blocks, claims of nodes that are
 * gone, handles that hold nothing. A thing is garbage only when two observations, a grace period apart, agree; the addresses of
 * a handle go all together or not at all. Calico: kube-controllers' node controller.
 */
import type { PrefixKey } from '../core/index.ts';
import { ordinalToAddress } from './addresses.ts';
import { isEmpty, ordinalsOfHandle } from './block.ts';
import { gatewayType } from './gateway.ts';
import { blocksOf } from './handle.ts';
import { handleName, sanitizeHandle } from './names.ts';
import { type Affinity, type Block, type Handle, hostAffinity } from './values.ts';

/** A pod, as far as its addresses matter. */
export interface PodFacts {
	readonly node: string | undefined;
	/** Empty while none is known yet. */
	readonly addresses: readonly string[];
	/** Succeeded or failed: it has given its addresses back, or should have. */
	readonly finished: boolean;
}

/** The cluster at one moment. */
export interface ClusterSnapshot {
	readonly blocks: readonly Block[];
	/** CIDRs of blocks that are there and can't be read: what is said of them is nobody's to judge. */
	readonly unreadable?: readonly PrefixKey[];
	readonly handles: readonly Handle[];
	readonly affinities: readonly Affinity[];
	readonly nodes: ReadonlySet<string>;
	/** By `namespace/name`. */
	readonly pods: ReadonlyMap<string, PodFacts>;
}

/** An address that a block says is in use. */
export interface HeldAddress {
	readonly address: string;
	readonly block: PrefixKey;
	readonly handleId: string;
	readonly sequenceNumber: bigint;
	readonly attributes: Readonly<Record<string, string>>;
}

/** Addresses of one handle whose owner is gone, with the reason for people. */
export interface Leak {
	readonly handleId: string;
	readonly addresses: readonly HeldAddress[];
	readonly reason: string;
}

/** A claim that can go: of an empty block that its node does not need, or of a node that is gone. */
export interface SpareClaim {
	readonly node: string;
	readonly cidr: PrefixKey;
	readonly requireEmpty: boolean;
	readonly reason: string;
}

/** When a suspicion was first raised. */
export type Suspicions = ReadonlyMap<string, number>;

export interface GarbageReport {
	readonly leaks: readonly Leak[];
	readonly claims: readonly SpareClaim[];
	readonly handles: readonly Handle[];
	/** To be given to the next inspection. */
	readonly suspicions: Suspicions;
}

export interface GarbageOptions {
	readonly graceMs: number;
	/** At most so many addresses in one report (Calico: 10,000). */
	readonly mostAddresses: number;
}

/** Compares what blocks and handles say with what exists. Pure; `suspicions` carries what earlier inspections saw. */
export function findGarbage(snapshot: ClusterSnapshot, suspicions: Suspicions, nowMs: number, { graceMs, mostAddresses }: GarbageOptions): GarbageReport {
	const next = new Map<string, number>();
	const isOldEnough = (key: string): boolean => {
		const since = suspicions.get(key) ?? nowMs;
		next.set(key, since);
		return nowMs - since >= graceMs && suspicions.has(key);
	};
	const byHandle = groupByHandle(snapshot.blocks);
	// They may hold an address in use that nobody can see.
	const beyond = new Set(snapshot.handles.filter((handle) => isBeyond(handle, snapshot)).map(({ handleId }) => handleName(handleId)));
	const leaks: Leak[] = [];
	let taken = 0;
	for (const [handleId, addresses] of byHandle) {
		const reasons = addresses.map((held) => whyLeaked(held, snapshot));
		const [reason] = reasons;
		// All or none: one address in use keeps the handle.
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

/** Every address in use, by the handle that holds it. */
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
			};
			const others = byHandle.get(handleId);
			if (others === undefined) byHandle.set(handleId, [held]);
			else others.push(held);
		}
	}
	return byHandle;
}

/** Why nobody owns this address any more; `undefined`: somebody does, or nobody can tell. */
function whyLeaked({ address, block: cidr, attributes }: HeldAddress, { nodes, pods, blocks }: ClusterSnapshot): string | undefined {
	const { node, pod, namespace, type } = attributes;
	// A gateway goes with its block, unless nobody has that: Calico does not take it for empty.
	if (type === gatewayType)
		return blocks.some((block) => block.cidr === cidr && block.affinity === undefined && isEmpty(block)) ? `gateway of ${cidr}, which nobody has` : undefined;
	if (type !== undefined) return node !== undefined && !nodes.has(node) ? `tunnel address of node ${node}, which does not exist` : undefined;
	// Without a pod's name there is nothing to compare with: somebody else's business (a load balancer, a manual assignment).
	if (pod === undefined || namespace === undefined) return undefined;
	// A virtual machine keeps its address while it moves from pod to pod, or is stopped: its controller gives it back.
	if (attributes['vmi-name'] !== undefined) return undefined;
	const facts = pods.get(`${namespace}/${pod}`);
	if (facts === undefined) return `pod ${namespace}/${pod} does not exist`;
	if (facts.finished) return `pod ${namespace}/${pod} has finished`;
	if (facts.addresses.length === 0)
		return node !== undefined && facts.node !== undefined && facts.node !== node ? `pod ${namespace}/${pod} runs on node ${facts.node}` : undefined;
	return facts.addresses.includes(address) ? undefined : `pod ${namespace}/${pod} has other addresses (${facts.addresses.join(', ')})`;
}

/** Claims of nodes that are gone, and empty blocks of nodes that have another one with room. */
function spareClaims({ affinities, blocks, unreadable = [], nodes }: ClusterSnapshot): SpareClaim[] {
	const closed = new Set(unreadable);
	const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
	const claims: SpareClaim[] = [];
	const byNode = new Map<string, Affinity[]>();
	for (const affinity of affinities) if (affinity.type === 'host') byNode.set(affinity.node, [...(byNode.get(affinity.node) ?? []), affinity]);
	for (const [node, own] of byNode) {
		if (!nodes.has(node)) {
			const judged = own.filter(({ cidr }) => !closed.has(cidr));
			claims.push(...judged.map(({ cidr }) => ({ node, cidr, requireEmpty: true, reason: `node ${node} does not exist` })));
			continue;
		}
		const isSpare = ({ cidr }: Affinity): boolean => {
			const block = byCidr.get(cidr);
			return block !== undefined && block.affinity === hostAffinity(node) && isEmpty(block);
		};
		for (const family of ['ipv4', 'ipv6'] as const) {
			const ofFamily = own.filter(({ cidr }) => cidr.includes(':') === (family === 'ipv6'));
			const spare = ofFamily.filter(isSpare);
			// A node keeps at least one block, so that its next pod finds one.
			const surplus = spare.length === ofFamily.length ? spare.slice(1) : spare;
			claims.push(...surplus.map(({ cidr }) => ({ node, cidr, requireEmpty: true, reason: `the block is empty and node ${node} has others` })));
		}
	}
	return claims;
}

/** Handles of which no block knows: the block's write never came. */
function orphanedHandles({ handles, blocks }: ClusterSnapshot, beyond: ReadonlySet<string>): Handle[] {
	const held = new Set(
		blocks.flatMap(({ attributes }) => attributes.flatMap(({ handleId }) => (handleId === undefined ? [] : [handleName(sanitizeHandle(handleId))]))),
	);
	return handles.filter(({ handleId }) => {
		const name = handleName(handleId);
		return !held.has(name) && !beyond.has(name);
	});
}

/** Does the handle count addresses of a block that can't be read? */
const isBeyond = (handle: Handle, { unreadable = [] }: ClusterSnapshot): boolean => blocksOf(handle).some((cidr) => unreadable.includes(cidr));

/** Is the leak still exactly what was seen? The last look before releasing. */
export function stillHeld(leak: Leak, blocks: ReadonlyMap<PrefixKey, Block>): boolean {
	return leak.addresses.every(({ block: cidr, address, sequenceNumber }) => {
		const block = blocks.get(cidr);
		return (
			block !== undefined &&
			ordinalsOfHandle(block, leak.handleId).some(
				(ordinal) => ordinalToAddress(cidr, ordinal) === address && (block.sequenceNumberForAllocation[ordinal] ?? 0n) === sequenceNumber,
			)
		);
	});
}
