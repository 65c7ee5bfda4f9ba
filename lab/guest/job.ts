import type { ChildProcess } from 'node:child_process';
import { type FileHandle, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { GuestError } from './errors.ts';
import { type GuestFiles, initScript, jobFiles } from './init-script.ts';

/** One command inside a guest. */
export interface GuestOptions {
	/** Found through PATH inside, which is the host's file system. */
	readonly command: string;
	readonly args?: readonly string[];
	/** Default: the present folder. */
	readonly cwd?: string;
	/**
	 * Added to a small environment (PATH, HOME, LANG, TMPDIR); the caller's own is not passed on.
	 */
	readonly env?: Readonly<Record<string, string>>;
	/** Default 1024. The host allocates it on use. */
	readonly memoryMiB?: number;
	/**
	 * Kernel modules to load first; default ipip, veth, vxlan, bridge and dummy. Others load
	 * automatically on request of the kernel.
	 */
	readonly modules?: readonly string[];
	/**
	 * Existing host folders that the command may write to; everything else of the host is
	 * read-only.
	 */
	readonly writable?: readonly string[];
	/**
	 * Host folders shadowed by a copy in memory: fast to read, writable, lost at the end. Copying
	 * costs time, so name small ones.
	 */
	readonly inMemory?: readonly string[];
	/** The output of the command, as it is written. */
	readonly onOutput?: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
	/** From the start of the kernel; the default depends on the kernel. */
	readonly timeoutSeconds?: number;
	readonly signal?: AbortSignal;
}

export interface GuestResult {
	/**
	 * Exit code of the command, as a shell reports it: 128 and the signal's number when a signal
	 * ended it.
	 */
	readonly exitCode: number;
	/** The output of the kernel on its console. */
	readonly kernelLog: string;
}

const defaultModules = ['ipip', 'veth', 'vxlan', 'bridge', 'dummy'];
const pollMs = 40;

/** A kernel in which a command can run. */
export interface GuestKernel {
	/** For messages: `user-mode-linux`. */
	readonly name: string;
	/** What must be installed first, as an instruction; `undefined`: it can run. */
	missing(): string | undefined;
	/** `writable`: the job's folder and all others that the command may write to. */
	files(writable: readonly string[]): GuestFiles;
	/** Seconds for everything, if the caller names none. */
	readonly timeoutSeconds: number;
	/**
	 * Starts the kernel as the leader of a process group that ends with its standard input; its
	 * console is standard output or error. The job's folder holds the init script.
	 */
	boot(
		job: string,
		options: { readonly memoryMiB: number; readonly writable: readonly string[] },
	): Promise<ChildProcess>;
}

/**
 * Boots the kernel, runs the command as root on the host's files, and powers off. No process is
 * left: the process group is killed on timeout, abort and when this process exits.
 * @throws GuestError if the command did not complete: a package is missing, timeout, aborted, the
 * kernel crashed
 */
export async function runInGuest(kernel: GuestKernel, options: GuestOptions): Promise<GuestResult> {
	const missing = kernel.missing();
	if (missing !== undefined) throw new GuestError('missing', `${kernel.name} cannot run here; ${missing}`);
	if (options.signal?.aborted) throw new GuestError('aborted', 'aborted before the start');
	const job = await mkdtemp(join(tmpdir(), 'bgpmesh-guest-'));
	try {
		return await runJob(kernel, job, options);
	} finally {
		await rm(job, { recursive: true, force: true });
	}
}

async function runJob(kernel: GuestKernel, job: string, options: GuestOptions): Promise<GuestResult> {
	const {
		command,
		args = [],
		cwd = process.cwd(),
		env = {},
		modules = defaultModules,
		writable = [],
		inMemory = [],
		memoryMiB = 1024,
	} = options;
	const files = kernel.files([job, ...writable]);
	const script = initScript({ job, command, args, cwd, env, modules, writable, inMemory, files });
	await writeFile(join(job, jobFiles.init), script, { mode: 0o755 });
	const followers = await Promise.all(
		(['stdout', 'stderr'] as const).map((stream) =>
			follow(join(job, jobFiles[stream]), (chunk) => options.onOutput?.(stream, chunk)),
		),
	);
	const child = await kernel.boot(job, { memoryMiB, writable: [job, ...writable] });
	const kill = () => killGroup(child);
	process.once('exit', kill);
	const ended = whenEnded(child);
	let failure: 'timeout' | 'aborted' | undefined;
	const stop = (reason: 'timeout' | 'aborted') => {
		failure ??= reason;
		kill();
	};
	const timeoutSeconds = options.timeoutSeconds ?? kernel.timeoutSeconds;
	const timer = setTimeout(() => stop('timeout'), timeoutSeconds * 1000);
	const onAbort = () => stop('aborted');
	options.signal?.addEventListener('abort', onAbort);
	const polling = new AbortController();
	const polled = poll(followers, polling.signal);
	try {
		const kernelLog = await ended;
		const exitCode = await readExitCode(join(job, jobFiles.exitCode));
		// The result of a completed command is valid; errors during the power-off do not count.
		if (exitCode !== undefined) return { exitCode, kernelLog };
		if (failure === 'timeout')
			throw new GuestError('timeout', `${command} did not end within ${timeoutSeconds} s`, kernelLog);
		if (failure === 'aborted') throw new GuestError('aborted', `${command} was aborted`, kernelLog);
		throw new GuestError('crashed', `${kernel.name} stopped before ${command} ended`, kernelLog);
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
 * Executes the kernel, and leaves a process of its group that waits until our end of a pipe closes:
 * when this process ends in any way, the whole group is killed.
 */
export const bootScript = 'exec 3<&0; (cat <&3 > /dev/null; kill -KILL 0) & exec 3<&-; exec "$@" < /dev/null';

/** Resolves with the console's text when the kernel has exited. */
function whenEnded(child: ChildProcess): Promise<string> {
	return new Promise((resolve, reject) => {
		let log = '';
		for (const stream of [child.stdout, child.stderr])
			stream?.setEncoding('utf8').on('data', (text: string) => {
				log = (log + text).slice(-65536);
			});
		child.once('error', (error) => reject(new GuestError('crashed', `the kernel did not start: ${error.message}`)));
		child.once('exit', () => {
			// Processes of the kernel that outlive it hold the pipe open: they are killed, and
			// 'close' is not waited for.
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

/** Passes on data appended to a file. */
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

/**
 * Reads the files until aborted, and once more then. inotify is not reliable for another kernel's
 * writes.
 */
async function poll(followers: readonly Follower[], signal: AbortSignal): Promise<void> {
	while (!signal.aborted) {
		for (const follower of followers) await follower.drain();
		await pause(pollMs, undefined, { signal }).catch(() => undefined);
	}
	for (const follower of followers) await follower.drain();
}
