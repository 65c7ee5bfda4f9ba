import type { JsonArray, JsonObject, JsonValue } from './types.ts';

/** Is it an object, as opposed to an array, a scalar, null or nothing? */
export function isObject(value: JsonValue | undefined): value is JsonObject {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Is it an array? Narrows read-only arrays too, which `Array.isArray` alone does not. */
export function isArray(value: JsonValue | undefined): value is JsonArray {
	return Array.isArray(value);
}

/** The value at a path of member names; `undefined` where there is none. */
export function at(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
	let current = value;
	for (const name of path) {
		if (!isObject(current) || !Object.hasOwn(current, name)) return undefined;
		current = current[name];
	}
	return current;
}

/** The text at a path; `undefined` where there is none or something else. */
export function textAt(value: JsonValue | undefined, ...path: readonly string[]): string | undefined {
	const found = at(value, ...path);
	return typeof found === 'string' ? found : undefined;
}

/** The object at a path; empty where there is none. */
export function objectAt(value: JsonValue | undefined, ...path: readonly string[]): JsonObject {
	const found = at(value, ...path);
	return isObject(found) ? found : {};
}

/** The array at a path; empty where there is none. */
export function arrayAt(value: JsonValue | undefined, ...path: readonly string[]): JsonArray {
	const found = at(value, ...path);
	return isArray(found) ? found : [];
}

/** A copy with the value at a path set, or removed when `undefined`; objects on the way are made as needed. */
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

/** Same JSON value; the order of members does not count, and `undefined` members are absent ones. */
export function sameJson(left: JsonValue | undefined, right: JsonValue | undefined): boolean {
	if (left === right) return true;
	if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
	if (isArray(left)) return isArray(right) && left.length === right.length && left.every((item, index) => sameJson(item, right[index]));
	if (!isObject(left) || !isObject(right)) return false;
	const defined = (value: JsonObject) => Object.keys(value).filter((key) => value[key] !== undefined);
	const keys = defined(left);
	return keys.length === defined(right).length && keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]));
}
