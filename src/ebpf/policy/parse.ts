import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r1, r2, r3 } from '../assembly/instruction.ts';
import {
	destinationPortRegister,
	emitReadPacket,
	icmpOf,
	type ParseFrame,
	packetRegister,
	protocolRegister,
	sourcePortRegister,
} from './frame.ts';
import { Layout } from './maps.ts';

/** Extension headers that are looked through; packets with more are dropped. */
const mostExtensionHeaders = 6;
/**
 * RFC 8200 §4: hop-by-hop options, routing, fragment, destination options; RFC 4302:
 * authentication.
 */
const Extension = { hopByHop: 0, routing: 43, fragment: 44, authentication: 51, destinationOptions: 60 } as const;

/** Labels of a family's code that parsing leads to. */
export interface ParseTargets {
	/** Neither a fragment without transport header, nor malformed. */
	readonly next: string;
	/** A fragment behind the first. */
	readonly laterFragment: string;
	readonly malformed: string;
}

/**
 * Ether types of the packet as `__sk_buff.protocol` has them, read on a machine of little endian.
 */
export function emitDispatch(assembler: Assembler, labels: Record<Family | 'arp' | 'other', string>): void {
	assembler.mov(packetRegister, r1).load('w', r2, packetRegister, 16).swap(r2, 16);
	assembler.jumpIf(r2, '==', imm(0x0800), labels.ipv4).jumpIf(r2, '==', imm(0x86dd), labels.ipv6);
	assembler.jumpIf(r2, '==', imm(0x0806), labels.arp).jump(labels.other);
}

/**
 * Addresses to the stack, protocol to its register, where the transport header begins, what kind of
 * fragment it is.
 */
export function emitParseNetwork(assembler: Assembler, frame: ParseFrame, family: Family, targets: ParseTargets): void {
	assembler.store('dw', fp, frame.fragmented, imm(0));
	for (const slot of [frame.source, frame.destination, frame.transport]) assembler.zero(slot, 16);
	assembler.zero(frame.fragment, Layout.fragment.bytes);
	if (family === 'ipv4') emitIpv4(assembler, frame, targets);
	else emitIpv6(assembler, frame, targets);
}

function emitIpv4(
	assembler: Assembler,
	{ header, ...frame }: ParseFrame,
	{ laterFragment, malformed }: ParseTargets,
): void {
	assembler.mov(r2, imm(frame.linkBytes));
	emitReadPacket(assembler, header, 20, malformed);
	assembler.load('b', r2, fp, header).mov(r3, r2).op('rsh', r3, imm(4)).jumpIf(r3, '!=', imm(4), malformed);
	assembler.op('and', r2, imm(0x0f)).jumpIf(r2, '<', imm(5), malformed);
	assembler.op('lsh', r2, imm(2)).op('add', r2, imm(frame.linkBytes)).store('dw', fp, frame.transportOffset, r2);
	assembler.load('b', protocolRegister, fp, header + 9);
	assembler.load('w', r1, fp, header + 12).store('w', fp, frame.source, r1);
	assembler.load('w', r1, fp, header + 16).store('w', fp, frame.destination, r1);
	assembler.store('b', fp, frame.fragment + Layout.fragment.protocol, protocolRegister);
	assembler.load('h', r1, fp, header + 4).store('w', fp, frame.fragment + Layout.fragment.identification, r1);
	// RFC 791 §3.1: more fragments 0x2000, offset 0x1fff.
	assembler
		.load('h', r2, fp, header + 6)
		.swap(r2, 16)
		.mov(r3, r2)
		.op('and', r3, imm(0x1fff));
	assembler.jumpIf(r3, '!=', imm(0), laterFragment);
	assembler.op('and', r2, imm(0x2000)).store('dw', fp, frame.fragmented, r2);
}

function emitIpv6(assembler: Assembler, frame: ParseFrame, { laterFragment, malformed }: ParseTargets): void {
	const { header, transport, transportOffset } = frame;
	assembler.mov(r2, imm(frame.linkBytes));
	emitReadPacket(assembler, header, 40, malformed);
	assembler.load('b', r2, fp, header).op('rsh', r2, imm(4)).jumpIf(r2, '!=', imm(6), malformed);
	for (let at = 0; at < 16; at += 8) {
		assembler.load('dw', r1, fp, header + 8 + at).store('dw', fp, frame.source + at, r1);
		assembler.load('dw', r1, fp, header + 24 + at).store('dw', fp, frame.destination + at, r1);
	}
	assembler.load('b', protocolRegister, fp, header + 6);
	assembler.store('dw', fp, transportOffset, imm(frame.linkBytes + 40));
	const end = assembler.freshLabel('transport');
	const readExtension = (bytes: number) => {
		assembler.load('dw', r2, fp, transportOffset);
		emitReadPacket(assembler, transport, bytes, malformed);
	};
	/** Length in units of `unit` bytes, of which `more` are not counted. */
	const skip = (unit: number, more: number) => {
		assembler.load('b', protocolRegister, fp, transport).load('b', r2, fp, transport + 1);
		assembler.op('add', r2, imm(more)).op('mul', r2, imm(unit)).load('dw', r1, fp, transportOffset).op('add', r1, r2);
		assembler.store('dw', fp, transportOffset, r1);
	};
	for (let count = 0; count <= mostExtensionHeaders; count++) {
		const [options, fragment, authentication, next] = ['options', 'fragment', 'authentication', 'header'].map((stem) =>
			assembler.freshLabel(stem),
		) as [string, string, string, string];
		const last = count === mostExtensionHeaders;
		for (const type of [Extension.hopByHop, Extension.routing, Extension.destinationOptions])
			assembler.jumpIf(protocolRegister, '==', imm(type), last ? malformed : options);
		assembler.jumpIf(protocolRegister, '==', imm(Extension.fragment), last ? malformed : fragment);
		assembler.jumpIf(protocolRegister, '==', imm(Extension.authentication), last ? malformed : authentication);
		assembler.jump(end);
		if (last) break;
		assembler.label(options);
		readExtension(2);
		skip(8, 1);
		assembler.jump(next).label(authentication);
		readExtension(2);
		skip(4, 2);
		assembler.jump(next).label(fragment);
		readExtension(8);
		assembler.load('b', protocolRegister, fp, transport);
		assembler.store('b', fp, frame.fragment + Layout.fragment.protocol, imm(Extension.fragment));
		assembler.load('w', r1, fp, transport + 4).store('w', fp, frame.fragment + Layout.fragment.identification, r1);
		// RFC 8200 §4.5: offset 0xfff8, more fragments 1.
		assembler
			.load('h', r2, fp, transport + 2)
			.swap(r2, 16)
			.mov(r3, r2)
			.op('and', r3, imm(0xfff8));
		assembler.jumpIf(r3, '!=', imm(0), laterFragment);
		assembler.op('and', r2, imm(1)).load('dw', r1, fp, frame.fragmented).op('or', r1, r2);
		assembler.store('dw', fp, frame.fragmented, r1);
		assembler.load('dw', r1, fp, transportOffset).op('add', r1, imm(8)).store('dw', fp, transportOffset, r1);
		assembler.label(next);
	}
	assembler.label(end);
}

/**
 * Ports, or type and code of ICMP, into their registers; the flags of TCP are in byte 13 of
 * `transport`.
 */
export function emitParseTransport(
	assembler: Assembler,
	frame: ParseFrame,
	family: Family,
	targets: ParseTargets,
): void {
	const { transport, transportOffset } = frame;
	const [tcp, ports, icmp] = ['tcp', 'ports', 'icmp'].map((stem) => `${family}-${stem}`) as [string, string, string];
	const read = (bytes: number) => {
		assembler.load('dw', r2, fp, transportOffset);
		emitReadPacket(assembler, transport, bytes, targets.malformed);
	};
	const bothPorts = () => {
		assembler.load('h', sourcePortRegister, fp, transport).swap(sourcePortRegister, 16);
		assembler.load('h', destinationPortRegister, fp, transport + 2).swap(destinationPortRegister, 16);
		assembler.jump(targets.next);
	};
	assembler.mov(destinationPortRegister, imm(0)).mov(sourcePortRegister, imm(0));
	assembler.jumpIf(protocolRegister, '==', imm(6), tcp);
	for (const protocol of [17, 132, 136]) assembler.jumpIf(protocolRegister, '==', imm(protocol), ports);
	assembler.jumpIf(protocolRegister, '==', imm(icmpOf(family)), icmp).jump(targets.next);
	assembler.label(tcp);
	read(14);
	bothPorts();
	assembler.label(ports);
	read(4);
	bothPorts();
	assembler.label(icmp);
	read(8);
	assembler.load('b', destinationPortRegister, fp, transport).load('b', sourcePortRegister, fp, transport + 1);
	assembler.jump(targets.next);
}
