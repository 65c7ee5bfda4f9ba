import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, stop } from '../commands.ts';

/** Named processes with a log file each; they stop with this process even if that is killed. */
export class Processes {
	readonly #folder: string;
	readonly #running = new Map<string, ChildProcess>();

	/** @param folder where the logs go */
	constructor(folder: string) {
		this.#folder = folder;
	}

	logFile(name: string): string {
		return join(this.#folder, `${name}.log`);
	}

	/** Starts `command`, its output in the log file. */
	start(name: string, command: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
		const log = openSync(this.logFile(name), 'a');
		const bound = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
		const [program = '', ...args] = [...bound, ...command];
		const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true, env });
		child.on('error', () => {});
		closeSync(log);
		this.#running.set(name, child);
		return child;
	}

	/** The last lines of a process that has exited; `undefined` while it runs. */
	lastLinesOf(name: string): string | undefined {
		const child = this.#running.get(name);
		if (child !== undefined && isRunning(child)) return undefined;
		return readFileSync(this.logFile(name), 'utf8').trimEnd().split('\n').slice(-8).join('\n');
	}

	async stop(name: string, patienceMs?: number): Promise<void> {
		const child = this.#running.get(name);
		if (child !== undefined) await stop(child, patienceMs);
		this.#running.delete(name);
	}

	/** Kills one process at once, as in a crash. */
	async kill(name: string): Promise<void> {
		const child = this.#running.get(name);
		if (child === undefined || !isRunning(child)) return;
		const gone = new Promise((resolve) => child.once('exit', resolve));
		child.kill('SIGKILL');
		await gone;
		this.#running.delete(name);
	}

	/** Stops all, the last one first. */
	async stopAll(): Promise<void> {
		for (const name of [...this.#running.keys()].reverse()) await this.stop(name);
	}
}
