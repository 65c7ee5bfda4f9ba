/**
 * The laboratory inside a guest: one bundled file, started by `run-in-guest.ts` with its
 * options as JSON. Reports events as JSON lines on standard output.
 */
import type { RunOptions } from './options.ts';
import type { LabEvent } from './report.ts';
import { serveRequests } from './requests.ts';
import { type HereOptions, runHere } from './run-here.ts';

/** The options that the outside passes to the inside. */
export interface InsideOptions extends Omit<RunOptions, 'kernel'> {
	readonly kernel: HereOptions['kernel'];
	readonly guard: boolean;
	readonly poolMode: HereOptions['poolMode'];
	readonly convergeSeconds: number;
	/** Shared with the outside, writable. */
	readonly folder: string;
	readonly daemon: readonly string[];
	/** The command `bgpmesh`, for interactive use and for the API server. */
	readonly cli: readonly string[];
	/** The command `bgpmesh-ipam`. */
	readonly plugin: readonly string[];
}

// Written by run-in-guest.ts of the same version: the shape is known.
const options = JSON.parse(process.argv[2] ?? '{}') as InsideOptions;
const emit = (event: LabEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
try {
	const { ok } = await runHere({
		...options,
		signal: ending.signal,
		emit,
		onPlace: async (place) => {
			if (options.keep) serveRequests(options.folder, { ...place, cli: options.cli });
		},
	});
	process.exit(ok ? 0 : 1);
} catch (error) {
	emit({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
	process.exit(1);
}
