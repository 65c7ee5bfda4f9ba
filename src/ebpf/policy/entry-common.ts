/** What the entry programs of pods and of host endpoints have in common. */
import type { Direction } from '../../policy/index.ts';
import type { Assembler } from '../assembly/assembler.ts';
import { fp, imm, r1 } from '../assembly/instruction.ts';
import { type ConnectionOptions, type ConnectionTargets, emitFragmentKey } from './connection.ts';
import { commonDecisions } from './decision.ts';
import type { Frame } from './frame.ts';
import { emitParseNetwork, emitParseTransport, type ParseTargets } from './parse.ts';
import type { VerdictOptions } from './verdict.ts';

/** An entry program has no rules: it makes the common decisions alone. */
export const entryVerdict = (assembler: Assembler, frame: Frame, direction: Direction): VerdictOptions => ({
	...{ assembler, frame, direction },
	numberOf: ({ type }) => commonDecisions.findIndex((one) => one.type === type),
});

/**
 * Reads the headers of a packet of one family to the frame, with the key of a fragment. The program
 * goes on behind it for all but later fragments, which are at `FAMILY-later-fragment`. Gives the
 * labels of the family for `emitFindConnection`.
 */
export function emitReadPacket(connection: ConnectionOptions): ConnectionTargets {
	const { assembler, frame, family } = connection;
	const parse: ParseTargets = {
		next: `${family}-parsed`,
		laterFragment: `${family}-later-fragment`,
		malformed: 'drop',
	};
	assembler.label(family);
	emitParseNetwork(assembler, frame, family, parse);
	emitParseTransport(assembler, frame, family, parse);
	assembler.label(parse.next).load('dw', r1, fp, frame.fragmented);
	assembler.when(r1, '!=', imm(0), () => emitFragmentKey(connection));
	return { established: 'established', fresh: `${family}-fresh`, invalid: `${family}-invalid`, cut: 'drop' };
}
