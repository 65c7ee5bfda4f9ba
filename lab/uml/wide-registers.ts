import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findCommand } from './detect.ts';
import { UmlError } from './errors.ts';

/** The source stands beside this file's own: `dist/lab/uml` is compiled from `lab/uml`. */
const source = fileURLToPath(new URL('../../../lab/uml/wide-registers.c', import.meta.url));

/** Compiles what user-mode-linux is to preload on such a processor into `folder` (a tenth of a second); gives its path. @throws UmlError without a C compiler */
export async function compileWideRegisters(folder: string): Promise<string> {
	const compiler = findCommand('gcc');
	if (compiler === undefined) throw new UmlError('missing', 'this processor has AMX, and user-mode-linux needs help with it; install: gcc libc6-dev');
	const library = join(folder, 'wide-registers.so');
	await promisify(execFile)(compiler, ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', library, source]);
	return library;
}
