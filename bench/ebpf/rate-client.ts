/** A process in a pod that makes short connections, one after the other, as fast as it can. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemEnvironment } from '../../src/linux/index.ts';
import type { PodNode } from './pod-node.ts';

const program = fileURLToPath(new URL('rate-main.js', import.meta.url));

export class RateClient {
	readonly #child: ChildProcess;
	readonly #answers: AsyncIterator<string>;

	constructor(node: PodNode) {
		const [command = '', ...within] = node.within('a');
		const { address, port } = node.target;
		const child = spawn(command, [...within, process.execPath, program, address, String(port)], {
			...{ stdio: ['pipe', 'pipe', 'inherit'], env: systemEnvironment() },
		});
		node.adopt(child.pid);
		this.#child = child;
		this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	}

	get pid(): number | undefined {
		return this.#child.pid;
	}

	/** Connections that were made and closed by the server. @throws Error if the process has ended */
	async run(seconds: number): Promise<number> {
		this.#child.stdin?.write(`${seconds}\n`);
		const { value, done } = await this.#answers.next();
		if (done === true) throw new Error('a client of the benchmark has ended');
		return Number(value);
	}

	async close(): Promise<void> {
		const { exitCode, signalCode } = this.#child;
		if (exitCode !== null || signalCode !== null) return;
		const ended = once(this.#child, 'exit');
		this.#child.kill('SIGKILL');
		await ended;
	}
}
