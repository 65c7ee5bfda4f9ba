import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { type AddFigures, type InterfaceFigures, isolation, measureInterfaces } from './interfaces.ts';
import { type IpamFigures, measureIpam } from './measure.ts';
import { type CniFigures, measureCni } from './plugin.ts';
import { forEachServer } from './servers.ts';

/** The marker of the process inside the namespace. */
const inside = 'BGPMESH_BENCH_INSIDE';

/** Measures the main plugins on kube-apiserver, prints the table and exits. */
async function runInterfaces(): Promise<never> {
	if (process.env[inside] === undefined) {
		const [program = '', ...args] = isolation;
		const { status } = spawnSync(program, [...args, process.execPath, ...process.argv.slice(1)], {
			stdio: 'inherit',
			env: { ...process.env, [inside]: '1' },
		});
		process.exit(status ?? 1);
	}
	await forEachServer(options.only ?? 'theirs', async (server) => {
		const progress = (text: string) => process.stderr.write(`${server.name}: ${text}\n`);
		const figures = await measureInterfaces(server, { count: options.adds, progress });
		process.stdout.write(options.json ? `${JSON.stringify(figures)}\n` : renderInterfaces(server.name, figures));
	});
	process.exit(0);
}

function renderInterfaces(server: string, { ours, calico }: InterfaceFigures): string {
	const cells = (of: (figures: AddFigures) => string) =>
		[of(ours), calico === undefined ? 'not built' : of(calico)].join(' | ');
	const ratio = (of: (figures: AddFigures) => number) =>
		calico === undefined ? '' : (of(ours) / of(calico)).toFixed(2);
	const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
	return [
		`${server}, load ${load}\n`,
		'| | `bgpmesh` | `calico` | ratio |\n| --- | ---: | ---: | ---: |\n',
		`| ADD with interface, p50 | ${cells((each) => `${each.oneAfterAnother.p50.toFixed(1)} ms`)} ` +
			`| ${ratio((each) => each.oneAfterAnother.p50)} |\n`,
		`| ADD with interface, p99 | ${cells((each) => `${each.oneAfterAnother.p99.toFixed(1)} ms`)} ` +
			`| ${ratio((each) => each.oneAfterAnother.p99)} |\n`,
		`| 100 ADDs at once | ${cells((each) => `${(each.hundredAtOnceMs / 1000).toFixed(2)} s`)} | ` +
			`${ratio((each) => each.hundredAtOnceMs)} |\n`,
	].join('');
}

/**
 * Addresses a second and the time of an ADD, on the embedded API server and on kube-apiserver in
 * one run: `npm run bench:ipam`.
 */
const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:ipam --')
	.option('seconds', { type: 'number', default: 10, describe: 'of each kind of load' })
	.option('adds', { type: 'number', default: 200, describe: 'calls of each plugin, one after another' })
	.option('only', { type: 'string', choices: ['ours', 'theirs'] as const })
	.option('interfaces', {
		type: 'boolean',
		default: false,
		describe:
			'whole ADDs with the interface, by the executable bgpmesh and by Calico; in a network namespace; needs root',
	})
	.option('json', { type: 'boolean', default: false })
	.strict()
	.parse();

if (options.interfaces) await runInterfaces();

const results: { name: string; ipam: IpamFigures; cni: CniFigures }[] = [];
await forEachServer(options.only, async (server) => {
	const progress = (text: string) => process.stderr.write(`${server.name}: ${text}\n`);
	const ipam = await measureIpam(server.kubeconfig, { seconds: options.seconds, progress });
	const cni = await measureCni(server, { count: options.adds, progress });
	results.push({ name: server.name, ipam, cni });
});

const row = (what: string, cells: readonly string[]) => `| ${[what, ...cells].join(' | ')} |\n`;
const both = (of: (result: (typeof results)[number]) => string) => results.map(of);
const quantiles = ({ p50, p99 }: { readonly p50: number; readonly p99: number }) =>
	`${p50.toFixed(1)} / ${p99.toFixed(1)} ms`;
if (options.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else
	process.stdout.write(
		row(
			'',
			both(({ name }) => name),
		) +
			`| --- |${' ---: |'.repeat(results.length)}\n` +
			[
				row(
					'conditional writes/s of 32 writers',
					both(({ ipam }) => ipam.writesPerSecond.toFixed(0)),
				),
				row(
					'addresses/s of one warm node, 64 under way',
					both(({ ipam }) => ipam.allocationsPerSecond.toFixed(0)),
				),
				row(
					'as a share of the writes/s',
					both(({ ipam }) => ipam.share.toFixed(2)),
				),
				row(
					'an address, one after another, p50 / p99',
					both(({ ipam }) => quantiles(ipam.sequential)),
				),
				row(
					'100 addresses at once',
					both(({ ipam }) => `${(ipam.hundredAtOnceSeconds * 1000).toFixed(0)} ms`),
				),
				row(
					'reads and writes of the first address',
					both(({ ipam: { requests } }) => `${requests.coldReads} + ${requests.coldWrites}`),
				),
				row(
					'reads and writes of a warm address',
					both(({ ipam: { requests } }) => `${requests.warmReads} + ${requests.warmWrites}`),
				),
				row(
					'whole ADD by `bgpmesh-ipam`, p50 / p99',
					both(({ cni }) => quantiles(cni.ours.oneAfterAnother)),
				),
				row(
					'whole ADD by `calico-ipam`, p50 / p99',
					both(({ cni }) => (cni.calico === undefined ? 'not built' : quantiles(cni.calico.oneAfterAnother))),
				),
				row(
					'whole ADD by `host-local`, p50 / p99',
					both(({ cni }) => (cni.hostLocal === undefined ? 'not installed' : quantiles(cni.hostLocal.oneAfterAnother))),
				),
				row(
					'`node -e 0`, p50 / p99',
					both(({ cni }) => quantiles(cni.emptyNode.oneAfterAnother)),
				),
				row(
					'100 ADDs at once by `bgpmesh-ipam`',
					both(({ cni }) => `${(cni.ours.hundredAtOnceMs / 1000).toFixed(2)} s`),
				),
				row(
					'100 ADDs at once by `calico-ipam`',
					both(({ cni }) =>
						cni.calico === undefined ? 'not built' : `${(cni.calico.hundredAtOnceMs / 1000).toFixed(2)} s`,
					),
				),
				row(
					'100 ADDs at once by `host-local`',
					both(({ cni }) =>
						cni.hostLocal === undefined ? 'not installed' : `${(cni.hostLocal.hundredAtOnceMs / 1000).toFixed(2)} s`,
					),
				),
				row(
					'100 `node -e 0` at once',
					both(({ cni }) => `${(cni.emptyNode.hundredAtOnceMs / 1000).toFixed(2)} s`),
				),
			].join(''),
	);
process.exit(0);
