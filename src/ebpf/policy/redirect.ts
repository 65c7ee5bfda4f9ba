import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1, r2, r3, r4, r5, r8 } from '../assembly/instruction.ts';
import { type ConnectionOptions, emitKnown } from './connection.ts';
import { copyAddress, type Frame, protocolRegister } from './frame.ts';
import { Layout } from './maps.ts';

const [tcp, udp] = [6, 17] as const;
/** The interface of the other pod; the ports that were here are not needed any more. */
const target: Register = r8;
const usual = 'usual-way';
/** Into the pod, past its interface; to its interface. */
const [peer, neighbour] = ['to-pod', 'to-interface'] as const;

/**
 * The first packet of a connection of TCP or UDP from a pod to another one of this node goes to its
 * interface at once (bpf_redirect_neigh), past routes, nftables and conntrack; ingress policy
 * judges it there. Only the map `pods` turns it on. Goes on behind it where the packet takes the
 * usual way. Loses registers 1 to 5 and 8.
 */
export function emitRedirectBegun(assembler: Assembler, frame: Frame): void {
	emitFindPod(assembler, frame);
	emitToNeighbour(assembler);
	assembler.label(usual);
}

/**
 * A further packet of such a connection: if it is known at the other pod as well, it goes into the
 * pod (bpf_redirect_peer), and its side is kept up to date here; else to the interface, whose
 * program judges it. Not for a connection that nftables translates: an answer goes this way if the
 * other pod asked for this very address. Loses registers 0 to 5 and 8.
 */
export function emitRedirectKnown(assembler: Assembler, frame: Frame): void {
	const [answer, known] = ['answer-to-pod', 'known-to-pod'];
	emitFindPod(assembler, frame);
	assembler.load('dw', r1, fp, frame.answers).jumpIf(r1, '!=', imm(0), answer);
	for (const { key, answers, unknown } of [
		{ key: frame.connection, answers: 0, unknown: neighbour },
		{ key: frame.reverse, answers: 1, unknown: usual },
	] as const) {
		if (answers === 1) assembler.label(answer);
		assembler.store('w', fp, key, target).lookup('connections', key).mov(r5, imm(answers));
		assembler.jumpIf(r0, '==', imm(0), unknown);
		if (answers === 0) assembler.jump(known);
	}
	assembler.label(known);
	const elsewhere = { fresh: neighbour, expired: neighbour, cut: neighbour };
	emitKnown({ assembler, frame }, (name) => `pod-${name}`, { established: peer, ...elsewhere });
	assembler.label(peer).mov(r1, target).mov(r2, imm(0)).call('redirectPeer').exit().label(neighbour);
	emitToNeighbour(assembler);
	assembler.label(usual);
}

/**
 * The same behind `emitShortWay`; ends at the labels of `emitRedirectKnown`, which the program must
 * have, or at `pass`.
 */
export function emitRedirectShort({ assembler, frame, family }: ConnectionOptions, pass: string): void {
	const { connection: key, member } = frame;
	const [at, of] = [Layout.pod, Layout.connection];
	const stem = (name: string) => `${family}-short-pod-${name}`;
	assembler.load('dw', r1, fp, frame.answers);
	assembler.when(
		r1,
		'==',
		imm(0),
		() => copyWide(assembler, member, key + of.destination),
		() => copyWide(assembler, member, key + of.source),
	);
	assembler.store('dw', fp, member + at.family, imm(family === 'ipv4' ? 4 : 6));
	assembler.lookup('pods', member).jumpIf(r0, '==', imm(0), pass).load('w', target, r0, 0);
	assembler.store('w', fp, key, target).lookup('connections', key).load('dw', r5, fp, frame.answers);
	assembler.when(r0, '==', imm(0), () => assembler.jumpIf(r5, '==', imm(0), neighbour).jump(pass));
	const elsewhere = { fresh: neighbour, expired: neighbour, cut: neighbour };
	emitKnown({ assembler, frame }, stem, { established: peer, ...elsewhere });
}

/** An address between places on the stack, both aligned to 8. */
function copyWide(assembler: Assembler, to: number, from: number): void {
	for (const at of [0, 8]) assembler.load('dw', r1, fp, from + at).store('dw', fp, to + at, r1);
}

/** `target`: the interface of the pod that the packet is for. Else goes on at `usual`. */
function emitFindPod(assembler: Assembler, { connection, tracked, fragmented, member, destination }: Frame): void {
	const at = Layout.pod;
	assembler.load('dw', r1, fp, tracked).jumpIf(r1, '==', imm(0), usual);
	assembler.load('dw', r1, fp, fragmented).jumpIf(r1, '!=', imm(0), usual);
	assembler.jumpIf(protocolRegister, '==', imm(tcp), 'pod-here').jumpIf(protocolRegister, '!=', imm(udp), usual);
	assembler.label('pod-here').zero(member, at.bytes);
	copyAddress(assembler, member, destination);
	assembler.load('b', r1, fp, connection + Layout.connection.family).store('w', fp, member + at.family, r1);
	assembler.lookup('pods', member).jumpIf(r0, '==', imm(0), usual).load('w', target, r0, 0);
}

const emitToNeighbour = (assembler: Assembler): Assembler =>
	assembler.mov(r1, target).mov(r2, imm(0)).mov(r3, imm(0)).mov(r4, imm(0)).call('redirectNeigh').exit();
