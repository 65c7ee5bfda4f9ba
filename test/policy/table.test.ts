import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readTable } from '../../lab/policy-table/cases.ts';
import { EvaluateBackend } from '../../lab/policy-table/evaluate-backend.ts';
import { runTable } from '../../lab/policy-table/run.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const own = join(root, 'test/policy/testdata');
/** The whole tables, beside the repository or beside the folder of its worktrees. */
const shared = ['..', '../..']
	.map((up) => resolve(root, up, 'shared/data/policy'))
	.find((folder) => existsSync(folder));

const tablesIn = (folder: string): string[] =>
	readdirSync(folder)
		.filter((name) => name.endsWith('.jsonl') && !name.startsWith('services'))
		.map((name) => join(folder, name));

for (const file of tablesIn(own)) {
	test(`truth table ${file.slice(root.length + 1)}`, async (t) => {
		const { cases, cells, wrong } = await runTable(readTable(file), new EvaluateBackend());
		t.true(cases > 0 && cells > cases);
		t.deepEqual(wrong.slice(0, 10), []);
	});
}

if (shared === undefined) {
	test('SKIPPED: the whole truth tables, shared/data/policy is not beside the repository', (t) => {
		t.log('only the small tables of test/policy/testdata were run');
		t.pass();
	});
} else {
	for (const file of tablesIn(shared)) {
		test(`whole truth table ${file.slice(shared.length + 1)}`, async (t) => {
			t.timeout(300_000);
			const { cases, cells, wrong } = await runTable(readTable(file), new EvaluateBackend());
			t.true(cases > 0 && cells > cases);
			t.deepEqual(wrong.slice(0, 10), []);
		});
	}
}
