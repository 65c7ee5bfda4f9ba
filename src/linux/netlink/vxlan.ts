import { LinkAttribute, LinkInfoAttribute, MessageFlag, MessageType } from './constants.ts';
import { copyBytes, eachAttribute, readU32 } from './reader.ts';
import type { MessageWriter } from './writer.ts';

/** IFLA_VXLAN_* of linux/if_link.h. */
const VxlanAttribute = {
	id: 1,
	group: 2,
	link: 3,
	local: 4,
	learning: 7,
	port: 15,
	group6: 16,
	local6: 17,
	l2miss: 13,
	udpZeroChecksum6Tx: 19,
	udpZeroChecksum6Rx: 20,
	collectMetadata: 25,
} as const;

/** The properties of a VXLAN device. */
export interface VxlanProperties {
	/** VXLAN network identifier, 24 bits (RFC 7348 §5). */
	readonly id: number;
	/** UDP port that it sends to and listens at. */
	readonly port: number;
	/** This node's underlay address, 4 or 16 bytes; `undefined`: any. */
	readonly local: Uint8Array | undefined;
	/** Index of the underlay interface; 0: any. */
	readonly parentIndex: number;
	/** The device learns MAC addresses from packets. */
	readonly learning: boolean;
	/**
	 * Packets without an entry go to a group, or each packet carries its destination (`external`),
	 * or misses are reported.
	 */
	readonly unusual: boolean;
}

/** A VXLAN device to create. */
export interface NewVxlan extends Omit<VxlanProperties, 'unusual'> {
	readonly name: string;
	/** 6 bytes. */
	readonly mac: Uint8Array;
	readonly mtuBytes: number;
}

/** Appends RTM_NEWLINK for a device that is up at once. */
export function encodeVxlanAdd(writer: MessageWriter, vxlan: NewVxlan, sequence: number): void {
	const { name, mac, mtuBytes, id, port, local, parentIndex, learning } = vxlan;
	writer.begin(
		MessageType.newLink,
		MessageFlag.request | MessageFlag.ack | MessageFlag.create | MessageFlag.exclusive,
		sequence,
	);
	for (const word of [0, 0, 1, 1]) writer.u32(word);
	writer.attributeText(LinkAttribute.name, name);
	writer.attribute(LinkAttribute.address, mac);
	writer.attributeU32(LinkAttribute.mtu, mtuBytes);
	writer.nested(LinkAttribute.linkInfo, () => {
		writer.attribute(LinkInfoAttribute.kind, Buffer.from('vxlan'));
		writer.nested(LinkInfoAttribute.data, () => {
			writer.attributeU32(VxlanAttribute.id, id);
			if (local !== undefined)
				writer.attribute(local.length === 4 ? VxlanAttribute.local : VxlanAttribute.local6, local);
			if (parentIndex !== 0) writer.attributeU32(VxlanAttribute.link, parentIndex);
			writer.attribute(VxlanAttribute.learning, Uint8Array.of(learning ? 1 : 0));
			// In network order, unlike nearly everything in rtnetlink.
			writer.attribute(VxlanAttribute.port, Uint8Array.of(port >> 8, port & 255));
			if (local?.length === 16) {
				writer.attribute(VxlanAttribute.udpZeroChecksum6Tx, Uint8Array.of(0));
				writer.attribute(VxlanAttribute.udpZeroChecksum6Rx, Uint8Array.of(0));
			}
		});
	});
	writer.end();
}

/**
 * Changes to a VXLAN device in place: its entries and routes stay. The kernel refuses a change of
 * its identifier, its port, and of the family of its address.
 */
export interface VxlanChange {
	readonly index: number;
	/** 6 bytes. */
	readonly mac?: Uint8Array;
	readonly local?: Uint8Array;
	readonly parentIndex?: number;
	readonly learning?: boolean;
}

/** Appends RTM_NEWLINK that changes the given properties of a VXLAN device. */
export function encodeVxlanChange(writer: MessageWriter, change: VxlanChange, sequence: number): void {
	const { index, mac, local, parentIndex, learning } = change;
	writer.begin(MessageType.newLink, MessageFlag.request | MessageFlag.ack, sequence);
	for (const word of [0, index, 0, 0]) writer.u32(word);
	if (mac !== undefined) writer.attribute(LinkAttribute.address, mac);
	writer.nested(LinkAttribute.linkInfo, () => {
		writer.attribute(LinkInfoAttribute.kind, Buffer.from('vxlan'));
		writer.nested(LinkInfoAttribute.data, () => {
			if (local !== undefined)
				writer.attribute(local.length === 4 ? VxlanAttribute.local : VxlanAttribute.local6, local);
			if (parentIndex !== undefined) writer.attributeU32(VxlanAttribute.link, parentIndex);
			if (learning !== undefined) writer.attribute(VxlanAttribute.learning, Uint8Array.of(learning ? 1 : 0));
		});
	});
	writer.end();
}

/** Decodes IFLA_INFO_DATA of a VXLAN device. @throws NetlinkFormatError */
export function decodeVxlan(view: DataView, start: number, end: number): VxlanProperties {
	let id = 0;
	let port = 0;
	let local: Uint8Array | undefined;
	let parentIndex = 0;
	let learning = false;
	let unusual = false;
	const isSet = (bytes: Uint8Array) => bytes.some((byte) => byte !== 0);
	eachAttribute(view, start, end, (type, from, to) => {
		const bytes = copyBytes(view, from, to);
		if (type === VxlanAttribute.id) id = readU32(view, from, to);
		else if (type === VxlanAttribute.port) port = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
		else if (type === VxlanAttribute.local || type === VxlanAttribute.local6) local = isSet(bytes) ? bytes : local;
		else if (type === VxlanAttribute.link) parentIndex = readU32(view, from, to);
		else if (type === VxlanAttribute.learning) learning = isSet(bytes);
		else if (type === VxlanAttribute.group || type === VxlanAttribute.group6) unusual ||= isSet(bytes);
		else if (type === VxlanAttribute.collectMetadata || type === VxlanAttribute.l2miss) unusual ||= isSet(bytes);
	});
	return { id, port, local, parentIndex, learning, unusual };
}
