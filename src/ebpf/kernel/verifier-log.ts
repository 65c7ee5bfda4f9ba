import type { AssembledProgram } from '../assembly/layout.ts';

/** Where and why a program was refused. */
export interface VerifierExplanation {
	readonly label: string;
	readonly scope: string | undefined;
	readonly reason: string;
}

/** Lines of statistics at the end of a log. */
const statistics = /^(processed \d+ insns|verification time|stack depth|max_states)/;
/** `12: (61) r0 = *(u32 *)(r1 +0)`, `12: R1=ctx()`. */
const instructionLine = /^(\d+): /;
const numberedInstruction = /\b(?:at |from )?insn (\d+)|\binstruction (\d+)|\b(\d+)(?= to \d+:)/g;

/** Turns the verifier's log into the generator's words. Pure. */
export function explainVerifierLog(log: string, program: Pick<AssembledProgram, 'placeOf'>): VerifierExplanation {
	const lines = log
		.trimEnd()
		.split('\n')
		.filter((line) => line.trim() !== '' && !statistics.test(line));
	const reason = lines.at(-1) ?? '';
	const [, last] = lines.map((line) => instructionLine.exec(line)).findLast((match) => match !== null) ?? [];
	// Faults of the structure are found before the walk: their only number is in the sentence itself.
	const [, inReason] = /insn (\d+)/.exec(reason) ?? [];
	const { label, scope } = program.placeOf(Number(inReason ?? last ?? 0));
	return {
		label,
		scope,
		reason: reason
			.replace(instructionLine, '')
			.replaceAll(
				numberedInstruction,
				(...[, first, second, third]) => program.placeOf(Number(first ?? second ?? third)).label,
			)
			.replaceAll(/\bto (\d+)\b/g, (_, index) => `to ${program.placeOf(Number(index)).label}`),
	};
}
