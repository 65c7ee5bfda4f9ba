import type { z } from 'zod';
import { nearest } from '../core/index.ts';
import { alternatives, expectation, member, schemaAt, shapeOf } from '../schema/index.ts';
import { configSchema } from './schema.ts';
import { ourNameOf } from './synonyms.ts';

/** A path in the file's values. */
export type Path = readonly PropertyKey[];

/** A problem without its position in the text. */
export interface Described {
	readonly path: Path;
	readonly target: 'key' | 'value';
	readonly found: string;
	readonly expected: string;
}

/** Converts one of zod's issues into a problem; `prefix` leads to the union that contains it. */
export function describe(issue: z.core.$ZodIssue, prefix: Path, values: unknown): Described[] {
	const path = [...prefix, ...issue.path];
	if (issue.code === 'unrecognized_keys') {
		const known = Object.keys(shapeOf(schemaAt(configSchema, path, values) ?? configSchema));
		return issue.keys.map((name) => {
			const close = nearest(name, known) ?? ourNameOf(name, known);
			const expected =
				close === undefined ? `one of the keys ${known.join(', ')}` : `a known key; did you mean ${close}?`;
			return { path: [...path, name], target: 'key', found: 'an unknown key', expected };
		});
	}
	if (issue.code === 'invalid_union') {
		// Of several shapes the one that resembles the value reports the problem: an object among
		// objects.
		const branch = issue.errors.find((issues) =>
			issues.every(({ path: at, code }) => at.length > 0 || code === 'unrecognized_keys'),
		);
		if (branch !== undefined && branch.length > 0) return branch.flatMap((within) => describe(within, path, values));
		const hint = issue.errors.flat().find(meant);
		if (hint !== undefined) return describe(hint, path, values);
		if ('options' in issue && Array.isArray(issue.options)) {
			return [
				{ path, target: 'value', found: shown(valueAt(values, path)), expected: `one of ${issue.options.join(', ')}` },
			];
		}
	}
	const schema = schemaAt(configSchema, path, values);
	const expected = meant(issue) ?? expectation(schema) ?? kindOf(schema) ?? issue.message;
	return [{ path, target: 'value', found: shown(valueAt(values, path)), expected }];
}

/** The probably intended prefix, from an address error. */
function meant(issue: z.core.$ZodIssue): string | undefined {
	return issue.code === 'custom' ? /is not (.* did you mean .*)$/.exec(issue.message)?.[1] : undefined;
}

function kindOf(schema: z.core.$ZodType | undefined): string | undefined {
	if (schema === undefined) return undefined;
	const keys = Object.keys(shapeOf(schema));
	if (keys.length > 0) return `a map of ${keys.join(', ')}`;
	return alternatives(schema)[0]?._zod.def.type === 'record' ? 'a map of names' : undefined;
}

/** The value in the file at a path. */
export function valueAt(values: unknown, path: Path): unknown {
	return path.reduce<unknown>(member, values);
}

/** A value as written in the file, in at most 40 characters. */
export function shown(value: unknown): string {
	if (value === undefined || value === null) return 'nothing';
	if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
	if (typeof value === 'object') return 'a map';
	const text = typeof value === 'string' ? `'${value}'` : String(value);
	return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
