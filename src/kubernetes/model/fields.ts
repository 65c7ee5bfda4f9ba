import type { JsonObject, JsonValue } from '../json/index.ts';
import { isArray, isObject } from '../json/index.ts';

/** Reads members of one type from an object; `undefined` (or the default) where absent, null or of another type. */
export const textOf = (object: JsonObject, key: string): string | undefined => (typeof object[key] === 'string' ? object[key] : undefined);
export const flagOf = (object: JsonObject, key: string): boolean => object[key] === true;
export const flagOr = (object: JsonObject, key: string, otherwise: boolean): boolean => (typeof object[key] === 'boolean' ? object[key] : otherwise);

/** An integer that fits a double; Calico's ints and int64s that are small by nature. */
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

/** The objects in a list; anything else in it is passed over. */
export function objectsOf(object: JsonObject, key: string): readonly JsonObject[] {
	const value = object[key];
	return isArray(value) ? value.filter(isObject) : [];
}

/** The text in a list. */
export function textsOf(object: JsonObject, key: string): readonly string[] {
	const value = object[key];
	return isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** An integer as small as it can be: JSON knows no difference, and `number` is cheaper. */
export const smallest = (value: bigint): JsonValue =>
	value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value;
