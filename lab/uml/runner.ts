import { type ChildProcess, spawn } from 'node:child_process';
import { type FileHandle, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findCommand, machineHasWideRegisters, missingUmlPackages, systemPath } from './detect.ts';
import { UmlError } from './errors.ts';
import { initScript, jobFiles } from './init-script.ts';
import { compileWideRegisters } from './wide-registers.ts';

/** One command inside user-mode-linux. */
export interface UmlOptions {
	/** Found through PATH inside, which is the host's file system. */
	readonly command: string;
	readonly args?: readonly string[];
	/** Default: the present folder. */
	readonly cwd?: string;
	/** Added to a small environment (PATH, HOME, LANG, TMPDIR); the caller's own is not passed on. */
	readonly env?: Readonly<Record<string, string>>;
	/** Default 1024. It is taken from the host as it is used. */
	readonly memoryMiB?: number;
	/** Kernel modules to load first; default ipip, veth, vxlan, bridge and dummy. Others load by themselves where the kernel asks. */
	readonly modules?: readonly string[];
	/** Existing host folders that the command may write to; everything else of the host is read-only. */
	readonly writable?: readonly string[];
	/** Host folders shadowed by a copy in memory: fast to read, writable, lost at the end. Copying costs time, so name small ones. */
	readonly inMemory?: readonly string[];
	/** What the command writes, as it writes it. */
	readonly onOutput?: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
	/** Default 300, from the start of the kernel. */
	readonly timeoutSeconds?: number;
	readonly signal?: AbortSignal;
}

export interface UmlResult {
	/** Of the command, as a shell reports it: 128 and the signal's number when a signal ended it. */
	readonly exitCode: number;
	/** What the kernel said on its console. */
	readonly kernelLog: string;
}

const defaultModules = ['ipip', 'veth', 'vxlan', 'bridge', 'dummy'];
const pollMs = 40;

/**
 * Boots user-mode-linux, runs the command as root on the host's files, and powers off. Nothing is left: the process
 * group is killed on timeout, abort and when this process ends.
 * @throws UmlError when the command did not come to its end: a package is missing, time is up, aborted, the kernel crashed
 */
export async function runInUml(options: UmlOptions): Promise<UmlResult> {
	const missing = missingUmlPackages();
	if (missing.length > 0) throw new UmlError('missing', `user-mode-linux cannot run here; install: ${missing.join(' ')}`);
	if (options.signal?.aborted) throw new UmlError('aborted', 'aborted before the start');
	const job = await mkdtemp(join(tmpdir(), 'bgpmesh-uml-'));
	try {
		return await runJob(job, options);
	} finally {
		await rm(job, { recursive: true, force: true });
	}
}

async function runJob(job: string, options: UmlOptions): Promise<UmlResult> {
	const { command, args = [], cwd = process.cwd(), env = {}, modules = defaultModules, writable = [], inMemory = [], memoryMiB = 1024 } = options;
	await writeFile(join(job, jobFiles.init), initScript({ job, command, args, cwd, env, modules, writable, inMemory }), { mode: 0o755 });
	const preload = machineHasWideRegisters() ? await compileWideRegisters(job) : undefined;
	const followers = await Promise.all(
		(['stdout', 'stderr'] as const).map((stream) => follow(join(job, jobFiles[stream]), (chunk) => options.onOutput?.(stream, chunk))),
	);
	const child = boot(job, memoryMiB, preload);
	const kill = () => killGroup(child);
	process.once('exit', kill);
	const ended = whenEnded(child);
	let failure: 'timeout' | 'aborted' | undefined;
	const stop = (reason: 'timeout' | 'aborted') => {
		failure ??= reason;
		kill();
	};
	const timeoutSeconds = options.timeoutSeconds ?? 300;
	const timer = setTimeout(() => stop('timeout'), timeoutSeconds * 1000);
	const onAbort = () => stop('aborted');
	options.signal?.addEventListener('abort', onAbort);
	const polling = new AbortController();
	const polled = poll(followers, polling.signal);
	try {
		const kernelLog = await ended;
		const exitCode = await readExitCode(join(job, jobFiles.exitCode));
		// A command that reached its end in time stands, whatever came while the kernel powered off.
		if (exitCode !== undefined) return { exitCode, kernelLog };
		if (failure === 'timeout') throw new UmlError('timeout', `${command} did not end within ${timeoutSeconds} s`, kernelLog);
		if (failure === 'aborted') throw new UmlError('aborted', `${command} was aborted`, kernelLog);
		throw new UmlError('crashed', `user-mode-linux stopped before ${command} ended`, kernelLog);
	} finally {
		clearTimeout(timer);
		options.signal?.removeEventListener('abort', onAbort);
		process.off('exit', kill);
		kill();
		polling.abort();
		await polled;
		for (const follower of followers) await follower.close();
	}
}

/**
 * Becomes the kernel, and leaves behind a process of its group that waits for our end of a pipe to close: when we are
 * gone, however we went, the whole group goes.
 */
const bootScript = 'exec 3<&0; (cat <&3 > /dev/null; kill -KILL 0) & exec 3<&-; exec "$@" < /dev/null';

function boot(job: string, memoryMiB: number, preload: string | undefined): ChildProcess {
	const kernel = findCommand('linux.uml') ?? 'linux.uml';
	const args = [
		`mem=${memoryMiB}M`,
		'rootfstype=hostfs',
		'rootflags=/',
		'ro',
		`init=${join(job, jobFiles.init)}`,
		'quiet',
		'panic=1',
		'random.trust_cpu=1',
		'con=null',
		'con0=null,fd:2',
		'ssl=null',
		`uml_dir=${job}`,
		'umid=console',
	];
	return spawn('/bin/sh', ['-c', bootScript, 'sh', kernel, ...args], {
		detached: true,
		stdio: ['pipe', 'ignore', 'pipe'],
		// Its memory is a file; on a disk it would be slow.
		env: { PATH: systemPath, HOME: job, TMPDIR: '/dev/shm', ...(preload === undefined ? {} : { LD_PRELOAD: preload }) },
	});
}

/** Resolves with the console's text when the kernel has gone. */
function whenEnded(child: ChildProcess): Promise<string> {
	return new Promise((resolve, reject) => {
		let log = '';
		child.stderr?.setEncoding('utf8').on('data', (text: string) => {
			log = (log + text).slice(-65536);
		});
		child.once('error', (error) => reject(new UmlError('crashed', `linux.uml did not start: ${error.message}`)));
		child.once('exit', () => {
			// Processes of the kernel that outlive it hold the pipe open: they are killed, and 'close' is not waited for.
			killGroup(child);
			setImmediate(() => resolve(log));
		});
	});
}

function killGroup(child: ChildProcess): void {
	if (child.pid === undefined) return;
	try {
		process.kill(-child.pid, 'SIGKILL');
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
	}
}

async function readExitCode(path: string): Promise<number | undefined> {
	const text = await readFile(path, 'utf8').catch(() => '');
	return /^\d+\n$/.test(text) ? Number(text) : undefined;
}

/** Hands on what is appended to a file. */
interface Follower {
	drain(): Promise<void>;
	close(): Promise<void>;
}

async function follow(path: string, onChunk: (chunk: Uint8Array) => void): Promise<Follower> {
	const file: FileHandle = await open(path, 'a+');
	let position = 0;
	const drain = async () => {
		for (;;) {
			const { bytesRead, buffer } = await file.read({ buffer: new Uint8Array(65536), position });
			if (bytesRead === 0) return;
			position += bytesRead;
			onChunk(buffer.subarray(0, bytesRead));
		}
	};
	return { drain, close: () => file.close() };
}

/** Drains the files until aborted, and once more then. inotify says nothing reliable about another kernel's writes. */
async function poll(followers: readonly Follower[], signal: AbortSignal): Promise<void> {
	while (!signal.aborted) {
		for (const follower of followers) await follower.drain();
		await pause(pollMs, undefined, { signal }).catch(() => undefined);
	}
	for (const follower of followers) await follower.drain();
}
