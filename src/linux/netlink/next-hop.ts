import { AddressFamily, MessageFlag, MessageType } from './constants.ts';
import { copyBytes, eachAttribute, type Message, readU32, requireBody } from './reader.ts';
import type { MessageWriter } from './writer.ts';

/** linux/nexthop.h. */
const NextHopAttribute = { id: 1, group: 2, blackhole: 4, outInterface: 5, gateway: 6 } as const;
const onlinkFlag = 4;
/** Length of `nhmsg`: family, scope, protocol, reserved, flags. */
const fixedLength = 8;

/** A next hop object: routes reference it by its number, and share it. Linux 5.3. */
export interface NextHopObject {
	readonly id: number;
	/** Route protocol of its creator. */
	readonly protocol: number;
	/** 4 or 16 bytes. */
	readonly gateway: Uint8Array;
	readonly outInterface: number;
	readonly onlink: boolean;
}

/** Appends RTM_NEWNEXTHOP, refused if the number is in use. */
export function encodeNextHopAdd(writer: MessageWriter, object: NextHopObject, sequence: number): void {
	const { id, protocol, gateway, outInterface, onlink } = object;
	writer.begin(MessageType.newNextHop, MessageFlag.request | MessageFlag.create | MessageFlag.exclusive, sequence);
	writer.u8(gateway.length === 4 ? AddressFamily.ipv4 : AddressFamily.ipv6);
	writer.u8(0);
	writer.u8(protocol);
	writer.u8(0);
	writer.u32(onlink ? onlinkFlag : 0);
	writer.attributeU32(NextHopAttribute.id, id);
	writer.attributeU32(NextHopAttribute.outInterface, outInterface);
	writer.attribute(NextHopAttribute.gateway, gateway);
	writer.end();
}

/** Appends RTM_DELNEXTHOP. The kernel removes the routes that reference it, too. */
export function encodeNextHopRemove(writer: MessageWriter, id: number, sequence: number): void {
	writer.begin(MessageType.deleteNextHop, MessageFlag.request, sequence);
	for (let index = 0; index < fixedLength; index++) writer.u8(0);
	writer.attributeU32(NextHopAttribute.id, id);
	writer.end();
}

/** Appends RTM_GETNEXTHOP for a dump. */
export function encodeNextHopDump(writer: MessageWriter, sequence: number): void {
	writer.begin(MessageType.getNextHop, MessageFlag.request | MessageFlag.dump, sequence);
	for (let index = 0; index < fixedLength; index++) writer.u8(0);
	writer.end();
}

/**
 * A decoded object; one of another form (a group, a blackhole, without a gateway) has only its
 * number and creator.
 */
export type DecodedNextHop = Pick<NextHopObject, 'id' | 'protocol'> & Partial<NextHopObject>;

/** Decodes RTM_NEWNEXTHOP. @throws NetlinkFormatError */
export function decodeNextHop(message: Message): DecodedNextHop {
	requireBody(message, fixedLength);
	const { view, bodyStart, bodyEnd } = message;
	let id = 0;
	let gateway: Uint8Array | undefined;
	let outInterface: number | undefined;
	eachAttribute(view, bodyStart + fixedLength, bodyEnd, (type, start, end) => {
		if (type === NextHopAttribute.id) id = readU32(view, start, end);
		else if (type === NextHopAttribute.gateway) gateway = copyBytes(view, start, end);
		else if (type === NextHopAttribute.outInterface) outInterface = readU32(view, start, end);
	});
	const base = { id, protocol: view.getUint8(bodyStart + 2) };
	if (gateway === undefined || outInterface === undefined) return base;
	return { ...base, gateway, outInterface, onlink: (view.getUint8(bodyStart + 4) & onlinkFlag) !== 0 };
}
