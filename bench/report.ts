import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sidRoot } from '../lab/debian.ts';
import { repository } from './compile.ts';
import { plot } from './plot.ts';
import { duration, figure, typical } from './render.ts';
import type { Result, Run, SubjectName } from './types.ts';
import { subjectNames } from './types.ts';

const peers: readonly SubjectName[] = subjectNames.filter((name) => name !== 'bgpmesh' && name !== 'floor');
const begin = '<!-- figures: written by bench/report.ts, from here -->';
const end = '<!-- to here -->';

type Find = (scenario: string, subject: SubjectName) => Run | undefined;

/** The part of the page that comes from measured results, as Markdown. */
export function renderFigures(results: readonly Result[], environment: string): string {
	const find: Find = (scenario, subject) =>
		typical(results.find((result) => result.scenario === scenario && result.subject === subject));
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
	rows.length === 0
		? ['(not measured)']
		: [row(head), row(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(row)];

function measuredSubjects(results: readonly Result[]): readonly SubjectName[] {
	return subjectNames.filter((name) => results.some(({ subject }) => subject === name));
}

/** Peers of Debian unstable, and those of the host. */
const isOfSid = (name: SubjectName): boolean => name.endsWith('@sid');

/** Our time and every peer's, with the ratio to the best peer of each age. */
function times(names: readonly string[], results: readonly Result[], find: Find): string[] {
	const columns = measuredSubjects(results);
	const ages = [
		{ title: 'ours / best peer', members: peers.filter((name) => !isOfSid(name)) },
		{ title: 'ours / best peer of sid', members: peers.filter(isOfSid) },
	].filter(({ members }, index) => index === 0 || members.some((name) => columns.includes(name)));
	const rows = names.map((scenario) => [
		scenario,
		...columns.map((subject) => time(scenario, find(scenario, subject), results, subject)),
		...ages.map(({ members }) => ratioToBest(scenario, members, find)),
	]);
	return table(['scenario', ...columns, ...ages.map(({ title }) => title)], rows);
}

/** Our time as a share of the shortest of these peers; empty if either is not measured. */
function ratioToBest(scenario: string, members: readonly SubjectName[], find: Find): string {
	const ours = find(scenario, 'bgpmesh');
	const others = members.flatMap((peer) => {
		const run = find(scenario, peer);
		return run === undefined || run.timedOut === true || run.seconds === 0 ? [] : [{ peer, seconds: run.seconds }];
	});
	const best = others.sort((a, b) => a.seconds - b.seconds)[0];
	return ours?.verified === true && best !== undefined
		? `${(ours.seconds / best.seconds).toFixed(2)} (${best.peer})`
		: '';
}

function time(scenario: string, run: Run | undefined, results: readonly Result[], subject: SubjectName): string {
	const measured = results.some((result) => result.scenario === scenario && result.subject === subject);
	return run === undefined ? (measured ? 'failed' : '') : figure(scenario, run);
}

function latencies(names: readonly string[], find: Find): string[] {
	const rows = names.flatMap((scenario) =>
		subjectNames.flatMap((subject) => {
			const latency = find(scenario, subject)?.latencyMs;
			return latency === undefined
				? []
				: [[scenario, subject, ...[latency.p50, latency.p99, latency.max].map((ms) => duration(ms / 1000))]];
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
	return [
		'Peak resident memory in MiB / CPU seconds of the whole run.',
		'',
		...table(['scenario', ...columns, 'our longest block'], rows),
	];
}

/** Figures that only some scenarios have. */
function others(names: readonly string[], find: Find): string[] {
	const shown: Readonly<Record<string, string>> = {
		bytesPerPrefix: 'bytes a prefix',
		bytesPerPath: 'bytes a path',
		grownMiB: 'most memory beyond the idle process (MiB)',
		churnMiB: 'of it after the first table (MiB)',
		afterWithdrawalMiB: 'left after withdrawal (MiB)',
		churnLeftMiB: 'of it after the first table, left (MiB)',
		attributesHeldMiB: 'attribute blocks that routes hold, at most (MiB)',
		residentPerHeld: 'memory of attribute blocks per byte held',
		startSeconds: 'listens after (s)',
		startCpuSeconds: 'CPU until then (s)',
		againSeconds: 'the same table again (s)',
		catchUpSeconds: 'the stalled peer has caught up after (s)',
		establishedSeconds: 'all sessions established after (s)',
		longestSilenceSeconds: 'longest silence on a session (s)',
		sessionsLost: 'sessions lost',
		cpuPercent: 'CPU (% of a core)',
	};
	const measured = peers.filter((peer) => names.some((name) => find(name, peer) !== undefined));
	const rows = names.flatMap((scenario) =>
		Object.entries(shown).flatMap(([name, title]) => {
			const values = [...measured, 'bgpmesh' as const].map((subject) => ({
				subject,
				value: find(scenario, subject)?.figures?.[name],
			}));
			if (values.every(({ value }) => value === undefined)) return [];
			const of = (wanted: SubjectName) => values.find(({ subject }) => subject === wanted)?.value;
			const text = (value: number | undefined) => (value === undefined ? '' : String(Number(value.toPrecision(3))));
			return [[scenario, title, text(of('bgpmesh')), ...measured.map((peer) => text(of(peer)))]];
		}),
	);
	return ['### Other figures', '', ...table(['scenario', 'figure', 'bgpmesh', ...measured], rows), ''];
}

/** The page with its figures replaced; throws if it has no place for them. */
export function replaceFigures(page: string, figures: string): string {
	const from = page.indexOf(begin);
	const to = page.indexOf(end);
	if (from < 0 || to < from) throw new RangeError('the page has no place for figures');
	return page.slice(0, from) + figures + page.slice(to + end.length);
}

function environmentText(results: readonly Result[]): string {
	const names = ['bird2', 'frr', 'gobgpd', 'openbgpd'];
	const packages = names.map((name) => `${name} ${packageVersion(name)}`);
	const unstable = results.some(({ subject }) => isOfSid(subject))
		? ` and unstable's (\`@sid\`) ${names.map((name) => `${name} ${packageVersion(name, sidRoot)}`).join(', ')}`
		: '';
	const processors = cpus();
	const memory = Math.round(totalmem() / 2 ** 30);
	return (
		`Measured on ${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'}), ` +
		`${memory} GiB, Linux ${release().split('-')[0]}, Node.js ${process.version}, beside ` +
		`Debian's ${packages.join(', ')}${unstable}.`
	);
}

function packageVersion(name: string, root = '/'): string {
	try {
		return (
			execFileSync('dpkg-query', [`--admindir=${join(root, 'var/lib/dpkg')}`, '-W', '-f', `\${Version}`, name], {
				encoding: 'utf8',
				stdio: ['ignore', 'pipe', 'ignore'],
			}).split('-')[0] ?? ''
		);
	} catch {
		return '(not installed)';
	}
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
	const files = process.argv.slice(2);
	if (files.length === 0) {
		process.stderr.write(
			'usage: node dist/bench/report.js FILE...    (as `npm run bench -- --json FILE` wrote them)\n',
		);
		process.exitCode = 2;
	} else {
		// The files are written by this program.
		const results = files.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Result[]);
		const page = join(repository, 'docs/performance.md');
		writeFileSync(page, replaceFigures(readFileSync(page, 'utf8'), renderFigures(results, environmentText(results))));
		writeFileSync(join(repository, 'docs/performance.svg'), plot(results));
	}
}
