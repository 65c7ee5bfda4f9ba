import type { Family } from '../../core/index.ts';
import {
	AddressAttribute,
	AddressFamily,
	LinkAttribute,
	LinkFlag,
	LinkInfoAttribute,
	MessageFlag,
	MessageType,
} from './constants.ts';
import { copyBytes, eachAttribute, type Message, readText, readU32, requireBody } from './reader.ts';
import { familyOf } from './route.ts';
import { decodeVxlan, type VxlanProperties } from './vxlan.ts';
import { littleEndian, type MessageWriter } from './writer.ts';

/** A network interface. */
export interface Link {
	readonly index: number;
	readonly name: string;
	readonly mtuBytes: number;
	/** Set up by the administrator; the carrier is a separate flag (`running`). */
	readonly up: boolean;
	readonly running: boolean;
	readonly loopback: boolean;
	/** `ipip`, `veth`, ...; `undefined` for real hardware. */
	readonly kind: string | undefined;
	/** Index of the bridge or bond it belongs to. */
	readonly master: number | undefined;
	/** Index of the lower interface, or of the other end of a veth pair; absent for others. */
	readonly link?: number;
	/** Hardware address: six bytes for Ethernet; absent if the kind has none. */
	readonly mac?: Uint8Array;
	/** IFLA_IFALIAS: a text for the administrator; absent without one. */
	readonly alias?: string;
	/** Present for a VXLAN device. */
	readonly vxlan?: VxlanProperties;
}

/** An address of an interface. */
export interface LinkAddress {
	readonly family: Family;
	/** The local address, 4 or 16 bytes. */
	readonly address: Uint8Array;
	/** Of the subnet. */
	readonly length: number;
	readonly interfaceIndex: number;
	/** `RouteScope`: 0 for an address reachable from other hosts, 253 link-local, 254 host. */
	readonly scope: number;
}

/** Lengths of `ifinfomsg` and `ifaddrmsg`. */
const linkLength = 16;
const addressLength = 8;

function beginLink(
	writer: MessageWriter,
	type: number,
	flags: number,
	sequence: number,
	index: number,
	up: boolean | undefined,
): void {
	writer.begin(type, MessageFlag.request | flags, sequence);
	writer.u8(AddressFamily.unspecified);
	writer.u8(0);
	writer.u16(0);
	writer.u32(index);
	writer.u32(up ? LinkFlag.up : 0);
	writer.u32(up === undefined ? 0 : LinkFlag.up);
}

/** Appends RTM_GETLINK for a dump. */
export function encodeLinkDump(writer: MessageWriter, sequence: number): void {
	beginLink(writer, MessageType.getLink, MessageFlag.dump, sequence, 0, undefined);
	writer.end();
}

/** Appends RTM_GETLINK for one interface. */
export function encodeLinkQuery(
	writer: MessageWriter,
	which: { readonly name: string } | { readonly index: number },
	sequence: number,
): void {
	beginLink(writer, MessageType.getLink, 0, sequence, 'index' in which ? which.index : 0, undefined);
	if ('name' in which) writer.attributeText(LinkAttribute.name, which.name);
	writer.end();
}

/** Appends RTM_NEWLINK that creates an interface of a kind, with the kind's defaults. */
export function encodeLinkAdd(
	writer: MessageWriter,
	{ name, kind }: { readonly name: string; readonly kind: string },
	sequence: number,
): void {
	beginLink(
		writer,
		MessageType.newLink,
		MessageFlag.ack | MessageFlag.create | MessageFlag.exclusive,
		sequence,
		0,
		undefined,
	);
	writer.attributeText(LinkAttribute.name, name);
	writer.nested(LinkAttribute.linkInfo, () => writer.attribute(LinkInfoAttribute.kind, Buffer.from(kind)));
	writer.end();
}

/** Appends RTM_NEWLINK that changes the given properties of an interface. */
export function encodeLinkChange(
	writer: MessageWriter,
	{
		index,
		up,
		mtuBytes,
	}: { readonly index: number; readonly up?: boolean | undefined; readonly mtuBytes?: number | undefined },
	sequence: number,
): void {
	beginLink(writer, MessageType.newLink, MessageFlag.ack, sequence, index, up);
	if (mtuBytes !== undefined) writer.attributeU32(LinkAttribute.mtu, mtuBytes);
	writer.end();
}

/** Appends RTM_DELLINK. */
export function encodeLinkRemove(writer: MessageWriter, index: number, sequence: number): void {
	beginLink(writer, MessageType.deleteLink, MessageFlag.ack, sequence, index, undefined);
	writer.end();
}

/**
 * A message about an interface as the port of a bridge: even RTM_DELLINK only means that it left
 * the bridge. @throws NetlinkFormatError
 */
export function isOfBridgePort(message: Message): boolean {
	requireBody(message, linkLength);
	return message.view.getUint8(message.bodyStart) !== AddressFamily.unspecified;
}

/** Decodes RTM_NEWLINK or RTM_DELLINK. @throws NetlinkFormatError */
export function decodeLink(message: Message): Link {
	requireBody(message, linkLength);
	const { view, bodyStart, bodyEnd } = message;
	const flags = view.getUint32(bodyStart + 8, littleEndian);
	let name = '';
	let mtuBytes = 0;
	let kind: string | undefined;
	let master: number | undefined;
	let link: number | undefined;
	let mac: Uint8Array | undefined;
	let alias: string | undefined;
	let data: readonly [number, number] | undefined;
	eachAttribute(view, bodyStart + linkLength, bodyEnd, (type, start, end) => {
		if (type === LinkAttribute.name) name = readText(view, start, end);
		else if (type === LinkAttribute.mtu) mtuBytes = readU32(view, start, end);
		else if (type === LinkAttribute.address) mac = copyBytes(view, start, end);
		else if (type === LinkAttribute.alias) alias = readText(view, start, end);
		else if (type === LinkAttribute.link) link = readU32(view, start, end);
		else if (type === LinkAttribute.master) master = readU32(view, start, end);
		else if (type === LinkAttribute.linkInfo) {
			eachAttribute(view, start, end, (inner, from, to) => {
				if (inner === LinkInfoAttribute.kind) kind = readText(view, from, to);
				else if (inner === LinkInfoAttribute.data) data = [from, to];
			});
		}
	});
	const is = (flag: number) => (flags & flag) !== 0;
	const index = view.getInt32(bodyStart + 4, littleEndian);
	return {
		index,
		name,
		mtuBytes,
		up: is(LinkFlag.up),
		running: is(LinkFlag.running),
		loopback: is(LinkFlag.loopback),
		kind,
		master,
		...(link === undefined ? {} : { link }),
		...(mac === undefined ? {} : { mac }),
		...(alias === undefined ? {} : { alias }),
		...(kind !== 'vxlan' || data === undefined ? {} : { vxlan: decodeVxlan(view, ...data) }),
	};
}

/** Appends RTM_GETADDR for a dump of one family. */
export function encodeAddressDump(writer: MessageWriter, family: Family, sequence: number): void {
	writer.begin(MessageType.getAddress, MessageFlag.request | MessageFlag.dump, sequence);
	writer.u8(AddressFamily[family]);
	for (let index = 1; index < 4; index++) writer.u8(0);
	writer.u32(0);
	writer.end();
}

/** Appends RTM_NEWADDR or RTM_DELADDR. */
export function encodeAddressChange(
	writer: MessageWriter,
	verb: 'add' | 'remove',
	address: LinkAddress,
	sequence: number,
): void {
	const flags =
		MessageFlag.request | MessageFlag.ack | (verb === 'add' ? MessageFlag.create | MessageFlag.exclusive : 0);
	writer.begin(verb === 'add' ? MessageType.newAddress : MessageType.deleteAddress, flags, sequence);
	writer.u8(AddressFamily[address.family]);
	writer.u8(address.length);
	writer.u8(0);
	writer.u8(address.scope);
	writer.u32(address.interfaceIndex);
	writer.attribute(AddressAttribute.local, address.address);
	writer.attribute(AddressAttribute.address, address.address);
	writer.end();
}

/**
 * Decodes RTM_NEWADDR or RTM_DELADDR; `undefined` for an unsupported family. @throws
 * NetlinkFormatError
 */
export function decodeAddress(message: Message): LinkAddress | undefined {
	requireBody(message, addressLength);
	const { view, bodyStart, bodyEnd } = message;
	const family = familyOf(view.getUint8(bodyStart));
	let address: Uint8Array | undefined;
	let local: Uint8Array | undefined;
	eachAttribute(view, bodyStart + addressLength, bodyEnd, (type, start, end) => {
		// On a point-to-point link IFA_ADDRESS is the other end's.
		if (type === AddressAttribute.address) address = copyBytes(view, start, end);
		else if (type === AddressAttribute.local) local = copyBytes(view, start, end);
	});
	const own = local ?? address;
	if (family === undefined || own === undefined || own.length !== (family === 'ipv4' ? 4 : 16)) return undefined;
	return {
		family,
		address: own,
		length: view.getUint8(bodyStart + 1),
		interfaceIndex: view.getUint32(bodyStart + 4, littleEndian),
		scope: view.getUint8(bodyStart + 3),
	};
}
