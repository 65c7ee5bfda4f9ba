import { on } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { nextTurn } from '../core/index.ts';
import { ConfigError } from './errors.ts';
import type { LoadRequest } from './load-worker.ts';
import { parseConfig } from './parse.ts';
import type { Config } from './resolve.ts';
import { ConfigAssembly, type ConfigPart } from './transfer.ts';

/**
 * Path of the configuration file unless `--config` names another file: the unit, the image and the
 * manifests use it, too.
 */
export const defaultConfigFile = '/etc/bgpmesh/bgpmeshd.yaml';

/** Reads and parses a configuration file. @throws ConfigError, also if the file can't be read */
export async function loadConfig(file: string): Promise<Config> {
	let text: string;
	try {
		text = await readFile(file, 'utf8');
	} catch (error) {
		const found =
			error instanceof Error && 'code' in error
				? { ENOENT: 'no such file', EACCES: 'no permission to read it', EISDIR: 'a folder' }[String(error.code)]
				: undefined;
		throw new ConfigError(
			file,
			[{ line: 0, column: 0, key: '', found: found ?? String(error), expected: 'a configuration file' }],
			{ cause: error },
		);
	}
	return text.length > mostInlineLength ? parseElsewhere(text, file) : parseConfig(text, file);
}

/** A text of this length is parsed in some 20 ms; a thread costs more than that. */
const mostInlineLength = 32 << 10;

/** Parses in a separate thread; the result is received in slices. @throws ConfigError */
async function parseElsewhere(text: string, fileName: string): Promise<Config> {
	const request: LoadRequest = { text, fileName };
	const worker = new Worker(new URL('./load-worker.js', import.meta.url), { workerData: request });
	const assembly = new ConfigAssembly();
	try {
		for await (const part of partsFrom(worker)) {
			switch (part.type) {
				case 'frame':
				case 'elements':
					assembly.add(part);
					await nextTurn();
					worker.postMessage('next');
					break;
				case 'end':
					return assembly.end();
				case 'refused':
					throw new ConfigError(fileName, part.problems);
				case 'failed':
					throw new Error(`parsing ${fileName} failed: ${part.message}`);
				default:
					part satisfies never;
			}
		}
		throw new Error(`parsing ${fileName} ended early`);
	} finally {
		await worker.terminate();
	}
}

/** The messages of a thread, until it ends. @throws the error of the thread */
async function* partsFrom(worker: Worker): AsyncGenerator<ConfigPart, void, void> {
	// It sends only messages of this type.
	for await (const [part] of on(worker, 'message', { close: ['exit'] }) as AsyncIterable<[ConfigPart]>) yield part;
}
