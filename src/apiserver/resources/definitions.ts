import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isArray, isObject, type JsonObject, parseJson } from '../../json/index.ts';
import type { FieldRow, FieldTable } from '../protobuf/index.ts';
import type { Definitions } from '../schema/index.ts';

/** Definitions that allow undeclared members although their type is a plain object. */
const open = new Set(['io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1', 'io.k8s.apimachinery.pkg.runtime.RawExtension']);

/** Loads the schemas of the built-in kinds: each line of the file is `[NAME, SCHEMA]`. */
export function loadDefinitions(file: string = packageFile('schemas.ndjson')): Definitions {
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

/**
 * Loads the field numbers of the binary encoding: each line of the file is `[TYPE, {NUMBER: [NAME,
 * FLAGS]}]`.
 */
export function loadFieldTable(file: string = packageFile('protobuf.ndjson')): FieldTable {
	const table = new Map<string, ReadonlyMap<number, FieldRow>>();
	for (const line of readFileSync(file, 'utf8').split('\n')) {
		const entry = line === '' ? null : parseJson(line);
		if (!isArray(entry) || typeof entry[0] !== 'string') continue;
		const rows = Object.entries(isObject(entry[1]) ? entry[1] : {}).map(([number, row]): [number, FieldRow] => {
			const [name, flags] = isArray(row) ? row.map(String) : [];
			return [Number(number), { name: name ?? '', omitZero: flags === 'o', inline: flags === 'i' }];
		});
		table.set(entry[0], new Map(rows));
	}
	return table;
}

/** The definition of a kind. */
export function definitionOf(
	definitions: Definitions,
	group: string,
	version: string,
	kind: string,
): { name: string; raw: JsonObject } | undefined {
	for (const [name, raw] of definitions) {
		const kinds = raw['x-kubernetes-group-version-kind'];
		const [first] = isArray(kinds) ? kinds : [];
		if (isObject(first) && first['group'] === group && first['version'] === version && first['kind'] === kind)
			return { name, raw };
	}
	return undefined;
}

export const objectMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** A file in `config/kubernetes` of this package, for source and compiled code. */
function packageFile(name: string): string {
	for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
		const file = join(folder, 'config/kubernetes', name);
		if (existsSync(file)) return file;
		if (dirname(folder) === folder) throw new Error(`config/kubernetes/${name} is missing from this installation`);
	}
}
