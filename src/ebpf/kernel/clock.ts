import { Assembler } from '../assembly/assembler.ts';
import { type ClockHelper, imm, r0 } from '../assembly/instruction.ts';
import { LoadedProgram, VerifierError } from './program.ts';

let chosen: ClockHelper | undefined;

/**
 * The cheapest clock for programs that this kernel has (`ktimeGetCoarseNs`: 5.11). @throws
 * SystemCallError
 */
export function clockHelper(): ClockHelper {
	chosen ??= hasCoarseClock() ? 'ktimeGetCoarseNs' : 'ktimeGetNs';
	return chosen;
}

function hasCoarseClock(): boolean {
	const program = new Assembler().call('ktimeGetCoarseNs').mov(r0, imm(0)).exit().assemble();
	try {
		LoadedProgram.load(program, { name: 'clock', type: 'schedClassifier', maps: new Map() }).close();
		return true;
	} catch (error) {
		if (error instanceof VerifierError) return false;
		throw error;
	}
}
