import { type ChildProcess, spawn } from 'node:child_process';
import {
	chmodSync,
	chownSync,
	closeSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { enter, pathAt } from '../lab/debian.ts';
import type { Launch, Subject, SubjectOptions } from './types.ts';

/** A subject exited, or never listened; `log` is the end of its output. */
export class SubjectFailedError extends Error {
	override readonly name = 'SubjectFailedError';
	readonly log: string;

	constructor(message: string, log: string) {
		super(`${message}: ${reasonIn(log)}`);
		this.log = log;
	}
}

/** The line of a log that names the reason of a failed start. */
export function reasonIn(log: string): string {
	const lines = log.split('\n').filter((line) => line.trim() !== '');
	const telling = lines.find((line) =>
		/fatal|error|cannot|can't|unable|failed|no such|denied|invalid|unknown/i.test(line),
	);
	return (telling ?? lines.at(-1) ?? 'it wrote nothing').trim();
}

const nobody = 65534;
const ticksPerSecond = 100;
/** Also the precision of the time of a start. */
const listenPollMs = 20;

/**
 * A started subject. Its figures come from /proc and count its children too (OpenBGPD has three
 * processes).
 */
export class SubjectProcess {
	readonly #process: ChildProcess;
	readonly #logFile: string;
	readonly #name: string;

	#start = { seconds: 0, cpuSeconds: 0 };

	private constructor(name: string, process: ChildProcess, logFile: string) {
		this.#name = name;
		this.#process = process;
		this.#logFile = logFile;
	}

	/** Writes its files, starts it, and waits until it listens. */
	static async start(subject: Subject, options: SubjectOptions, waitMs: number): Promise<SubjectProcess> {
		const launch = subject.launch(options);
		const unprivileged = launch.unprivileged === true && process.getuid?.() === 0;
		writeFiles(launch, options.folder, unprivileged);
		for (const folder of launch.folders ?? []) mkdirSync(pathAt(subject.age ?? 'host', folder), { recursive: true });
		const logFile = join(options.folder, 'log');
		const log = openSync(logFile, 'w');
		const { age = 'host' } = subject;
		const [command = '', ...args] = enter(age, [launch.command, ...launch.args], {
			folder: options.folder,
			...(unprivileged ? { user: nobody } : {}),
		});
		const startedAtMs = performance.now();
		const child = spawn(command, args, {
			cwd: options.folder,
			stdio: ['ignore', log, log],
			...(unprivileged && age === 'host' ? { uid: nobody, gid: nobody } : {}),
		});
		closeSync(log);
		const failed = new Promise<never>((_, reject) => child.on('error', reject));
		failed.catch(() => {});
		const started = new SubjectProcess(subject.name, child, logFile);
		const end = Date.now() + waitMs;
		try {
			while (!listens(options.address, options.port)) {
				if (child.exitCode !== null || child.signalCode !== null)
					throw new SubjectFailedError(`${subject.name} ended at once`, started.lastWords());
				if (Date.now() > end)
					throw new SubjectFailedError(
						`${subject.name} does not listen at ${options.address}:${options.port}`,
						started.lastWords(),
					);
				await Promise.race([sleep(listenPollMs), failed]);
			}
		} catch (error) {
			await started.stop();
			throw error;
		}
		const { cpuSeconds } = started.usage();
		started.#start = { seconds: (performance.now() - startedAtMs) / 1000, cpuSeconds };
		return started;
	}

	/** From the start of its process until it listened. */
	get start(): { readonly seconds: number; readonly cpuSeconds: number } {
		return this.#start;
	}

	/** CPU seconds so far, current and peak memory, of all its processes. */
	usage(): { cpuSeconds: number; rssBytes: number; peakRssBytes: number } {
		let cpuSeconds = 0;
		let rssBytes = 0;
		let peakRssBytes = 0;
		for (const pid of this.#pids()) {
			const status = read(`/proc/${pid}/status`);
			const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
			rssBytes += kib('VmRSS') * 1024;
			peakRssBytes += kib('VmHWM') * 1024;
			const fields = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
			cpuSeconds += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
		}
		return { cpuSeconds, rssBytes, peakRssBytes };
	}

	get running(): boolean {
		return this.#process.exitCode === null && this.#process.signalCode === null;
	}

	lastWords(): string {
		return read(this.#logFile).split('\n').slice(-12).join('\n');
	}

	/** SIGTERM, after 5 s SIGKILL, only to its processes. */
	async stop(): Promise<void> {
		const pids = this.#pids();
		if (!this.running || this.#process.pid === undefined) return;
		const ended = new Promise<void>((resolve) => this.#process.once('close', () => resolve()));
		this.#process.kill('SIGTERM');
		await Promise.race([ended, sleep(5000)]);
		for (const pid of pids) if (alive(pid, this.#name)) process.kill(pid, 'SIGKILL');
		await Promise.race([ended, sleep(2000)]);
	}

	#pids(): number[] {
		const { pid } = this.#process;
		return pid === undefined ? [] : [pid, ...children(pid)];
	}
}

function writeFiles({ files, mode }: Launch, folder: string, unprivileged: boolean): void {
	for (const [name, text] of Object.entries(files)) {
		writeFileSync(join(folder, name), text);
		chmodSync(join(folder, name), mode ?? 0o644);
	}
	if (unprivileged) chownSync(folder, nobody, nobody);
}

function read(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}

/** The number of an exited process may be in use by another one. */
function alive(pid: number, name: string): boolean {
	const command = read(`/proc/${pid}/cmdline`);
	return command !== '' && (command.includes(name) || command.includes('bgpd') || children(process.pid).includes(pid));
}

function children(pid: number): number[] {
	const direct = readdirSync('/proc')
		.filter((entry) => /^\d+$/.test(entry))
		.filter((entry) => read(`/proc/${entry}/stat`).split(') ')[1]?.split(' ')[1] === String(pid))
		.map(Number);
	return direct.flatMap((child) => [child, ...children(child)]);
}

/** Does a socket listen there? The kernel's table shows it without a connection. */
function listens(address: string, port: number): boolean {
	const bytes = address.split('.').map(Number).reverse();
	const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
	const at = (where: string) => `${where}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
	const listening = (table: string, wanted: readonly string[]) =>
		read(table)
			.split('\n')
			.some((line) => {
				const [, local = '', , state] = line.trim().split(/\s+/);
				return state === '0A' && wanted.includes(local);
			});
	return listening('/proc/net/tcp', [at(hex)]) || listening('/proc/net/tcp6', [at(`0000000000000000FFFF0000${hex}`)]);
}
