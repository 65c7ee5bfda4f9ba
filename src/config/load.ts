import { readFile } from 'node:fs/promises';
import { ConfigError } from './errors.ts';
import { parseConfig } from './parse.ts';
import type { Config } from './resolve.ts';

/** Reads and parses a configuration file. @throws ConfigError, also where the file can't be read. */
export async function loadConfig(file: string): Promise<Config> {
	let text: string;
	try {
		text = await readFile(file, 'utf8');
	} catch (error) {
		const found =
			error instanceof Error && 'code' in error
				? { ENOENT: 'no such file', EACCES: 'no permission to read it', EISDIR: 'a folder' }[String(error.code)]
				: undefined;
		throw new ConfigError(file, [{ line: 0, column: 0, key: '', found: found ?? String(error), expected: 'a configuration file' }], { cause: error });
	}
	return parseConfig(text, file);
}
