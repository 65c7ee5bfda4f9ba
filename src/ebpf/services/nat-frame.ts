import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import { makeParseFrame, type ParseFrame, packetRegister, protocolRegister } from '../policy/frame.ts';
import { SocketLayout } from './maps.ts';
import { NatLayout } from './nat-maps.ts';

const ethernetBytes = 14;
/** Flags of bpf_l4_csum_replace. */
export const ChecksumFlag = { pseudoHeader: 0x10, zeroStays: 0x20 } as const;
/** BPF_F_RECOMPUTE_CSUM: IPv6 has no checksum of its own that makes up for another address. */
const recompute = 1;
export const udpProtocol = 17;
export const tcpProtocol = 6;

/** What a translating program keeps on its stack. */
export interface NatFrame extends ParseFrame {
	/** Keys and values of the maps. */
	readonly flow: number;
	readonly reverse: number;
	readonly value: number;
	/** Endpoints, `SocketLayout.endpoint`: the one in the packet, and the one that replaces it. */
	readonly asked: number;
	readonly chosen: number;
	readonly now: number;
	/** 64 bytes for keys and values that live for a few instructions. */
	readonly scratch: number;
}

export function makeNatFrame(assembler: Assembler): NatFrame {
	const slot = (name: string, bytes: number) => assembler.slot(name, bytes);
	return {
		...makeParseFrame(assembler),
		flow: slot('flow', NatLayout.flow.bytes),
		reverse: slot('reverse', NatLayout.flow.bytes),
		value: slot('value', NatLayout.flowValue.bytes),
		asked: slot('asked', SocketLayout.endpoint.bytes),
		chosen: slot('chosen', SocketLayout.endpoint.bytes),
		now: slot('now', 8),
		scratch: slot('scratch', 64),
	};
}

/** The end of a connection that a program replaces. */
export type NatEnd = 'source' | 'destination';

/** Where an address and a port begin in their headers. */
const addressAt: Readonly<Record<Family, Readonly<Record<NatEnd, number>>>> = {
	ipv4: { source: 12, destination: 16 },
	ipv6: { source: 8, destination: 24 },
};
const portAt: Readonly<Record<NatEnd, number>> = { source: 0, destination: 2 };
const addressBytes = (family: Family): number => (family === 'ipv4' ? 4 : 16);

/**
 * Copies bytes between places on the stack, both aligned to 8; `bytes` is a multiple of 8. Loses
 * register 1.
 */
export function copyWords(assembler: Assembler, to: number, from: number, bytes: number): void {
	for (let at = 0; at < bytes; at += 8) assembler.load('dw', r1, fp, from + at).store('dw', fp, to + at, r1);
}

/** A key of `nat_flows` or `nat_reverse`; places on the stack. Loses register 1. */
export function emitFlowKey(
	assembler: Assembler,
	key: number,
	family: Family,
	from: {
		readonly source: number;
		readonly destination: number;
		readonly sourcePort: number;
		readonly destinationPort: number;
	},
): void {
	const at = NatLayout.flow;
	copyWords(assembler, key + at.source, from.source, 16);
	copyWords(assembler, key + at.destination, from.destination, 16);
	assembler.store('dw', fp, key + at.sourcePort, imm(0));
	assembler.load('h', r1, fp, from.sourcePort).store('h', fp, key + at.sourcePort, r1);
	assembler.load('h', r1, fp, from.destinationPort).store('h', fp, key + at.destinationPort, r1);
	assembler.store('b', fp, key + at.protocol, protocolRegister);
	assembler.store('b', fp, key + at.family, imm(family === 'ipv4' ? 4 : 6));
}

/** An endpoint from places on the stack. Loses register 1. */
export function emitEndpoint(
	assembler: Assembler,
	endpoint: number,
	family: Family,
	{ address, port }: { readonly address: number; readonly port: number },
): void {
	const at = SocketLayout.endpoint;
	copyWords(assembler, endpoint, address, 16);
	assembler.store('dw', fp, endpoint + at.port, imm(0));
	assembler.load('h', r1, fp, port).store('h', fp, endpoint + at.port, r1);
	assembler.store('b', fp, endpoint + at.protocol, protocolRegister);
	assembler.store('b', fp, endpoint + at.family, imm(family === 'ipv4' ? 4 : 6));
}

/** Bytes on the stack into the packet, at the offset in register 2. */
export function emitStore(assembler: Assembler, from: number, bytes: number, flags = 0): void {
	assembler.mov(r1, packetRegister).address(r3, from).mov(r4, imm(bytes)).mov(r5, imm(flags)).call('skbStoreBytes');
}

/** Register 0: what a checksum changes by when one address becomes another. */
export function emitDifference(assembler: Assembler, family: Family, before: number, after: number): void {
	const bytes = imm(addressBytes(family));
	assembler.address(r1, before).mov(r2, bytes).address(r3, after).mov(r4, bytes).mov(r5, imm(0));
	assembler.call('checksumDifference');
}

/**
 * The address in the IP header, and the checksum of that header. `before` and `after` are places on
 * the stack.
 */
export function emitReplaceAddress(
	assembler: Assembler,
	{ family, end, before, after }: { family: Family; end: NatEnd; before: number; after: number },
): void {
	if (family === 'ipv4') {
		assembler.mov(r1, packetRegister).mov(r2, imm(ethernetBytes + 10));
		assembler.load('w', r3, fp, before).load('w', r4, fp, after).mov(r5, imm(4)).call('ipv4ChecksumReplace');
	}
	assembler.mov(r2, imm(ethernetBytes + addressAt[family][end]));
	emitStore(assembler, after, addressBytes(family), family === 'ipv4' ? 0 : recompute);
}

/**
 * Address and port of one end of a TCP or UDP packet become those of `chosen`, with all checksums.
 */
export function emitReplaceEnd(assembler: Assembler, frame: NatFrame, family: Family, end: NatEnd): void {
	const { transport, transportOffset, chosen, scratch } = frame;
	const before = frame[end];
	// Where the checksum is, and the flags: a datagram of IPv4 without checksum stays so.
	assembler.load('dw', r1, fp, transportOffset).mov(r2, imm(0));
	assembler.when(
		protocolRegister,
		'==',
		imm(tcpProtocol),
		() => assembler.op('add', r1, imm(16)),
		() => assembler.op('add', r1, imm(6)).mov(r2, imm(ChecksumFlag.zeroStays)),
	);
	assembler.store('dw', fp, scratch, r1).store('dw', fp, scratch + 8, r2);
	emitDifference(assembler, family, before, chosen);
	assembler.mov(r4, r0).mov(r1, packetRegister).load('dw', r2, fp, scratch).mov(r3, imm(0));
	assembler.load('dw', r5, fp, scratch + 8).op('or', r5, imm(ChecksumFlag.pseudoHeader));
	assembler.call('transportChecksumReplace');
	assembler
		.mov(r1, packetRegister)
		.load('dw', r2, fp, scratch)
		.load('h', r3, fp, transport + portAt[end]);
	assembler.load('h', r4, fp, chosen + SocketLayout.endpoint.port);
	assembler
		.load('dw', r5, fp, scratch + 8)
		.op('or', r5, imm(2))
		.call('transportChecksumReplace');
	assembler.load('dw', r2, fp, transportOffset).op('add', r2, imm(portAt[end]));
	emitStore(assembler, chosen + SocketLayout.endpoint.port, 2);
	emitReplaceAddress(assembler, { family, end, before, after: chosen });
}

/** Places in the packet that an ICMP error quotes, from the beginning of the ICMP header. */
export const quoted = (family: Family) => {
	const headerBytes = family === 'ipv4' ? 20 : 40;
	return {
		headerBytes,
		checksum: 8 + 10,
		address: (end: NatEnd) => 8 + addressAt[family][end],
		port: (end: NatEnd) => 8 + headerBytes + portAt[end],
		addressInHeader: addressAt[family],
		protocolInHeader: family === 'ipv4' ? 9 : 6,
		portInTransport: portAt,
		addressBytes: addressBytes(family),
	};
};
