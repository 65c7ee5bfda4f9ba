import { isObject, type JsonValue } from '../../json/index.ts';

/** RFC 7386: members replace, objects merge, `null` removes. */
export function mergePatch(document: JsonValue | undefined, patch: JsonValue): JsonValue {
	if (!isObject(patch)) return patch;
	const members = new Map(Object.entries(isObject(document) ? document : {}));
	for (const [name, value] of Object.entries(patch)) {
		if (value === null) members.delete(name);
		else if (value !== undefined) members.set(name, mergePatch(members.get(name), value));
	}
	return Object.fromEntries(members);
}
