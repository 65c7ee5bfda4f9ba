/**
 * `npm run bench:services [-- OPTIONS]`: Services programmed by bgpmeshd and by a real kube-proxy
 * (nftables mode), each in its own network namespace with the same objects, one after the other in
 * the same run. Needs root; kube-proxy comes from `npm run setup:kube -- --e2e`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { findBinary } from '../../lab/kubernetes/binaries.ts';

const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:services --')
	.option('services', { type: 'number', default: 5000 })
	.option('backends', { type: 'number', default: 10, describe: 'of each Service' })
	.option('changes', { type: 'number', default: 200, describe: 'single changes, for the delay of one' })
	.option('rate', { type: 'number', default: 100, describe: 'changes a second, for the processor time' })
	.option('seconds', { type: 'number', default: 10, describe: 'of that' })
	.option('connections', { type: 'number', default: 2000, describe: 'for the time of connect()' })
	.option('packets', { type: 'number', default: 20_000, describe: 'of a connection, for the processor time of one' })
	.option('announce', { type: 'boolean', default: false, describe: 'BGPConfiguration announces cluster IPs' })
	.option('only', { type: 'string', choices: ['bgpmesh', 'kube-proxy'] as const })
	.strict()
	.parse();

const worker = resolve(fileURLToPath(import.meta.url), '../worker.js');
const subjects = (['bgpmesh', 'kube-proxy'] as const).filter(
	(name) => options.only === undefined || options.only === name,
);

// A run that is stopped leaves no process and no namespace behind.
let current: ChildProcess | undefined;
let isEnding = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
	process.on(signal, () => {
		isEnding = true;
		process.exitCode = 1;
		current?.kill('SIGTERM');
	});

for (const subject of subjects) {
	if (isEnding) break;
	if (subject === 'kube-proxy' && findBinary('kube-proxy') === undefined) {
		process.stdout.write('kube-proxy: not found (npm run setup:kube -- --e2e)\n');
		continue;
	}
	const namespace = `bench-services-${process.pid}`;
	execFileSync('ip', ['netns', 'add', namespace]);
	try {
		const { $0: _, _: __, only: ___, ...measured } = options;
		const given = JSON.stringify({ ...measured, subject });
		const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, worker, given], {
			stdio: ['ignore', 'inherit', 'inherit'],
		});
		current = child;
		const [code] = (await once(child, 'close')) as [number | null];
		if (code !== 0) process.exitCode = 1;
	} finally {
		current = undefined;
		execFileSync('ip', ['netns', 'del', namespace]);
	}
}
