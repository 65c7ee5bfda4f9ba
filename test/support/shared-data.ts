/**
 * Third-party data that tests read if it is present: `$BGPMESH_SHARED_DATA`, or `../shared/data`
 * beside the checkout. A test whose data is absent is skipped under its own title, with the missing
 * path.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';

const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The folder of the shared data, which may be absent. */
export const sharedDataFolder = process.env['BGPMESH_SHARED_DATA'] ?? resolve(checkout, '../shared/data');

/** The path of a file or folder of the shared data, `undefined` if it is absent. */
export function sharedDataPath(name: string): string | undefined {
	const path = join(sharedDataFolder, name);
	return existsSync(path) ? path : undefined;
}

/**
 * The files below a folder of the shared data whose names end in one of `endings`, relative to the
 * data's root; empty if it is absent.
 */
export function sharedDataFiles(folder: string, endings: readonly string[] = ['']): string[] {
	const path = sharedDataPath(folder);
	if (path === undefined) return [];
	return readdirSync(path, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
		.map((entry) => relative(sharedDataFolder, join(entry.parentPath, entry.name)))
		.sort();
}

/**
 * A test that needs one file of the shared data and is skipped without it. `body` gets the file's
 * path.
 */
export function dataTest(
	title: string,
	name: string,
	body: (t: ExecutionContext, path: string) => void | Promise<void>,
): void {
	const path = sharedDataPath(name);
	if (path === undefined)
		test.skip(`${title} (skipped: ${join(sharedDataFolder, name)} is not there; set BGPMESH_SHARED_DATA)`, () => {});
	else test(title, (t) => body(t, path));
}

/** One line of `vectors/*.jsonl`. */
export interface Vector {
	readonly id: string;
	/** Repository, path and line. */
	readonly source: string;
	readonly kind: 'message' | 'update-body' | 'open-body' | 'attribute-value' | 'fragment' | 'truncated-message';
	readonly hex: string;
	readonly scope: string;
	readonly class?: 'ok' | 'error';
	/** `code/subcode`. */
	readonly error?: string;
	readonly ctx: Readonly<Record<string, unknown>>;
	readonly expect?: Readonly<Record<string, unknown>>;
}

/** The vectors of a file at `path`. */
export function readVectors(path: string): Vector[] {
	const lines = readFileSync(path, 'utf8').split('\n');
	// The files' README specifies this shape.
	return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Vector);
}
