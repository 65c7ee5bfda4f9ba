import { z } from 'zod';

/**
 * The effect of a changed key at a reload, weakest first: none (`live`), re-evaluation of a peer's
 * routes without a reset (`routes`), a reset of that peer's session (`reset`), or a restart of the
 * daemon (`restart`; the running value stays until then).
 */
export const reloadEffects = ['live', 'routes', 'reset', 'restart'] as const;
export type ReloadEffect = (typeof reloadEffects)[number];

/** The metadata of a key for the manual, the JSON schema and the diff. */
export interface KeyInfo {
	readonly description: string;
	readonly effect: ReloadEffect;
	/** Shown for a default that is computed rather than fixed. */
	readonly defaultText?: string;
}

const keyInfos = new WeakMap<z.core.$ZodType, KeyInfo>();
const expectations = new WeakMap<z.core.$ZodType, string>();

/**
 * Declares a key of the configuration: its schema, its meaning, and the effect of a change. Returns
 * a new schema.
 */
export function key<S extends z.core.$ZodType>(
	schema: S,
	description: string,
	effect: ReloadEffect,
	defaultText?: string,
): S {
	// Scalars are shared among keys.
	const own = z.core.clone(schema);
	keyInfos.set(own, defaultText === undefined ? { description, effect } : { description, effect, defaultText });
	const expected = expectations.get(schema);
	return expected === undefined ? own : expects(own, expected);
}

/** Declares the accepted values, as the end of "expected ...": with unit and bounds. */
export function expects<S extends z.core.$ZodType>(schema: S, expected: string): S {
	expectations.set(schema, expected);
	return schema;
}

/** The declaration of a key, where the schema has one. */
export function keyInfo(schema: z.core.$ZodType): KeyInfo | undefined {
	return keyInfos.get(schema);
}

/** The accepted values; looks through defaults and optional wrappers. */
export function expectation(schema: z.core.$ZodType | undefined): string | undefined {
	for (let at = schema; at !== undefined; at = inner(at)) {
		const text = expectations.get(at);
		if (text !== undefined) return text;
	}
	return undefined;
}

/** The default of a key as shown in the manual, `undefined` if it has none. */
export function showDefault(schema: z.core.$ZodType): string | undefined {
	if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)) return undefined;
	const value: unknown = schema.def.defaultValue;
	const empty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
	return empty ? '' : `\`${JSON.stringify(value).replaceAll('"', '')}\``;
}

/** The schema inside one wrapper (default, optional, transformation, lazy). */
function inner(schema: z.core.$ZodType): z.core.$ZodType | undefined {
	if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return schema.def.innerType;
	if (schema instanceof z.ZodOptional || schema instanceof z.ZodExactOptional) return schema.def.innerType;
	if (schema instanceof z.ZodPipe) return schema.def.in;
	return undefined;
}

/** The schema without its wrappers. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
	const within = inner(schema);
	return within === undefined ? schema : bare(within);
}

/** The alternatives of a union, itself otherwise. */
export function alternatives(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
	const plain = bare(schema);
	return plain instanceof z.ZodUnion ? plain.options.flatMap(alternatives) : [plain];
}

/**
 * The schema at `path` below `schema`; array indexes and map keys are steps too. `value` selects
 * among shapes by their `type`.
 */
export function schemaAt(
	schema: z.core.$ZodType,
	path: readonly PropertyKey[],
	value?: unknown,
): z.core.$ZodType | undefined {
	const [step, ...rest] = path;
	if (step === undefined) return schema;
	for (const plain of alternatives(schema)) {
		if (isAnotherType(plain, value)) continue;
		const next = child(plain, step);
		const found = next && schemaAt(next, rest, member(value, step));
		if (found !== undefined) return found;
	}
	return undefined;
}

/** The member of `value` at a step, `undefined` if absent. */
export function member(value: unknown, step: PropertyKey): unknown {
	// Any object may be indexed by any key.
	return typeof value === 'object' && value !== null
		? (value as Readonly<Record<PropertyKey, unknown>>)[step]
		: undefined;
}

function isAnotherType(plain: z.core.$ZodType, value: unknown): boolean {
	const type = member(value, 'type');
	const declared = plain instanceof z.ZodObject ? plain.shape['type'] : undefined;
	return type !== undefined && declared instanceof z.ZodLiteral && !declared.values.has(type as string);
}

function child(plain: z.core.$ZodType, step: PropertyKey): z.core.$ZodType | undefined {
	if (plain instanceof z.ZodObject) return Object.hasOwn(plain.shape, step) ? plain.shape[String(step)] : undefined;
	if (plain instanceof z.ZodArray) return plain.element;
	if (plain instanceof z.ZodRecord) return plain.valueType;
	return undefined;
}

/** The keys of an object schema, without wrappers and unions. */
export function shapeOf(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> {
	return Object.assign({}, ...alternatives(schema).map((plain) => (plain instanceof z.ZodObject ? plain.shape : {})));
}
