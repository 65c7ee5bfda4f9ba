import type { Family } from '../core/index.ts';

/** An ICMP echo message. RFC 792, RFC 4443 §4.1 and §4.2. */
export interface Echo {
	readonly identifier: number;
	readonly sequence: number;
}

const icmpHeaderBytes = 8;
const ipHeaderBytes: Readonly<Record<Family, number>> = { ipv4: 20, ipv6: 40 };
const requestType: Readonly<Record<Family, number>> = { ipv4: 8, ipv6: 128 };
const replyType: Readonly<Record<Family, number>> = { ipv4: 0, ipv6: 129 };

/** The smallest IP packet with an echo message. */
export const leastEchoBytes = (family: Family): number => ipHeaderBytes[family] + icmpHeaderBytes;

/**
 * An echo request whose IP packet has `packetBytes` bytes. The kernel adds the IP header, and for
 * IPv6 the checksum.
 */
export function encodeEchoRequest(family: Family, packetBytes: number, { identifier, sequence }: Echo): Uint8Array {
	const message = new Uint8Array(packetBytes - ipHeaderBytes[family]);
	const view = new DataView(message.buffer);
	message[0] = requestType[family];
	view.setUint16(4, identifier);
	view.setUint16(6, sequence);
	for (let index = icmpHeaderBytes; index < message.length; index++) message[index] = index & 255;
	if (family === 'ipv4') view.setUint16(2, checksum(message));
	return message;
}

/** `undefined`: no echo reply. */
export function decodeEchoReply(family: Family, message: Uint8Array): Echo | undefined {
	if (message.length < icmpHeaderBytes || message[0] !== replyType[family] || message[1] !== 0) return undefined;
	const view = new DataView(message.buffer, message.byteOffset, message.length);
	return { identifier: view.getUint16(4), sequence: view.getUint16(6) };
}

/** RFC 1071. */
export function checksum(bytes: Uint8Array): number {
	let sum = 0;
	for (let index = 0; index < bytes.length; index += 2) sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	return ~sum & 0xffff;
}
