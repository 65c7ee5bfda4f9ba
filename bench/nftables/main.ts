/**
 * `npm run bench:nftables -- policy|services|packets [OPTIONS]`: the cost of the kernel side of
 * policy and services. Needs root.
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { benchPackets } from './packets.ts';
import { benchPolicy } from './policy.ts';
import { benchServices } from './services.ts';

const { _: what, ...options } = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:nftables --')
	.usage('$0 policy|services|packets')
	.option('pods', { type: 'number', default: 10_000, describe: 'policy: pods of the node' })
	.option('policies', { type: 'number', default: 1000, describe: 'policy: how many' })
	.option('services', { type: 'number', default: 5000, describe: 'services: how many' })
	.option('backends', { type: 'number', default: 10, describe: 'services: of each' })
	.option('changes', { type: 'number', default: 100, describe: 'single changes of each kind' })
	.option('packets', { type: 'number', default: 20_000, describe: 'packets: of a round' })
	.option('rounds', { type: 'number', default: 7, describe: 'packets: how many' })
	.option('json', { type: 'boolean', default: false, describe: 'the result as one JSON document' })
	.example('npm run bench:nftables -- policy --pods 1000 --json', 'A node with 1,000 pods')
	.demandCommand(1, 1)
	.strict()
	.parseAsync();

async function run(): Promise<unknown> {
	switch (String(what[0])) {
		case 'policy':
			return benchPolicy(options);
		case 'services':
			return benchServices(options);
		case 'packets':
			return benchPackets(['none', 'conntrack', 0, 10, 100, 1000, 'mixed 10', 'mixed 100', 'mixed 1000'], options);
		default:
			throw new Error(`'${what[0]}' is none of policy, services, packets`);
	}
}

try {
	const result = await run();
	process.stdout.write(`${JSON.stringify(result, undefined, options.json ? undefined : 2)}\n`);
} catch (error) {
	process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
	process.exitCode = 2;
}
