import type { JsonObject, JsonValue } from '../../json/index.ts';
import { isArray, isObject } from '../../json/index.ts';

/**
 * Reads members of one type from an object; `undefined` (or the default) if absent, null or of
 * another type.
 */
export const textOf = (object: JsonObject, key: string): string | undefined =>
	typeof object[key] === 'string' ? object[key] : undefined;
export const flagOf = (object: JsonObject, key: string): boolean => object[key] === true;
export const flagOr = (object: JsonObject, key: string, otherwise: boolean): boolean =>
	typeof object[key] === 'boolean' ? object[key] : otherwise;

/** An integer that fits a double: Calico's ints, and small int64s. */
export function numberOf(object: JsonObject, key: string): number | undefined {
	const value = object[key];
	if (typeof value === 'number') return value;
	return typeof value === 'bigint' ? Number(value) : undefined;
}

/** A 64-bit integer, exactly. */
export function bigintOf(value: JsonValue | undefined): bigint | undefined {
	if (typeof value === 'bigint') return value;
	return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined;
}

/** The objects in a list; other items are skipped. */
export function objectsOf(object: JsonObject, key: string): readonly JsonObject[] {
	const value = object[key];
	return isArray(value) ? value.filter(isObject) : [];
}

/** The strings in a list. */
export function textsOf(object: JsonObject, key: string): readonly string[] {
	const value = object[key];
	return isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** Converts to `number` if possible: the JSON text is the same, and `number` is cheaper. */
export const smallest = (value: bigint): JsonValue =>
	value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value;

/**
 * Strict reader for members of a spec that must not be misread: absent or null is `undefined`,
 * another type or value is an error.
 */
export interface StrictFields {
	/** One of these words. */
	word<W extends string>(object: JsonObject, key: string, words: readonly W[]): W | undefined;
	text(object: JsonObject, key: string): string | undefined;
	/** An integer within these bounds (inclusive). */
	integer(object: JsonObject, key: string, least: number, most: number): number | undefined;
	/** A list, each item converted by `read`; absent is empty. */
	list<T>(object: JsonObject, key: string, read: (item: JsonValue, name: string) => T): readonly T[];
	/** An object; absent is `undefined`. */
	object(object: JsonObject, key: string): JsonObject | undefined;
	/** Fails for any other member. */
	only(object: JsonObject, keys: readonly string[]): void;
}

/**
 * Strict readers that call `fail` with a description of the error; `name` is the path of the
 * object.
 */
export function strictFields(name: string, fail: (problem: string) => never): StrictFields {
	const given = (object: JsonObject, key: string): JsonValue | undefined => object[key] ?? undefined;
	return {
		word(object, key, words) {
			const value = given(object, key);
			const word = words.find((candidate) => candidate === value);
			if (value !== undefined && word === undefined) fail(`${name}.${key} is none of ${words.join(', ')}`);
			return word;
		},
		text(object, key) {
			const value = given(object, key);
			if (value !== undefined && typeof value !== 'string') fail(`${name}.${key} is not text`);
			return typeof value === 'string' ? value : undefined;
		},
		integer(object, key, least, most) {
			const value = given(object, key);
			if (value === undefined) return undefined;
			if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
				return fail(`${name}.${key} is not an integer from ${least} to ${most}`);
			return value;
		},
		list(object, key, read) {
			const value = given(object, key);
			if (value === undefined) return [];
			if (!isArray(value)) return fail(`${name}.${key} is not a list`);
			return value.map((item, index) => read(item, `${name}.${key}[${index}]`));
		},
		object(object, key) {
			const value = given(object, key);
			if (value === undefined) return undefined;
			return isObject(value) ? value : fail(`${name}.${key} is not an object`);
		},
		only(object, keys) {
			const unknown = Object.keys(object).filter((key) => !keys.includes(key) && given(object, key) !== undefined);
			if (unknown.length > 0) fail(`${name} has ${unknown.join(', ')}, unknown to this version`);
		},
	};
}
