import { isArray, isObject, type JsonObject, type JsonValue, withAt } from '../../json/index.ts';
import type { Schema } from './schema.ts';

/**
 * Applies defaults of absent members, from the outside in: defaults inside a defaulted object
 * apply, too. A `null` that the schema does not allow counts as absent.
 */
export function applyDefaults(schema: Schema, value: JsonObject): JsonObject {
	const result = defaulted(schema, value);
	return isObject(result) ? result : value;
}

function defaulted(schema: Schema, value: JsonValue): JsonValue {
	if (isArray(value)) {
		const { items } = schema;
		if (items === undefined) return value;
		let changed = false;
		const result = value.map((item) => {
			const filled = defaulted(items, item);
			changed ||= filled !== item;
			return filled;
		});
		return changed ? result : value;
	}
	if (!isObject(value)) return value;
	let result = value;
	const set = (name: string, member: JsonValue) => {
		result = { ...result, [name]: member };
	};
	for (const [name, child] of schema.properties) {
		const member = Object.hasOwn(value, name) ? value[name] : undefined;
		const missing = member === undefined || (member === null && !child.nullable);
		if (missing && child.default !== undefined) set(name, defaulted(child, child.default));
		else if (member === null && missing && child.type !== undefined) result = withAt(result, [name], undefined);
		else if (typeof member === 'object' && member !== null) {
			const filled = defaulted(child, member);
			if (filled !== member) set(name, filled);
		}
	}
	const { additional } = schema;
	if (additional === undefined) return result;
	for (const [name, member] of Object.entries(value)) {
		if (typeof member !== 'object' || member === null || schema.properties.has(name)) continue;
		const filled = defaulted(additional, member);
		if (filled !== member) set(name, filled);
	}
	return result;
}
