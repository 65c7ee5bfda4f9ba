import type { JsonArray, JsonObject, JsonValue } from './types.ts';

/** True for an object; false for an array, a scalar, null and undefined. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for an array. Also narrows read-only arrays, which `Array.isArray` does not. */
export function isArray(value: JsonValue | undefined): value is JsonArray {
	return Array.isArray(value);
}

/** The value at a path of member names; `undefined` if absent. */
export function at(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
	let current = value;
	for (const name of path) {
		if (!isObject(current) || !Object.hasOwn(current, name)) return undefined;
		current = current[name];
	}
	return current;
}

/** The string at a path; `undefined` if absent or of another type. */
export function textAt(value: JsonValue | undefined, ...path: readonly string[]): string | undefined {
	const found = at(value, ...path);
	return typeof found === 'string' ? found : undefined;
}

/** The object at a path; empty if absent. */
export function objectAt(value: JsonValue | undefined, ...path: readonly string[]): JsonObject {
	const found = at(value, ...path);
	return isObject(found) ? found : {};
}

/** The array at a path; empty if absent. */
export function arrayAt(value: JsonValue | undefined, ...path: readonly string[]): JsonArray {
	const found = at(value, ...path);
	return isArray(found) ? found : [];
}

/**
 * A copy with the value at a path set, or removed if `undefined`. Missing objects on the path are
 * created.
 */
export function withAt(value: JsonObject, path: readonly string[], item: JsonValue | undefined): JsonObject {
	const [name, ...rest] = path;
	if (name === undefined) return value;
	if (rest.length > 0) {
		const child = at(value, name);
		if (item === undefined && !isObject(child)) return value;
		return { ...value, [name]: withAt(isObject(child) ? child : {}, rest, item) };
	}
	if (item !== undefined) return { ...value, [name]: item };
	if (!Object.hasOwn(value, name)) return value;
	const { [name]: _, ...others } = value;
	return others;
}

/**
 * Compares two JSON values. The order of members is ignored, and `undefined` members count as
 * absent.
 */
export function sameJson(left: JsonValue | undefined, right: JsonValue | undefined): boolean {
	if (left === right) return true;
	if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
	if (isArray(left))
		return isArray(right) && left.length === right.length && left.every((item, index) => sameJson(item, right[index]));
	if (!isObject(left) || !isObject(right)) return false;
	const defined = (value: JsonObject) => Object.keys(value).filter((key) => value[key] !== undefined);
	const keys = defined(left);
	return (
		keys.length === defined(right).length &&
		keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
	);
}
