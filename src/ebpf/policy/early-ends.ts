import { fp, imm, r0, r1 } from '../assembly/instruction.ts';
import { emitKeep, emitKeepFragments, Flag } from './connection.ts';
import { EventAction, ProgramResult } from './decision.ts';
import { packetRegister } from './frame.ts';
import { type EarlyStage, earlyMarks, PacketField } from './host-common.ts';
import { emitCount, emitEvent, emitFlowEvent, type VerdictOptions } from './verdict.ts';

/**
 * The ends of a program of an early stage, as labels: `allow` marks the packet, so that later
 * stages of host endpoints let it pass; `pass` is for what no rule matches; both keep the
 * connection, if the stage has connections. `allowed` and `goes-on` do the same for a packet of a
 * known one. `mark` and `leave` keep nothing. `deny` reports the packet, `drop` is silent.
 */
export function emitEarlyEnds(options: VerdictOptions, stage: EarlyStage): void {
	const { assembler, frame } = options;
	// Before translation answers are not seen: without the flag the connection would soon end.
	const keep = (flags: number, begun: () => void) => {
		if (stage === 'pre-dnat') emitKeep({ assembler, frame }, begun, Flag.answered | flags);
	};
	const keepFragments = (verdict: 0 | 1) => {
		assembler.load('dw', r1, fp, frame.now).op('and', r1, imm(-2)).op('or', r1, imm(verdict));
		assembler.store('dw', fp, frame.count, r1);
		emitKeepFragments({ assembler, frame }, frame.count);
	};
	assembler.label('allow');
	emitCount(options);
	keep(Flag.allowed, () => emitFlowEvent(options));
	assembler.label('allowed');
	keepFragments(1);
	assembler.label('mark').load('w', r1, packetRegister, PacketField.mark).op('or', r1, imm(earlyMarks[stage]));
	assembler.store('w', packetRegister, PacketField.mark, r1).jump('leave');
	assembler.label('pass');
	keep(0, () => undefined);
	assembler.label('goes-on');
	keepFragments(0);
	assembler.label('leave').mov(r0, imm(-1)).exit();
	assembler.label('deny');
	emitCount(options);
	emitEvent(options, EventAction.deny);
	assembler.label('drop').mov(r0, imm(ProgramResult.drop)).exit();
}
