import { writeFileSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { abandon, measure } from './measure.ts';
import { renderRun, renderTable } from './render.ts';
import { chooseScenarios, scenarios } from './scenarios/index.ts';
import { forms, subjectsWith } from './subjects/index.ts';
import { type Result, type Run, type Subject, subjectNames } from './types.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);

const options = await yargs(hideBin(process.argv))
	.locale('en')
	.scriptName('npm run bench --')
	.usage('$0 [SCENARIO...] [OPTIONS]\n\nMeasures bgpmesh as a route reflector beside other daemons on this machine.')
	.option('peers', {
		type: 'string',
		default: 'bird,frr,gobgp,openbgpd,floor',
		describe:
			'other reflectors, separated by commas, "" for none; NAME@sid of Debian unstable (npm run ' +
			'setup:peers), also bird3@sid',
	})
	.option('runs', { type: 'number', default: 3, describe: 'runs of every scenario' })
	.option('json', { type: 'string', describe: 'write the results to this file, too' })
	.option('scale', { type: 'number', default: 1, describe: 'share of the full size' })
	.option('bound', { type: 'number', default: 180, describe: 'seconds after which a run is given up' })
	.option('form', {
		choices: forms,
		default: forms[0],
		describe: 'the code of bgpmesh: bundled as in a package, or the compiled files',
	})
	.option('without-bgpmesh', { type: 'boolean', default: false, describe: 'measure the others alone' })
	.example('$0 full-table fan-out --peers bird,frr --runs 3', 'two scenarios beside BIRD and FRR')
	.example('$0 full-table --peers bird,bird@sid,bird3@sid', 'BIRD of Debian 12 beside BIRD 2 and 3 of Debian unstable')
	.example('$0 --scale 0.01 --runs 1', 'everything, small')
	.epilogue(`Scenarios:\n${scenarios.map(({ name, about }) => `  ${name.padEnd(24)} ${about}`).join('\n')}`)
	.strictOptions()
	.wrap(140)
	.parse();

for (const [signal, status] of [
	['SIGINT', 130],
	['SIGTERM', 143],
] as const) {
	process.once(signal, () => void abandon().finally(() => process.exit(status)));
}

const subjects = subjectsWith(options.form ?? 'bundle');
const wanted = options.peers.split(',').filter((name) => name !== '');
const unknown = wanted.filter((name) => !subjects.some((subject) => subject.name === name));
try {
	if (unknown.length > 0)
		throw new RangeError(`no such peer: ${unknown.join(', ')}; there are ${subjectNames.slice(1).join(', ')}`);
	const chosen = chooseScenarios(options._.map(String));
	const measuring = subjects.filter(({ name }) =>
		name === 'bgpmesh' ? !options['without-bgpmesh'] : wanted.includes(name),
	);
	process.exitCode = await benchmark(chosen, measuring);
} catch (error) {
	if (!(error instanceof RangeError)) throw error;
	say(error.message);
	process.exitCode = 2;
}

/**
 * The subjects take turns within a scenario, so that a change of the machine's load affects all of
 * them. Returns 1 if a run of ours was not verified.
 */
async function benchmark(chosen: ReturnType<typeof chooseScenarios>, measuring: readonly Subject[]): Promise<number> {
	const present = measuring.filter((subject) => {
		const reason = subject.missing();
		if (reason !== undefined) say(`not measured: ${subject.name}: ${reason}`);
		return reason === undefined;
	});
	const results: Result[] = [];
	for (const scenario of chosen) {
		say(`\n${scenario.name}: ${scenario.about}${options.scale === 1 ? '' : ` (scale ${options.scale})`}`);
		const able = scenario.beyondFloor !== true ? present : present.filter(({ name }) => name !== 'floor');
		const runs = new Map(able.map((subject) => [subject, [] as Run[]]));
		for (let round = 0; round < options.runs; round++) {
			for (const [subject, list] of runs) {
				const timedOutBefore = list.find(({ timedOut }) => timedOut);
				// A subject that once exceeded its bound is not run again.
				const run =
					timedOutBefore ?? (await measure(scenario, subject, { scale: options.scale, boundSeconds: options.bound }));
				list.push(run);
				say(`  ${subject.name.padEnd(12)} run ${round + 1}  ${renderRun(run)}`);
			}
		}
		results.push(
			...able.map((subject) => ({ scenario: scenario.name, subject: subject.name, runs: runs.get(subject) ?? [] })),
		);
		if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, '\t')}\n`);
	}
	process.stdout.write(renderTable(results));
	return results.some(({ subject, runs }) => subject === 'bgpmesh' && runs.some(({ verified }) => !verified)) ? 1 : 0;
}
