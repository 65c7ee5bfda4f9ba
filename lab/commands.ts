import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';

/** A command of the laboratory ended with an error. */
export class CommandError extends Error {
	override readonly name = 'CommandError';
	readonly status: number | null;

	constructor(command: string, status: number | null, output: string) {
		super(`${command} ended with status ${status}: ${output.trim()}`);
		this.status = status;
	}
}

/** What a command that ran to its end left. */
export interface CommandResult {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/**
 * Runs a command to its end, whatever its status. It is outside of the terminal's process group: Ctrl-C is for us, and what we run to
 * clean up must not be ended by it.
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

/** The same, for a command that must succeed; gives what it printed. @throws CommandError */
export async function must(command: string, args: readonly string[], input = ''): Promise<string> {
	const { status, stdout, stderr } = await run(command, args, input);
	if (status !== 0) throw new CommandError([command, ...args].join(' '), status, stderr || stdout);
	return stdout;
}

/**
 * Starts a daemon in a network namespace, its output in a file. It ends with us even where we are killed, and otherwise when
 * the caller says so; it is the process itself, not a shell around it.
 */
export function startIn(namespace: string, command: readonly string[], logFile: string, env: NodeJS.ProcessEnv = process.env): ChildProcess {
	const log = openSync(logFile, 'a');
	const orphanless = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
	const [program = '', ...args] = [...orphanless, 'ip', 'netns', 'exec', namespace, ...command];
	const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true, env });
	closeSync(log);
	return child;
}

/** Is the process still there? */
export const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined;

/** Ends a process with SIGTERM, after `patienceMs` with SIGKILL, and waits until it is gone. */
export async function stop(child: ChildProcess, patienceMs = 3000): Promise<void> {
	if (!isRunning(child)) return;
	const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
	child.kill('SIGTERM');
	const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
	await gone;
	clearTimeout(timer);
}

/** Removes network namespaces at once, without waiting in between; for the way out. */
export function removeNamespaces(namespaces: readonly string[]): void {
	spawnSync('ip', ['-force', '-batch', '-'], { input: namespaces.map((name) => `netns del ${name}\n`).join(''), stdio: ['pipe', 'ignore', 'ignore'] });
}
