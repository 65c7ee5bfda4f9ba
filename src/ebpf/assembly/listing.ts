import { arithmeticCodes, conditionCodes, Helper, type Instruction, Opcode, sizeCodes } from './instruction.ts';
import type { AssembledProgram } from './layout.ts';

const nameByCode = (codes: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
	new Map(Object.entries(codes).map(([name, code]) => [code, name]));
const arithmetic = nameByCode(arithmeticCodes);
const conditions = nameByCode(conditionCodes);
const sizes = nameByCode(sizeCodes);
const helpers = nameByCode(Helper);

/**
 * The program as text: labels, scopes as comments, one instruction a line, no numbers of
 * instructions.
 */
export function listProgram({ instructions, labels }: AssembledProgram): string {
	const labelsAt = groupByIndex(labels);
	const lines: string[] = [];
	let scope: string | undefined;
	for (let index = 0; index < instructions.length; index++) {
		const instruction = instructions[index];
		if (instruction === undefined) break;
		for (const [label] of labelsAt.get(index) ?? []) lines.push(`${label}:`);
		if (instruction.scope !== scope) {
			scope = instruction.scope;
			lines.push(`; ${scope ?? 'end of the scope'}`);
		}
		lines.push(`\t${textOf(instruction, instructions[index + 1])}`);
		if (instruction.code === Opcode.wide) index++;
	}
	return `${lines.join('\n')}\n`;
}

function groupByIndex(labels: ReadonlyMap<string, number>): Map<number, [string, number][]> {
	const groups = new Map<number, [string, number][]>();
	for (const [name, at] of labels) {
		const group = groups.get(at);
		if (group === undefined) groups.set(at, [[name, at]]);
		else group.push([name, at]);
	}
	return groups;
}

function textOf({ code, destination, source, offset, value, target, map }: Instruction, next?: Instruction): string {
	const to = `r${destination}`;
	const from = `r${source}`;
	const place = (register: string) => `[${register}${offset < 0 ? offset : `+${offset}`}]`;
	const size = sizes.get(code & 0x18) ?? '?';
	const operand = (code & 0x08) === 0 ? String(value) : from;
	if (code === Opcode.wide)
		return map === undefined
			? `${to} = ${BigInt.asUintN(64, (BigInt(next?.value ?? 0) << 32n) | BigInt(value >>> 0))}`
			: `${to} = map ${map}`;
	if (code === Opcode.jump) return `goto ${target}`;
	if (code === Opcode.call) return `call ${helpers.get(value) ?? value}`;
	if (code === Opcode.exit) return 'exit';
	if (code === Opcode.byteSwap) return `${to} = swap${value} ${to}`;
	if (code === Opcode.atomicAdd) return `atomic dw ${place(to)} += ${from}`;
	switch (code & 0x07) {
		case 0x01:
			return `${to} = ${size} ${place(from)}`;
		case 0x02:
			return `${size} ${place(to)} = ${value}`;
		case 0x03:
			return `${size} ${place(to)} = ${from}`;
		case 0x05:
		case 0x06: {
			const bits = (code & 0x07) === 0x06 ? '32' : '';
			return `if${bits} ${to} ${conditions.get(code & 0xf0) ?? '?'} ${operand} goto ${target}`;
		}
		default: {
			const bits = (code & 0x07) === 0x04 ? '32' : '';
			return `${arithmetic.get(code & 0xf0) ?? '?'}${bits} ${to}, ${operand}`;
		}
	}
}
