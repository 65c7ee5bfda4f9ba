import { isArray, isObject, type JsonValue } from '../../json/index.ts';

/** A JSON value as Go's `%v` prints it, which is how kube-apiserver shows parts of patches: `map[name:a port:80]`, `[a b]`. */
export function goText(value: JsonValue | undefined): string {
	if (value === null || value === undefined) return '<nil>';
	if (isArray(value)) return `[${value.map(goText).join(' ')}]`;
	if (!isObject(value)) return String(value);
	const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
	return `map[${members.map(([name, member]) => `${name}:${goText(member)}`).join(' ')}]`;
}

/** What Go's parser calls a JSON value. */
export function goKind(value: JsonValue): string {
	if (isArray(value)) return 'array';
	return typeof value === 'boolean' ? 'bool' : typeof value === 'bigint' ? 'number' : typeof value;
}
