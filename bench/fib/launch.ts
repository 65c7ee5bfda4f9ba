import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../compile.ts';

/** How Node.js runs a program: its options, and variables of the environment. */
export interface Launch {
	readonly options: readonly string[];
	readonly env: Readonly<Record<string, string>>;
}

/** From the first line of a script: `#!/usr/bin/env -S NAME=value node --option`. Pure. */
export function launchOf(script: string): Launch {
	const words = (script.split('\n', 1)[0] ?? '').split(' ').slice(1);
	const assigned = words.flatMap((word) => {
		const [, name, value] = /^(\w+)=(.*)$/.exec(word) ?? [];
		return name === undefined || value === undefined ? [] : [[name, value] as const];
	});
	return { options: words.filter((word) => word.startsWith('--')), env: Object.fromEntries(assigned) };
}

/**
 * Runs this benchmark in a process as the daemon's own, whose options decide how long the garbage
 * collector stops it, and exits with its result. Returns in that process.
 */
export function runAsDaemon(): void {
	if (globalThis.gc !== undefined) return;
	const { options, env } = launchOf(readFileSync(join(repository, 'bin/bgpmeshd.js'), 'utf8'));
	const { status } = spawnSync(process.execPath, [...options, '--expose-gc', ...process.argv.slice(1)], {
		stdio: 'inherit',
		env: { ...process.env, ...env },
	});
	process.exit(status ?? 1);
}
