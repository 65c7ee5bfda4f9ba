import { Optional } from '@marcbachmann/cel-js';
import { isArray, isObject, type JsonObject, type JsonValue, sameJson, stringifyJson } from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { childPath, hasRules, type Schema } from '../schema/index.ts';
import { firstLine, type Rule, rulesAt } from './compile.ts';

/** Evaluates the rules of an object's schema; `previous` is the replaced object. */
export function brokenRules(schema: Schema, object: JsonObject, previous: JsonObject | undefined): Cause[] {
	const causes: Cause[] = [];
	visit({ schema, value: object, old: previous, path: '', isRoot: true, correlated: true }, causes);
	return causes;
}

/**
 * Errors in the rules of a schema, for the author of the definition; `path` is the path of the
 * schema.
 */
export function faultyRules(schema: Schema, path: string, isRoot = true, correlated = true): Cause[] {
	if (!hasRules(schema)) return [];
	const own = rulesAt(schema, isRoot, correlated).causes.map((one) => ({ ...one, field: `${path}${one.field}` }));
	const { items, additional } = schema;
	return [
		...own,
		...[...schema.properties].flatMap(([name, member]) =>
			faultyRules(member, `${path}.properties[${name}]`, false, correlated),
		),
		...(items === undefined ? [] : faultyRules(items, `${path}.items`, false, correlated && schema.listType === 'map')),
		...(additional === undefined ? [] : faultyRules(additional, `${path}.additionalProperties`, false, correlated)),
	];
}

interface Place {
	readonly schema: Schema;
	readonly value: JsonValue;
	/** The old value at this node; `undefined`: absent or unknown. */
	readonly old: JsonValue | undefined;
	readonly path: string;
	readonly isRoot: boolean;
	readonly correlated: boolean;
}

function visit(place: Place, causes: Cause[]): void {
	const { schema, value, old, path, isRoot, correlated } = place;
	if (value === null || !hasRules(schema)) return;
	const { shape, rules } = rulesAt(schema, isRoot, correlated);
	if (rules.length > 0) {
		const self = shape.value(value);
		const before = old === undefined || old === null ? undefined : shape.value(old);
		// Ratcheting: a violation is ignored if the value is unchanged.
		const unchanged = old !== undefined && sameJson(old, value);
		for (const rule of rules) {
			if (unchanged && !rule.transition) continue;
			if (rule.transition && before === undefined && !rule.optionalOld) continue;
			const oldSelf = rule.optionalOld ? (before === undefined ? Optional.none() : Optional.of(before)) : before;
			const broken = test(rule, { self, oldSelf }, path, schema);
			if (broken !== undefined) causes.push(broken);
		}
	}
	if (isArray(value)) visitItems(place, value, causes);
	else if (isObject(value)) {
		for (const [name, member] of Object.entries(value)) {
			const child = schema.member(name);
			if (child === undefined || member === undefined) continue;
			const before = isObject(old) && Object.hasOwn(old, name) ? old[name] : undefined;
			visit(
				{ schema: child, value: member, old: before, path: childPath(path, name), isRoot: false, correlated },
				causes,
			);
		}
	}
}

/** Only list elements with keys can be correlated with old values. */
function visitItems({ schema, old, path, correlated }: Place, value: readonly JsonValue[], causes: Cause[]): void {
	const { items, listKeys } = schema;
	if (items === undefined) return;
	const keyed = schema.listType === 'map';
	const keyOf = (item: JsonValue) =>
		stringifyJson(isObject(item) ? listKeys.map((key) => item[key] ?? items.member(key)?.default ?? null) : item);
	const before = new Map(keyed && isArray(old) ? old.map((item) => [keyOf(item), item] as const) : []);
	for (const [index, item] of value.entries())
		visit(
			{
				schema: items,
				value: item,
				old: before.get(keyOf(item)),
				path: childPath(path, index),
				isRoot: false,
				correlated: correlated && keyed,
			},
			causes,
		);
}

function test(
	rule: Rule,
	variables: { readonly self: unknown; readonly oldSelf: unknown },
	path: string,
	schema: Schema,
): Cause | undefined {
	const field = `${path}${rule.fieldPath}`.replace(/^\./, '') || '<nil>';
	const shown = stringifyJson(schema.type ?? '');
	try {
		if (rule.test(variables) === true) return undefined;
	} catch (error) {
		return cause.invalid(field, shown, `${firstLine(error)} evaluating rule: ${rule.message || rule.text}`);
	}
	const message = worded(rule, variables);
	switch (rule.reason) {
		case 'FieldValueForbidden':
			return cause.forbidden(field, message);
		case 'FieldValueRequired':
			return cause.required(field, message);
		case 'FieldValueDuplicate':
			return cause.duplicate(field, shown);
		default:
			return cause.invalid(field, shown, message);
	}
}

/** The message of a rule: from its message expression, its fixed message, or its text. */
function worded({ words, message, text }: Rule, variables: object): string {
	if (words !== undefined) {
		try {
			const said = String(words({ ...variables })).trim();
			if (said !== '' && !/[\r\n]/.test(said)) return said;
		} catch {
			// Falls back to the fixed message.
		}
	}
	return message.trim() || `failed rule: ${text.trim()}`;
}
