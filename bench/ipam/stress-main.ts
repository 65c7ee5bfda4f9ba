import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { stress } from '../../lab/ipam-stress.ts';
import { forEachServer } from './servers.ts';

/**
 * Fifty nodes assign and release a hundred thousand addresses, on each server: `npm run
 * stress:ipam`. Exits with 1 on any error.
 */
const options = await yargs(hideBin(process.argv))
	.scriptName('npm run stress:ipam --')
	.option('nodes', { type: 'number', default: 50 })
	.option('allocations', { type: 'number', default: 100_000 })
	.option('workers', { type: 'number', default: 8, describe: 'containers under way on each node' })
	.option('only', { type: 'string', choices: ['ours', 'theirs'] as const })
	.strict()
	.parse();

let isRight = true;
await forEachServer(options.only, async ({ name, kubeconfig }) => {
	const { given, unanswered, seconds, twice, held, handlesLeft, inconsistencies } = await stress(kubeconfig, {
		nodes: options.nodes,
		allocations: options.allocations,
		workersPerNode: options.workers,
		progress: (text) => process.stderr.write(`${name}: ${text}\n`),
	});
	process.stdout.write(
		`${name}: ${given} addresses given and taken back by ${options.nodes} nodes in ` +
			`${seconds.toFixed(0)} s, ${(given / seconds).toFixed(0)}/s, ${unanswered} calls made again: ` +
			`${twice.length} with two owners, ${held} lost, ${handlesLeft} handles left, ` +
			`${inconsistencies.length} inconsistencies\n`,
	);
	for (const problem of [
		...twice.slice(0, 10),
		...inconsistencies.slice(0, 10).map((each) => `${each.subject}: ${each.problem}`),
	])
		process.stdout.write(`  ${problem}\n`);
	isRight &&= given >= options.allocations && twice.length + held + handlesLeft + inconsistencies.length === 0;
});
process.exit(isRight ? 0 : 1);
