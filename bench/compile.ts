import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the repository: this file runs as `dist/bench/compile.js`. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const source = join(repository, 'bench/generator');
const programs = {
	generator: [
		'main.c',
		'common.c',
		'universe.c',
		'attributes.c',
		'routes.c',
		'seen.c',
		'session.c',
		'receive.c',
		'stream.c',
	],
	floor: ['floor.c', 'common.c'],
	'fib-writer': ['fib.c'],
} as const;

/** There is no C compiler. */
export class CompilerMissingError extends Error {
	override readonly name = 'CompilerMissingError';
}

const cacheFolder = (): string => join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bgpmesh-bench');

/**
 * Compiles the load generator, the null reflector or the writer of routes unless the same source
 * was compiled before; returns the path of the program.
 */
export function compile(program: keyof typeof programs): string {
	const hash = createHash('sha256');
	for (const file of readdirSync(source).sort()) hash.update(file).update(readFileSync(join(source, file)));
	const output = join(cacheFolder(), `${program}-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
	if (existsSync(output)) return output;
	const compiler = ['cc', 'gcc', 'clang'].find((name) =>
		(process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, name))),
	);
	if (compiler === undefined)
		throw new CompilerMissingError('the load generator is written in C: install gcc and libc6-dev');
	mkdirSync(cacheFolder(), { recursive: true });
	// Renamed when complete: two benchmarks may compile at the same time.
	const draft = `${output}.${process.pid}`;
	execFileSync(
		compiler,
		['-O2', '-march=native', '-std=gnu11', '-Wall', '-Wextra', '-o', draft, ...programs[program], '-lm'],
		{
			cwd: source,
			stdio: ['ignore', 'inherit', 'inherit'],
		},
	);
	renameSync(draft, output);
	return output;
}
