import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';

/** A command of the laboratory failed. */
export class CommandError extends Error {
	override readonly name = 'CommandError';
	readonly status: number | null;

	constructor(command: string, status: number | null, output: string) {
		super(`${command} ended with status ${status}: ${output.trim()}`);
		this.status = status;
	}
}

/** The result of a completed command. */
export interface CommandResult {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/**
 * Runs a command to its end; any status resolves. It is outside of the terminal's process group:
 * Ctrl-C is for this process only, and must not stop cleanup commands.
 */
export function run(command: string, args: readonly string[], input = ''): Promise<CommandResult> {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
		const texts = { stdout: '', stderr: '' };
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			texts.stdout += text;
		});
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			texts.stderr += text;
		});
		child.stdin.on('error', () => {});
		child.stdin.end(input);
		child.on('error', reject);
		child.on('close', (status) => resolve({ status, ...texts }));
	});
}

/** The same, for a command that must succeed; returns its output. @throws CommandError */
export async function must(command: string, args: readonly string[], input = ''): Promise<string> {
	const { status, stdout, stderr } = await run(command, args, input);
	if (status !== 0) throw new CommandError([command, ...args].join(' '), status, stderr || stdout);
	return stdout;
}

/**
 * Starts a daemon in a network namespace, its output in a file. It stops with this process even if
 * that is killed, and otherwise when the caller stops it; it is the process itself, not a shell
 * around it.
 */
export function startIn(
	namespace: string,
	command: readonly string[],
	logFile: string,
	env: NodeJS.ProcessEnv = process.env,
): ChildProcess {
	const log = openSync(logFile, 'a');
	const orphanless = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
	const [program = '', ...args] = [...orphanless, 'ip', 'netns', 'exec', namespace, ...command];
	const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true, env });
	closeSync(log);
	return child;
}

/** Does the process still exist? */
export const isRunning = (child: ChildProcess): boolean =>
	child.exitCode === null && child.signalCode === null && child.pid !== undefined;

/** Stops a process with SIGTERM, after `patienceMs` with SIGKILL, and waits until it has exited. */
export async function stop(child: ChildProcess, patienceMs = 3000): Promise<void> {
	if (!isRunning(child)) return;
	const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
	child.kill('SIGTERM');
	const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
	await gone;
	clearTimeout(timer);
}

/** Removes network namespaces at once, without waiting in between; for the exit. */
export function removeNamespaces(namespaces: readonly string[]): void {
	spawnSync('ip', ['-force', '-batch', '-'], {
		input: namespaces.map((name) => `netns del ${name}\n`).join(''),
		stdio: ['pipe', 'ignore', 'ignore'],
	});
}
