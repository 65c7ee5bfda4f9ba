import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { isRunning } from '../commands.ts';
import { binary } from './binaries.ts';
import type { RealCluster } from './cluster.ts';
import { type CyclonusCase, figuresOf, readCyclonus } from './cyclonus-log.ts';
import type { RunOptions } from './examination.ts';
import type { SpecResults } from './specs.ts';

/** The selection of cyclonus' cases by its own tags; empty: all of them. */
export interface CyclonusChoice {
	readonly include: readonly string[];
	readonly exclude: readonly string[];
}

/** Protocols that pods serve: SCTP only where the kernel has it. */
function protocols(): readonly string[] {
	const table = readFileSync('/proc/net/protocols', 'utf8');
	return ['TCP', 'UDP', ...(/^SCTP /m.test(table) ? ['SCTP'] : [])];
}

/**
 * Runs `cyclonus generate`: it makes policies, probes every pair of nine pods after each change, and
 * compares with its own evaluator. It serves its pods with our image of agnhost.
 */
export async function runCyclonus(
	cluster: RealCluster,
	{ include, exclude }: CyclonusChoice,
	{ signal, progress }: RunOptions,
): Promise<SpecResults> {
	const { processes, controlPlane, withinRouter } = cluster;
	const served = protocols();
	progress(`cyclonus: ${served.join(', ')}${served.includes('SCTP') ? '' : '; this kernel has no SCTP'}`);
	const name = 'cyclonus';
	const options = [
		`--server-protocol=${served.join(',')}`,
		`--include=${include.join(',')}`,
		`--exclude=${exclude.join(',')}`,
		'--perturbation-wait-seconds=2',
		'--pod-creation-timeout-seconds=300',
		'--retries=2',
		// A name costs each probe ten queries to the DNS; a Service of a pod that a case makes has no address here.
		'--destination-type=pod-ip',
		// A pod can not block access to itself, say Kubernetes' documents; cyclonus' evaluator lets it.
		'--ignore-loopback',
	];
	const env = { ...process.env, KUBECONFIG: controlPlane.kubeconfig };
	const child = processes.start(name, [...withinRouter, binary('cyclonus'), 'generate', ...options], env);
	const log = () => readFile(processes.logFile(name), 'utf8');
	for (let shown = ''; isRunning(child) && !signal.aborted; ) {
		await pause(5000, undefined, { signal }).catch(() => {});
		const text = existsSync(processes.logFile(name)) ? await log() : '';
		const { planned, cases } = readCyclonus(text);
		const now = `cyclonus: ${cases.length} of ${planned} cases done, ${cases.filter(isWrong).length} failed`;
		if (now !== shown) progress(now);
		shown = now;
	}
	await processes.stop(name);
	return resultsOf(await log());
}

const isWrong = ({ steps }: CyclonusCase): boolean => steps.some(({ wrong }) => wrong > 0);

/** The cases in the output of a run as results. Pure. */
export function resultsOf(text: string): SpecResults {
	const report = readCyclonus(text);
	const { cases, isWhole } = report;
	const failed = cases.filter(isWrong).map(({ number, description, steps }) => ({
		name: `cyclonus ${number}: ${description}`,
		reason: steps
			.flatMap(({ wrong, wrongCells }, index) =>
				wrong === 0 ? [] : [`step ${index + 1}: ${wrong} pairs wrong: ${wrongCells.slice(0, 12).join(', ')}`],
			)
			.join('; '),
	}));
	const ends = { name: 'cyclonus ends', reason: text.trimEnd().split('\n').slice(-3).join(' ') };
	const failures = [...failed, ...(isWhole ? [] : [ends])];
	return {
		...{ passed: cases.length - failed.length, failed: failures.length, skipped: 0, failures, skips: [] },
		cyclonus: figuresOf(report),
	};
}
