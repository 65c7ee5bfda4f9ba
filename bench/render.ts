import type { Result, Run, SubjectName } from './types.ts';
import { subjectNames } from './types.ts';

/** The median; of two, the better. */
function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** Three significant digits with a unit: `1.23 s`, `12.3 ms`, `0.45 ms`. */
export function duration(seconds: number): string {
	const [value, unit] = seconds >= 1 ? [seconds, 's'] : [seconds * 1000, 'ms'];
	return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
}

const isShare = (scenario: string): boolean => scenario.startsWith('idle-');

/** The figure of a scenario as text. */
export function figure(scenario: string, run: Pick<Run, 'seconds' | 'timedOut'>): string {
	if (run.timedOut === true) return `> ${run.seconds} s`;
	return isShare(scenario) ? `${(run.seconds * 100).toFixed(1)} %` : duration(run.seconds);
}

/** One progress line. */
export function renderRun(run: Run): string {
	const parts = [
		run.timedOut === true ? `> ${run.seconds} s` : run.verified ? duration(run.seconds) : 'failed',
		`${run.rssMiB.toFixed(0)} MiB`,
		`${run.cpuSeconds} s CPU`,
		run.longestBlockMs === null ? '' : `longest block ${run.longestBlockMs.toFixed(1)} ms`,
		run.latencyMs === undefined
			? ''
			: `p50 ${run.latencyMs.p50.toFixed(2)} p99 ${run.latencyMs.p99.toFixed(2)} max ` +
				`${run.latencyMs.max.toFixed(2)} ms`,
		...Object.entries(run.figures ?? {}).map(
			([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toFixed(2)}`,
		),
		run.verified ? '' : `NOT VERIFIED: ${run.problem ?? ''}`,
	];
	return parts.filter((part) => part !== '').join(', ');
}

/** The run whose time is the median, `undefined` without a verified one. */
export function typical(result: Result | undefined): Run | undefined {
	const good = (result?.runs ?? []).filter(({ verified }) => verified);
	const middle = median(good.map(({ seconds }) => seconds));
	return good.find(({ seconds }) => seconds === middle) ?? result?.runs.find(({ timedOut }) => timedOut === true);
}

/**
 * A table of medians: a row per scenario, a column per subject, and under each peer the ratio of
 * our time to it.
 */
export function renderTable(results: readonly Result[]): string {
	const names = [...new Set(results.map(({ scenario }) => scenario))];
	const columns = subjectNames.filter((name) => results.some(({ subject }) => subject === name));
	const rows = names.flatMap((scenario) => {
		const of = (subject: SubjectName) =>
			results.find((result) => result.scenario === scenario && result.subject === subject);
		const ours = typical(of('bgpmesh'));
		const medians = columns.map((subject) => cell(scenario, of(subject)));
		const ratios = columns.map((subject) => (subject === 'bgpmesh' ? '' : ratio(ours, typical(of(subject)))));
		const block = ours?.longestBlockMs;
		const last = block === undefined || block === null ? '' : `${block.toFixed(1)} ms`;
		return [
			[scenario, ...medians, last],
			['', ...ratios, ''],
		];
	});
	const head = ['scenario', ...columns, 'longest block'];
	const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
	const line = (row: readonly string[]) =>
		row
			.map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
			.join('  ');
	const notes = 'medians: time (peak memory in MiB); x: our time as a share of theirs; ! not verified';
	return `\n${line(head)}\n${rows.map((row) => line(row).trimEnd()).join('\n')}\n\n${notes}\n`;
}

function cell(scenario: string, result: Result | undefined): string {
	if (result === undefined) return '';
	const run = typical(result);
	if (run === undefined) return 'failed !';
	const someBad = result.runs.some(({ verified, timedOut }) => !verified && timedOut !== true);
	return `${figure(scenario, run)} (${run.rssMiB.toFixed(0)})${someBad ? ' !' : ''}`;
}

function ratio(ours: Run | undefined, theirs: Run | undefined): string {
	if (ours === undefined || theirs === undefined || !ours.verified || theirs.seconds === 0) return '';
	return `${theirs.timedOut === true ? '< ' : ''}x ${(ours.seconds / theirs.seconds).toFixed(3)}`;
}
