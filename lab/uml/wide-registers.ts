import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GuestError } from '../guest/index.ts';
import { findCommand } from './detect.ts';

/** The source is next to this file's source: `dist/lab/uml` is compiled from `lab/uml`. */
const source = fileURLToPath(new URL('../../../lab/uml/wide-registers.c', import.meta.url));

/**
 * Compiles the library that user-mode-linux preloads on such a processor into `folder` (a tenth of
 * a second); returns its path. @throws GuestError without a C compiler
 */
export async function compileWideRegisters(folder: string): Promise<string> {
	const compiler = findCommand('gcc');
	if (compiler === undefined)
		throw new GuestError(
			'missing',
			'this processor has AMX, and user-mode-linux needs help with it; install: gcc libc6-dev',
		);
	const library = join(folder, 'wide-registers.so');
	await promisify(execFile)(compiler, ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', library, source]);
	return library;
}
