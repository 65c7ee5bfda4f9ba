import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { metricsReference } from '../../src/daemon/metrics/metrics.ts';
import { peerMetrics } from '../../src/daemon/metrics/peer-rows.ts';
import { processRows } from '../../src/daemon/metrics/process-rows.ts';
import { type MetricRow, type MetricSources, one } from '../../src/daemon/metrics/row.ts';
import { rowsText } from '../../src/daemon/metrics/text.ts';
import { tor } from '../cli/views.ts';

const file = resolve(dirname(fileURLToPath(import.meta.url)), '../../../docs/reference/metrics.md');
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;

test('the manual has every metric of the code', (t) => {
	const rows = metricsReference().map(({ name, kind, labels, help }) =>
		row([`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(', '), help.replaceAll('|', '\\|')]),
	);
	const before = readFileSync(file, 'utf8');
	const table = before.indexOf('| name |');
	const text = before.slice(0, table === -1 ? undefined : table).trimEnd();
	const now = `${text}\n\n${row(['name', 'kind', 'labels', 'meaning'])}${row(['---', '---', '---', '---'])}${rows.join('')}`;
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, now);
	t.is(readFileSync(file, 'utf8'), now);
});

test('names are unique, contain their unit, and have a help text', (t) => {
	const names = metricsReference().map(({ name }) => name);
	t.is(new Set(names).size, names.length);
	for (const { name, kind, help } of metricsReference()) {
		t.regex(name, /^(bgpmesh|process|nodejs)_[a-z0-9_]+$/);
		t.is(kind === 'counter', name.endsWith('_total'), name);
		t.regex(help, /\.$/, name);
	}
});

test('the metrics of peers have the labels that their rows declare', (t) => {
	const text = [...peerMetrics(() => [tor])].join('');
	for (const { name, labels } of metricsReference().filter(({ labels: [first] }) => first === 'peer')) {
		const sample = new RegExp(`^${name}\\{([^}]*)\\}`, 'm').exec(text)?.[1] ?? '';
		t.deepEqual(
			[...sample.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
			[...labels],
			name,
		);
	}
});

/** Rows with the values that the text format must write in its own way. */
const odd: readonly MetricRow[] = [
	{
		name: 'a',
		kind: 'gauge',
		help: 'A back\\slash and a\nline.',
		labels: ['l'],
		samples: () => [
			[{ l: 'x"y\\z\n' }, 1.5],
			[{ l: '', m: 'n' }, Number.POSITIVE_INFINITY],
		],
	},
	{ name: 'b_total', kind: 'counter', help: 'B.', labels: [], samples: async () => one(Number.NaN) },
	{ name: 'c', kind: 'gauge', help: 'C.', labels: [], samples: () => one(undefined) },
];

test('labels, help texts and numbers are written in the text format; an absent value has no sample', async (t) => {
	t.is(
		(await rowsText(odd, {} as MetricSources)).join(''),
		`# HELP a A back\\\\slash and a\\nline.
# TYPE a gauge
a{l="x\\"y\\\\z\\n"} 1.5
a{l="",m="n"} +Inf
# HELP b_total B.
# TYPE b_total counter
b_total NaN
# HELP c C.
# TYPE c gauge
`,
	);
});

test('the process is described: processor time, memory and open files', async (t) => {
	const text = (await rowsText(processRows, {} as MetricSources)).join('');
	for (const { name } of processRows) t.regex(text, new RegExp(`^${name}(\\{[^}]*\\})? [0-9.e-]+$`, 'm'), name);
	t.regex(text, new RegExp(`^nodejs_version_info\\{version="${process.version}"\\} 1$`, 'm'));
});
