import { parseAddress } from '../../src/core/index.ts';

/** A packet as bytes for a program: omitted members are 0. */
export interface TestFrame {
	readonly source: string;
	readonly destination: string;
	readonly protocol: number;
	readonly sourcePort?: number;
	readonly destinationPort?: number;
	/** Byte 13 of the header of TCP; SYN by default. */
	readonly tcpFlags?: number;
	readonly icmp?: { readonly type: number; readonly code: number; readonly identifier?: number };
	/** IPv4: offset in units of 8 bytes. IPv6: a fragment header. */
	readonly fragment?: { readonly offset: number; readonly more: boolean; readonly identification: number };
	/**
	 * Extension headers of IPv6 before the transport header, 8 bytes each; IPv4: words of options.
	 */
	readonly extensions?: readonly number[];
	readonly hopLimit?: number;
	/** Instead of the payload; an IP packet that an ICMP error quotes. */
	readonly payload?: Uint8Array;
}

export const Tcp = { fin: 1, syn: 2, reset: 4, ack: 16 } as const;

/** The IP packet. */
export function ipPacket(frame: TestFrame): Uint8Array {
	const { source, destination, protocol, fragment, extensions = [], hopLimit = 64 } = frame;
	const [from, to] = [parseAddress(source), parseAddress(destination)];
	const body =
		fragment !== undefined && fragment.offset > 0 ? new Uint8Array(16) : transport(frame, from.family === 'ipv4');
	if (from.family === 'ipv4') {
		const header = new Uint8Array(20 + 4 * extensions.length).fill(1, 20);
		const view = new DataView(header.buffer);
		header[0] = 0x40 | (5 + extensions.length);
		view.setUint16(2, header.length + body.length);
		if (fragment !== undefined) {
			view.setUint16(4, fragment.identification);
			view.setUint16(6, (fragment.more ? 0x2000 : 0) | fragment.offset);
		}
		header[8] = hopLimit;
		header[9] = protocol;
		header.set(from.bytes, 12);
		header.set(to.bytes, 16);
		return Buffer.concat([header, body]);
	}
	const chain = fragment === undefined ? extensions : [...extensions, 44];
	const headers = chain.map((type, index) => {
		const header = new Uint8Array(8);
		header[0] = chain[index + 1] ?? protocol;
		if (type === 44 && fragment !== undefined) {
			new DataView(header.buffer).setUint16(2, (fragment.offset << 3) | (fragment.more ? 1 : 0));
			new DataView(header.buffer).setUint32(4, fragment.identification);
		}
		return header;
	});
	const rest = Buffer.concat([...headers, body]);
	const header = new Uint8Array(40);
	header[0] = 0x60;
	new DataView(header.buffer).setUint16(4, rest.length);
	header[6] = chain[0] ?? protocol;
	header[7] = hopLimit;
	header.set(from.bytes, 8);
	header.set(to.bytes, 24);
	return Buffer.concat([header, rest]);
}

/** The Ethernet frame. */
export function ethernetFrame(frame: TestFrame): Uint8Array {
	const header = new Uint8Array(14);
	new DataView(header.buffer).setUint16(12, frame.source.includes(':') ? 0x86dd : 0x0800);
	return Buffer.concat([header, ipPacket(frame)]);
}

function transport(frame: TestFrame, ipv4: boolean): Uint8Array {
	const {
		protocol,
		sourcePort = 0,
		destinationPort = 0,
		tcpFlags = Tcp.syn,
		icmp,
		payload = new Uint8Array(8),
	} = frame;
	const bytes = new Uint8Array(protocol === 6 ? 20 : 8);
	const view = new DataView(bytes.buffer);
	if (protocol === (ipv4 ? 1 : 58) && icmp !== undefined) {
		bytes[0] = icmp.type;
		bytes[1] = icmp.code;
		view.setUint16(4, icmp.identifier ?? 0);
	} else {
		view.setUint16(0, sourcePort);
		view.setUint16(2, destinationPort);
		if (protocol === 6) {
			bytes[12] = 0x50;
			bytes[13] = tcpFlags;
		}
	}
	return Buffer.concat([bytes, payload]);
}
