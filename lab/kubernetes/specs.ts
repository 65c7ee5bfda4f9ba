import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRunning } from '../commands.ts';
import { binary } from './binaries.ts';
import type { RealCluster } from './cluster.ts';
import type { CyclonusFigures } from './cyclonus-log.ts';

/** A spec that failed, and the first line of its reason. */
export interface SpecFailure {
	readonly name: string;
	readonly reason: string;
}

/** The outcome of a run of Kubernetes' own specs. */
export interface SpecResults {
	readonly passed: number;
	readonly failed: number;
	/** Selected by the focus, and skipped by the spec itself. */
	readonly skipped: number;
	readonly failures: readonly SpecFailure[];
	readonly skips: readonly SpecFailure[];
	/** Of a run of cyclonus, whose cases are counted above. */
	readonly cyclonus?: CyclonusFigures;
}

interface Report {
	readonly LeafNodeType: string;
	readonly LeafNodeText: string;
	readonly ContainerHierarchyTexts: readonly string[] | null;
	readonly State: string;
	readonly Failure?: { readonly Message: string };
}

/** Every `It` of a JSON report of Ginkgo. */
function specsIn(text: string): readonly Report[] {
	const suites = JSON.parse(text) as readonly { readonly SpecReports: readonly Report[] | null }[];
	return suites.flatMap(({ SpecReports }) => SpecReports ?? []).filter(({ LeafNodeType }) => LeafNodeType === 'It');
}

const nameOf = ({ ContainerHierarchyTexts, LeafNodeText }: Report): string =>
	[...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' ');

/** The results in the JSON reports of Ginkgo, one for each process. Pure. */
export function readReports(texts: readonly string[]): SpecResults {
	const specs = texts.flatMap(specsIn);
	const named = (spec: Report): SpecFailure => ({
		name: nameOf(spec),
		reason: spec.Failure?.Message.trim().split('\n')[0] ?? '',
	});
	const failed = specs.filter(({ State }) => !['passed', 'skipped', 'pending'].includes(State));
	// A spec that the focus left out is skipped without a message.
	const skipped = specs.filter(({ State, Failure }) => State === 'skipped' && (Failure?.Message ?? '') !== '');
	return {
		passed: specs.filter(({ State }) => State === 'passed').length,
		failed: failed.length,
		skipped: skipped.length,
		failures: failed.map(named),
		skips: skipped.map(named),
	};
}

/**
 * The names of the chosen specs in the report of a dry run, in `count` parts of about the same
 * size. Serial specs are all in the first part, which runs alone. Pure.
 */
export function partsOf(text: string, count: number): readonly (readonly string[])[] {
	const chosen = specsIn(text)
		.filter(({ State }) => State === 'passed')
		.map(nameOf);
	const isSerial = (name: string) => name.includes('[Serial]');
	const parallel = chosen.filter((name) => !isSerial(name));
	const parts = Array.from({ length: count }, (_, part) => parallel.filter((_name, index) => index % count === part));
	return [chosen.filter(isSerial), ...parts].filter((part) => part.length > 0);
}

/** A regular expression that matches one name of a spec. Pure. */
const exactly = (name: string): string => `${name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`;

/** The selection of specs. */
export interface SpecChoice {
	readonly focus: string;
	readonly skip: string;
}

/** The selection of the long run: conformance of the network, pod to pod, policies, Services. */
export const wholeChoice: SpecChoice = {
	focus: '\\[sig-network\\].*(\\[Conformance\\]|Granular Checks|Netpol|Services )',
	skip: '\\[Disruptive\\]|\\[Feature:(SCTPConnectivity|IPv6DualStack|LoadBalancer)|\\[Slow\\]|GCE|Feature:.*LB',
};

/** The inputs of a run of specs. */
export interface SpecRun {
	readonly choice: SpecChoice;
	/** How many specs run at a time, each in a process of its own. */
	readonly processes: number;
	readonly signal: AbortSignal;
	progress(text: string): void;
}

/** Runs Kubernetes' own `e2e.test` against the cluster. The reports are beside the logs. */
export async function runSpecs(cluster: RealCluster, folder: string, run: SpecRun): Promise<SpecResults> {
	const { choice, processes, signal, progress } = run;
	await mkdir(join(folder, 'report'), { recursive: true });
	const file = (name: string) => join(folder, 'logs', `${name}.json`);
	const start = (name: string, options: readonly string[]) =>
		cluster.processes.start(name, [
			...cluster.withinRouter,
			binary('e2e.test'),
			'--provider=skeleton',
			`--kubeconfig=${cluster.controlPlane.kubeconfig}`,
			// Of the same release: one of the system can be older, or a wrapper.
			`--kubectl-path=${binary('kubectl')}`,
			`--ginkgo.json-report=${file(name)}`,
			'--ginkgo.no-color',
			'--ginkgo.timeout=3h',
			'--node-os-distro=debian',
			'--allowed-not-ready-nodes=0',
			`--report-dir=${join(folder, 'report')}`,
			'--delete-namespace-on-failure=true',
			...options,
		]);
	const ended = async (children: readonly ChildProcess[], each: () => Promise<void>) => {
		while (children.some(isRunning) && !signal.aborted) {
			await pause(1000, undefined, { signal }).catch(() => {});
			await each();
		}
	};
	const list = start('specs-list', [
		'--ginkgo.dry-run',
		`--ginkgo.focus=${choice.focus}`,
		`--ginkgo.skip=${choice.skip}`,
	]);
	await ended([list], async () => {});
	const parts = partsOf(await readFile(file('specs-list'), 'utf8'), processes);
	const total = parts.flat().length;
	progress(`specs: ${total} chosen, ${processes} at a time`);
	const names = parts.map((_, index) => `specs-${index + 1}`);
	let shown = '';
	const report = async () => {
		const started = names.filter((name) => existsSync(cluster.processes.logFile(name)));
		const logs = await Promise.all(started.map((name) => readFile(cluster.processes.logFile(name), 'utf8')));
		const count = (pattern: RegExp) => logs.reduce((sum, log) => sum + (log.match(pattern)?.length ?? 0), 0);
		const text = `specs: ${count(/•/g)} of ${total} done, ${count(/• \[FAILED\]/g)} failed`;
		if (text !== shown) progress(text);
		shown = text;
	};
	const begin = (part: readonly string[], name: string) =>
		start(
			name,
			part.map((spec) => `--ginkgo.focus=${exactly(spec)}`),
		);
	const isSerial = (part: readonly string[]) => part[0]?.includes('[Serial]') === true;
	for (const phase of [true, false]) {
		const children = parts.flatMap((part, index) =>
			isSerial(part) === phase ? [begin(part, names[index] ?? '')] : [],
		);
		await ended(children, report);
	}
	for (const name of names) await cluster.processes.stop(name);
	const written = names.map(file).filter((path) => existsSync(path));
	return readReports(await Promise.all(written.map((path) => readFile(path, 'utf8'))));
}
