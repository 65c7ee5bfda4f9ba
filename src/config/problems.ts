import type { z } from 'zod';
import { alternatives, expectation, member, schemaAt, shapeOf } from './keys.ts';
import { configSchema } from './schema.ts';
import { nearest } from './spelling.ts';

/** Where something is in the file's values. */
export type Path = readonly PropertyKey[];

/** A problem before its place in the text is known. */
export interface Described {
	readonly path: Path;
	readonly target: 'key' | 'value';
	readonly found: string;
	readonly expected: string;
}

/** What one of zod's issues means to a person; `prefix` leads to the union it was found in. */
export function describe(issue: z.core.$ZodIssue, prefix: Path, values: unknown): Described[] {
	const path = [...prefix, ...issue.path];
	if (issue.code === 'unrecognized_keys') {
		const known = Object.keys(shapeOf(schemaAt(configSchema, path, values) ?? configSchema));
		return issue.keys.map((name) => {
			const close = nearest(name, known);
			const expected = close === undefined ? `one of the keys ${known.join(', ')}` : `a known key; did you mean ${close}?`;
			return { path: [...path, name], target: 'key', found: 'an unknown key', expected };
		});
	}
	if (issue.code === 'invalid_union') {
		// Of several shapes the one that the value resembles says what is wrong: an object among objects.
		const branch = issue.errors.find((issues) => issues.every(({ path: at, code }) => at.length > 0 || code === 'unrecognized_keys'));
		if (branch !== undefined && branch.length > 0) return branch.flatMap((within) => describe(within, path, values));
		const hint = issue.errors.flat().find(meant);
		if (hint !== undefined) return describe(hint, path, values);
		if ('options' in issue && Array.isArray(issue.options)) {
			return [{ path, target: 'value', found: shown(valueAt(values, path)), expected: `one of ${issue.options.join(', ')}` }];
		}
	}
	const schema = schemaAt(configSchema, path, values);
	const expected = meant(issue) ?? expectation(schema) ?? kindOf(schema) ?? issue.message;
	return [{ path, target: 'value', found: shown(valueAt(values, path)), expected }];
}

/** The prefix that was probably meant, from an address error. */
function meant(issue: z.core.$ZodIssue): string | undefined {
	return issue.code === 'custom' ? /is not (.* did you mean .*)$/.exec(issue.message)?.[1] : undefined;
}

function kindOf(schema: z.core.$ZodType | undefined): string | undefined {
	if (schema === undefined) return undefined;
	const keys = Object.keys(shapeOf(schema));
	if (keys.length > 0) return `a map of ${keys.join(', ')}`;
	return alternatives(schema)[0]?._zod.def.type === 'record' ? 'a map of names' : undefined;
}

/** What the file has at a path. */
export function valueAt(values: unknown, path: Path): unknown {
	return path.reduce<unknown>(member, values);
}

/** A value as the file has it, in at most 40 characters. */
export function shown(value: unknown): string {
	if (value === undefined || value === null) return 'nothing';
	if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
	if (typeof value === 'object') return 'a map';
	const text = typeof value === 'string' ? `'${value}'` : String(value);
	return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
