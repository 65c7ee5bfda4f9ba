import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { enter, type PeerAge, testedAge } from '../../../lab/debian.ts';

const execute = promisify(execFile);

/**
 * A daemon as a child of the test: stopped by its pid, its output in a file, stopped with the test
 * process even if that is killed.
 */
export class DaemonProcess {
	readonly #child: ChildProcess;
	readonly #logFile: string;

	constructor(
		command: readonly string[],
		logFile: string,
		{
			namespace,
			cwd,
			env = {},
			age = testedAge,
		}: { namespace?: string | undefined; cwd?: string; env?: NodeJS.ProcessEnv; age?: PeerAge } = {},
	) {
		const entered = enter(age, command, cwd === undefined ? {} : { folder: cwd });
		const inside = namespace === undefined ? entered : ['ip', 'netns', 'exec', namespace, ...entered];
		const [program = '', ...args] = ['setpriv', '--pdeathsig', 'KILL', ...inside];
		const log = openSync(logFile, 'a');
		this.#child = spawn(program, args, {
			stdio: ['ignore', log, log],
			detached: true,
			env: { ...process.env, ...env },
			...(cwd === undefined ? {} : { cwd }),
		});
		closeSync(log);
		this.#logFile = logFile;
	}

	get running(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}

	get pid(): number {
		return this.#child.pid ?? 0;
	}

	log(): string {
		return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : '';
	}

	/** Stops it and all its children: a daemon leads a process group. */
	async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
		const gone = this.running
			? new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
			: Promise.resolve();
		if (signal === 'SIGTERM') this.#child.kill('SIGTERM');
		else this.#killGroup();
		const timer = setTimeout(() => this.#killGroup(), 5000);
		await gone;
		clearTimeout(timer);
		this.#killGroup();
	}

	#killGroup(): void {
		try {
			process.kill(-this.pid, 'SIGKILL');
		} catch {
			// No process of the group is left.
		}
	}
}

/** Standard output of a command; empty if it fails, as control sockets do before a daemon is up. */
export async function outputOf(command: string, args: readonly string[], namespace?: string): Promise<string> {
	const entered = enter(testedAge, [command, ...args]);
	const [program = '', ...rest] = namespace === undefined ? entered : ['ip', 'netns', 'exec', namespace, ...entered];
	try {
		const { stdout } = await execute(program, rest, { maxBuffer: 64 * 1024 * 1024, timeout: 10_000 });
		return stdout;
	} catch {
		return '';
	}
}

/**
 * The same, parsed as JSON; `undefined` if there is none. The caller names the shape that the
 * daemon documents.
 */
export async function jsonOf<T>(command: string, args: readonly string[], namespace?: string): Promise<T | undefined> {
	const text = await outputOf(command, args, namespace);
	if (text.trim() === '') return undefined;
	return JSON.parse(text) as T;
}
