import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, type Register, r0, r1, r2, r3, r4, r5, r8 } from '../assembly/instruction.ts';
import { emitKnown } from './connection.ts';
import { copyAddress, type Frame, protocolRegister } from './frame.ts';
import { Layout } from './maps.ts';

const [tcp, udp] = [6, 17] as const;
/** The interface of the other pod; the ports that were here are not needed any more. */
const target: Register = r8;
const usual = 'usual-way';

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
	const [answer, known, peer, neighbour] = ['answer-to-pod', 'known-to-pod', 'to-pod', 'to-interface'];
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
