import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ServicesCase } from '../../bench/tables/services/cases.ts';
import { openEbpf } from '../../bench/tables/services/ebpf.ts';
import { readCases, runCases } from '../../lab/truth-table.ts';
import { noBpf } from '../ebpf/support.ts';
import { noNamespaces } from '../support/namespace.ts';

const hasCgroup = process.platform === 'linux' && / cgroup2 /.test(readFileSync('/proc/mounts', 'utf8'));
const missing = noBpf ?? noNamespaces ?? (hasCgroup ? undefined : 'no cgroup2 is mounted');
if (missing !== undefined) console.warn(`SKIPPED: the table of services at sockets: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
// Behaviour over time: `test/bench/services-behaviour.test.ts`.
const given = readCases<ServicesCase>(join(root, 'test/services/data/cases.jsonl')).filter((item) => 'packets' in item);

kernelTest(
	'sockets get every verdict of the cases in this repository, by programs or by the rules beside them',
	async (t) => {
		t.timeout(300_000);
		const backend = openEbpf();
		t.teardown(() => backend.close());
		const answer = await runCases('ebpf', backend, given);
		t.deepEqual(answer.wrong, []);
		t.true(answer.cells > 50);
		t.true(backend.bySockets > 10, 'programs judge a part of them');
		t.true(backend.byInterface > 10, 'programs at the interface judge a part of them');
		t.log(`${answer.cells} cells: ${backend.bySockets} by sockets, ${backend.byInterface} at the interface`);
	},
);

kernelTest('the table notices sockets that go to other backends', async (t) => {
	t.timeout(300_000);
	const backend = openEbpf(undefined, ({ address, port, ...rest }) => ({ ...rest, address, port: port + 1 }));
	t.teardown(() => backend.close());
	const { wrong } = await runCases('ebpf', backend, given);
	t.true(wrong.length > 10);
});
