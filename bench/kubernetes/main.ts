import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { packagedDefinitions } from '../../src/apiserver/index.ts';
import { stringifyJson } from '../../src/json/index.ts';
import { Client, type Target } from './client.ts';
import { daemonOn } from './daemon.ts';
import { load, watchLatency, writes } from './measures.ts';
import { processorMilliseconds, residentMebibytes, startOurs, startTheirs } from './targets.ts';

/**
 * The embedded API server and kube-apiserver with etcd, in one run on one machine: `npm run
 * bench:kube`. Both sync every write.
 */
const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:kube --')
	.option('seconds', { type: 'number', default: 10, describe: 'of writing' })
	.option('writers', { type: 'number', default: 32 })
	.option('watchers', { type: 'number', default: 500 })
	.option('nodes', { type: 'number', default: 5000 })
	.option('blocks', { type: 'number', default: 25_000 })
	.option('only', { type: 'string', choices: ['ours', 'theirs'] as const })
	.strict()
	.parse();

async function measure(target: Target): Promise<void> {
	const client = new Client(target, options.writers);
	const say = (what: string, figures: Readonly<Record<string, number>>) =>
		process.stdout.write(
			`${target.name.padEnd(22)} ${what.padEnd(34)} ${Object.entries(figures)
				.map(([name, value]) => `${name} ${value.toFixed(value < 10 ? 1 : 0)}`)
				.join('   ')}\n`,
		);
	try {
		for (const definition of packagedDefinitions())
			await client
				.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', stringifyJson(definition))
				.catch(() => undefined);
		for (let attempt = 0; attempt < 100; attempt++) {
			if ((await client.ask('GET', '/apis/crd.projectcalico.org/v1/ipamblocks').catch(() => '')) !== '') break;
			await new Promise((done) => setTimeout(done, 100));
		}
		const before = processorMilliseconds(target.pids);
		const { count = 0, ...figures } = await writes(client, options.writers, options.seconds);
		say(`${options.writers} writers, a block each`, {
			...figures,
			'processor ms each': (processorMilliseconds(target.pids) - before) / count,
		});
		say(`${options.watchers} watchers of one node`, await watchLatency(client, options.watchers, 30));
		say(`${options.nodes} nodes, ${options.blocks} blocks`, await load(client, options.nodes, options.blocks));
		say('memory after that', { MiB: residentMebibytes(target.pids) });
		say('a daemon that starts from these', await daemonOn(target, client, options.nodes));
	} finally {
		client.close();
		await target.stop();
	}
}

if (options.only !== 'theirs') await measure(await startOurs());
if (options.only !== 'ours') {
	const theirs = await startTheirs();
	if (typeof theirs === 'string') process.stdout.write(`not measured: kube-apiserver: ${theirs}\n`);
	else await measure(theirs);
}
process.exit(0);
