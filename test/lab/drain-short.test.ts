import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { drainNodes } from '../../lab/drain/network.ts';
import type { DrainReport } from '../../lab/drain/run.ts';
import { findCommand } from '../../lab/uml/index.ts';

const missing = ['ip', 'nft', 'bird', 'sysctl'].filter((command) => findCommand(command) === undefined);
if (process.getuid?.() !== 0) missing.unshift('root');
const labTest = missing.length === 0 ? test.serial : test.serial.skip;
const note = missing.length === 0 ? '' : ` (skipped: needs ${missing.join(', ')})`;

const main = resolve(fileURLToPath(import.meta.url), '../../../lab/main.js');

/** The short form of `npm run lab -- --scenario drain`: one of its three steps, 12 s of load. */
labTest(`no connection breaks when a node is excluded from load balancers and comes back${note}`, async (t) => {
	t.timeout(300_000);
	const words = [
		'--scenario',
		'drain',
		'--step',
		'exclude',
		'--connections',
		'300',
		'--rate',
		'60',
		'--lifetime',
		'1000',
	];
	const child = spawn(process.execPath, [main, ...words, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
	t.teardown(() => child.kill());
	let [text, progress] = ['', ''];
	child.stdout.setEncoding('utf8').on('data', (part: string) => {
		text += part;
	});
	child.stderr.setEncoding('utf8').on('data', (part: string) => {
		progress += part;
	});
	await once(child, 'close');
	if (text === '') return t.fail(progress);
	// The one document that `--json` prints.
	const report = JSON.parse(text) as DrainReport;
	t.log(`${report.connections} connections, load ${report.loadAverage}`);
	t.deepEqual(report.problems, [], `${report.failures.join('\n')}\n${progress}`);
	t.is(report.broken, 0);
	t.true(report.connections >= 300);
	t.true(Object.keys(report.pods).length > 1, 'one pod has all connections');
	// The router moved connections away and back, else the test shows nothing.
	const sets = report.events.flatMap(({ text: event }) => /^the router uses (.*)$/.exec(event)?.[1]?.split(', ') ?? []);
	const names = drainNodes.map(({ name }) => name);
	const counts = names.map((name) => sets.filter((used) => used === name).length);
	t.true(Math.max(...counts) > Math.min(...counts), `the router's nodes did not change:\n${progress}`);
	return undefined;
});
