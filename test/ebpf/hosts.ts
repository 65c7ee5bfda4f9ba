import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { systemEnvironment } from '../../src/linux/index.ts';

const helper = join(dirname(fileURLToPath(import.meta.url)), 'inside/outside.js');
/** Where servers listen. */
export const [tcpPort, udpPort] = [8080, 5353] as const;

/** What a client saw, and what its server reported. */
export interface Answer {
	readonly server?: string;
	readonly client?: string;
	readonly peer?: string;
	readonly received?: number;
	readonly sent?: number;
	readonly error?: string;
}

/** A process in a network namespace, with servers at its addresses. */
export class Host {
	readonly #child: ChildProcess;
	readonly #answers: ((line: string) => void)[] = [];

	private constructor(child: ChildProcess) {
		this.#child = child;
		if (child.stdout === null) throw new Error('no output');
		createInterface({ input: child.stdout }).on('line', (line) => this.#answers.shift()?.(line));
	}

	static async start(t: ExecutionContext, namespace: string, addresses: readonly string[]): Promise<Host> {
		const words = ['netns', 'exec', namespace, process.execPath, helper, `${tcpPort},${udpPort}`, ...addresses];
		const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'], env: systemEnvironment() });
		const ended = new Promise((resolve) => child.once('close', resolve));
		t.teardown(async () => {
			child.kill('SIGKILL');
			await ended;
		});
		const host = new Host(child);
		await host.#next();
		return host;
	}

	#next(): Promise<string> {
		return new Promise((resolve) => this.#answers.push(resolve));
	}

	async ask(type: 'tcp' | 'udp', host: string, port: number, more: object = {}): Promise<Answer> {
		const answer = this.#next();
		this.#child.stdin?.write(`${JSON.stringify({ type, host, port, ...more })}\n`);
		return JSON.parse(await answer);
	}
}
