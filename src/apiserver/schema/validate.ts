import {
	arrayAt,
	isArray,
	isObject,
	type JsonObject,
	type JsonValue,
	sameJson,
	stringifyJson,
} from '../../json/index.ts';
import { type Cause, cause } from '../api/status.ts';
import { validFormat } from './formats.ts';
import { childPath, Schema } from './schema.ts';

/** Validates a value; returns the causes in the wording of a Kubernetes API server. */
export function validate(schema: Schema, value: JsonObject): Cause[] {
	const causes: Cause[] = [];
	check(schema, value, '', causes);
	return causes;
}

function check(schema: Schema, value: JsonValue, path: string, causes: Cause[]): void {
	if (value === null && schema.nullable) return;
	if (!hasType(schema, value)) {
		const wanted = schema.intOrString ? 'integer,string' : (schema.type ?? 'object');
		causes.push(
			cause.type(path, `"${typeName(value)}"`, `${path} in body must be of type ${wanted}: "${typeName(value)}"`),
		);
		return;
	}
	checkScalar(schema, value, path, causes);
	if (isArray(value)) checkArray(schema, value, path, causes);
	else if (isObject(value)) checkObject(schema, value, path, causes);
	if (schema.combines) checkCombinations(schema, value, path, causes);
}

function hasType(schema: Schema, value: JsonValue): boolean {
	if (schema.intOrString) return typeof value === 'string' || isInteger(value);
	switch (schema.type) {
		case 'object':
			return isObject(value);
		case 'array':
			return isArray(value);
		case 'string':
			return typeof value === 'string';
		case 'boolean':
			return typeof value === 'boolean';
		case 'integer':
			return isInteger(value);
		case 'number':
			return typeof value === 'number' || typeof value === 'bigint';
		default:
			return value !== null || schema.preservesUnknown;
	}
}

const [leastInt64, mostInt64] = [-(2n ** 63n), 2n ** 63n - 1n];

/**
 * An int64. kube-apiserver decodes a greater integer as a double, and a double counts as an integer
 * only up to 2^53.
 */
const isInteger = (value: JsonValue): boolean =>
	typeof value === 'bigint' ? value >= leastInt64 && value <= mostInt64 : Number.isSafeInteger(value);

function typeName(value: JsonValue): string {
	if (value === null) return 'null';
	if (isArray(value)) return 'array';
	if (typeof value === 'object') return 'object';
	if (typeof value === 'bigint' || typeof value === 'number') return isInteger(value) ? 'integer' : 'number';
	return typeof value;
}

function checkScalar(schema: Schema, value: JsonValue, path: string, causes: Cause[]): void {
	const { raw } = schema;
	const choices = raw['enum'];
	if (isArray(choices) && choices.length > 0 && !choices.some((choice) => sameJson(choice, value))) {
		causes.push(
			cause.unsupported(
				path,
				stringifyJson(value),
				choices.map((choice) => stringifyJson(choice)),
			),
		);
	}
	if (typeof value === 'number' || typeof value === 'bigint') checkNumber(raw, value, path, causes);
	if (typeof value !== 'string') return;
	const { pattern, minLength, maxLength, format } = raw;
	if (pattern === undefined && minLength === undefined && maxLength === undefined && format === undefined) return;
	const shown = stringifyJson(value);
	const length = [...value].length;
	// Only the first error of a string is reported.
	if (typeof maxLength === 'number' && length > maxLength)
		causes.push(cause.tooLong(path, `may not be more than ${maxLength} bytes`));
	else if (typeof minLength === 'number' && length < minLength)
		causes.push(cause.invalid(path, shown, `${path} in body should be at least ${minLength} chars long`));
	else if (typeof pattern === 'string' && !matches(pattern, value))
		causes.push(cause.invalid(path, shown, `${path} in body should match '${pattern}'`));
	if (typeof format === 'string' && !schema.intOrString && !validFormat(format, value)) {
		causes.push(cause.type(path, shown, `${path} in body must be of type ${format}: ${shown}`));
	}
}

function checkNumber(raw: JsonObject, value: number | bigint, path: string, causes: Cause[]): void {
	// An integer format (int32, ...) is not enforced: Calico's definitions declare 32-bit AS
	// numbers as `int32`.
	const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = raw;
	const number = (bound: JsonValue | undefined): bound is number | bigint =>
		typeof bound === 'number' || typeof bound === 'bigint';
	if (number(minimum) && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
		causes.push(
			cause.invalid(
				path,
				String(value),
				`${path} in body should be greater than ${exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`,
			),
		);
	}
	if (number(maximum) && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
		causes.push(
			cause.invalid(
				path,
				String(value),
				`${path} in body should be less than ${exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`,
			),
		);
	}
	if (number(multipleOf) && Number(value) % Number(multipleOf) !== 0) {
		causes.push(cause.invalid(path, String(value), `${path} in body should be a multiple of ${multipleOf}`));
	}
}

/** Nearly all RE2 patterns in schemas are valid in JavaScript; an invalid one is not enforced. */
const compiled = new Map<string, RegExp | undefined>();
function matches(pattern: string, value: string): boolean {
	if (!compiled.has(pattern)) compiled.set(pattern, compile(pattern));
	return compiled.get(pattern)?.test(value) ?? true;
}

function compile(pattern: string): RegExp | undefined {
	for (const flags of ['u', '']) {
		try {
			return new RegExp(pattern, flags);
		} catch {}
	}
	return undefined;
}

function checkArray(schema: Schema, value: readonly JsonValue[], path: string, causes: Cause[]): void {
	const { minItems, maxItems } = schema.raw;
	if (typeof maxItems === 'number' && value.length > maxItems) causes.push(cause.tooMany(path, value.length, maxItems));
	if (typeof minItems === 'number' && value.length < minItems) {
		causes.push(cause.invalid(path, String(value.length), `${path} in body should have at least ${minItems} items`));
	}
	const { items } = schema;
	if (items !== undefined)
		for (const [index, item] of value.entries()) check(items, item, childPath(path, index), causes);
	checkDuplicates(schema, value, path, causes);
}

function checkDuplicates(schema: Schema, value: readonly JsonValue[], path: string, causes: Cause[]): void {
	if (schema.listType === 'atomic' && schema.raw['uniqueItems'] !== true) return;
	const seen = new Set<string>();
	for (const [index, item] of value.entries()) {
		const key = schema.listType === 'map' ? keyOf(schema, item) : item;
		const text = stringifyJson(key);
		if (seen.has(text)) causes.push(cause.duplicate(childPath(path, index), text));
		seen.add(text);
	}
}

function keyOf(schema: Schema, item: JsonValue): JsonValue {
	if (!isObject(item)) return item;
	return Object.fromEntries(
		schema.listKeys.map((key) => [key, item[key] ?? schema.items?.member(key)?.default ?? null]),
	);
}

function checkObject(schema: Schema, value: JsonObject, path: string, causes: Cause[]): void {
	for (const name of schema.required) {
		if (!Object.hasOwn(value, name) || value[name] === undefined) causes.push(cause.required(childPath(path, name)));
	}
	const { minProperties, maxProperties } = schema.raw;
	const count = Object.keys(value).length;
	if (typeof maxProperties === 'number' && count > maxProperties)
		causes.push(cause.tooMany(path, count, maxProperties));
	if (typeof minProperties === 'number' && count < minProperties) {
		causes.push(cause.invalid(path, String(count), `${path} in body should have at least ${minProperties} properties`));
	}
	for (const [name, member] of Object.entries(value)) {
		const child = schema.member(name);
		if (child !== undefined && member !== undefined) check(child, member, childPath(path, name), causes);
	}
}

function checkCombinations(schema: Schema, value: JsonValue, path: string, causes: Cause[]): void {
	const passing = (key: 'allOf' | 'anyOf' | 'oneOf') => {
		const branches = arrayAt(schema.raw, key).filter(isObject);
		return { total: branches.length, fine: branches.filter((branch) => fits(schema, branch, value, path)).length };
	};
	const complain = (detail: string) => causes.push(cause.invalid(path, stringifyJson(value), detail));
	for (const branch of arrayAt(schema.raw, 'allOf').filter(isObject)) checkBranch(schema, branch, value, path, causes);
	const any = passing('anyOf');
	if (any.total > 0 && any.fine === 0) complain(`${path} in body must validate at least one schema (anyOf)`);
	const one = passing('oneOf');
	if (one.total > 0 && one.fine !== 1)
		complain(
			`${path} in body must validate one and only one schema (oneOf). Found ` +
				`${one.fine === 0 ? 'none' : String(one.fine)} valid`,
		);
	const not = schema.raw['not'];
	if (isObject(not) && fits(schema, not, value, path)) complain(`${path} in body must not validate the schema (not)`);
}

/** A branch has only restrictions; its type is that of the enclosing schema. */
function checkBranch(schema: Schema, branch: JsonObject, value: JsonValue, path: string, causes: Cause[]): void {
	const type = branch['type'] ?? schema.type;
	const raw = type === undefined ? branch : { ...branch, type };
	check(
		new Schema(schema.intOrString ? { ...branch, 'x-kubernetes-int-or-string': branch['type'] === undefined } : raw),
		value,
		path,
		causes,
	);
}

function fits(schema: Schema, branch: JsonObject, value: JsonValue, path: string): boolean {
	const causes: Cause[] = [];
	checkBranch(schema, branch, value, path, causes);
	return causes.length === 0;
}
