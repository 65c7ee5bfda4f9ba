import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOptions } from './options.ts';
import type { LabEvent, LabReport } from './report.ts';
import { runSequence } from './sequence.ts';
import { labTopology } from './topology.ts';

/** A run in the kernel that this process has. */
export interface HereOptions extends RunOptions {
	readonly kernel: LabReport['kernel'];
	/** The command that starts a daemon, `--config FILE` aside. */
	readonly daemon: readonly string[];
	/** The commands `bgpmesh` and `bgpmesh-ipam`. */
	readonly cli: readonly string[];
	readonly plugin: readonly string[];
	readonly guard: boolean;
	readonly signal: AbortSignal;
	readonly emit: (event: LabEvent) => void;
	/** Called when the folder with sockets and logs is there. */
	readonly onPlace?: (place: LabPlace) => Promise<void>;
}

/** Where a running laboratory can be found. */
export interface LabPlace {
	readonly prefix: string;
	readonly folder: string;
}

/** Runs the laboratory in network namespaces of the present kernel; nothing of it is left afterwards. @throws CommandError, AbortError */
export async function runHere(options: HereOptions): Promise<LabReport> {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-lab-state-'));
	const prefix = `bgpmesh-${process.pid}-`;
	try {
		await options.onPlace?.({ prefix, folder });
		const cluster = options.static ? undefined : { cli: options.cli, plugin: options.plugin };
		return await runSequence({ ...options, cluster, topology: labTopology(options.mode), prefix, folder });
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}
