/**
 * A gateway for each block whose pods have the block's prefix length: bridges and point-to-point links want one inside of it. It is
 * an ordinary allocation under a handle of the block's own, made once and found again by that handle; it leaves with the block.
 */
import { ordinalToAddress, type Reservations } from './addresses.ts';
import { assignOrdinal, autoAssign, isFree, type Owner, ordinalsOfHandle } from './block.ts';
import { interfaceAttribute, mayBeOf } from './interfaces.ts';
import { gatewayHandle, sanitizeHandle } from './names.ts';
import { type Block, hostAffinity, type Pool } from './values.ts';

/** `type` in the attributes: no pod's address and no tunnel's. */
export const gatewayType = 'gateway';

/** The block's gateway, `undefined` while none is set aside. */
export function gatewayOf(block: Block): number | undefined {
	return ordinalsOfHandle(block, gatewayHandle(block.cidr))[0];
}

/** Has a block of this pool room for a gateway and a pod, beside the addresses that neither can use? */
export const hasRoomForGateway = ({ family, blockSize }: Pool): boolean => (family === 'ipv4' ? blockSize <= 30 : blockSize <= 126);

/** An address, with the gateway of its block where one was asked for. */
export interface GivenAddress {
	readonly address: string;
	readonly gateway?: string;
}

/** What is asked of one block for one owner. */
export interface BlockRequest {
	readonly node: string;
	readonly owner: Owner;
	readonly reservations: Reservations;
	/** The ordinal of a certain address; `undefined`: any, or the one it has. */
	readonly wanted: number | undefined;
	/** Addresses of the owner's that do not count. */
	readonly except?: readonly string[] | undefined;
	/** `set-aside`: its handle is written, so that it may be made where there is none. */
	readonly gateway: 'none' | 'existing' | 'set-aside';
}

export type BlockAnswer =
	| { readonly type: 'given'; readonly block: Block; readonly given: GivenAddress }
	| { readonly type: 'no-room' }
	/** The handle of the gateway must be written before the block: ask again with `set-aside`. */
	| { readonly type: 'no-gateway' };

/** An address, and the block's gateway, in one change of the block. A block that comes back as it was need not be written. */
export function giveFromBlock(block: Block, request: BlockRequest): BlockAnswer {
	const { node, reservations, wanted, gateway } = request;
	if (gateway === 'none') return assign(block, request, {});
	// Another node's block is on that node's links: its gateway is there.
	if (block.affinity !== hostAffinity(node)) return { type: 'no-room' };
	const existing = gatewayOf(block);
	if (existing !== undefined) return assign(block, request, { gateway: ordinalToAddress(block.cidr, existing) });
	if (gateway === 'existing') return { type: 'no-gateway' };
	const free = block.unallocated.filter((ordinal) => ordinal !== wanted && isFree(block, ordinal, reservations));
	if (free.length === 0) return { type: 'no-room' };
	// The lowest: where people look for one.
	const ordinal = free.reduce((lowest, other) => Math.min(lowest, other));
	const attributes = { node, type: gatewayType };
	const aside = assignOrdinal(block, ordinal, { handleId: gatewayHandle(block.cidr), attributes });
	if (aside.type === 'taken') return { type: 'no-room' };
	return assign(aside.block, request, { gateway: ordinalToAddress(block.cidr, ordinal) });
}

function assign(block: Block, { owner, reservations, wanted, except }: BlockRequest, beside: { readonly gateway?: string }): BlockAnswer {
	const handleId = sanitizeHandle(owner.handleId);
	const given = (next: Block, ordinal: number): BlockAnswer => ({
		type: 'given',
		block: next,
		given: { address: ordinalToAddress(block.cidr, ordinal), ...beside },
	});
	if (wanted === undefined) {
		const isMeant = mayBeOf(owner.attributes[interfaceAttribute]);
		const held = ordinalsOfHandle(block, handleId, isMeant).find((ordinal) => except?.includes(ordinalToAddress(block.cidr, ordinal)) !== true);
		if (held !== undefined) return given(block, held);
		const { block: next, ordinals } = autoAssign(block, 1, owner, reservations);
		return ordinals[0] === undefined ? { type: 'no-room' } : given(next, ordinals[0]);
	}
	const assigned = assignOrdinal(block, wanted, owner);
	if (assigned.type === 'assigned') return given(assigned.block, wanted);
	return ordinalsOfHandle(block, handleId, mayBeOf(owner.attributes[interfaceAttribute])).includes(wanted) ? given(block, wanted) : { type: 'no-room' };
}
