import { readFile } from 'node:fs/promises';
import { longestMd5KeyBytes } from '../../linux/index.ts';

/** A file without a usable key. */
export class Md5KeyError extends Error {
	override readonly name = 'Md5KeyError';
	readonly path: string;

	constructor(path: string, problem: string, cause?: unknown) {
		super(`${path}: ${problem}`, cause === undefined ? {} : { cause });
		this.path = path;
	}
}

/**
 * Reads the TCP MD5 key from a file: its first line, 1 to 80 bytes (RFC 2385, and the limit of the
 * kernel). @throws Md5KeyError
 */
export async function readMd5Key(path: string): Promise<string> {
	let text: string;
	try {
		text = await readFile(path, 'utf8');
	} catch (error) {
		throw new Md5KeyError(path, error instanceof Error ? error.message : 'cannot be read', error);
	}
	const [line = ''] = text.split(/\r?\n/, 1);
	const length = Buffer.byteLength(line);
	if (length === 0) throw new Md5KeyError(path, 'the first line is empty where a key is expected');
	if (length > longestMd5KeyBytes)
		throw new Md5KeyError(path, `the key has ${length} bytes, at most ${longestMd5KeyBytes} are possible`);
	return line;
}
