import test from 'ava';
import { plot } from '../../bench/plot.ts';
import { duration, renderTable, typical } from '../../bench/render.ts';
import { renderFigures, replaceFigures } from '../../bench/report.ts';
import type { Result, Run } from '../../bench/types.ts';

const run = (seconds: number, more: Partial<Run> = {}): Run => ({
	seconds,
	rssMiB: 100,
	longestBlockMs: null,
	verified: true,
	cpuSeconds: 1,
	...more,
});

const results: readonly Result[] = [
	{
		scenario: 'full-table',
		subject: 'bgpmesh',
		runs: [run(0.3, { longestBlockMs: 4 }), run(0.25, { longestBlockMs: 8 }), run(9, { longestBlockMs: 5 })],
	},
	{ scenario: 'full-table', subject: 'bird', runs: [run(1), run(1.2), run(1.5)] },
	{ scenario: 'full-table', subject: 'frr', runs: [run(1, { verified: false, problem: '3 prefixes missing' })] },
	{ scenario: 'full-table', subject: 'gobgp', runs: [run(60, { verified: false, timedOut: true })] },
];

test('the median uses only verified runs', (t) => {
	t.is(typical(results[0])?.seconds, 0.3);
	t.is(
		typical({ scenario: 's', subject: 'bird', runs: [run(1), run(0.1, { verified: false }), run(3), run(2)] })?.seconds,
		2,
	);
	t.is(typical(results[2]), undefined);
});

test('a table shows medians, failures, bounds and our time as a share of theirs', (t) => {
	const [, head = '', times = '', ratios = ''] = renderTable(results).split('\n');
	t.deepEqual(head.trim().split(/ {2,}/), ['scenario', 'bgpmesh', 'bird', 'frr', 'gobgp', 'longest block']);
	t.deepEqual(times.trim().split(/ {2,}/), [
		'full-table',
		'300 ms (100)',
		'1.20 s (100)',
		'failed !',
		'> 60 s (100)',
		'4.0 ms',
	]);
	t.deepEqual(ratios.trim().split(/ {2,}/), ['x 0.250', '< x 0.005']);
});

test('peers of Debian unstable have columns and a ratio of their own', (t) => {
	const both: readonly Result[] = [...results, { scenario: 'full-table', subject: 'bird@sid', runs: [run(0.6)] }];
	const figures = renderFigures(both, 'Measured here.');
	t.regex(
		figures,
		/\| scenario \| bgpmesh \| bird \| bird@sid \| .* \| ours \/ best peer \| ours \/ best peer of sid \|/,
	);
	t.regex(figures, /\| full-table \| .* \| 0\.25 \(bird\) \| 0\.50 \(bird@sid\) \|/);
});

test('the page gets the figures in their place and keeps the rest', (t) => {
	const page = 'before\n<!-- figures: written by bench/report.ts, from here -->\nold\n<!-- to here -->\nafter\n';
	const figures = renderFigures(results, 'Measured here.');
	const written = replaceFigures(page, figures);
	t.true(written.startsWith('before\n') && written.endsWith('\nafter\n'));
	t.false(written.includes('old'));
	t.regex(written, /\| full-table \| 300 ms \| 1\.20 s \| failed \| > 60 s \| 0\.25 \(bird\) \|/);
	t.is(replaceFigures(written, figures), written);
	t.throws(() => replaceFigures('nothing', figures), { instanceOf: RangeError });
});

test('the plot has a dot for every median, an open one for an exceeded bound', (t) => {
	const svg = plot(results);
	t.regex(svg, /<title>bgpmesh: 300 ms<\/title>/);
	t.regex(svg, /stroke-width="2"><title>gobgp: &gt; 60 s<\/title>/);
	t.false(svg.includes('<title>frr'));
});

for (const [seconds, text] of [
	[12.345, '12.3 s'],
	[1.5, '1.50 s'],
	[0.25, '250 ms'],
	[0.0021, '2.10 ms'],
] as const) {
	test(`${seconds} s reads ${text}`, (t) => t.is(duration(seconds), text));
}
