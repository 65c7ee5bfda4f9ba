import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import { arrayAt, isObject, type JsonObject, stringifyJson, textAt } from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import type { Schema } from '../schema/index.ts';
import { createEnvironment } from './library/index.ts';
import { type Shape, Shapes } from './types.ts';

/** A compiled rule of a schema. */
export interface Rule {
	readonly text: string;
	readonly message: string;
	readonly reason: string;
	/** Path below the rule's schema: `.spec.high`; `''`: the schema itself. */
	readonly fieldPath: string;
	/** True if the rule reads the old value. */
	readonly transition: boolean;
	/** True if the rule is evaluated without an old value as well and can detect that. */
	readonly optionalOld: boolean;
	readonly test: ParseResult;
	readonly words: ParseResult | undefined;
}

/** The rules of one schema node, and their variables. */
export interface RulesAt {
	readonly shape: Shape;
	readonly rules: readonly Rule[];
	/** Errors of the rules that do not compile: `field` is relative to the schema node. */
	readonly causes: readonly Cause[];
}

let base: Environment | undefined;
const known = new WeakMap<Schema, Map<string, RulesAt>>();

/**
 * Compiles the rules of a schema node, once. `correlated`: an old value of the node can be found.
 */
export function rulesAt(schema: Schema, isRoot: boolean, correlated: boolean): RulesAt {
	const variants = known.get(schema) ?? new Map<string, RulesAt>();
	known.set(schema, variants);
	const key = `${isRoot} ${correlated}`;
	const found = variants.get(key) ?? compileAt(schema, isRoot, correlated);
	variants.set(key, found);
	return found;
}

const noShape: Shape = { type: 'dyn', value: (json) => json };

function compileAt(schema: Schema, isRoot: boolean, correlated: boolean): RulesAt {
	const given = arrayAt(schema.raw, 'x-kubernetes-validations').filter(isObject);
	if (given.length === 0) return { shape: noShape, rules: [], causes: [] };
	base ??= createEnvironment();
	const environment = base.clone();
	const shape = new Shapes(environment).shape(schema, isRoot) ?? noShape;
	environment.registerVariable('self', shape.type);
	const plain = environment.clone().registerVariable('oldSelf', shape.type);
	const optional = environment.clone().registerVariable('oldSelf', `optional<${shape.type}>`);
	const rules: Rule[] = [];
	const causes: Cause[] = [];
	for (const [index, raw] of given.entries()) {
		const compiled = compile(raw, schema, raw['optionalOldSelf'] === true ? optional : plain, correlated);
		causes.push(
			...compiled.causes.map((one) => ({ ...one, field: `.x-kubernetes-validations[${index}]${one.field}` })),
		);
		if (compiled.rule !== undefined) rules.push(compiled.rule);
	}
	return { shape, rules, causes };
}

const reasons = ['FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired', 'FieldValueDuplicate'];

function compile(
	raw: JsonObject,
	schema: Schema,
	environment: Environment,
	correlated: boolean,
): { readonly rule?: Rule; readonly causes: readonly Cause[] } {
	const text = textAt(raw, 'rule') ?? '';
	const message = textAt(raw, 'message') ?? '';
	const wording = textAt(raw, 'messageExpression') ?? '';
	const reason = textAt(raw, 'reason') ?? '';
	const fieldPath = textAt(raw, 'fieldPath') ?? '';
	if (text.trim() === '') return { causes: [cause.required('.rule', 'rule is not specified')] };
	const test = compileText(environment, text, 'bool');
	const words = wording === '' ? undefined : compileText(environment, wording, 'string');
	const transition = 'program' in test && mentions(test.program.ast, 'oldSelf');
	const causes = [
		...('problem' in test ? [cause.invalid('.rule', stringifyJson(text), test.problem)] : []),
		...(words !== undefined && 'problem' in words
			? [cause.invalid('.messageExpression', stringifyJson(wording), words.problem)]
			: []),
		...(/[\r\n]/.test(text) && message === '' && wording === ''
			? [cause.required('.message', 'message must be specified if rule contains line breaks')]
			: []),
		...(/[\r\n]/.test(message)
			? [cause.invalid('.message', stringifyJson(message), 'must not contain line breaks')]
			: []),
		...(raw['message'] !== undefined && message.trim() === '' && message !== ''
			? [cause.invalid('.message', stringifyJson(message), 'message must be non-empty if specified')]
			: []),
		...(reason === '' || reasons.includes(reason)
			? []
			: [
					cause.unsupported(
						'.reason',
						stringifyJson(reason),
						reasons.map((one) => stringifyJson(one)),
					),
				]),
		...(fieldPath === '' || leadsTo(schema, fieldPath)
			? []
			: [
					cause.invalid(
						'.fieldPath',
						stringifyJson(fieldPath),
						`fieldPath must be a valid path: does not refer to a valid field`,
					),
				]),
		...(transition && !correlated
			? [
					cause.invalid(
						'.rule',
						stringifyJson(text),
						'oldSelf cannot be used on the uncorrelatable portion of the schema',
					),
				]
			: []),
		...(raw['optionalOldSelf'] !== undefined && 'program' in test && !transition
			? [
					cause.invalid(
						'.optionalOldSelf',
						String(raw['optionalOldSelf']),
						'may not be set if oldSelf is not used in rule',
					),
				]
			: []),
	];
	if (causes.length > 0 || 'problem' in test) return { causes };
	const optionalOld = raw['optionalOldSelf'] === true;
	return {
		rule: {
			text,
			message,
			reason,
			fieldPath,
			transition,
			optionalOld,
			test: test.program,
			words: words && 'program' in words ? words.program : undefined,
		},
		causes,
	};
}

type Compiled = { readonly program: ParseResult } | { readonly problem: string };

function compileText(environment: Environment, text: string, wanted: 'bool' | 'string'): Compiled {
	try {
		const program = environment.parse(text);
		const { valid, type, error } = program.check();
		if (!valid) return { problem: `compilation failed: ERROR: ${firstLine(error)}` };
		if (type === wanted) return { program };
		return {
			problem:
				wanted === 'bool' ? 'cel expression must evaluate to a bool' : 'messageExpression must evaluate to a string',
		};
	} catch (error) {
		return { problem: `compilation failed: ERROR: ${firstLine(error)}` };
	}
}

/** Maps messages of the engine to those of kube-apiserver. */
const wordings: readonly (readonly [RegExp, string])[] = [
	[/^No such key: index out of bounds, index (-?\d+) .*$/, 'index out of bounds: $1'],
	[/^No such key/, 'no such key'],
	[/^integer overflow: .*$/, 'integer overflow'],
	[/^int\(\) type error: .*$/, "type conversion error from 'string' to 'int'"],
];

/** The first line of an engine error; further lines show the position as a picture. */
export function firstLine(error: unknown): string {
	const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
	const said = wordings.find(([pattern]) => pattern.test(line));
	return said === undefined ? line : line.replace(said[0], said[1]);
}

/** True if an expression uses a variable. */
function mentions(node: unknown, name: string): boolean {
	if (Array.isArray(node)) return node.some((part) => mentions(part, name));
	if (typeof node !== 'object' || node === null || !('op' in node) || !('args' in node)) return false;
	return node.op === 'id' ? node.args === name : mentions(node.args, name);
}

/** True if a path such as `.a.b` or `.a['b']` exists in the schema. */
function leadsTo(schema: Schema, path: string): boolean {
	const steps = path.match(/\.[A-Za-z_][\w-]*|\['[^']*'\]/g) ?? [];
	if (steps.join('') !== path) return false;
	let current: Schema | undefined = schema;
	for (const step of steps) current = current?.member(step.startsWith('.') ? step.slice(1) : step.slice(2, -2));
	return current !== undefined;
}
