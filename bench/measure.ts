import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, GeneratorEndedError } from './generator.ts';
import { claimNetwork } from './network.ts';
import { StepFailedError } from './scenarios/index.ts';
import { SubjectFailedError, SubjectProcess } from './subject-process.ts';
import type { Layout, Measured, Run, Scenario, Subject, SubjectOptions } from './types.ts';

/** The bounds of one run. */
export interface MeasureOptions {
	/** 1 is the full size. */
	readonly scale: number;
	/** After this time a run is aborted and reported as such. */
	readonly boundSeconds: number;
}

const asNumber = 64512;
const clusterId = '10.255.0.1';
const port = 1790;
const startMs = 20_000;

/** Running work, to be stopped when this process stops. */
const ongoing = new Set<() => Promise<void>>();

/** Stops everything that `measure` has started; its call does not return. */
export async function abandon(): Promise<void> {
	for (const end of ongoing) await end();
}

/**
 * Starts the subject afresh, loads it, and returns the measurement. A subject that fails is a run
 * that is not verified.
 */
export async function measure(
	scenario: Scenario,
	subject: Subject,
	{ scale, boundSeconds }: MeasureOptions,
): Promise<Run> {
	const layout = scenario.layout(scale);
	const network = await claimNetwork();
	const options = subjectOptions(layout, network.octet);
	const generator = new Generator();
	let started: SubjectProcess | undefined;
	const cleanUp = async (): Promise<void> => {
		ongoing.delete(cleanUp);
		generator.stop();
		await started?.stop();
		await network.release();
		if (process.env['BGPMESH_BENCH_KEEP'] === undefined) rmSync(options.folder, { recursive: true, force: true });
	};
	ongoing.add(cleanUp);
	try {
		started = await SubjectProcess.start(subject, options, startMs);
		const running = started;
		const end = performance.now() + boundSeconds * 1000;
		const tell = (command: string) => generator.tell(command);
		await tell(
			`target ${options.address} ${port} ${asNumber} ${clusterId} ${options.holdTimeSeconds} ${options.clients[0]}`,
		);
		await tell(`universe ${layout.universe} ${layout.prefixes}`);
		await tell(`sessions ${layout.sessions}`);
		const bench = {
			layout,
			scale,
			tell,
			start: running.start,
			remainingMs: () => Math.max(1, end - performance.now()),
			usage: () => running.usage(),
			attributeMemory: async () => (await subject.attributeMemory?.(options)) ?? null,
		};
		const result = await scenario.run(bench).catch((error: unknown) => failure(error, running, boundSeconds));
		const { peakRssBytes, cpuSeconds } = running.usage();
		const longestBlockMs = (await subject.longestBlockMs?.(options)) ?? null;
		return { ...result, rssMiB: round(peakRssBytes / 2 ** 20), longestBlockMs, cpuSeconds: round(cpuSeconds) };
	} catch (error) {
		if (!(error instanceof SubjectFailedError || error instanceof GeneratorEndedError)) throw error;
		return {
			seconds: boundSeconds,
			verified: false,
			rssMiB: 0,
			longestBlockMs: null,
			cpuSeconds: 0,
			problem: error.message,
		};
	} finally {
		await cleanUp();
	}
}

function failure(error: unknown, subject: SubjectProcess, boundSeconds: number): Measured {
	if (error instanceof StepFailedError || error instanceof GeneratorEndedError) {
		const died = subject.running ? '' : `; the reflector ended: ${subject.lastWords()}`;
		const timedOut =
			subject.running && error instanceof StepFailedError && !error.answer.done && error.answer.lost === 0;
		return {
			seconds: boundSeconds,
			verified: false,
			problem: `${error.message}${died}`,
			...(timedOut ? { timedOut } : {}),
		};
	}
	throw error;
}

function subjectOptions(layout: Layout, network: number): SubjectOptions {
	const clients = Array.from(
		{ length: layout.sessions },
		(_, index) => `127.${network}.${(index + 1) >> 8}.${(index + 1) & 255}`,
	);
	return {
		address: `127.${network}.255.254`,
		port,
		asNumber,
		clusterId,
		clients,
		clientRange: `127.${network}.0.0/16`,
		holdTimeSeconds: layout.holdTimeSeconds ?? 90,
		family: layout.universe === 'table6' || layout.universe === 'block6' ? 'ipv6' : 'ipv4',
		denied: layout.denied ?? [],
		folder: mkdtempSync(join(tmpdir(), 'bgpmesh-bench-')),
	};
}

const round = (value: number): number => Math.round(value * 100) / 100;
