/**
 * A gateway address for each block whose pods have the block's prefix length: bridges and
 * point-to-point links need one inside the block. It is an ordinary allocation under a handle of
 * the block. The handle makes it unique, and it is removed with the block.
 */
import { ordinalToAddress, type Reservations } from './addresses.ts';
import { assignOrdinal, autoAssign, isFree, type Owner, ordinalsOfHandle } from './block.ts';
import { interfaceAttribute, mayBeOf } from './interfaces.ts';
import { gatewayHandle, sanitizeHandle } from './names.ts';
import { type Block, hostAffinity, type Pool } from './values.ts';

/** Value of `type` in the attributes: neither a pod's nor a tunnel's address. */
export const gatewayType = 'gateway';

/** The ordinal of the block's gateway; `undefined` if none is set aside. */
export function gatewayOf(block: Block): number | undefined {
	return ordinalsOfHandle(block, gatewayHandle(block.cidr))[0];
}

/** True if a block of this pool has room for a gateway and a pod besides its edge addresses. */
export const hasRoomForGateway = ({ family, blockSize }: Pool): boolean =>
	family === 'ipv4' ? blockSize <= 30 : blockSize <= 126;

/** An address, with the gateway of its block if one was requested. */
export interface GivenAddress {
	readonly address: string;
	readonly gateway?: string;
}

/** The request of one owner to one block. */
export interface BlockRequest {
	readonly node: string;
	readonly owner: Owner;
	readonly reservations: Reservations;
	/** The ordinal of a specific address; `undefined`: any address, or the owner's present one. */
	readonly wanted: number | undefined;
	/** Addresses of the owner to ignore. */
	readonly except?: readonly string[] | undefined;
	/** `set-aside`: the gateway's handle is written, so that the gateway may be created. */
	readonly gateway: 'none' | 'existing' | 'set-aside';
}

export type BlockAnswer =
	| { readonly type: 'given'; readonly block: Block; readonly given: GivenAddress }
	| { readonly type: 'no-room' }
	/**
	 * The handle of the gateway must be written before the block: repeat the request with
	 * `set-aside`.
	 */
	| { readonly type: 'no-gateway' };

/**
 * Assigns an address and the block's gateway in one change of the block. An unchanged block need
 * not be written.
 */
export function giveFromBlock(block: Block, request: BlockRequest): BlockAnswer {
	const { node, reservations, wanted, gateway } = request;
	if (gateway === 'none') return assign(block, request, {});
	// The gateway of another node's block is on that node's links.
	if (block.affinity !== hostAffinity(node)) return { type: 'no-room' };
	const existing = gatewayOf(block);
	if (existing !== undefined) return assign(block, request, { gateway: ordinalToAddress(block.cidr, existing) });
	if (gateway === 'existing') return { type: 'no-gateway' };
	const free = block.unallocated.filter((ordinal) => ordinal !== wanted && isFree(block, ordinal, reservations));
	if (free.length === 0) return { type: 'no-room' };
	// The lowest free address, as is customary for gateways.
	const ordinal = free.reduce((lowest, other) => Math.min(lowest, other));
	const attributes = { node, type: gatewayType };
	const aside = assignOrdinal(block, ordinal, { handleId: gatewayHandle(block.cidr), attributes });
	if (aside.type === 'taken') return { type: 'no-room' };
	return assign(aside.block, request, { gateway: ordinalToAddress(block.cidr, ordinal) });
}

function assign(
	block: Block,
	{ owner, reservations, wanted, except }: BlockRequest,
	beside: { readonly gateway?: string },
): BlockAnswer {
	const handleId = sanitizeHandle(owner.handleId);
	const given = (next: Block, ordinal: number): BlockAnswer => ({
		type: 'given',
		block: next,
		given: { address: ordinalToAddress(block.cidr, ordinal), ...beside },
	});
	if (wanted === undefined) {
		const isMeant = mayBeOf(owner.attributes[interfaceAttribute]);
		const held = ordinalsOfHandle(block, handleId, isMeant).find(
			(ordinal) => except?.includes(ordinalToAddress(block.cidr, ordinal)) !== true,
		);
		if (held !== undefined) return given(block, held);
		const { block: next, ordinals } = autoAssign(block, 1, owner, reservations);
		return ordinals[0] === undefined ? { type: 'no-room' } : given(next, ordinals[0]);
	}
	const assigned = assignOrdinal(block, wanted, owner);
	if (assigned.type === 'assigned') return given(assigned.block, wanted);
	return ordinalsOfHandle(block, handleId, mayBeOf(owner.attributes[interfaceAttribute])).includes(wanted)
		? given(block, wanted)
		: { type: 'no-room' };
}
