import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1, r2, r3, r4, r5, r8 } from '../assembly/instruction.ts';
import { copyAddress, emitReadPacket, type Frame, packetRegister, protocolRegister } from './frame.ts';
import { Layout } from './maps.ts';

const [tcp, udp] = [6, 17] as const;
const ethernetBytes = 14;
/** The interface of the other pod; the ports that were here are not needed any more. */
const target: Register = r8;

/**
 * A packet of TCP or UDP from a pod to another one of this node goes to its interface at once
 * (bpf_redirect_neigh), past routes, nftables and conntrack; ingress policy judges it there. Only
 * the map `pods` turns it on. Not for a connection that nftables translates: an answer goes this
 * way if the program at the other pod has seen that pod ask for this address. Goes on behind it
 * where the packet takes the usual way. Loses registers 1 to 5 and 8.
 */
export function emitRedirect(assembler: Assembler, frame: Frame): void {
	const { connection, reverse, tracked, fragmented, member } = frame;
	const at = Layout.connection;
	const usual = 'usual-way';
	assembler.load('dw', r1, fp, tracked).jumpIf(r1, '==', imm(0), usual);
	assembler.load('dw', r1, fp, fragmented).jumpIf(r1, '!=', imm(0), usual);
	assembler.jumpIf(protocolRegister, '==', imm(tcp), 'pod-here').jumpIf(protocolRegister, '!=', imm(udp), usual);
	assembler.label('pod-here').zero(member, Layout.pod.bytes);
	copyAddress(assembler, member, connection + at.destination);
	assembler.load('b', r1, fp, connection + at.family).store('w', fp, member + Layout.pod.family, r1);
	assembler.lookup('pods', member).jumpIf(r0, '==', imm(0), usual).load('w', target, r0, 0);
	assembler.lookup('connections', connection).jumpIf(r0, '!=', imm(0), 'redirect');
	assembler.zero(reverse, at.bytes).store('w', fp, reverse, target);
	for (const byte of [at.protocol, at.family])
		assembler.load('b', r1, fp, connection + byte).store('b', fp, reverse + byte, r1);
	copyAddress(assembler, reverse + at.source, connection + at.destination);
	copyAddress(assembler, reverse + at.destination, connection + at.source);
	assembler.load('h', r1, fp, connection + at.destinationPort).store('h', fp, reverse + at.sourcePort, r1);
	assembler.load('h', r1, fp, connection + at.sourcePort).store('h', fp, reverse + at.destinationPort, r1);
	assembler.lookup('connections', reverse).jumpIf(r0, '==', imm(0), usual);
	assembler
		.label('redirect')
		.load('b', r1, fp, connection + at.family)
		.jumpIf(r1, '==', imm(6), 'hop-limit');
	emitTimeToLive(assembler, frame, ethernetBytes + 8, usual);
	// RFC 1141: the word of TTL and protocol in the header's checksum.
	assembler.mov(r1, packetRegister).mov(r2, imm(ethernetBytes + 10));
	assembler.load('h', r3, fp, frame.count).load('h', r4, fp, frame.next).mov(r5, imm(2)).call('ipv4ChecksumReplace');
	assembler.jump('to-pod').label('hop-limit');
	emitTimeToLive(assembler, frame, ethernetBytes + 7, usual);
	assembler.label('to-pod').mov(r1, target).mov(r2, imm(0)).mov(r3, imm(0)).mov(r4, imm(0));
	assembler.call('redirectNeigh').exit().label(usual);
}

/**
 * Takes one from the TTL or hop limit; the word before is in `count`, that behind it in `next`. The
 * stack answers where it ends.
 */
function emitTimeToLive(assembler: Assembler, { count, next }: Frame, offset: number, otherwise: string): void {
	assembler.mov(r2, imm(offset));
	emitReadPacket(assembler, count, 2, otherwise);
	assembler.load('h', r1, fp, count).store('h', fp, next, r1);
	assembler.load('b', r1, fp, count).jumpIf(r1, '<=', imm(1), otherwise).op('sub', r1, imm(1));
	assembler.store('b', fp, next, r1).mov(r1, packetRegister).mov(r2, imm(offset)).address(r3, next);
	assembler.mov(r4, imm(1)).mov(r5, imm(0)).call('skbStoreBytes');
}
