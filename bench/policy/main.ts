/**
 * `npm run bench:policy`: start, changes and memory of network policy at one node; its options are
 * in `help`.
 */
import { parseArgs } from 'node:util';
import { loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import { measureBeside } from './beside.ts';
import { measureFelix } from './beside-felix.ts';
import { measureDaemon } from './daemon.ts';
import { type Figures, measure, nowhere, type Percentiles, type Sink } from './measure.ts';

const help = `npm run bench:policy -- [OPTIONS]

  --pods N        pods of the cluster (10000)
  --nodes N       its nodes (1); what is measured is at one of them
  --policies N    its policies (1000)
  --namespaces N  its namespaces (100)
  --rounds N      changes of each sort (200)
  --nftables      changes are written to the kernel of the current network namespace, as root: run it in a
                  separate one, ip netns exec NAME
  --beside        with --nftables: writes the same policy by nft, ipset and iptables-restore as well
  --daemon        a whole daemon that lists the cluster from a server
  --felix         whole agents, ours and Calico's, in a new network namespace, unshare -n, after
                  npm run setup:felix
  --json          figures as one JSON object
`;

const { values } = parseArgs({
	options: {
		pods: { type: 'string', default: '10000' },
		nodes: { type: 'string', default: '1' },
		policies: { type: 'string', default: '1000' },
		namespaces: { type: 'string', default: '100' },
		rounds: { type: 'string', default: '200' },
		nftables: { type: 'boolean', default: false },
		daemon: { type: 'boolean', default: false },
		felix: { type: 'boolean', default: false },
		beside: { type: 'boolean', default: false },
		json: { type: 'boolean', default: false },
		help: { type: 'boolean', default: false },
	},
});
if (values.help) {
	process.stdout.write(help);
	process.exit(0);
}

function nftables(): Sink {
	const kernel = new NftablesPolicy({}, { load: loadRuleset });
	return {
		name: 'nftables',
		start: async (calculator) => void (await kernel.sync(calculator.state)),
		apply: (change, calculator) => kernel.apply(change, calculator.state),
		beside: ({ state }) => measureBeside(state, roundsBeside),
		async close() {
			await kernel.remove();
			kernel.close();
		},
	};
}

/** Whole tables take long. */
const roundsBeside = 7;

const size = {
	pods: Number(values.pods),
	nodes: Number(values.nodes),
	policies: Number(values.policies),
	namespaces: Number(values.namespaces),
};
if (values.daemon) {
	const figures = await measureDaemon(size);
	process.stdout.write(`${JSON.stringify({ size, ...figures })}\n`);
	process.exit(0);
}
if (values.felix) {
	process.stdout.write(`${JSON.stringify({ size, ...(await measureFelix(size, Number(values.rounds))) })}\n`);
	process.exit(0);
}
const { beside, ...alone } = values.nftables ? nftables() : nowhere;
const sink: Sink = values.beside && beside !== undefined ? { ...alone, beside } : alone;
try {
	const figures = await measure(size, sink, Number(values.rounds));
	process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : render(figures));
} finally {
	await sink.close();
}

function render(figures: Figures): string {
	const { size, localPods, sets, members, labelClasses, computedMs, enforcedMs, residentMib, heapMib, changes } =
		figures;
	const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
	const line = (name: string, { p50, p99, most }: Percentiles) =>
		`  ${name.padEnd(48)} p50 ${ms(p50)}, p99 ${ms(p99)}, most ${ms(most)}\n`;
	return (
		`${size.pods} pods (${localPods} here), ${size.nodes} nodes, ${size.namespaces} namespaces, ${size.policies} policies\n` +
		`${sets} sets with ${members} members, ${labelClasses} classes of labels\n` +
		`start: computed after ${ms(computedMs)} (${ms(figures.computedCpuMs)} CPU), ${figures.sink} after ${ms(enforcedMs)}\n` +
		`memory: ${residentMib.toFixed(0)} MiB resident, ${heapMib.toFixed(0)} MiB heap\n` +
		Object.entries(changes)
			.map(
				([name, { computed, applied }]) =>
					line(`${name}, computed`, computed) +
					(figures.sink === 'none' ? '' : line(`${name}, in the kernel`, applied)),
			)
			.concat(
				Object.entries(figures.beside ?? {}).map(
					([name, { median, most }]) => `  ${name.padEnd(48)} p50 ${ms(median)}, most ${ms(most)}\n`,
				),
			)
			.join('')
	);
}
