import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4 } from '../assembly/instruction.ts';
import { copyAddress, type Frame, packetRegister, protocolRegister } from './frame.ts';
import { Layout } from './maps.ts';

/** AF_INET, AF_INET6. */
const [inet, inet6] = [2, 10];
/**
 * BPF_FIB_LKUP_RET_NOT_FWDED: local, broadcast, multicast or without a route;
 * BPF_FIB_LKUP_RET_FWD_DISABLED: the interface forwards nothing.
 */
const local = [4, 5] as const;

/**
 * `then` for a packet that came by this interface and that the routes of this node deliver to
 * itself (bpf_fib_lookup, kernel 4.18). Needs the event. Loses registers 0 to 5.
 */
export function emitIfLocal(assembler: Assembler, frame: Frame, then: () => void): void {
	const { route, event, source, destination } = frame;
	assembler.zero(route, 64).load('b', r1, fp, event + Layout.event.family);
	assembler.mov(r2, imm(inet)).when(r1, '==', imm(6), () => assembler.mov(r2, imm(inet6)));
	assembler.store('b', fp, route, r2).store('b', fp, route + 1, protocolRegister);
	assembler.load('w', r1, packetRegister, 40).store('w', fp, route + 8, r1);
	copyAddress(assembler, route + 16, source);
	copyAddress(assembler, route + 32, destination);
	assembler.mov(r1, packetRegister).address(r2, route).mov(r3, imm(64)).mov(r4, imm(0)).call('fibLookup');
	const other = assembler.freshLabel('not-local');
	assembler.anyOf(local, (result, found) => assembler.jumpIf(r0, '==', imm(result), found), other);
	then();
	assembler.label(other);
}
