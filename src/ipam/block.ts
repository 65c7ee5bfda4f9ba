/**
 * Decisions on one block, as values: each takes a block and returns the block as it should be written. Raising the sequence
 * number is part of writing (`store.ts`), as in Calico, where an address remembers the number the block had when it was read.
 */
import { type PrefixKey, parsePrefix } from '../core/index.ts';
import { addressCount, addressToOrdinal, noReservations, ordinalToAddress, type Reservations } from './addresses.ts';
import { anyInterface, type InterfaceMatch, interfaceAttribute } from './interfaces.ts';
import { isGatewayHandle, sanitizeHandle } from './names.ts';
import { type AllocationAttribute, type Block, hostAffinity } from './values.ts';

/** The handle of the addresses that Windows keeps for itself: they do not make a block used. */
const windowsReservedHandle = 'windows-reserved-ipam-handle';

/** Who an address is given to. */
export interface Owner {
	readonly handleId: string;
	readonly attributes: Readonly<Record<string, string>>;
}

/** A fresh, empty block of a node. `nowNanoseconds` becomes its sequence number, so that a recreated block never repeats one. */
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

/** Gives up to `count` addresses, in the order they became free, past the reserved ones. */
export function autoAssign(
	block: Block,
	count: number,
	owner: Owner,
	reservations: Reservations,
): { readonly block: Block; readonly ordinals: readonly number[] } {
	const ordinals: number[] = [];
	const unallocated: number[] = [];
	for (const ordinal of block.unallocated) {
		if (ordinals.length < count && isFree(block, ordinal, reservations)) ordinals.push(ordinal);
		else unallocated.push(ordinal);
	}
	if (ordinals.length === 0) return { block, ordinals };
	return { block: give({ ...block, unallocated }, ordinals, owner), ordinals };
}

/** Gives one certain address, reserved or not. */
export function assignOrdinal(
	block: Block,
	ordinal: number,
	owner: Owner,
): { readonly type: 'assigned'; readonly block: Block } | { readonly type: 'taken'; readonly by: AllocationAttribute | undefined } {
	const index = block.allocations[ordinal];
	if (index !== null && index !== undefined) return { type: 'taken', by: block.attributes[index] };
	const unallocated = block.unallocated.filter((free) => free !== ordinal);
	return { type: 'assigned', block: give({ ...block, unallocated }, [ordinal], owner) };
}

/** Marks ordinals as the owner's; addresses of one owner share one attribute. */
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
	return { ...block, allocations, sequenceNumberForAllocation, attributes: found === -1 ? [...block.attributes, given] : block.attributes };
}

function isAttributeOf(attribute: AllocationAttribute, handleId: string, secondary: Readonly<Record<string, string>>): boolean {
	if (attribute.handleId !== handleId || attribute.releasedAt !== undefined || Object.keys(attribute.other).length > 0) return false;
	const existing = attribute.secondary ?? {};
	const keys = Object.keys(secondary);
	return keys.length === Object.keys(existing).length && keys.every((key) => existing[key] === secondary[key]);
}

/** What to release: by address, guarded by handle and sequence number where they are known. */
export interface ReleaseRequest {
	readonly ordinal: number;
	readonly handleId?: string;
	readonly sequenceNumber?: bigint;
}

export type ReleaseResult =
	| { readonly type: 'released'; readonly block: Block; readonly ordinals: readonly number[]; readonly countByHandle: Readonly<Record<string, number>> }
	/** The caller's knowledge is old: the address was given to somebody else since; or it is the gateway of others. Nothing is released. */
	| { readonly type: 'refused'; readonly ordinal: number; readonly reason: RefusedBecause };

export type RefusedBecause = 'sequence-number' | 'handle' | 'gateway';

/** Releases all of `requests` or nothing; what is free already is passed over. With a cooldown addresses stay taken, by nobody, until it is over. */
export function release(block: Block, requests: readonly ReleaseRequest[], cooldownSeconds: number, nowIso: string): ReleaseResult {
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
	// Whoever else is in the block sends everything there.
	if (gateway !== undefined && block.allocations.some((_, ordinal) => !ordinals.has(ordinal) && isOwned(attributeOf(block, ordinal))))
		return { type: 'refused', ordinal: gateway, reason: 'gateway' };
	if (released.length === 0) return { type: 'released', block, ordinals: released, countByHandle };
	const next = cooldownSeconds > 0 ? cool(block, released, nowIso) : free(block, released);
	return { type: 'released', block: next, ordinals: released, countByHandle };
}

/** The ordinals a handle holds, for whichever of its interfaces are meant. */
export function ordinalsOfHandle(block: Block, handleId: string, isMeant: InterfaceMatch = anyInterface): number[] {
	const wanted = new Set(
		block.attributes.flatMap(({ handleId: owner, releasedAt, secondary }, index) =>
			owner !== undefined && releasedAt === undefined && sanitizeHandle(owner) === handleId && isMeant(secondary?.[interfaceAttribute]) ? [index] : [],
		),
	);
	return block.allocations.flatMap((index, ordinal) => (index !== null && wanted.has(index) ? [ordinal] : []));
}

/** Frees the addresses whose cooldown is over. Calico does so on every read and persists it with the next write. */
export function endCooldowns(block: Block, cooldownSeconds: number, nowMs: number): Block {
	const over = block.allocations.flatMap((index, ordinal) => {
		const releasedAt = index === null ? undefined : block.attributes[index]?.releasedAt;
		return releasedAt !== undefined && Date.parse(releasedAt) + cooldownSeconds * 1000 <= nowMs ? [ordinal] : [];
	});
	return over.length === 0 ? block : free(block, over);
}

/** In how many milliseconds nothing cools down any more; `undefined` where an address is in use, or none cools down. */
export function cooledDownInMs(block: Block, cooldownSeconds: number, nowMs: number): number | undefined {
	const held = block.allocations.flatMap((index) => (index === null ? [] : [block.attributes[index]])).filter((attribute) => !servesTheBlock(attribute));
	const since = held.map((attribute) => (attribute?.releasedAt === undefined ? Number.NaN : Date.parse(attribute.releasedAt)));
	const endMs = Math.max(...since) + cooldownSeconds * 1000;
	return since.length === 0 || Number.isNaN(endMs) ? undefined : Math.max(0, endMs - nowMs);
}

/** Points ordinals at an attribute that says since when nobody owns them. */
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
	return pruneAttributes({ ...block, allocations, sequenceNumberForAllocation, unallocated: [...block.unallocated, ...ordinals] });
}

/** Drops attributes nobody refers to, and renumbers. */
function pruneAttributes(block: Block): Block {
	const used = new Set(block.allocations);
	if (block.attributes.every((_, index) => used.has(index))) return block;
	const renumbered = new Map<number, number>();
	const attributes = block.attributes.filter((_, index) => {
		if (!used.has(index)) return false;
		renumbered.set(index, renumbered.size);
		return true;
	});
	return { ...block, attributes, allocations: block.allocations.map((index) => (index === null ? null : (renumbered.get(index) ?? null))) };
}

/** Who holds the address, `undefined` for nobody. */
export function attributeOf(block: Block, ordinal: number): AllocationAttribute | undefined {
	const index = block.allocations[ordinal];
	return index === null || index === undefined ? undefined : block.attributes[index];
}

/** Is no assignable address in use? Cooling ones count as used; a gateway alone does not. */
export function isEmpty(block: Block): boolean {
	return block.allocations.every((index) => index === null || servesTheBlock(block.attributes[index]));
}

/** Held for the sake of the other addresses of the block. */
const servesTheBlock = (attribute: AllocationAttribute | undefined): boolean =>
	attribute?.handleId?.toLowerCase() === windowsReservedHandle || isGatewayHandle(attribute?.handleId);

const isOwned = (attribute: AllocationAttribute | undefined): boolean =>
	attribute !== undefined && attribute.releasedAt === undefined && !servesTheBlock(attribute);

/** How many addresses could be given now. */
export function freeCount(block: Block, reservations: Reservations): number {
	const some = reservations.holdsSome(block.cidr) ? reservations : noReservations;
	return block.unallocated.filter((ordinal) => isFree(block, ordinal, some)).length;
}

/** Whoever wrote the list of free addresses may have erred: an address that somebody holds is not free. */
export const isFree = (block: Block, ordinal: number, reservations: Reservations): boolean =>
	block.allocations[ordinal] === null && !reservations.holdsOrdinal(block.cidr, ordinal);

/** An inconsistency inside one block, for `ipam check`. */
export function blockProblems(block: Block): string[] {
	const problems: string[] = [];
	const seen = new Set<number>();
	for (const ordinal of block.unallocated) {
		if (seen.has(ordinal)) problems.push(`${ordinalToAddress(block.cidr, ordinal)} is twice in the free list`);
		seen.add(ordinal);
		if (block.allocations[ordinal] !== null) problems.push(`${ordinalToAddress(block.cidr, ordinal)} is in the free list and allocated`);
	}
	for (const [ordinal, index] of block.allocations.entries()) {
		if (index === null && !seen.has(ordinal)) problems.push(`${ordinalToAddress(block.cidr, ordinal)} is neither free nor allocated`);
		if (index !== null && block.attributes[index] === undefined)
			problems.push(`${ordinalToAddress(block.cidr, ordinal)} refers to attribute ${index}, which does not exist`);
	}
	return problems;
}

/** The ordinal of an address that must lie in the block. @throws RangeError */
export function ordinalIn(block: Block, address: string): number {
	const ordinal = addressToOrdinal(block.cidr, address);
	if (ordinal === undefined) throw new RangeError(`${address} is not in block ${block.cidr}`);
	return ordinal;
}
