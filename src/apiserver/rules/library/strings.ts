import type { Environment } from '@marcbachmann/cel-js';

/**
 * CEL's extended string functions (version 2), and Kubernetes' `find` and `findAll`. Positions
 * count code points.
 */
export function registerStrings(environment: Environment): void {
	const add = (signature: string, handler: (...values: never[]) => unknown) =>
		environment.registerFunction(signature, handler as (...values: unknown[]) => unknown);
	add('string.charAt(int): string', (text: string, at: bigint) => {
		const points = [...text];
		if (at < 0n || at > BigInt(points.length)) throw new Error(`index out of range: ${at}`);
		return points[Number(at)] ?? '';
	});
	add('string.replace(string, string): string', (text: string, from: string, to: string) =>
		text.replaceAll(from, () => to),
	);
	add('string.replace(string, string, int): string', (text: string, from: string, to: string, most: bigint) =>
		replaced(text, from, to, most),
	);
	add('string.find(string): string', (text: string, pattern: string) => new RegExp(pattern, 'u').exec(text)?.[0] ?? '');
	add(
		'string.findAll(string): list<string>',
		(text: string, pattern: string) => text.match(new RegExp(pattern, 'gu')) ?? [],
	);
	add('string.findAll(string, int): list<string>', (text: string, pattern: string, most: bigint) => {
		const found = text.match(new RegExp(pattern, 'gu')) ?? [];
		return most < 0n ? found : found.slice(0, Number(most));
	});
	add('string.format(list): string', (text: string, values: readonly unknown[]) => formatted(text, values));
}

function replaced(text: string, from: string, to: string, most: bigint): string {
	if (most < 0n) return text.replaceAll(from, () => to);
	let left = most;
	return text.replaceAll(from, (match) => (left-- > 0n ? to : match));
}

/**
 * `%s`, `%d`, `%f`, `%e`, `%x`, `%X`, `%o`, `%b` and `%%`, with a precision for `f` and `e`.
 * @throws Error for an unknown verb or a missing argument
 */
function formatted(text: string, values: readonly unknown[]): string {
	let next = 0;
	return text.replaceAll(/%(?:\.(\d+))?([a-zA-Z%])/g, (_, precision: string | undefined, verb: string) => {
		if (verb === '%') return '%';
		if (next >= values.length) throw new Error(`index ${next} out of range`);
		return shown(verb, values[next++], Number(precision ?? 6));
	});
}

function shown(verb: string, value: unknown, precision: number): string {
	switch (verb) {
		case 's':
			return textOf(value);
		case 'd':
			return String(value);
		case 'f':
			return Number(value).toFixed(precision);
		case 'e':
			return Number(value)
				.toExponential(precision)
				.replace(/e([+-])(\d)$/, 'e$10$2');
		case 'b':
			return value === true ? '1' : value === false ? '0' : BigInt(value as bigint).toString(2);
		case 'o':
			return BigInt(value as bigint).toString(8);
		case 'x':
		case 'X': {
			const hex = typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(value as bigint).toString(16);
			return verb === 'X' ? hex.toUpperCase() : hex;
		}
		default:
			throw new Error(`unrecognized formatting clause "${verb}"`);
	}
}

function textOf(value: unknown): string {
	return typeof value === 'string' || typeof value === 'number' ? String(value) : nested(value);
}

/** Inside lists and maps, strings are quoted, and fractions have six digits. */
function nested(value: unknown): string {
	if (typeof value === 'string') return JSON.stringify(value);
	if (typeof value === 'number') return value.toFixed(6);
	if (Array.isArray(value)) return `[${value.map(nested).join(', ')}]`;
	if (value instanceof Map) return members([...value]);
	if (value instanceof Date) return value.toISOString().replace(/\.000Z$/, 'Z');
	const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
	return plain ? members(Object.entries(value)) : String(value);
}

const members = (entries: readonly (readonly [unknown, unknown])[]): string =>
	`{${entries
		.map(([key, member]) => `${nested(key)}:${nested(member)}`)
		.sort()
		.join(', ')}}`;
