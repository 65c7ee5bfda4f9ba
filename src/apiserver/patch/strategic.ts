import {
	isArray,
	isObject,
	type JsonArray,
	type JsonObject,
	type JsonValue,
	sameJson,
	stringifyJson,
} from '../../json/index.ts';
import { anything, type Schema } from '../schema/index.ts';
import { goText } from './go-text.ts';
import { PatchError } from './json-patch.ts';

const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';
const retainKeys = '$retainKeys';
const directive = '$patch';

/**
 * Kubernetes' strategic merge patch. Works as a merge patch, except: lists with a merge key (or the
 * strategy `merge`) in the schema are merged item by item, and directives delete, replace, retain
 * and order. @throws PatchError
 */
export function strategicMergePatch(schema: Schema, document: JsonObject, patch: JsonObject): JsonObject {
	const how = patch[directive];
	if (how === 'replace') return plain(patch);
	if (how === 'delete') return {};
	if (how !== undefined && how !== 'merge')
		throw new PatchError('unmergeable', `unknown patch type: ${goText(how)} in map: ${goText(patch)}`);
	const members = new Map(Object.entries(document));
	const keep = patch[retainKeys];
	if (isArray(keep)) {
		if (Object.entries(patch).some(([name, value]) => value !== null && !name.startsWith('$') && !keep.includes(name)))
			throw new PatchError('malformed', 'invalid patch format of retainKeys');
		for (const name of members.keys()) if (!keep.includes(name)) members.delete(name);
	}
	for (const [name, value] of Object.entries(patch)) {
		if (value === undefined || name === directive || name === retainKeys || name.startsWith(orderPrefix)) continue;
		if (name.startsWith(deletePrefix)) {
			removePrimitives(members, name.slice(deletePrefix.length), value);
			continue;
		}
		if (value === null) {
			members.delete(name);
			continue;
		}
		const child = schema.member(name) ?? anything;
		const merged = mergeMember(child, members.get(name), value, patch[`${orderPrefix}${name}`]);
		if (merged === undefined) members.delete(name);
		else members.set(name, merged);
	}
	orderOnly(schema, members, patch);
	return Object.fromEntries(members);
}

function mergeMember(
	schema: Schema,
	current: JsonValue | undefined,
	value: JsonValue,
	order: JsonValue | undefined,
): JsonValue | undefined {
	if (isArray(value)) {
		if (!schema.patchStrategies.includes('merge')) return value;
		checkOrder(schema, value, isArray(order) ? order : undefined);
		// If the document has no list, the patch's list is taken unchanged, including items with
		// equal keys.
		if (!isArray(current)) return newList(schema, value);
		return mergeList(schema, current, value, isArray(order) ? order : undefined);
	}
	if (!isObject(value)) return value;
	if (value[directive] === 'delete') return undefined;
	// The strategy `replace` takes the object unchanged.
	if (schema.patchStrategies.includes('replace')) return plain(value);
	return strategicMergePatch(schema, isObject(current) ? current : {}, value);
}

/** Removes directives from a value that is new in the document: they have no target. */
function plain(value: JsonObject): JsonObject {
	const { [directive]: _, [retainKeys]: __, ...rest } = value;
	return Object.fromEntries(
		Object.entries(rest).filter(([name]) => !name.startsWith(orderPrefix) && !name.startsWith(deletePrefix)),
	);
}

const hasDirective = (item: JsonValue, how: string): boolean => isObject(item) && item[directive] === how;

function newList(schema: Schema, patch: JsonArray): JsonArray {
	return patch
		.filter(
			(item) =>
				!hasDirective(item, 'delete') &&
				!(hasDirective(item, 'replace') && isObject(item) && Object.keys(item).length === 1),
		)
		.map((item) => (isObject(item) ? strategicMergePatch(schema.items ?? anything, {}, item) : item));
}

/** The items of a patch must be in the order that its order directive gives. @throws PatchError */
function checkOrder({ mergeKey }: Schema, patch: JsonArray, order: JsonArray | undefined): void {
	if (order === undefined) return;
	const keyOf = (item: JsonValue) =>
		stringifyJson((mergeKey !== undefined && isObject(item) ? item[mergeKey] : item) ?? null);
	const items = patch.filter((item) => !hasDirective(item, 'delete') && !hasDirective(item, 'replace'));
	const wanted = order.map(keyOf);
	let place = 0;
	for (const item of items) {
		place = wanted.indexOf(keyOf(item), place) + 1;
		if (place === 0)
			throw new PatchError(
				'unmergeable',
				`The order in patch list:\n${goText(items)}\n doesn't match $setElementOrder list:\n${goText(order)}\n`,
			);
	}
}

function mergeList(schema: Schema, current: JsonArray, patch: JsonArray, order: JsonArray | undefined): JsonArray {
	const { mergeKey } = schema;
	if (mergeKey === undefined) {
		const merged = [...current, ...patch.filter((item) => !current.some((there) => sameJson(there, item)))];
		return ordered(merged, order ?? patch, (item) => stringifyJson(item), current);
	}
	const keyOf = (item: JsonValue): string => {
		const key = isObject(item) ? item[mergeKey] : undefined;
		if (key === undefined)
			throw new PatchError('unmergeable', `map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
		return stringifyJson(key);
	};
	if (patch.some((item) => isObject(item) && item[directive] === 'replace'))
		return patch.filter((item) => isObject(item) && item[directive] !== 'replace');
	const result = [...current];
	for (const item of patch) {
		if (!isObject(item)) throw new PatchError('malformed', 'a list that is merged by key holds objects');
		const key = keyOf(item);
		const index = result.findIndex((there) => keyOf(there) === key);
		const there = result[index];
		if (item[directive] === 'delete') {
			if (index >= 0) result.splice(index, 1);
		} else if (isObject(there)) result[index] = strategicMergePatch(schema.items ?? anything, there, item);
		else result.push(strategicMergePatch(schema.items ?? anything, {}, item));
	}
	return ordered(result, order ?? patch, keyOf, current);
}

/**
 * Sorts items by the order directive; unlisted items keep their position relative to their previous
 * neighbours.
 */
function ordered(items: JsonArray, order: JsonArray, keyOf: (item: JsonValue) => string, before: JsonArray): JsonArray {
	const wanted = order.map(keyOf);
	const rank = new Map(wanted.map((key, index) => [key, index]));
	const named = items
		.filter((item) => rank.has(keyOf(item)))
		.sort((left, right) => (rank.get(keyOf(left)) ?? 0) - (rank.get(keyOf(right)) ?? 0));
	const others = items.filter((item) => !rank.has(keyOf(item)));
	const places = new Map(before.map((item, index) => [keyOf(item), index]));
	const placeOf = (item: JsonValue) => places.get(keyOf(item));
	const result: JsonValue[] = [];
	for (const item of named) {
		const place = placeOf(item);
		// Unordered live items before this item stay before it.
		while (place !== undefined && others[0] !== undefined && (placeOf(others[0]) ?? 0) < place)
			result.push(...others.splice(0, 1));
		result.push(item);
	}
	return [...result, ...others];
}

/** A new order without other changes of the list. */
function orderOnly(schema: Schema, members: Map<string, JsonValue | undefined>, patch: JsonObject): void {
	for (const [name, order] of Object.entries(patch)) {
		if (!name.startsWith(orderPrefix) || !isArray(order)) continue;
		const member = name.slice(orderPrefix.length);
		const current = members.get(member);
		if (member in patch || !isArray(current)) continue;
		const { mergeKey } = schema.member(member) ?? anything;
		const keyOf = (item: JsonValue) =>
			stringifyJson((mergeKey !== undefined && isObject(item) ? item[mergeKey] : item) ?? null);
		members.set(member, ordered(current, order, keyOf, current));
	}
}

function removePrimitives(members: Map<string, JsonValue | undefined>, name: string, values: JsonValue): void {
	const current = members.get(name);
	if (isArray(current) && isArray(values)) {
		members.set(
			name,
			current.filter((item) => !values.some((value) => sameJson(item, value))),
		);
	}
}
