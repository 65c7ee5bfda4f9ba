import { execFileSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { KernelBehaviour } from '../../bench/tables/services/behaviour-kernel.ts';
import type { BehaviourCase } from '../../bench/tables/services/cases.ts';
import { readCases } from '../../lab/truth-table.ts';
import { noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: behaviour of Services over time: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.serial.skip;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const cases = readCases<BehaviourCase>(join(root, 'test/services/data/behaviour.jsonl'));

const behaviour = new KernelBehaviour(`bmb${process.pid}`);
test.after.always(() => behaviour.close());

for (const item of cases)
	namespaceTest(`by real connections: ${item.title}`, async (t) => {
		const judged = await behaviour.judge(item);
		if ('skip' in judged) {
			// The tool `conntrack` makes the flows of some cases.
			t.is(item.kind, 'conntrack', judged.skip);
			t.throws(() => execFileSync('conntrack', ['--version'], { stdio: 'ignore' }));
			console.warn(`SKIPPED: ${item.title}: ${judged.skip}`);
			return;
		}
		t.true(judged.length > 0);
		for (const { probe, expected, actual } of judged) t.is(actual, expected, probe);
	});
