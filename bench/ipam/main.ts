import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { type IpamFigures, measureIpam } from './measure.ts';
import { type CniFigures, measureCni } from './plugin.ts';
import { forEachServer } from './servers.ts';

/** Addresses a second and the time of an ADD, on the embedded API server and on kube-apiserver in one run: `npm run bench:ipam`. */
const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:ipam --')
	.option('seconds', { type: 'number', default: 10, describe: 'of each kind of load' })
	.option('adds', { type: 'number', default: 200, describe: 'calls of each plugin, one after another' })
	.option('only', { type: 'string', choices: ['ours', 'theirs'] as const })
	.option('json', { type: 'boolean', default: false })
	.strict()
	.parse();

const results: { name: string; ipam: IpamFigures; cni: CniFigures }[] = [];
await forEachServer(options.only, async (server) => {
	const progress = (text: string) => process.stderr.write(`${server.name}: ${text}\n`);
	const ipam = await measureIpam(server.kubeconfig, { seconds: options.seconds, progress });
	const cni = await measureCni(server, { count: options.adds, progress });
	results.push({ name: server.name, ipam, cni });
});

const row = (what: string, cells: readonly string[]) => `| ${[what, ...cells].join(' | ')} |\n`;
const both = (of: (result: (typeof results)[number]) => string) => results.map(of);
const quantiles = ({ p50, p99 }: { readonly p50: number; readonly p99: number }) => `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`;
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
					both(({ cni }) => (cni.calico === undefined ? 'not built' : `${(cni.calico.hundredAtOnceMs / 1000).toFixed(2)} s`)),
				),
				row(
					'100 ADDs at once by `host-local`',
					both(({ cni }) => (cni.hostLocal === undefined ? 'not installed' : `${(cni.hostLocal.hundredAtOnceMs / 1000).toFixed(2)} s`)),
				),
				row(
					'100 `node -e 0` at once',
					both(({ cni }) => `${(cni.emptyNode.hundredAtOnceMs / 1000).toFixed(2)} s`),
				),
			].join(''),
	);
process.exit(0);
