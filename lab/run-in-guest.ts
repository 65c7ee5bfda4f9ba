import { copyFile, cp } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type GuestKernel, runInGuest } from './guest/index.ts';
import type { InsideOptions } from './inside.ts';
import type { RunOptions } from './options.ts';
import type { LabEvent } from './report.ts';
import { scenarios } from './scenarios.ts';
import { bundle } from './uml/index.ts';

/** A run in a separate kernel. */
export interface InGuestOptions extends RunOptions {
	readonly guest: GuestKernel;
	/** See `HereOptions`. */
	readonly report: InsideOptions['kernel'];
	readonly guard: boolean;
	readonly poolMode: InsideOptions['poolMode'];
	readonly convergeSeconds: number;
	/** Exists; shared with that kernel. */
	readonly folder: string;
	/** Entry files of daemon and command line. */
	readonly daemonEntry: string;
	readonly cliEntry: string;
	readonly pluginEntry: string;
	readonly signal: AbortSignal;
	readonly emit: (event: LabEvent) => void;
}

/** The router, four nodes, the API server. */
const ownMemoryMiB = 1536;
const keptSeconds = 7 * 24 * 3600;

/** Runs the laboratory inside a guest and gives its exit code. @throws GuestError */
export async function runLabInGuest(options: InGuestOptions): Promise<number> {
	const { guest, folder, daemonEntry, cliEntry, pluginEntry, signal, emit, logs } = options;
	const here = dirname(fileURLToPath(import.meta.url));
	emit({ type: 'progress', text: `bundling the daemon and the laboratory for ${guest.name}` });
	// The bundles are in subfolders, like bin/ in the repository: they read the version next to
	// them.
	await copyFile(resolve(dirname(daemonEntry), '../package.json'), join(folder, 'package.json'));
	// The API server reads the schemas and definitions of resources in its parent folder.
	await cp(resolve(dirname(daemonEntry), '../config'), join(folder, 'config'), { recursive: true });
	const { mode, keep, json, scenarios: names } = options;
	const [main, daemon, cli, plugin] = await Promise.all([
		bundle(join(here, 'inside.js'), folder, 'inside'),
		bundle(daemonEntry, join(folder, 'daemon'), 'bgpmeshd'),
		keep || !options.static ? bundle(cliEntry, join(folder, 'cli'), 'bgpmesh') : '',
		options.static ? '' : bundle(pluginEntry, join(folder, 'plugin'), 'bgpmesh-ipam'),
	]);
	const inside: InsideOptions = {
		mode,
		kernel: options.report,
		guard: options.guard,
		poolMode: options.poolMode,
		convergeSeconds: options.convergeSeconds,
		static: options.static,
		keep,
		json,
		scenarios: names,
		...(logs === undefined ? {} : { logs }),
		folder,
		daemon: [process.execPath, daemon],
		cli: [process.execPath, cli],
		plugin: [process.execPath, plugin],
	};
	emit({ type: 'progress', text: `booting ${guest.name}, a kernel with IPIP` });
	let rest = '';
	const { exitCode } = await runInGuest(guest, {
		command: process.execPath,
		args: [main, JSON.stringify(inside)],
		cwd: folder,
		writable: logs === undefined ? [folder] : [folder, logs],
		timeoutSeconds: keep ? keptSeconds : (400 + 400 * names.length) * (guest.timeoutSeconds / 300),
		memoryMiB: ownMemoryMiB + Math.max(0, ...names.map((name) => scenarios[name]?.memoryMiB ?? 0)),
		signal,
		onOutput(stream, chunk) {
			if (stream === 'stderr') {
				process.stderr.write(chunk);
				return;
			}
			const lines = (rest + Buffer.from(chunk).toString()).split('\n');
			rest = lines.pop() ?? '';
			// Written by inside.ts, one event a line.
			for (const line of lines) emit(JSON.parse(line) as LabEvent);
		},
	});
	return exitCode;
}
