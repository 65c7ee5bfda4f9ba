import { type Instruction, Opcode } from './instruction.ts';

/**
 * Most instructions of one program. A jump reaches 32,767 instructions far; below this number every
 * jump fits. The kernel allows 1,000,000 since 5.2.
 */
export const mostInstructions = 32_000;

/**
 * The program does not fit. It is found before the kernel is asked, so that an earlier program
 * stays in force.
 */
export class ProgramTooLargeError extends Error {
	override readonly name = 'ProgramTooLargeError';
	readonly instructions: number;
	readonly most: number;
	/** The part of the program with the most instructions, e.g. a policy rule. */
	readonly largest: string | undefined;

	constructor(instructions: number, most: number, largest: string | undefined) {
		super(
			`the program has ${instructions} instructions, ${most} are ` +
				`possible${largest === undefined ? '' : `; the largest part is ${largest}`}`,
		);
		this.instructions = instructions;
		this.most = most;
		this.largest = largest;
	}
}

/** Where an instruction stands, in the generator's words. */
export interface Place {
	/**
	 * The last label at or before the instruction, `start` before the first, and the distance from
	 * it: `parse+3`.
	 */
	readonly label: string;
	readonly scope: string | undefined;
}

/** A program with the jumps resolved and maps still by name. */
export interface AssembledProgram {
	readonly instructions: readonly Instruction[];
	/**
	 * Labels of code that is reached, with the index of the instruction behind them; several may
	 * share one.
	 */
	readonly labels: ReadonlyMap<string, number>;
	/** Names of the maps in use. */
	readonly maps: ReadonlySet<string>;
	/** The bytes for the kernel, 8 an instruction. */
	encode(mapDescriptor: (name: string) => number): Uint8Array;
	placeOf(index: number): Place;
}

/**
 * Leaves out what is not reached, resolves the labels. @throws what `fault` makes,
 * ProgramTooLargeError
 */
export function assembleProgram(
	all: readonly Instruction[],
	labels: ReadonlyMap<string, number>,
	fault: (message: string) => Error,
): AssembledProgram {
	const targetOf = (label: string): number => {
		const at = labels.get(label);
		if (at === undefined) throw fault(`the label '${label}' does not exist`);
		if (at >= all.length) throw fault(`no instruction follows the label '${label}'`);
		return at;
	};
	const reached = reachable(all, targetOf, fault);
	// The new index of every instruction; one that is left out has that of its successor.
	const places: number[] = [];
	const kept: Instruction[] = [];
	for (const [index, instruction] of all.entries()) {
		places.push(kept.length);
		if (reached[index] === 1) kept.push(instruction);
	}
	if (kept.length > mostInstructions) throw new ProgramTooLargeError(kept.length, mostInstructions, largestScope(kept));
	const resolved = kept.map((instruction, index) =>
		instruction.target === undefined
			? instruction
			: { ...instruction, offset: (places[targetOf(instruction.target)] ?? 0) - index - 1 },
	);
	const keptLabels = new Map(
		[...labels].filter(([, at]) => reached[at] === 1).map(([name, at]) => [name, places[at] ?? 0]),
	);
	return {
		instructions: resolved,
		labels: keptLabels,
		maps: new Set(resolved.flatMap(({ map }) => (map === undefined ? [] : [map]))),
		encode: (mapDescriptor) => encode(resolved, mapDescriptor),
		placeOf: (index) => placeOf(index, resolved, keptLabels),
	};
}

/** The verifier refuses a program with code that no path reaches. */
function reachable(
	all: readonly Instruction[],
	targetOf: (label: string) => number,
	fault: (message: string) => Error,
): Uint8Array {
	const reached = new Uint8Array(all.length);
	const starts = [0];
	for (let start = starts.pop(); start !== undefined; start = starts.pop()) {
		for (let index = start; reached[index] !== 1; index++) {
			const instruction = all[index];
			if (instruction === undefined) throw fault('the program runs past its last instruction');
			reached[index] = 1;
			if (instruction.code === Opcode.wide) reached[++index] = 1;
			if (instruction.target !== undefined) starts.push(targetOf(instruction.target));
			if (instruction.code === Opcode.jump || instruction.code === Opcode.exit) break;
		}
	}
	return reached;
}

function largestScope(instructions: readonly Instruction[]): string | undefined {
	const sizes = new Map<string, number>();
	for (const { scope } of instructions) if (scope !== undefined) sizes.set(scope, (sizes.get(scope) ?? 0) + 1);
	return [...sizes].sort(([, left], [, right]) => right - left)[0]?.[0];
}

function encode(instructions: readonly Instruction[], mapDescriptor: (name: string) => number): Uint8Array {
	const bytes = new Uint8Array(instructions.length * 8);
	const view = new DataView(bytes.buffer);
	for (const [index, { code, destination, source, offset, value, map }] of instructions.entries()) {
		view.setUint8(index * 8, code);
		view.setUint8(index * 8 + 1, destination | (source << 4));
		view.setInt16(index * 8 + 2, offset, true);
		view.setInt32(index * 8 + 4, (map === undefined ? value : mapDescriptor(map)) | 0, true);
	}
	return bytes;
}

function placeOf(index: number, instructions: readonly Instruction[], labels: ReadonlyMap<string, number>): Place {
	let label = 'start';
	let labelAt = 0;
	for (const [name, at] of labels) if (at <= index && at >= labelAt) [label, labelAt] = [name, at];
	return { label: `${label}+${index - labelAt}`, scope: instructions[index]?.scope };
}
