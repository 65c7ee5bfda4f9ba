/**
 * Decisions on one block, as pure functions: each takes a block and returns the block to write. The
 * sequence number is raised at the write (`store.ts`), as in Calico: an address records the
 * sequence number of the block as it was read.
 */
import { type PrefixKey, parsePrefix } from '../core/index.ts';
import { addressCount, addressToOrdinal, noReservations, ordinalToAddress, type Reservations } from './addresses.ts';
import { anyInterface, type InterfaceMatch, interfaceAttribute } from './interfaces.ts';
import { isGatewayHandle, sanitizeHandle } from './names.ts';
import { type AllocationAttribute, type Block, hostAffinity } from './values.ts';

/** The handle of the addresses reserved for Windows: they do not make a block used. */
const windowsReservedHandle = 'windows-reserved-ipam-handle';

/** The owner of an assigned address. */
export interface Owner {
	readonly handleId: string;
	readonly attributes: Readonly<Record<string, string>>;
}

/**
 * A new, empty block of a node. `nowNanoseconds` becomes its sequence number, so that a recreated
 * block never repeats one.
 */
export function newBlock(cidr: PrefixKey, node: string, nowIso: string, nowNanoseconds: bigint): Block {
	const count = addressCount(parsePrefix(cidr));
	return {
		cidr,
		affinity: hostAffinity(node),
		affinityClaimTime: nowIso,
		allocations: Array.from({ length: count }, () => null),
		unallocated: Array.from({ length: count }, (_, ordinal) => ordinal),
		attributes: [],
		sequenceNumber: nowNanoseconds,
		sequenceNumberForAllocation: {},
		deleted: false,
		other: {},
	};
}

/** Assigns up to `count` unreserved addresses, first freed first. */
export function autoAssign(
	block: Block,
	count: number,
	owner: Owner,
	reservations: Reservations,
): { readonly block: Block; readonly ordinals: readonly number[] } {
	const ordinals: number[] = [];
	const unallocated: number[] = [];
	for (const ordinal of block.unallocated) {
		// Another writer may have listed an ordinal twice.
		if (ordinals.includes(ordinal)) continue;
		if (ordinals.length < count && isFree(block, ordinal, reservations)) ordinals.push(ordinal);
		else unallocated.push(ordinal);
	}
	if (ordinals.length === 0) return { block, ordinals };
	return { block: give({ ...block, unallocated }, ordinals, owner), ordinals };
}

/** Assigns one specific address, reserved or not. */
export function assignOrdinal(
	block: Block,
	ordinal: number,
	owner: Owner,
):
	| { readonly type: 'assigned'; readonly block: Block }
	| { readonly type: 'taken'; readonly by: AllocationAttribute | undefined } {
	const index = block.allocations[ordinal];
	if (index !== null && index !== undefined) return { type: 'taken', by: block.attributes[index] };
	const unallocated = block.unallocated.filter((free) => free !== ordinal);
	return { type: 'assigned', block: give({ ...block, unallocated }, [ordinal], owner) };
}

/** Assigns ordinals to the owner; addresses of one owner share one attribute. */
function give(block: Block, ordinals: readonly number[], { handleId, attributes }: Owner): Block {
	const found = block.attributes.findIndex((attribute) => isAttributeOf(attribute, handleId, attributes));
	const index = found === -1 ? block.attributes.length : found;
	const given: AllocationAttribute = { handleId, secondary: attributes, releasedAt: undefined, other: {} };
	const allocations = [...block.allocations];
	const sequenceNumberForAllocation = { ...block.sequenceNumberForAllocation };
	for (const ordinal of ordinals) {
		allocations[ordinal] = index;
		sequenceNumberForAllocation[ordinal] = block.sequenceNumber;
	}
	return {
		...block,
		allocations,
		sequenceNumberForAllocation,
		attributes: found === -1 ? [...block.attributes, given] : block.attributes,
	};
}

function isAttributeOf(
	attribute: AllocationAttribute,
	handleId: string,
	secondary: Readonly<Record<string, string>>,
): boolean {
	const { releasedAt, alternate, other } = attribute;
	const isPlain = releasedAt === undefined && alternate === undefined && Object.keys(other).length === 0;
	if (attribute.handleId !== handleId || !isPlain) return false;
	const existing = attribute.secondary ?? {};
	const keys = Object.keys(secondary);
	return keys.length === Object.keys(existing).length && keys.every((key) => existing[key] === secondary[key]);
}

/** An address to release, guarded by handle and sequence number if they are given. */
export interface ReleaseRequest {
	readonly ordinal: number;
	readonly handleId?: string;
	readonly sequenceNumber?: bigint;
}

export type ReleaseResult =
	| {
			readonly type: 'released';
			readonly block: Block;
			readonly ordinals: readonly number[];
			readonly countByHandle: Readonly<Record<string, number>>;
	  }
	/**
	 * The request is out of date: the address has another owner since, or it is the gateway of
	 * other addresses. Nothing is released.
	 */
	| { readonly type: 'refused'; readonly ordinal: number; readonly reason: RefusedBecause };

export type RefusedBecause = 'sequence-number' | 'handle' | 'gateway';

/**
 * Releases all of `requests` or none; free addresses are skipped. With a cooldown, addresses stay
 * allocated without an owner until the cooldown ends.
 */
export function release(
	block: Block,
	requests: readonly ReleaseRequest[],
	cooldownSeconds: number,
	nowIso: string,
): ReleaseResult {
	const ordinals = new Set<number>();
	const countByHandle: Record<string, number> = {};
	for (const { ordinal, handleId, sequenceNumber } of requests) {
		if (sequenceNumber !== undefined && sequenceNumber !== (block.sequenceNumberForAllocation[ordinal] ?? 0n))
			return { type: 'refused', ordinal, reason: 'sequence-number' };
		const attribute = attributeOf(block, ordinal);
		if (attribute === undefined || attribute.releasedAt !== undefined || ordinals.has(ordinal)) continue;
		const owner = sanitizeHandle(attribute.handleId ?? '');
		if (handleId !== undefined && owner !== handleId) return { type: 'refused', ordinal, reason: 'handle' };
		ordinals.add(ordinal);
		if (owner !== '') countByHandle[owner] = (countByHandle[owner] ?? 0) + 1;
	}
	const released = [...ordinals];
	const gateway = released.find((ordinal) => isGatewayHandle(attributeOf(block, ordinal)?.handleId));
	// The gateway stays: the other pods of the block use it.
	if (
		gateway !== undefined &&
		block.allocations.some((_, ordinal) => !ordinals.has(ordinal) && isOwned(attributeOf(block, ordinal)))
	)
		return { type: 'refused', ordinal: gateway, reason: 'gateway' };
	if (released.length === 0) return { type: 'released', block, ordinals: released, countByHandle };
	const next = cooldownSeconds > 0 ? cool(block, released, nowIso) : free(block, released);
	return { type: 'released', block: next, ordinals: released, countByHandle };
}

/** The ordinals of a handle, for the matching interfaces. */
export function ordinalsOfHandle(block: Block, handleId: string, isMeant: InterfaceMatch = anyInterface): number[] {
	const wanted = new Set(
		block.attributes.flatMap(({ handleId: owner, releasedAt, secondary }, index) =>
			owner !== undefined &&
			releasedAt === undefined &&
			sanitizeHandle(owner) === handleId &&
			isMeant(secondary?.[interfaceAttribute])
				? [index]
				: [],
		),
	);
	return block.allocations.flatMap((index, ordinal) => (index !== null && wanted.has(index) ? [ordinal] : []));
}

/**
 * Frees the addresses whose cooldown has ended. Calico does this on every read and persists it with
 * the next write.
 */
export function endCooldowns(block: Block, cooldownSeconds: number, nowMs: number): Block {
	const over = block.allocations.flatMap((index, ordinal) => {
		const releasedAt = index === null ? undefined : block.attributes[index]?.releasedAt;
		return releasedAt !== undefined && Date.parse(releasedAt) + cooldownSeconds * 1000 <= nowMs ? [ordinal] : [];
	});
	return over.length === 0 ? block : free(block, over);
}

/**
 * Milliseconds until the last cooldown ends; `undefined` if an address is in use, or no address is
 * in cooldown.
 */
export function cooledDownInMs(block: Block, cooldownSeconds: number, nowMs: number): number | undefined {
	const held = block.allocations
		.flatMap((index) => (index === null ? [] : [block.attributes[index]]))
		.filter((attribute) => !servesTheBlock(attribute));
	const since = held.map((attribute) =>
		attribute?.releasedAt === undefined ? Number.NaN : Date.parse(attribute.releasedAt),
	);
	const endMs = Math.max(...since) + cooldownSeconds * 1000;
	return since.length === 0 || Number.isNaN(endMs) ? undefined : Math.max(0, endMs - nowMs);
}

/** Assigns ordinals to an attribute that records the time of the release. */
function cool(block: Block, ordinals: readonly number[], nowIso: string): Block {
	const allocations = [...block.allocations];
	for (const ordinal of ordinals) allocations[ordinal] = block.attributes.length;
	const cooling: AllocationAttribute = { handleId: undefined, secondary: undefined, releasedAt: nowIso, other: {} };
	return pruneAttributes({ ...block, allocations, attributes: [...block.attributes, cooling] });
}

function free(block: Block, ordinals: readonly number[]): Block {
	const allocations = [...block.allocations];
	const sequenceNumberForAllocation = { ...block.sequenceNumberForAllocation };
	for (const ordinal of ordinals) {
		allocations[ordinal] = null;
		delete sequenceNumberForAllocation[ordinal];
	}
	return pruneAttributes({
		...block,
		allocations,
		sequenceNumberForAllocation,
		unallocated: [...block.unallocated, ...ordinals],
	});
}

/** Removes unreferenced attributes and renumbers the others. */
function pruneAttributes(block: Block): Block {
	const used = new Set(block.allocations);
	if (block.attributes.every((_, index) => used.has(index))) return block;
	const renumbered = new Map<number, number>();
	const attributes = block.attributes.filter((_, index) => {
		if (!used.has(index)) return false;
		renumbered.set(index, renumbered.size);
		return true;
	});
	return {
		...block,
		attributes,
		allocations: block.allocations.map((index) => (index === null ? null : (renumbered.get(index) ?? null))),
	};
}

/** True if the address has an owner and is not in cooldown. */
export function isHeld(block: Block, ordinal: number): boolean {
	const attribute = attributeOf(block, ordinal);
	return attribute !== undefined && attribute.releasedAt === undefined;
}

/**
 * The node where an address is used: that of the active owner. Without one, a virtual machine is
 * about to be taken over by its second owner.
 */
export const nodeOf = (attribute: AllocationAttribute | undefined): string | undefined =>
	attribute?.secondary?.['node'] ?? attribute?.alternate?.['node'];

/** The attribute of an address; `undefined`: the address is free. */
export function attributeOf(block: Block, ordinal: number): AllocationAttribute | undefined {
	const index = block.allocations[ordinal];
	return index === null || index === undefined ? undefined : block.attributes[index];
}

/**
 * True if no assignable address is in use. Addresses in cooldown count as used; a gateway alone
 * does not.
 */
export function isEmpty(block: Block): boolean {
	return block.allocations.every((index) => index === null || servesTheBlock(block.attributes[index]));
}

/** True for addresses held on behalf of the block itself, such as a gateway. */
const servesTheBlock = (attribute: AllocationAttribute | undefined): boolean =>
	attribute?.handleId?.toLowerCase() === windowsReservedHandle || isGatewayHandle(attribute?.handleId);

const isOwned = (attribute: AllocationAttribute | undefined): boolean =>
	attribute !== undefined && attribute.releasedAt === undefined && !servesTheBlock(attribute);

/** The number of addresses that can be assigned now. */
export function freeCount(block: Block, reservations: Reservations): number {
	const some = reservations.holdsSome(block.cidr) ? reservations : noReservations;
	return block.unallocated.filter((ordinal) => isFree(block, ordinal, some)).length;
}

/**
 * Checks both fields, because the list of free addresses may be wrong: an address with an owner is
 * not free.
 */
export const isFree = (block: Block, ordinal: number, reservations: Reservations): boolean =>
	block.allocations[ordinal] === null && !reservations.holdsOrdinal(block.cidr, ordinal);

/** Inconsistencies inside one block, for `ipam check`. */
export function blockProblems(block: Block): string[] {
	const problems: string[] = [];
	const seen = new Set<number>();
	for (const ordinal of block.unallocated) {
		if (seen.has(ordinal)) problems.push(`${ordinalToAddress(block.cidr, ordinal)} is twice in the free list`);
		seen.add(ordinal);
		if (block.allocations[ordinal] !== null)
			problems.push(`${ordinalToAddress(block.cidr, ordinal)} is in the free list and allocated`);
	}
	for (const [ordinal, index] of block.allocations.entries()) {
		if (index === null && !seen.has(ordinal))
			problems.push(`${ordinalToAddress(block.cidr, ordinal)} is neither free nor allocated`);
		if (index !== null && block.attributes[index] === undefined)
			problems.push(`${ordinalToAddress(block.cidr, ordinal)} refers to attribute ${index}, which does not exist`);
	}
	return problems;
}

/** The ordinal of an address in the block. @throws RangeError if it is outside */
export function ordinalIn(block: Block, address: string): number {
	const ordinal = addressToOrdinal(block.cidr, address);
	if (ordinal === undefined) throw new RangeError(`${address} is not in block ${block.cidr}`);
	return ordinal;
}
