import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ServicesCase } from '../../bench/tables/services/cases.ts';
import { openEvaluate } from '../../bench/tables/services/evaluate.ts';
import { readCases, runCases, tableMain } from '../../lab/truth-table.ts';
import { dataTest } from '../support/shared-data.ts';

const here = dirname(fileURLToPath(import.meta.url));
const data = resolve(here, '../../../test/services/data');

for (const { name, cells, skipped } of [
	{ name: 'services.jsonl', cells: 1561, skipped: 0 },
	{ name: 'services-behaviour.jsonl', cells: 20, skipped: 3 },
])
	dataTest(`the model gives every verdict of ${name}`, `policy/${name}`, async (t, path) => {
		const answer = await runCases('evaluate', openEvaluate(), readCases<ServicesCase>(path));
		t.deepEqual(answer.wrong, []);
		t.true(answer.cells >= cells, `${answer.cells} cells`);
		t.true(answer.skipped.length <= skipped, JSON.stringify(answer.skipped));
	});

test('the model gives every verdict of the cases in this repository', async (t) => {
	const cases = readCases<ServicesCase>(join(data, 'cases.jsonl'));
	const answer = await runCases('evaluate', openEvaluate(), cases);
	t.deepEqual(answer.wrong, []);
	t.deepEqual(answer.skipped, []);
	t.true(answer.cells > 20);
});

test('a wrong expectation is reported with its cell, and the command fails', async (t) => {
	const [first] = readCases<ServicesCase>(join(data, 'cases.jsonl'));
	if (first === undefined || !('packets' in first)) return t.fail('the first case has packets');
	const spoiled = {
		...first,
		packets: first.packets.map((packet) => ({ ...packet, expect: { verdict: 'drop' as const } })),
	};
	const answer = await runCases('evaluate', openEvaluate(), [spoiled]);
	t.is(answer.wrong.length, answer.cells);
	t.is(answer.wrong[0]?.expected, 'drop');
	return undefined;
});

test('the command refuses a backend that does not exist, and a call without files', async (t) => {
	const options = {
		command: 'services:table',
		subject: 'Services',
		example: 'FILE',
		backends: { evaluate: () => Promise.resolve(openEvaluate()) },
		read: (file: string) => readCases<ServicesCase>(file),
	};
	t.is(await tableMain(options, ['--backend', 'none', join(data, 'cases.jsonl')]), 2);
	t.is(await tableMain(options, []), 2);
});
