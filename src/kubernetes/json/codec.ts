import { parse, stringify } from 'lossless-json';
import { notCompact, parseCompact } from './compact.ts';
import { JsonSyntaxError, type JsonValue } from './types.ts';

/** A number of 16 characters or more stands where a number can stand: only then may digits be lost. May also match inside a string. */
const longNumber = /[:,[\s]-?\d[\d.eE+-]{15}|^-?\d{16}/;

/** The integers that a Kubernetes API server keeps exactly are int64; Calico's sequence numbers are uint64. */
const mostExact = 2n ** 64n;

/**
 * JSON text to a value. Integers outside ±2^53 become `bigint` as long as they fit 64 bits; greater ones are rounded to a double, which is what
 * a Kubernetes API server makes of them. Of a repeated key the last one counts.
 *
 * Text without long numbers, nearly all of it, goes through the engine's own parser, which is some ten times as fast as `lossless-json`; compact
 * text with them through one of our own; `lossless-json` reads the rest and tells what is wrong with what is none.
 * @throws JsonSyntaxError
 */
export function parseJson(text: string): JsonValue {
	try {
		// Both parsers make nothing but JSON values; with `parseNumber`, numbers and bigints.
		if (!longNumber.test(text)) return JSON.parse(text) as JsonValue;
		// Servers end their answers with a line feed.
		const compact = text.endsWith('\n') ? text.slice(0, -1) : text;
		const value = notCompact.test(compact) ? undefined : parseCompact(compact, parseNumber);
		// Also where it is no JSON at all: this parser says what is wrong.
		return value ?? (parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue }) as JsonValue);
	} catch (error) {
		throw new JsonSyntaxError(error instanceof Error ? error.message : String(error), { cause: error });
	}
}

/** A value to JSON text, without white space unless `indent` says how much; `undefined` members are left out. */
export function stringifyJson(value: JsonValue, indent?: number): string {
	// The engine's own writer is much faster and refuses a bigint at once.
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
		for (const item of value) if ((typeof item === 'object' || typeof item === 'bigint') && holdsBigint(item)) return true;
		return false;
	}
	for (const key in value) if (holdsBigint((value as Readonly<Record<string, JsonValue>>)[key])) return true;
	return false;
}
