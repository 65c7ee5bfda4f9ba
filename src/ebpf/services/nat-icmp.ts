import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4, r5 } from '../assembly/instruction.ts';
import { destinationPortRegister, emitReadPacket, packetRegister, protocolRegister } from '../policy/frame.ts';
import { SocketLayout } from './maps.ts';
import type { NatDirect } from './nat-direct.ts';
import {
	ChecksumFlag,
	emitDifference,
	emitFlowKey,
	emitReplaceAddress,
	emitStore,
	type NatEnd,
	type NatFrame,
	quoted,
	tcpProtocol,
	udpProtocol,
} from './nat-frame.ts';
import { NatFlowFlag, NatLayout } from './nat-maps.ts';

/**
 * Messages that quote the packet they are about: RFC 792 (redirects are for the next hop alone),
 * RFC 4443.
 */
const icmpErrors: Readonly<Record<Family, readonly number[]>> = { ipv4: [3, 11, 12], ipv6: [1, 2, 3, 4] };
/** From the beginning of the ICMP header to its checksum, and to the packet that it quotes. */
const [checksumAt, quoteAt] = [2, 8] as const;

/**
 * An ICMP error about a translated packet: from outside it quotes an answer of the service, to the
 * outside a packet to the backend. The address in the quoted packet is translated, and that of the
 * error if it is the same. The quoted transport checksum stays: receivers do not verify it. Label:
 * `FAMILY-icmp-error`.
 */
export function emitIcmpErrors(
	assembler: Assembler,
	frame: NatFrame,
	family: Family,
	hook: 'ingress' | 'egress',
	direct?: NatDirect,
): void {
	const { header, transport, transportOffset, value, flow, chosen } = frame;
	const at = quoted(family);
	const [quotedSource, quotedDestination] = [value, value + 16];
	const [inner, outer]: readonly [NatEnd, NatEnd] =
		hook === 'ingress' ? ['source', 'destination'] : ['destination', 'source'];
	const before = inner === 'source' ? quotedSource : quotedDestination;
	const isError = `${family}-icmp-quote`;
	assembler.label(`${family}-icmp-error`);
	for (const type of icmpErrors[family]) assembler.jumpIf(destinationPortRegister, '==', imm(type), isError);
	assembler.jump('pass').label(isError).load('dw', r2, fp, transportOffset).op('add', r2, imm(quoteAt));
	emitReadPacket(assembler, header, at.headerBytes, 'pass');
	// Quoted headers with options are not looked through.
	if (family === 'ipv4') assembler.load('b', r1, fp, header).jumpIf(r1, '!=', imm(0x45), 'pass');
	assembler.load('b', protocolRegister, fp, header + at.protocolInHeader);
	const known = `${family}-icmp-known`;
	assembler.jumpIf(protocolRegister, '==', imm(tcpProtocol), known);
	assembler.jumpIf(protocolRegister, '!=', imm(udpProtocol), 'pass').label(known);
	assembler.load('dw', r2, fp, transportOffset).op('add', r2, imm(quoteAt + at.headerBytes));
	emitReadPacket(assembler, transport, 8, 'pass');
	assembler.zero(value, 32);
	for (const [slot, end] of [
		[quotedSource, 'source'],
		[quotedDestination, 'destination'],
	] as const)
		for (let offset = 0; offset < at.addressBytes; offset += 4)
			assembler.load('w', r1, fp, header + at.addressInHeader[end] + offset).store('w', fp, slot + offset, r1);
	emitFlowKey(assembler, flow, family, {
		...{ source: quotedDestination, destination: quotedSource },
		...{ sourcePort: transport + 2, destinationPort: transport },
	});
	const from = hook === 'ingress' ? NatLayout.flowValue.backend : 0;
	const other = `${family}-icmp-direct`;
	assembler.lookup(hook === 'ingress' ? 'nat_flows' : 'nat_reverse', flow);
	assembler.jumpIf(r0, '==', imm(0), direct === undefined ? 'pass' : other);
	if (hook === 'ingress') {
		assembler.load('w', r1, r0, NatLayout.flowValue.flags).op('and', r1, imm(NatFlowFlag.left));
		assembler.jumpIf(r1, '!=', imm(0), 'pass');
	}
	for (let offset = 0; offset < SocketLayout.endpoint.bytes; offset += 8)
		assembler.load('dw', r1, r0, from + offset).store('dw', fp, chosen + offset, r1);
	emitOuter(assembler, frame, family, { outer, before });
	emitQuoted(assembler, frame, family, { inner, before });
	assembler.jump('done');
	if (direct === undefined) return;
	// The packet that it quotes is of a connection with another node.
	assembler.label(other);
	direct.error('pass');
}

/** The address of the error itself, where it is the one that is translated. */
function emitOuter(
	assembler: Assembler,
	frame: NatFrame,
	family: Family,
	{ outer, before }: { readonly outer: NatEnd; readonly before: number },
): void {
	const other = `${family}-icmp-other`;
	for (let at = 0; at < 16; at += 8)
		assembler
			.load('dw', r1, fp, frame[outer] + at)
			.load('dw', r2, fp, before + at)
			.jumpIf(r1, '!=', r2, other);
	if (family === 'ipv6') emitChecksumByAddress(assembler, frame, frame[outer], ChecksumFlag.pseudoHeader);
	emitReplaceAddress(assembler, { family, end: outer, before: frame[outer], after: frame.chosen });
	assembler.label(other);
}

/**
 * Address and port in the quoted packet. Its header's own checksum makes up for the address in that
 * of ICMP for IPv4.
 */
function emitQuoted(
	assembler: Assembler,
	frame: NatFrame,
	family: Family,
	{ inner, before }: { readonly inner: NatEnd; readonly before: number },
): void {
	const { transport, transportOffset, chosen } = frame;
	const at = quoted(family);
	const place = (offset: number) => assembler.load('dw', r2, fp, transportOffset).op('add', r2, imm(offset));
	const port = chosen + SocketLayout.endpoint.port;
	assembler.mov(r1, packetRegister);
	place(checksumAt)
		.load('h', r3, fp, transport + at.portInTransport[inner])
		.load('h', r4, fp, port);
	assembler.mov(r5, imm(2)).call('transportChecksumReplace');
	if (family === 'ipv6') emitChecksumByAddress(assembler, frame, before, 0);
	else {
		assembler.mov(r1, packetRegister);
		place(at.checksum).load('w', r3, fp, before).load('w', r4, fp, chosen);
		assembler.mov(r5, imm(4)).call('ipv4ChecksumReplace');
	}
	place(at.address(inner));
	emitStore(assembler, chosen, at.addressBytes);
	place(at.port(inner));
	emitStore(assembler, port, 2);
}

/** The checksum of ICMPv6 for an address that becomes that of `chosen`. */
function emitChecksumByAddress(assembler: Assembler, frame: NatFrame, before: number, flags: number): void {
	emitDifference(assembler, 'ipv6', before, frame.chosen);
	assembler.mov(r4, r0).mov(r1, packetRegister);
	assembler.load('dw', r2, fp, frame.transportOffset).op('add', r2, imm(checksumAt));
	assembler.mov(r3, imm(0)).mov(r5, imm(flags)).call('transportChecksumReplace');
}
