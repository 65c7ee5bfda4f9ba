import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { compile } from './compile.ts';
import type { Answer } from './types.ts';

/** The load generator ended while a command waited for its response. */
export class GeneratorEndedError extends Error {
	override readonly name = 'GeneratorEndedError';
}

/**
 * The native load generator as a child process: one line to it, one line of JSON back. Its commands
 * are listed in `generator/main.c`.
 */
export class Generator {
	readonly #process: ChildProcess;
	readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
	#complaint = '';

	constructor() {
		this.#process = spawn(compile('generator'), [], { stdio: ['pipe', 'pipe', 'pipe'] });
		const { stdout, stderr } = this.#process;
		if (stdout !== null)
			createInterface({ input: stdout }).on('line', (line) =>
				this.#waiting.shift()?.resolve(JSON.parse(line) as Answer),
			);
		stderr?.on('data', (text) => {
			this.#complaint += text;
		});
		this.#process.on('error', (error) => this.#fail(error.message));
		this.#process.on('close', (code, signal) =>
			this.#fail(this.#complaint.trim() || `the load generator ended with ${signal ?? code}`),
		);
		this.#process.stdin?.on('error', () => {});
	}

	/** Commands are carried out in order; preparing ones may be sent without waiting. */
	tell(command: string): Promise<Answer> {
		return new Promise((resolve, reject) => {
			if (this.#process.exitCode !== null) {
				reject(new GeneratorEndedError(this.#complaint.trim()));
				return;
			}
			this.#waiting.push({ resolve, reject });
			this.#process.stdin?.write(`${command}\n`);
		});
	}

	/** Stops it; pending commands are rejected. */
	stop(): void {
		this.#process.kill('SIGKILL');
	}

	#fail(message: string): void {
		for (const { reject } of this.#waiting.splice(0)) reject(new GeneratorEndedError(message));
	}
}
