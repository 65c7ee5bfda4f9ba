import { AddressFamily, LinkAttribute, LinkInfoAttribute, MessageFlag, MessageType } from './constants.ts';
import type { MessageWriter } from './writer.ts';

/** One end of a veth pair at its creation. */
export interface VethEnd {
	readonly name: string;
	/** Six bytes; `undefined`: the kernel chooses one at random. */
	readonly mac: Uint8Array | undefined;
}

/** A pair of connected interfaces: one end here, the other one in another network namespace. */
export interface VethPair {
	readonly host: VethEnd;
	readonly peer: VethEnd;
	/** An open file descriptor of the namespace of `peer`. */
	readonly peerNamespaceFd: number;
	/** Of both ends. */
	readonly mtuBytes: number;
	/** IFLA_IFALIAS of the host's end: at most 255 bytes. */
	readonly alias: string;
}

/** VETH_INFO_PEER of linux/veth.h. */
const peerInfo = 1;

/** Appends RTM_NEWLINK that creates a veth pair; both ends are down. */
export function encodeVethAdd(
	writer: MessageWriter,
	{ host, peer, peerNamespaceFd, mtuBytes }: VethPair,
	sequence: number,
): void {
	const flags = MessageFlag.request | MessageFlag.ack | MessageFlag.create | MessageFlag.exclusive;
	writer.begin(MessageType.newLink, flags, sequence);
	interfaceInfo(writer);
	const end = ({ name, mac }: VethEnd) => {
		writer.attributeText(LinkAttribute.name, name);
		if (mac !== undefined) writer.attribute(LinkAttribute.address, mac);
		writer.attributeU32(LinkAttribute.mtu, mtuBytes);
	};
	end(host);
	writer.nested(LinkAttribute.linkInfo, () => {
		writer.attribute(LinkInfoAttribute.kind, Buffer.from('veth'));
		writer.nested(LinkInfoAttribute.data, () =>
			writer.nested(peerInfo, () => {
				interfaceInfo(writer);
				end(peer);
				writer.attributeU32(LinkAttribute.namespaceFd, peerNamespaceFd);
			}),
		);
	});
	writer.end();
}

/** Appends RTM_NEWLINK that sets the alias: the kernel ignores an alias at the creation. */
export function encodeAlias(writer: MessageWriter, name: string, alias: string, sequence: number): void {
	writer.begin(MessageType.newLink, MessageFlag.request | MessageFlag.ack, sequence);
	interfaceInfo(writer);
	writer.attributeText(LinkAttribute.name, name);
	writer.attribute(LinkAttribute.alias, Buffer.from(alias));
	writer.end();
}

/** An `ifinfomsg` of zeros. */
function interfaceInfo(writer: MessageWriter): void {
	writer.u8(AddressFamily.unspecified);
	for (let index = 0; index < 3; index++) writer.u8(0);
	for (let index = 0; index < 3; index++) writer.u32(0);
}
