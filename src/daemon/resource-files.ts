import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ClusterAccessError } from '../cli/index.ts';
import {
	arrayAt,
	isObject,
	type JsonObject,
	JsonSyntaxError,
	type JsonValue,
	parseJson,
	textAt,
} from '../json/index.ts';

/** An object of a file. */
export interface FileObject {
	/** `pools.yaml`, and the number of the object in it. */
	readonly place: string;
	readonly object: JsonObject;
}

/**
 * The objects in files and folders (their `.yaml`, `.yml` and `.json`, by name, not recursive); `-`
 * is standard input. @throws ClusterAccessError
 */
export function readResourceFiles(paths: readonly string[]): FileObject[] {
	return paths.flatMap(filesAt).flatMap((file) => {
		const place = file === '-' ? 'standard input' : file;
		return parseResources(
			place,
			reading(file, () => readFileSync(file === '-' ? 0 : file, 'utf8')),
		);
	});
}

/**
 * The objects in a text of YAML documents or JSON, with lists flattened; integers keep all digits.
 * @throws ClusterAccessError with the line
 */
export function parseResources(place: string, text: string): FileObject[] {
	const objects = (/^\s*[{[]/.test(text) ? [fromJson(place, text)] : fromYaml(place, text)).flatMap(itemsOf);
	return objects.map((object, index) => {
		const which = objects.length === 1 ? place : `${place}, object ${index + 1}`;
		if (!isObject(object)) throw new ClusterAccessError(`${which}: expected an object with apiVersion and kind`);
		for (const path of [['apiVersion'], ['kind'], ['metadata', 'name']])
			if ((textAt(object, ...path) ?? '') === '')
				throw new ClusterAccessError(`${which}: ${path.join('.')} is missing`);
		return { place: which, object };
	});
}

function filesAt(path: string): string[] {
	if (path === '-' || !reading(path, () => statSync(path)).isDirectory()) return [path];
	const files = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name));
	if (files.length === 0) throw new ClusterAccessError(`${path}: there is no .yaml, .yml or .json file in this folder`);
	return files.sort().map((name) => join(path, name));
}

function reading<T>(path: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (!(error instanceof Error && 'code' in error)) throw error;
		throw new ClusterAccessError(`${path} can't be read: ${error.message}`, { cause: error });
	}
}

function fromJson(place: string, text: string): JsonValue {
	try {
		return parseJson(text);
	} catch (error) {
		if (!(error instanceof JsonSyntaxError)) throw error;
		throw new ClusterAccessError(`${place}: ${error.message}`, { cause: error });
	}
}

function fromYaml(place: string, text: string): JsonValue[] {
	return [...parseAllDocuments(text, { intAsBigInt: true, merge: true })].flatMap((document) => {
		const [error] = document.errors;
		if (error !== undefined) throw new ClusterAccessError(`${place}: ${error.message.trim()}`);
		// A value such as !has(x) is a tag in YAML, and would become an empty text.
		const tag = document.warnings.find(({ code }) => code === 'TAG_RESOLVE_FAILED');
		if (tag !== undefined)
			throw new ClusterAccessError(`${place}: ${tag.message.trim()}\nA value that begins with ! must be quoted.`);
		const value: unknown = document.toJS();
		return value === null || value === undefined ? [] : [toJson(value)];
	});
}

/** The parsed `yaml` document, with numbers as in `parseJson`; a date stays its original text. */
function toJson(value: unknown): JsonValue {
	if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
	if (Array.isArray(value)) return value.map(toJson);
	if (typeof value === 'object' && value !== null)
		return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
	return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number' ? value : null;
}

const itemsOf = (value: JsonValue): readonly JsonValue[] =>
	isObject(value) && (textAt(value, 'kind') ?? '').endsWith('List') && value['items'] !== undefined
		? arrayAt(value, 'items')
		: [value];
