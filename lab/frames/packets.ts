/** Packets as bytes: sent probes, and received packets. */
import type { Address } from '../../src/core/index.ts';

/** Protocols with ports in their first four bytes. */
const Protocol = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

/** The first packet of a connection. */
export interface PacketSpec {
	readonly source: Address;
	/** Same family. */
	readonly destination: Address;
	/** IP protocol number. */
	readonly protocol: number;
	/** Of ICMP: the identifier. */
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly icmp?: { readonly type: number; readonly code: number };
	/**
	 * A number that the packet carries through any translation: sequence number, first bytes of the
	 * data, initiate tag.
	 */
	readonly tag?: number;
}

/** The identifying fields of a packet after its IP header. */
export interface TransportFacts {
	readonly protocol: number;
	/** Of ICMP: the identifier. */
	readonly sourcePort: number;
	/** Of ICMP: the type. */
	readonly destinationPort: number;
	/** TCP's RST flag. */
	readonly reset: boolean;
	/** See `PacketSpec`; 0 if the packet has no such field. */
	readonly tag: number;
}

/** An IP packet with correct checksums. */
export function ipPacket(spec: PacketSpec): Uint8Array {
	const body = transport(spec);
	return spec.source.family === 'ipv4' ? ipv4(spec, body) : ipv6(spec, body);
}

/** An Ethernet frame around an IP packet. */
export function ethernetFrame(from: Uint8Array, to: Uint8Array, packet: Uint8Array): Uint8Array {
	const frame = new Uint8Array(14 + packet.length);
	frame.set(to, 0);
	frame.set(from, 6);
	frame.set((packet[0] ?? 0) >> 4 === 4 ? [0x08, 0x00] : [0x86, 0xdd], 12);
	frame.set(packet, 14);
	return frame;
}

function ipv4({ source, destination, protocol }: PacketSpec, body: Uint8Array): Uint8Array {
	const packet = new Uint8Array(20 + body.length);
	const view = new DataView(packet.buffer);
	packet[0] = 0x45;
	view.setUint16(2, packet.length);
	packet[8] = 64;
	packet[9] = protocol;
	packet.set(source.bytes, 12);
	packet.set(destination.bytes, 16);
	view.setUint16(10, ~sum(packet.subarray(0, 20)) & 0xffff);
	packet.set(body, 20);
	return packet;
}

function ipv6({ source, destination, protocol }: PacketSpec, body: Uint8Array): Uint8Array {
	const packet = new Uint8Array(40 + body.length);
	const view = new DataView(packet.buffer);
	packet[0] = 0x60;
	view.setUint16(4, body.length);
	packet[6] = protocol;
	packet[7] = 64;
	packet.set(source.bytes, 8);
	packet.set(destination.bytes, 24);
	packet.set(body, 40);
	return packet;
}

function transport(spec: PacketSpec): Uint8Array {
	const { protocol, sourcePort, destinationPort, icmp, tag = 0x01020304 } = spec;
	const body = new Uint8Array(bodyBytes(protocol));
	const view = new DataView(body.buffer);
	if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
		body[0] = icmp?.type ?? 8;
		body[1] = icmp?.code ?? 0;
		view.setUint16(4, sourcePort);
		const start = protocol === Protocol.icmpv6 ? pseudo(spec, body.length) : 0;
		view.setUint16(2, ~sum(body, start) & 0xffff);
		return body;
	}
	view.setUint16(0, sourcePort);
	view.setUint16(2, destinationPort);
	if (protocol === Protocol.tcp) {
		view.setUint32(4, tag);
		body[12] = 0x50;
		body[13] = 0x02;
		view.setUint16(14, 64240);
		view.setUint16(16, ~sum(body, pseudo(spec, body.length)) & 0xffff);
	} else if (protocol === Protocol.udp) {
		view.setUint16(4, body.length);
		view.setUint32(8, tag);
		view.setUint16(6, ~sum(body, pseudo(spec, body.length)) & 0xffff || 0xffff);
	} else if (protocol === Protocol.sctp) {
		// An INIT chunk (RFC 9260 §3.3.2): connection tracking accepts only this as a start.
		view.setUint8(12, 1);
		view.setUint16(14, 20);
		view.setUint32(16, tag);
		view.setUint32(20, 65536);
		view.setUint16(24, 1);
		view.setUint16(26, 1);
		view.setUint32(28, 1);
		view.setUint32(8, crc32c(body), true);
	}
	return body;
}

function bodyBytes(protocol: number): number {
	if (protocol === Protocol.tcp) return 20;
	return protocol === Protocol.sctp ? 32 : protocol === Protocol.udp ? 16 : 64;
}

function pseudo({ source, destination, protocol }: PacketSpec, length: number): number {
	return sum(source.bytes) + sum(destination.bytes) + protocol + length;
}

/** Sum of 16-bit words, ones' complement (RFC 1071). */
function sum(bytes: Uint8Array, start = 0): number {
	let total = start;
	for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
	while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
	return total;
}

/** CRC32c, reflected (RFC 9260 appendix A). */
export function crc32c(bytes: Uint8Array): number {
	let crc = 0xffffffff;
	for (const byte of bytes) {
		crc ^= byte;
		for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc >>> 0;
}

/** Addresses and transport of an IP packet; `undefined`: not IP, or too short. */
export function readPacket(
	packet: Uint8Array,
): (TransportFacts & { readonly source: Uint8Array; readonly destination: Uint8Array }) | undefined {
	const version = (packet[0] ?? 0) >> 4;
	if (version === 4 && packet.length >= 20) {
		const facts = readTransport(packet[9] ?? 0, packet.subarray(((packet[0] ?? 0) & 15) * 4));
		return facts && { ...facts, source: packet.slice(12, 16), destination: packet.slice(16, 20) };
	}
	if (version !== 6 || packet.length < 40) return undefined;
	const facts = readTransport(packet[6] ?? 0, packet.subarray(40));
	return facts && { ...facts, source: packet.slice(8, 24), destination: packet.slice(24, 40) };
}

/**
 * The packet quoted in an ICMP error; `undefined`: not an error. `packet` begins with its IP
 * header.
 */
export function quotedPacket(packet: Uint8Array): Uint8Array | undefined {
	const version = (packet[0] ?? 0) >> 4;
	const body = version === 4 ? packet.subarray(((packet[0] ?? 0) & 15) * 4) : packet.subarray(40);
	const protocol = version === 4 ? packet[9] : packet[6];
	const isError = (protocol === Protocol.icmp && body[0] === 3) || (protocol === Protocol.icmpv6 && body[0] === 1);
	return isError ? body.subarray(8) : undefined;
}

/** The bytes after the IP header. */
export function readTransport(protocol: number, body: Uint8Array): TransportFacts | undefined {
	if (body.length < 8) return undefined;
	const view = new DataView(body.buffer, body.byteOffset, body.length);
	if (protocol === Protocol.icmp || protocol === Protocol.icmpv6)
		return { protocol, sourcePort: view.getUint16(4), destinationPort: view.getUint8(0), reset: false, tag: 0 };
	const reset = protocol === Protocol.tcp && body.length >= 14 && (view.getUint8(13) & 4) !== 0;
	const place = protocol === Protocol.tcp ? 4 : protocol === Protocol.udp ? 8 : 16;
	const tag = body.length >= place + 4 ? view.getUint32(place) : 0;
	return { protocol, sourcePort: view.getUint16(0), destinationPort: view.getUint16(2), reset, tag };
}
