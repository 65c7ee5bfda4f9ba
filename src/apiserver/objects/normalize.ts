import { at, isArray, isObject, type JsonObject, type JsonValue, objectAt, withAt } from '../../json/index.ts';
import { badRequest, type Cause, cause, invalid } from '../api/status.ts';
import { apiVersionOf, type ResourceType, validateMetadata } from '../resources/index.ts';
import { brokenRules } from '../rules/index.ts';
import { applyDefaults, hasRules, prune, type Schema, validate } from '../schema/index.ts';

/** An object in the form of its kind, and the dropped fields. */
export interface Normalized {
	readonly object: JsonObject;
	readonly unknown: readonly string[];
}

/**
 * Drops unknown fields, applies defaults, and puts `kind` and `apiVersion` first. Checks types for
 * built-in kinds. @throws ApiError 400
 */
export function normalize(type: ResourceType, body: JsonObject): Normalized {
	const bare = type.custom
		? withAt(body, ['metadata'], withoutNothing(objectAt(body, 'metadata')))
		: withoutNulls(body);
	const { value, unknown } = prune(type.schema, tidyMetadata(isObject(bare) ? bare : body));
	checkTypes(type, value);
	const {
		kind: _,
		apiVersion: __,
		metadata,
		...rest
	} = type.rules.defaults(applyDefaults(type.schema, type.custom ? value : withoutEmpties(type.schema, value)));
	return { object: { kind: type.kind, apiVersion: apiVersionOf(type), metadata: metadata ?? {}, ...rest }, unknown };
}

/**
 * A built-in object with a wrong type fails at decoding. For custom objects, validation reports all
 * errors later.
 */
function checkTypes(type: ResourceType, value: JsonObject): void {
	const causes = validate(type.schema, type.custom ? { metadata: value['metadata'] } : value).filter(
		({ reason, field }) => reason === 'FieldValueTypeInvalid' && (!type.custom || field.startsWith('metadata')),
	);
	const [first] = causes;
	if (first !== undefined) {
		throw badRequest(
			`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: json: cannot ` +
				`unmarshal into ${first.field}: ${first.message}`,
		);
	}
}

/** Go omits null members. */
function withoutNulls(value: JsonValue): JsonValue {
	if (isArray(value)) return value.some(holdsNull) ? value.map(withoutNulls) : value;
	if (!isObject(value) || !holdsNull(value)) return value;
	return Object.fromEntries(
		Object.entries(value).flatMap(([name, member]) =>
			member === null || member === undefined ? [] : [[name, withoutNulls(member)] as const],
		),
	);
}

const holdsNull = (value: JsonValue | undefined): boolean =>
	value === null || (isArray(value) ? value.some(holdsNull) : isObject(value) && Object.values(value).some(holdsNull));

/** Go omits empty lists and maps unless they are required. */
function withoutEmpties(schema: Schema, value: JsonObject): JsonObject {
	let result = value;
	for (const [name, child] of schema.properties) {
		const member = value[name];
		if (isArray(member)) {
			if (member.length === 0 && !schema.required.includes(name)) result = withAt(result, [name], undefined);
			else if (child.items !== undefined && member.some(isObject)) {
				const { items } = child;
				result = { ...result, [name]: member.map((item) => (isObject(item) ? withoutEmpties(items, item) : item)) };
			}
		} else if (isObject(member)) {
			if (child.additional !== undefined && Object.keys(member).length === 0)
				result = withAt(result, [name], undefined);
			else if (child.properties.size > 0) result = { ...result, [name]: withoutEmpties(child, member) };
		}
	}
	return result;
}

const withoutNothing = (metadata: JsonObject): JsonObject =>
	Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null && value !== undefined));

/** Removes empty lists, maps and strings from metadata. */
function tidyMetadata(object: JsonObject): JsonObject {
	const metadata = Object.entries(objectAt(object, 'metadata')).filter(([, value]) => {
		if (value === '' || value === undefined) return false;
		return isArray(value) ? value.length > 0 : !isObject(value) || Object.keys(value).length > 0;
	});
	return { ...object, metadata: Object.fromEntries(metadata) };
}

/** Rejects objects that violate the rules of their kind. @throws ApiError 422 */
export function check(type: ResourceType, object: JsonObject, previous: JsonObject | undefined): void {
	const bySchema = validate(type.schema, object).filter(
		// Schemas inside a definition are checked by the definition's own rules.
		({ reason, field }) =>
			(type.custom || (reason === 'FieldValueNotSupported' && !field.includes('.openAPIV3Schema.'))) &&
			!field.startsWith('metadata.'),
	);
	const causes = [
		...validateMetadata(type, object, previous),
		...bySchema,
		...countCauses(type, object),
		...byRules(type, object, previous, bySchema),
		...type.rules.validate(object, previous),
	];
	if (causes.length === 0) return;
	const name = objectAt(object, 'metadata')['name'];
	throw invalid(type.group, type.kind, typeof name === 'string' ? name : '', causes);
}

const mostReplicas = 2 ** 31 - 1;

/** The counts of the `scale` subresource are non-negative int32. */
function countCauses({ scale }: ResourceType, object: JsonObject): Cause[] {
	const count = scale === undefined ? undefined : at(object, ...scale.spec);
	if (
		scale === undefined ||
		(typeof count !== 'number' && typeof count !== 'bigint') ||
		(count >= 0 && count <= mostReplicas)
	)
		return [];
	const why = count < 0 ? 'should be a non-negative integer' : `should be less than or equal to ${mostReplicas}`;
	return [cause.invalid(`.${scale.spec.join('.')}`, String(count), why)];
}

/** Causes that prevent the evaluation of rules: the object has the wrong shape. */
const blocking = new Set([
	'FieldValueTypeInvalid',
	'FieldValueRequired',
	'FieldValueNotSupported',
	'FieldValueTooLong',
	'FieldValueTooMany',
]);

function byRules(
	type: ResourceType,
	object: JsonObject,
	previous: JsonObject | undefined,
	bySchema: readonly Cause[],
): readonly Cause[] {
	if (!type.custom || !hasRules(type.schema)) return [];
	if (!bySchema.some(({ reason }) => blocking.has(reason))) return brokenRules(type.schema, object, previous);
	const why =
		'some validation rules were not checked because the object was invalid; correct the existing ' +
		'errors to complete validation';
	return [cause.invalid('<nil>', 'null', why)];
}
