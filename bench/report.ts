import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repository } from './compile.ts';
import { plot } from './plot.ts';
import { duration, figure, typical } from './render.ts';
import type { Result, Run, SubjectName } from './types.ts';
import { subjectNames } from './types.ts';

const peers: readonly SubjectName[] = ['bird', 'frr', 'gobgp', 'openbgpd'];
const begin = '<!-- figures: written by bench/report.ts, from here -->';
const end = '<!-- to here -->';

type Find = (scenario: string, subject: SubjectName) => Run | undefined;

/** The part of the page that comes from measured results, as Markdown. */
export function renderFigures(results: readonly Result[], environment: string): string {
	const find: Find = (scenario, subject) => typical(results.find((result) => result.scenario === scenario && result.subject === subject));
	const names = [...new Set(results.map(({ scenario }) => scenario))];
	const runs = Math.max(0, ...results.map((result) => result.runs.length));
	return [
		begin,
		'',
		`${environment} Medians of ${runs} runs.`,
		'',
		'![Median time of each scenario and reflector](performance.svg)',
		'',
		'### Time',
		'',
		...times(names, results, find),
		'',
		'### Latency of a change, and our own limits',
		'',
		...latencies(names, find),
		'',
		'### Memory, CPU and the longest event-loop block',
		'',
		...resources(names, results, find),
		'',
		...others(names, find),
		end,
	].join('\n');
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
	rows.length === 0 ? ['(not measured)'] : [row(head), row(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(row)];

function measuredSubjects(results: readonly Result[]): readonly SubjectName[] {
	return subjectNames.filter((name) => results.some(({ subject }) => subject === name));
}

/** Our time beside every peer's, with the ratio to the best of them. */
function times(names: readonly string[], results: readonly Result[], find: Find): string[] {
	const columns = measuredSubjects(results);
	const rows = names.map((scenario) => {
		const ours = find(scenario, 'bgpmesh');
		const others = peers.flatMap((peer) => {
			const run = find(scenario, peer);
			return run === undefined || run.timedOut === true || run.seconds === 0 ? [] : [{ peer, seconds: run.seconds }];
		});
		const best = others.sort((a, b) => a.seconds - b.seconds)[0];
		const ratio = ours?.verified === true && best !== undefined ? `${(ours.seconds / best.seconds).toFixed(2)} (${best.peer})` : '';
		return [scenario, ...columns.map((subject) => time(scenario, find(scenario, subject), results, subject)), ratio];
	});
	return table(['scenario', ...columns, 'ours / best peer'], rows);
}

function time(scenario: string, run: Run | undefined, results: readonly Result[], subject: SubjectName): string {
	const measured = results.some((result) => result.scenario === scenario && result.subject === subject);
	return run === undefined ? (measured ? 'failed' : '') : figure(scenario, run);
}

function latencies(names: readonly string[], find: Find): string[] {
	const rows = names.flatMap((scenario) =>
		subjectNames.flatMap((subject) => {
			const latency = find(scenario, subject)?.latencyMs;
			return latency === undefined ? [] : [[scenario, subject, ...[latency.p50, latency.p99, latency.max].map((ms) => duration(ms / 1000))]];
		}),
	);
	return table(['scenario', 'reflector', 'p50', 'p99', 'max'], rows);
}

function resources(names: readonly string[], results: readonly Result[], find: Find): string[] {
	const columns = measuredSubjects(results).filter((name) => name !== 'floor');
	const rows = names.map((scenario) => {
		const block = find(scenario, 'bgpmesh')?.longestBlockMs;
		const cells = columns.map((subject) => {
			const run = find(scenario, subject);
			return run === undefined ? '' : `${run.rssMiB.toFixed(0)} / ${run.cpuSeconds.toFixed(2)}`;
		});
		return [scenario, ...cells, block === undefined || block === null ? '' : `${block.toFixed(1)} ms`];
	});
	return ['Peak resident memory in MiB / CPU seconds of the whole run.', '', ...table(['scenario', ...columns, 'our longest block'], rows)];
}

/** Figures that only some scenarios have. */
function others(names: readonly string[], find: Find): string[] {
	const shown: Readonly<Record<string, string>> = {
		bytesPerPrefix: 'bytes a prefix',
		bytesPerPath: 'bytes a path',
		catchUpSeconds: 'the stalled peer has caught up after (s)',
		establishedSeconds: 'all sessions established after (s)',
		longestSilenceSeconds: 'longest silence on a session (s)',
		sessionsLost: 'sessions lost',
		cpuPercent: 'CPU (% of a core)',
	};
	const rows = names.flatMap((scenario) =>
		Object.entries(shown).flatMap(([name, title]) => {
			const values = [...peers, 'bgpmesh' as const].map((subject) => ({ subject, value: find(scenario, subject)?.figures?.[name] }));
			if (values.every(({ value }) => value === undefined)) return [];
			const of = (wanted: SubjectName) => values.find(({ subject }) => subject === wanted)?.value;
			const text = (value: number | undefined) => (value === undefined ? '' : String(Number(value.toPrecision(3))));
			return [[scenario, title, text(of('bgpmesh')), ...peers.map((peer) => text(of(peer)))]];
		}),
	);
	return ['### Other figures', '', ...table(['scenario', 'figure', 'bgpmesh', ...peers], rows), ''];
}

/** The page with its figures replaced; throws where it has no place for them. */
export function replaceFigures(page: string, figures: string): string {
	const from = page.indexOf(begin);
	const to = page.indexOf(end);
	if (from < 0 || to < from) throw new RangeError('the page has no place for figures');
	return page.slice(0, from) + figures + page.slice(to + end.length);
}

function environmentText(): string {
	const packages = ['bird2', 'frr', 'gobgpd', 'openbgpd'].map((name) => `${name} ${packageVersion(name)}`);
	const processors = cpus();
	const memory = Math.round(totalmem() / 2 ** 30);
	return `Measured on ${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'}), ${memory} GiB, Linux ${release().split('-')[0]}, Node.js ${process.version}, beside Debian's ${packages.join(', ')}.`;
}

function packageVersion(name: string): string {
	try {
		return execFileSync('dpkg-query', ['-W', '-f', `\${Version}`, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('-')[0] ?? '';
	} catch {
		return '(not installed)';
	}
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
	const files = process.argv.slice(2);
	if (files.length === 0) {
		process.stderr.write('usage: node dist/bench/report.js FILE...    (as `npm run bench -- --json FILE` wrote them)\n');
		process.exitCode = 2;
	} else {
		// The files are our own.
		const results = files.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Result[]);
		const page = join(repository, 'docs/performance.md');
		writeFileSync(page, replaceFigures(readFileSync(page, 'utf8'), renderFigures(results, environmentText())));
		writeFileSync(join(repository, 'docs/performance.svg'), plot(results));
	}
}
