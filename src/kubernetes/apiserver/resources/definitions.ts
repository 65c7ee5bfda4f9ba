import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isArray, isObject, type JsonObject, parseJson } from '../../json/index.ts';
import { type Definitions, Schema } from '../schema/index.ts';

/** Members of these are anybody's, though the declared type is a plain object. */
const open = new Set(['io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1', 'io.k8s.apimachinery.pkg.runtime.RawExtension']);

/** The shapes of the built-in kinds: each line of the file is `[NAME, SCHEMA]`. */
export function loadDefinitions(file: string = definitionsFile()): Definitions {
	const lines = readFileSync(file, 'utf8')
		.split('\n')
		.filter((line) => line !== '');
	return new Map(
		lines.flatMap((line) => {
			const entry = parseJson(line);
			if (!isArray(entry)) return [];
			const [name, schema] = entry;
			if (typeof name !== 'string' || !isObject(schema)) return [];
			return [[name, open.has(name) ? { ...schema, 'x-kubernetes-preserve-unknown-fields': true } : schema] as const];
		}),
	);
}

/** The definition of a kind. */
export function definitionOf(definitions: Definitions, group: string, version: string, kind: string): { name: string; raw: JsonObject } | undefined {
	for (const [name, raw] of definitions) {
		const kinds = raw['x-kubernetes-group-version-kind'];
		const [first] = isArray(kinds) ? kinds : [];
		if (isObject(first) && first['group'] === group && first['version'] === version && first['kind'] === kind) return { name, raw };
	}
	return undefined;
}

/** ObjectMeta, for resources that declare their own schema. */
export function metadataSchema(definitions: Definitions): Schema {
	return new Schema({ $ref: objectMeta }, definitions);
}

export const objectMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** `config/kubernetes/schemas.ndjson` of the package this file belongs to, compiled or not. */
function definitionsFile(): string {
	for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
		const file = join(folder, 'config/kubernetes/schemas.ndjson');
		if (existsSync(file)) return file;
		if (dirname(folder) === folder) throw new Error('config/kubernetes/schemas.ndjson is missing from this installation');
	}
}
