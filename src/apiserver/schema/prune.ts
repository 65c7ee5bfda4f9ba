import { isArray, isObject, type JsonObject, type JsonValue } from '../../json/index.ts';
import { childPath, type Schema } from './schema.ts';

/** The pruned value, and the paths of the removed members. */
export interface Pruned {
	readonly value: JsonObject;
	readonly unknown: readonly string[];
}

/**
 * Removes members that the schema does not declare. Values of a wrong type are kept: validation
 * reports them.
 */
export function prune(schema: Schema, value: JsonObject): Pruned {
	const unknown: string[] = [];
	const pruned = pruneAt(schema, value, '', unknown);
	return { value: isObject(pruned) ? pruned : value, unknown };
}

const ofEveryResource = new Set(['apiVersion', 'kind', 'metadata']);

function pruneAt(schema: Schema, value: JsonValue, path: string, unknown: string[]): JsonValue {
	if (isArray(value)) {
		const { items } = schema;
		if (items === undefined) return value;
		let changed = false;
		const result = value.map((item, index) => {
			const kept = pruneAt(items, item, childPath(path, index), unknown);
			changed ||= kept !== item;
			return kept;
		});
		return changed ? result : value;
	}
	if (!isObject(value)) return value;
	const keepUnknown = schema.preservesUnknown;
	const entries: [string, JsonValue][] = [];
	let changed = false;
	for (const [name, member] of Object.entries(value)) {
		if (member === undefined) continue;
		const child = schema.member(name);
		if (child === undefined) {
			if (keepUnknown || (schema.embedded && ofEveryResource.has(name))) entries.push([name, member]);
			else {
				unknown.push(childPath(path, name));
				changed = true;
			}
			continue;
		}
		const kept = pruneAt(child, member, childPath(path, name), unknown);
		changed ||= kept !== member;
		entries.push([name, kept]);
	}
	return changed ? Object.fromEntries(entries) : value;
}
