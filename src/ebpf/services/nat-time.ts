import type { Assembler } from '../assembly/assembler.ts';
import { imm, r1, r2, r3, r4 } from '../assembly/instruction.ts';
import { NatFlowFlag } from './nat-maps.ts';

/**
 * Seconds without a packet after which a new packet begins a new connection; after conntrack's
 * defaults.
 */
export const natTimeoutSeconds = {
	tcpUnanswered: 120,
	tcpEstablished: 432_000,
	tcpFinished: 120,
	udpUnanswered: 30,
	udpAnswered: 180,
	/**
	 * The mark for masquerade is set again after so long: conntrack forgets a datagram without an
	 * answer after 30.
	 */
	udpRemark: 20,
	fragments: 30,
} as const;

/** Flags of TCP, byte 13 of its header (RFC 9293 §3.1). */
export const Tcp = { fin: 1, syn: 2, reset: 4, ack: 16 } as const;
export const bothFins = NatFlowFlag.finOfClient | NatFlowFlag.finOfBackend;

export const nanoseconds = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;

/**
 * Register 1: age by `emitAge`, register 3: flags. Jumps when that is too long
 * ago.
 */
export function emitExpire(assembler: Assembler, unanswered: number, answered: number, expired: string): void {
	assembler.mov(r2, r3).op('and', r2, imm(NatFlowFlag.answered));
	const check = assembler.freshLabel('idle');
	const isAnswered = assembler.freshLabel('answered');
	assembler.jumpIf(r2, '!=', imm(0), isAnswered).loadWide(r2, nanoseconds(unanswered)).jump(check);
	assembler.label(isAnswered).loadWide(r2, nanoseconds(answered));
	assembler.label(check).jumpIf(r1, '>', r2, expired);
}

/**
 * FIN and RST of the packet (flags in register 4) into the flags of the flow in register 3. Loses
 * register 2.
 */
export function emitTcpFlags(assembler: Assembler, fin: number): void {
	for (const [bit, flag] of [
		[Tcp.fin, fin],
		[Tcp.reset, NatFlowFlag.reset],
	] as const) {
		assembler.mov(r2, r4).op('and', r2, imm(bit));
		assembler.when(r2, '!=', imm(0), () => assembler.op('or', r3, imm(flag)));
	}
}
