import type { Family } from '../../core/index.ts';
import { AddressFamily, MessageFlag, MessageType } from './constants.ts';
import { copyBytes, eachAttribute, type Message, requireBody } from './reader.ts';
import { familyOf } from './route.ts';
import { littleEndian, type MessageWriter } from './writer.ts';

/** linux/neighbour.h. */
const NeighbourAttribute = { destination: 1, linkLayerAddress: 2, interfaceIndex: 8 } as const;
const NeighbourState = { permanent: 0x80 } as const;
const NeighbourFlag = { self: 0x02 } as const;
const bridgeFamily = 7;
/** Length of `ndmsg`. */
const fixedLength = 12;

/** The table: neighbours of a family, or the forwarding database of a device. */
export type NeighbourTable = Family | 'forwarding';

/**
 * A permanent entry of a device. In a neighbour table `address` is the neighbour's; in a forwarding
 * database it is the underlay address of the node that receives packets for `mac`.
 */
export interface Neighbour {
	readonly table: NeighbourTable;
	readonly interfaceIndex: number;
	/** 4 or 16 bytes. */
	readonly address: Uint8Array;
	/** 6 bytes. */
	readonly mac: Uint8Array;
}

/** Appends RTM_NEWNEIGH (which replaces) or RTM_DELNEIGH. */
export function encodeNeighbourChange(
	writer: MessageWriter,
	verb: 'set' | 'remove',
	{ table, interfaceIndex, address, mac }: Neighbour,
	sequence: number,
): void {
	const isForwarding = table === 'forwarding';
	writer.begin(
		verb === 'set' ? MessageType.newNeighbour : MessageType.deleteNeighbour,
		MessageFlag.request | (verb === 'set' ? MessageFlag.create | MessageFlag.replace : 0),
		sequence,
	);
	writer.u8(isForwarding ? bridgeFamily : AddressFamily[table]);
	writer.u8(0);
	writer.u16(0);
	writer.u32(interfaceIndex);
	writer.u16(NeighbourState.permanent);
	// NTF_SELF: the database of the device itself, not of a bridge that it is a port of.
	writer.u8(isForwarding ? NeighbourFlag.self : 0);
	writer.u8(0);
	writer.attribute(NeighbourAttribute.destination, address);
	writer.attribute(NeighbourAttribute.linkLayerAddress, mac);
	writer.end();
}

/** Appends RTM_GETNEIGH for a dump of one table of one device; needs `NETLINK_GET_STRICT_CHK`. */
export function encodeNeighbourDump(
	writer: MessageWriter,
	{ table, interfaceIndex }: { readonly table: NeighbourTable; readonly interfaceIndex: number },
	sequence: number,
): void {
	writer.begin(MessageType.getNeighbour, MessageFlag.request | MessageFlag.dump, sequence);
	writer.u8(table === 'forwarding' ? bridgeFamily : AddressFamily[table]);
	writer.u8(0);
	writer.u16(0);
	writer.u32(0);
	writer.u16(0);
	writer.u16(0);
	writer.attributeU32(NeighbourAttribute.interfaceIndex, interfaceIndex);
	writer.end();
}

/**
 * Decodes RTM_NEWNEIGH; `undefined` for an entry that is not permanent, has no MAC address or no
 * address. @throws NetlinkFormatError
 */
export function decodeNeighbour(message: Message): Neighbour | undefined {
	requireBody(message, fixedLength);
	const { view, bodyStart, bodyEnd } = message;
	const familyNumber = view.getUint8(bodyStart);
	const table = familyNumber === bridgeFamily ? 'forwarding' : familyOf(familyNumber);
	const state = view.getUint16(bodyStart + 8, littleEndian);
	let address: Uint8Array | undefined;
	let mac: Uint8Array | undefined;
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type, start, end) => {
		if (type === NeighbourAttribute.destination) address = copyBytes(view, start, end);
		else if (type === NeighbourAttribute.linkLayerAddress) mac = copyBytes(view, start, end);
	});
	if (table === undefined || (state & NeighbourState.permanent) === 0) return undefined;
	if (address === undefined || mac?.length !== 6) return undefined;
	return { table, interfaceIndex: view.getUint32(bodyStart + 4, littleEndian), address, mac };
}
