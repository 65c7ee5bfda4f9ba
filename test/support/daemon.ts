import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { ControlClient } from '../../src/control/index.ts';
import { eventually } from './eventually.ts';

const bin = resolve(dirname(fileURLToPath(import.meta.url)), '../../../bin');

/** A process starts slowly on a busy machine. */
const patienceSeconds = 90;

/** Output and exit of a command. */
export interface Ended {
	readonly code: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs `bgpmesh` (or another file of `bin/`) to its end. */
export function run(
	file: 'bgpmesh.js' | 'bgpmeshd.js',
	given: readonly string[],
	environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
	return new Promise((resolve) => {
		const child = execFile(
			process.execPath,
			[join(bin, file), ...given],
			{ env: { ...process.env, ...environment } },
			(_error, stdout, stderr) => {
				resolve({ code: child.exitCode ?? -1, stdout, stderr });
			},
		);
	});
}

/**
 * A `bgpmeshd` in its own process, with its own folder, configuration file and socket. Stopped at
 * the end of the test.
 */
export class RunningDaemon {
	readonly folder = mkdtempSync(join(tmpdir(), 'bgpmesh-daemon-'));
	readonly configFile = join(this.folder, 'bgpmeshd.yaml');
	readonly socket = join(this.folder, 'control.sock');
	log = '';
	exitCode: number | null | undefined;
	#child: ChildProcess | undefined;
	#prefix: readonly string[] = [];

	/** Starts the daemon through another command, under a user that then owns its folder. */
	runAs(prefix: readonly string[], user: number): void {
		this.#prefix = prefix;
		chownSync(this.folder, user, user);
		chownSync(this.configFile, user, user);
	}

	/**
	 * Writes the configuration: `bgp` in YAML flow or block form under `bgp:`; FIB off unless
	 * `rest` has it, text log.
	 */
	configure(bgp: string, rest = 'fib: { enabled: false }'): void {
		writeFileSync(
			this.configFile,
			`node: test\nbgp:\n${bgp.replace(/^/gm, '  ')}\ncontrol: { socket: ${this.socket} }\nlog: { format: text }\n${rest}`,
		);
	}

	/** Starts, and waits until it is ready (or ended). */
	async start(t: ExecutionContext): Promise<this> {
		const [command = '', ...given] = [
			...this.#prefix,
			process.execPath,
			join(bin, 'bgpmeshd.js'),
			'--config',
			this.configFile,
		];
		const child = spawn(command, given, {
			stdio: ['ignore', 'inherit', 'pipe'],
		});
		this.#child = child;
		this.exitCode = undefined;
		this.log = '';
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			this.log += text;
		});
		child.once('close', (code) => {
			this.exitCode = code;
		});
		t.teardown(() => child.kill('SIGKILL'));
		await eventually(
			'the daemon is ready',
			() => this.log.includes(' ready ') || this.exitCode !== undefined,
			patienceSeconds,
		);
		return this;
	}

	signal(name: NodeJS.Signals): void {
		this.#child?.kill(name);
	}

	get pid(): number {
		return this.#child?.pid ?? 0;
	}

	async ended(): Promise<void> {
		await eventually('the daemon ended', () => this.exitCode !== undefined, patienceSeconds);
	}

	/** `bgpmesh ... --socket SOCKET`. */
	cli(...given: string[]): Promise<Ended> {
		return run('bgpmesh.js', [...given, '--socket', this.socket]);
	}

	/** The same with `--json`, parsed. */
	async ask(...given: string[]): Promise<unknown> {
		return JSON.parse((await this.cli(...given, '--json')).stdout);
	}

	/** Queries the socket (without a process each time) until the response matches. */
	async until<A>(
		what: string,
		question: (daemon: ControlClient) => Promise<A>,
		holds: (answer: A) => boolean,
	): Promise<A> {
		const client = new ControlClient(this.socket);
		const deadline = performance.now() + patienceSeconds * 1000;
		for (;;) {
			const answer = await question(client);
			if (holds(answer)) return answer;
			if (performance.now() > deadline)
				throw new Error(`waited ${patienceSeconds} s in vain until ${what}; the log:\n${this.log}`);
			await pause(20);
		}
	}
}
