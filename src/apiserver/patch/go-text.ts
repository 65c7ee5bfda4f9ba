import { isArray, isObject, type JsonValue } from '../../json/index.ts';

/**
 * Formats a JSON value as Go's `%v`, which kube-apiserver uses for parts of patches: `map[name:a
 * port:80]`, `[a b]`.
 */
export function goText(value: JsonValue | undefined): string {
	if (value === null || value === undefined) return '<nil>';
	if (isArray(value)) return `[${value.map(goText).join(' ')}]`;
	if (!isObject(value)) return String(value);
	const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
	return `map[${members.map(([name, member]) => `${name}:${goText(member)}`).join(' ')}]`;
}

/** The name of a JSON type in Go's parser. */
export function goKind(value: JsonValue): string {
	if (isArray(value)) return 'array';
	return typeof value === 'boolean' ? 'bool' : typeof value === 'bigint' ? 'number' : typeof value;
}
