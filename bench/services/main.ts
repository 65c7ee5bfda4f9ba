/**
 * `npm run bench:services [-- OPTIONS]`: Services programmed by bgpmeshd and by a real kube-proxy
 * (nftables mode), each in its own network namespace with the same objects, one after the other in
 * the same run: 5,000 Services with 10 endpoints, and the start with 5,006 Services and 250,300
 * endpoints. Both together take 6 minutes. Needs root; kube-proxy comes from
 * `npm run setup:kube -- --cluster`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { findBinary } from '../../lab/kubernetes/binaries.ts';

const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:services --')
	.option('services', { type: 'number', default: 5000, describe: 'others than the default: only these' })
	.option('backends', { type: 'number', default: 10, describe: 'of each Service' })
	.option('changes', { type: 'number', default: 400, describe: 'single changes, for the delay of one' })
	.option('patience', { type: 'number', default: 120, describe: 'longest time of these, in seconds' })
	.option('large', { type: 'boolean', default: true, describe: 'the start with 5,006 Services of 50 endpoints' })
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

type Figures = Readonly<Record<string, Readonly<Record<string, string | number>>>>;
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-services-main-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/** One subject with these many objects. */
async function measure(
	subject: (typeof subjects)[number],
	changed: { readonly services?: number; readonly backends?: number; readonly coldOnly: boolean },
): Promise<Figures> {
	if (isEnding) return {};
	if (subject === 'kube-proxy' && findBinary('kube-proxy') === undefined) {
		process.stdout.write('kube-proxy: not found (npm run setup:kube -- --cluster)\n');
		return {};
	}
	const namespace = `bench-services-${process.pid}`;
	execFileSync('ip', ['netns', 'add', namespace]);
	try {
		const { $0: _, _: __, only: ___, large: ____, ...measured } = options;
		const results = join(folder, `${subject}.json`);
		const given = JSON.stringify({ ...measured, ...changed, subject, results });
		const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, worker, given], {
			stdio: ['ignore', 'inherit', 'inherit'],
		});
		current = child;
		const [code] = (await once(child, 'close')) as [number | null];
		if (code !== 0) {
			process.exitCode = 1;
			return {};
		}
		// Written by `worker.ts` of the same build.
		return JSON.parse(readFileSync(results, 'utf8')) as Figures;
	} finally {
		current = undefined;
		execFileSync('ip', ['netns', 'del', namespace]);
	}
}

const isDefault = options.services === 5000 && options.backends === 10;
const figures = new Map<string, Figures>();
for (const subject of subjects) figures.set(subject, await measure(subject, { coldOnly: false }));
if (options.large && isDefault)
	for (const subject of subjects) {
		const more = await measure(subject, { services: 5006, backends: 50, coldOnly: true });
		figures.set(subject, { ...figures.get(subject), ...more });
	}

/** Both beside each other. */
const [ours, theirs] = [figures.get('bgpmesh') ?? {}, figures.get('kube-proxy') ?? {}];
const rows = Object.entries(ours).flatMap(([what, row]) =>
	Object.entries(row).flatMap(([name, value]) => {
		const other = theirs[what]?.[name];
		return typeof value === 'number' && typeof other === 'number' ? [{ what, name, value, other }] : [];
	}),
);
const short = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
if (rows.length > 0) {
	const [load] = readFileSync('/proc/loadavg', 'utf8').split(' ');
	process.stdout.write(`\n| load ${load} | bgpmesh | kube-proxy | ratio |\n|---|---:|---:|---:|\n`);
	for (const { what, name, value, other } of rows)
		process.stdout.write(`| ${what}: ${name} | ${short(value)} | ${short(other)} | ${short(value / other)} |\n`);
}
