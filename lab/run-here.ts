import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOptions } from './options.ts';
import type { LabEvent, LabReport } from './report.ts';
import type { PoolMode } from './resources.ts';
import { scenarios } from './scenarios.ts';
import { runSequence } from './sequence.ts';
import { labTopology } from './topology.ts';

/** A run in the kernel of this process. */
export interface HereOptions extends Omit<RunOptions, 'kernel'> {
	readonly kernel: LabReport['kernel'];
	/** The command that starts a daemon, without `--config FILE`. */
	readonly daemon: readonly string[];
	/** The commands `bgpmesh` and `bgpmesh-ipam`. */
	readonly cli: readonly string[];
	readonly plugin: readonly string[];
	readonly guard: boolean;
	readonly poolMode: PoolMode;
	readonly convergeSeconds: number;
	readonly signal: AbortSignal;
	readonly emit: (event: LabEvent) => void;
	/** Called when the folder with sockets and logs exists. */
	readonly onPlace?: (place: LabPlace) => Promise<void>;
}

/** The record of a running laboratory. */
export interface LabPlace {
	readonly prefix: string;
	readonly folder: string;
}

/**
 * Runs the laboratory in network namespaces of the present kernel, and removes them afterwards.
 * @throws CommandError, AbortError
 */
export async function runHere(options: HereOptions): Promise<LabReport> {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-lab-state-'));
	const prefix = `bgpmesh-${process.pid}-`;
	try {
		await options.onPlace?.({ prefix, folder });
		const cluster = options.static ? undefined : { cli: options.cli, plugin: options.plugin };
		return await runSequence({
			...options,
			policy: options.scenarios.some((name) => scenarios[name]?.enforcesPolicy),
			cluster,
			topology: labTopology(options.mode),
			prefix,
			folder,
		});
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}
