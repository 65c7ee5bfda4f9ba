import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r1, r6, r7, r8, r9 } from '../assembly/instruction.ts';
import { Layout } from './maps.ts';

/** What stays in registers while a packet is judged; 1 to 5 are lost by calls. */
export const packetRegister: Register = r6;
/** IP protocol, behind the extension headers of IPv6. */
export const protocolRegister: Register = r7;
/** Destination port in the machine's order; type of ICMP; 0. */
export const destinationPortRegister: Register = r8;
/** Source port in the machine's order; code of ICMP; 0. */
export const sourcePortRegister: Register = r9;

/** Bytes of an Ethernet header. */
export const ethernetBytes = 14;

/** Offsets of what parsing a packet keeps on the stack, in every program. */
export type ParseFrame = ReturnType<typeof makeParseFrame>;

/** `linkBytes`: of the header before that of IP: 14 for Ethernet, 0 for tunnels of IP. */
export function makeParseFrame(assembler: Assembler, linkBytes: number = ethernetBytes) {
	const slot = (name: string, bytes: number) => assembler.slot(name, bytes);
	return {
		linkBytes,
		/** IP header as it is in the packet. */
		header: slot('header', 40),
		/** Addresses as in the packet, IPv4: 4 bytes and zeros. */
		source: slot('source', 16),
		destination: slot('destination', 16),
		/** Start of the transport header. */
		transport: slot('transport', 16),
		/** Where the transport header begins in the frame. */
		transportOffset: slot('transport-offset', 8),
		/** Not 0: first fragment of several. */
		fragmented: slot('fragmented', 8),
		fragment: slot('fragment', Layout.fragment.bytes),
	} as const;
}

/** Offsets of what a policy program keeps on its stack. */
export type Frame = ReturnType<typeof makeFrame>;

export function makeFrame(assembler: Assembler, linkBytes: number = ethernetBytes) {
	const slot = (name: string, bytes: number) => assembler.slot(name, bytes);
	return {
		...makeParseFrame(assembler, linkBytes),
		/** Key of the connection, and key of the connection that this packet would be a reply to. */
		connection: slot('connection', Layout.connection.bytes),
		reverse: slot('reverse', Layout.connection.bytes),
		value: slot('value', Layout.connectionValue.bytes),
		/** 0: no connection is kept for this packet. */
		tracked: slot('tracked', 8),
		now: slot('now', 8),
		/** Key of either kind of set: `member + 4` for sets of prefixes. */
		member: slot('member', 32),
		event: slot('event', Layout.event.bytes),
		/** Key of the rules of the endpoint. */
		endpoint: slot('endpoint', Layout.endpoint.bytes),
		/** The next program of the rules. */
		next: slot('next', 8),
		/** Key of the counter of the decision. */
		counter: slot('counter', 8),
		count: slot('count', 8),
		/** `struct bpf_fib_lookup`. */
		route: slot('route', 64),
		/** 1: the packet is of the side that did not open its connection. */
		answers: slot('answers', 8),
	} as const;
}

/** `__sk_buff.ifindex`, the interface of the hook, as the number of the endpoint. */
export function storeEndpoint(assembler: Assembler, to: number): void {
	assembler.load('w', r1, packetRegister, 40).store('w', fp, to, r1);
}

/** Copies an address between places on the stack; both aligned to 4. */
export function copyAddress(assembler: Assembler, to: number, from: number): void {
	for (let at = 0; at < 16; at += 4) assembler.load('w', r1, fp, from + at).store('w', fp, to + at, r1);
}

/** Jumps to `then` if the address lies in the prefix; goes on if not. */
export function emitInPrefix(
	assembler: Assembler,
	address: number,
	{ bytes, length }: { readonly bytes: Uint8Array; readonly length: number },
	then: string,
): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const outside = assembler.freshLabel('outside');
	for (let at = 0; at * 8 < length; at += 4) {
		const bits = Math.min(32, length - at * 8);
		assembler.load('w', r1, fp, address + at).swap(r1, 32);
		if (bits < 32) assembler.op32('and', r1, imm((0xffffffff << (32 - bits)) >>> 0));
		assembler.jumpIf32(r1, '!=', imm(view.getUint32(at)), outside);
	}
	assembler.jump(then).label(outside);
}

/** IANA protocol number of the ICMP of a family. */
export const icmpOf = (family: Family): number => (family === 'ipv4' ? 1 : 58);

/**
 * Reads `bytes` of the packet at the offset in register 2 to the stack; jumps where the packet is
 * shorter.
 */
export function emitReadPacket(assembler: Assembler, to: number, bytes: number, otherwise: string): void {
	assembler.mov(r1, packetRegister).address(3, to).mov(4, imm(bytes)).call('skbLoadBytes');
	assembler.jumpIf(0, '!=', imm(0), otherwise);
}
