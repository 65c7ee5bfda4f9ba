import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { JsonObject } from '../json/index.ts';

/** The CustomResourceDefinitions of Calico's resources: `config/crds` of this package. */
export function packagedDefinitions(): JsonObject[] {
	let folder = dirname(fileURLToPath(import.meta.url));
	while (!existsSync(join(folder, 'config/crds')) && dirname(folder) !== folder) folder = dirname(folder);
	const definitions = join(folder, 'config/crds');
	// The files belong to this package: each contains one definition.
	return readdirSync(definitions)
		.filter((name) => name.endsWith('.yaml'))
		.map((name) => parse(readFileSync(join(definitions, name), 'utf8')) as JsonObject);
}
