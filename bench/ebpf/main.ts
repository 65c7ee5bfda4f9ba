/**
 * `npm run bench:ebpf -- [OPTIONS]`: the eBPF data plane beside nftables and no policy at all.
 * Needs root. The load of the machine is part of the result: figures of a busy machine prove
 * nothing.
 */
import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { benchConnect } from './connect.ts';
import { benchWays } from './packets.ts';
import { benchPodWays } from './pod-ways.ts';
import { benchPods } from './pods.ts';
import { benchTunnel } from './tunnel.ts';

const ofPods = ['connectPods', 'rate', 'stream'] as const;
const single = ['packets', 'pods', 'connect', 'tunnel'] as const;
const parts = [...single, ...ofPods] as const;

const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:ebpf --')
	.option('pods', { type: 'number', default: 110, describe: 'pods of the node' })
	.option('changes', { type: 'number', default: 200, describe: 'policy changes of one pod' })
	.option('packets', { type: 'number', default: 10_000, describe: 'packets of a round' })
	.option('rounds', { type: 'number', default: 15, describe: 'rounds of packets' })
	.option('connections', { type: 'number', default: 2000, describe: 'connections of each kind' })
	.option('services', { type: 'number', default: 1000, describe: 'services beside the measured one' })
	.option('seconds', { type: 'number', default: 1, describe: 'of a round of short connections, or of a stream' })
	.option('clients', { type: 'number', default: 4, describe: 'that make short connections at a time' })
	.option('only', { type: 'string', choices: parts, array: true, describe: 'these parts alone' })
	.option('json', { type: 'boolean', default: false, describe: 'the result as one JSON document' })
	.example('npm run bench:ebpf -- --json', 'everything, for programs')
	.strict()
	.parseAsync();

const loadAverage = (): string => readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ');

try {
	const loadBefore = loadAverage();
	const isChosen = (part: (typeof parts)[number]) => options.only === undefined || options.only.includes(part);
	const measures = {
		packets: () => benchWays(options),
		pods: () => benchPods(options),
		connect: () => benchConnect(options),
		tunnel: () => benchTunnel(options),
	};
	const result: Record<string, unknown> = {};
	for (const part of single) if (isChosen(part)) result[part] = await measures[part]();
	const chosen = ofPods.filter(isChosen);
	if (chosen.length > 0) Object.assign(result, await benchPodWays(chosen, options));
	const load = { before: loadBefore, after: loadAverage() };
	process.stdout.write(`${JSON.stringify({ ...result, load }, undefined, options.json ? undefined : 2)}\n`);
} catch (error) {
	process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
	process.exitCode = 2;
}
