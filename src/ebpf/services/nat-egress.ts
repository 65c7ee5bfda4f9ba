import type { Family } from '../../core/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4 } from '../assembly/instruction.ts';
import { emitAge } from '../policy/connection.ts';
import { protocolRegister } from '../policy/frame.ts';
import { SocketLayout } from './maps.ts';
import { emitFlowKey, type NatFrame, udpProtocol } from './nat-frame.ts';
import { NatFlowFlag, NatLayout } from './nat-maps.ts';
import { emitExpire, emitTcpFlags, natTimeoutSeconds } from './nat-time.ts';

/** To the outside: an answer of a backend gets the address of the service. */
export function emitNatEgress(
	assembler: Assembler,
	frame: NatFrame,
	family: Family,
	stem: (name: string) => string,
): void {
	const { source, destination, transport, flow, reverse, chosen, now } = frame;
	const at = NatLayout.flowValue;
	const { endpoint } = SocketLayout;
	const ports = { sourcePort: transport, destinationPort: transport + 2 };
	emitFlowKey(assembler, reverse, family, { source, destination, ...ports });
	assembler.lookup('nat_reverse', reverse).jumpIf(r0, '==', imm(0), 'pass');
	for (let offset = 0; offset < endpoint.bytes; offset += 8)
		assembler.load('dw', r1, r0, offset).store('dw', fp, chosen + offset, r1);
	emitFlowKey(assembler, flow, family, {
		...{ source: destination, destination: chosen },
		...{ sourcePort: transport + 2, destinationPort: chosen + endpoint.port },
	});
	assembler.lookup('nat_flows', flow).jumpIf(r0, '==', imm(0), 'pass');
	// The client's newer connection may have another backend.
	for (let offset = 0; offset < 16; offset += 8)
		assembler
			.load('dw', r1, r0, at.backend + offset)
			.load('dw', r2, fp, source + offset)
			.jumpIf(r1, '!=', r2, 'pass');
	assembler
		.load('h', r1, r0, at.backend + endpoint.port)
		.load('h', r2, fp, transport)
		.jumpIf(r1, '!=', r2, 'pass');
	assembler.load('w', r3, r0, at.flags).mov(r2, r3).op('and', r2, imm(NatFlowFlag.left));
	assembler.jumpIf(r2, '!=', imm(0), 'pass');
	emitAge(assembler, now);
	const [udp, use] = [stem('answer-udp'), stem('answer-use')];
	assembler.jumpIf(protocolRegister, '==', imm(udpProtocol), udp);
	emitExpire(assembler, natTimeoutSeconds.tcpEstablished, natTimeoutSeconds.tcpEstablished, 'pass');
	assembler.load('b', r4, fp, transport + 13);
	emitTcpFlags(assembler, NatFlowFlag.finOfBackend);
	assembler.jump(use).label(udp);
	emitExpire(assembler, natTimeoutSeconds.udpAnswered, natTimeoutSeconds.udpAnswered, 'pass');
	assembler.label(use).op('or', r3, imm(NatFlowFlag.answered)).store('w', r0, at.flags, r3);
	assembler.load('dw', r1, fp, now).store('dw', r0, 0, r1);
}
