import { parse, stringify } from 'lossless-json';
import { notCompact, parseCompact } from './compact.ts';
import { JsonSyntaxError, type JsonValue } from './types.ts';

/**
 * A token of 16 characters or more at a number's position. Shorter numbers lose no digits. May also
 * match inside a string.
 */
const longNumber = /[:,[\s]-?\d[\d.eE+-]{15}|^-?\d{16}/;

/**
 * Integers are exact up to uint64: the Kubernetes API server keeps int64, Calico's sequence numbers
 * are uint64.
 */
const mostExact = 2n ** 64n;

/**
 * Parses JSON text. Integers outside ±2^53 become `bigint` if they fit 64 bits; greater ones are
 * rounded to a double, as the Kubernetes API server does. The last occurrence of a repeated key
 * counts.
 *
 * Text without long numbers (nearly all text) goes through the engine's parser, which is about ten
 * times as fast as `lossless-json`. Compact text with long numbers goes through `parseCompact`.
 * `lossless-json` parses the remaining text and describes syntax errors. @throws JsonSyntaxError
 */
export function parseJson(text: string): JsonValue {
	try {
		// Both parsers return only JSON values; `parseNumber` returns numbers and bigints.
		if (!longNumber.test(text)) return JSON.parse(text) as JsonValue;
		// Servers end a response with a line feed.
		const compact = text.endsWith('\n') ? text.slice(0, -1) : text;
		const value = notCompact.test(compact) ? undefined : parseCompact(compact, parseNumber);
		// Text that is not JSON also arrives here: this parser describes the syntax error.
		return value ?? (parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue }) as JsonValue);
	} catch (error) {
		throw new JsonSyntaxError(error instanceof Error ? error.message : String(error), { cause: error });
	}
}

/**
 * Serializes a value, without white space unless `indent` is given. `undefined` members are
 * omitted.
 */
export function stringifyJson(value: JsonValue, indent?: number): string {
	// The engine's writer is much faster. It throws at the first bigint.
	if (!holdsBigint(value)) return JSON.stringify(value, undefined, indent);
	return stringify(value, undefined, indent) ?? 'null';
}

function parseNumber(token: string): number | bigint {
	if (!/^-?\d+$/.test(token)) return Number(token);
	const number = Number(token);
	if (Number.isSafeInteger(number)) return number;
	const exact = BigInt(token);
	return exact < mostExact && exact > -mostExact ? exact : number;
}

function holdsBigint(value: JsonValue | undefined): boolean {
	if (typeof value === 'bigint') return true;
	if (typeof value !== 'object' || value === null) return false;
	if (Array.isArray(value)) {
		for (const item of value)
			if ((typeof item === 'object' || typeof item === 'bigint') && holdsBigint(item)) return true;
		return false;
	}
	for (const key in value) if (holdsBigint((value as Readonly<Record<string, JsonValue>>)[key])) return true;
	return false;
}
