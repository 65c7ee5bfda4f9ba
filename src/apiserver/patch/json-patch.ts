import { isArray, isObject, type JsonValue, sameJson } from '../../json/index.ts';
import { goKind } from './go-text.ts';

/**
 * A patch that can not be applied. `kind`: it is malformed, does not fit the object, or can not be
 * merged (items without key, unknown directives, an order that contradicts the list).
 */
export class PatchError extends Error {
	override readonly name = 'PatchError';
	readonly kind: 'malformed' | 'unfit' | 'unmergeable';

	constructor(kind: PatchError['kind'], message: string) {
		super(message);
		this.kind = kind;
	}
}

const unfit = (message: string): PatchError => new PatchError('unfit', message);

/** Applies RFC 6902: all operations, or none. @throws PatchError */
export function jsonPatch(document: JsonValue, patch: JsonValue): JsonValue {
	if (!isArray(patch))
		throw new PatchError(
			'malformed',
			`error decoding patch: json: cannot unmarshal ${goKind(patch)} into Go value of type []handlers.jsonPatchOp`,
		);
	let result = document;
	for (const operation of patch) {
		if (!isObject(operation) || typeof operation['op'] !== 'string' || typeof operation['path'] !== 'string') {
			throw unfit('an operation of a JSON patch has op and path');
		}
		const path = pointer(operation['path']);
		const from = typeof operation['from'] === 'string' ? pointer(operation['from']) : undefined;
		result = operate(result, operation['op'], path, operation['value'], from);
	}
	return result;
}

function operate(
	document: JsonValue,
	op: string,
	path: readonly string[],
	value: JsonValue | undefined,
	from: readonly string[] | undefined,
): JsonValue {
	const source = (): readonly string[] => {
		if (from === undefined) throw unfit(`${op} needs from`);
		return from;
	};
	switch (op) {
		case 'add':
			return edit(document, path, 'add', value ?? null);
		case 'replace':
			return edit(document, path, 'replace', value ?? null);
		case 'remove':
			return edit(document, path, 'remove', null);
		case 'copy':
			return edit(document, path, 'add', copied(document, source()));
		case 'move':
			return edit(edit(document, source(), 'remove', null), path, 'add', read(document, source()));
		case 'test':
			if (!sameJson(found(document, path) ?? null, value ?? null))
				throw unfit(`testing value /${path.join('/')} failed`);
			return document;
		default:
			throw unfit(`Unexpected kind: ${op}`);
	}
}

/** Parses a JSON pointer. RFC 6901. */
function pointer(text: string): string[] {
	if (text === '') return [];
	if (!text.startsWith('/')) throw new PatchError('malformed', `'${text}' is not a JSON pointer`);
	return text
		.slice(1)
		.split('/')
		.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function found(document: JsonValue, path: readonly string[]): JsonValue | undefined {
	let current: JsonValue | undefined = document;
	for (const step of path) {
		if (isArray(current)) current = current[indexOf(step, current.length - 1)];
		else if (isObject(current) && Object.hasOwn(current, step)) current = current[step];
		else return undefined;
	}
	return current;
}

/**
 * An absent member of an existing parent is copied as `null`, as in kube-apiserver, and can be
 * replaced in the same way.
 */
function copied(document: JsonValue, path: readonly string[]): JsonValue {
	read(document, path.slice(0, -1));
	return found(document, path) ?? null;
}

function read(document: JsonValue, path: readonly string[]): JsonValue {
	const value = found(document, path);
	if (value === undefined) throw unfit(`missing path /${path.join('/')}`);
	return value;
}

function indexOf(step: string, last: number): number {
	if (!/^(0|[1-9]\d*)$/.test(step) || Number(step) > last) throw unfit(`Unable to access invalid index: ${step}`);
	return Number(step);
}

function edit(
	document: JsonValue,
	path: readonly string[],
	how: 'add' | 'replace' | 'remove',
	value: JsonValue,
): JsonValue {
	const [step, ...rest] = path;
	if (step === undefined) return value;
	if (isArray(document)) {
		const items = [...document];
		if (rest.length > 0) {
			const index = indexOf(step, items.length - 1);
			items[index] = edit(items[index] ?? null, rest, how, value);
		} else if (how === 'add') items.splice(step === '-' ? items.length : indexOf(step, items.length), 0, value);
		else if (how === 'remove') items.splice(indexOf(step, items.length - 1), 1);
		else items[indexOf(step, items.length - 1)] = value;
		return items;
	}
	const child = isObject(document) && Object.hasOwn(document, step) ? document[step] : undefined;
	if (!isObject(document) || ((rest.length > 0 || how === 'remove') && child === undefined))
		throw unfit(`missing path at ${step}`);
	if (rest.length > 0) return { ...document, [step]: edit(child ?? null, rest, how, value) };
	if (how !== 'remove') return { ...document, [step]: value };
	const { [step]: _, ...others } = document;
	return others;
}
