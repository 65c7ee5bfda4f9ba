/**
 * `npm run bench:blocks`: the longest block of the daemon's event loop, under loads that used to
 * block it.
 */
import { loadavg } from 'node:os';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { MeasuredDaemon } from './daemon.ts';
import { Neighbours } from './neighbours.ts';
import { bgpLines, fullSizes, holdTimeSeconds, type Sizes, scenarios } from './scenarios.ts';

const options = await yargs(hideBin(process.argv))
	.scriptName('npm run bench:blocks --')
	.usage('$0 [SCENARIO...] [OPTIONS]\n\nMeasures the longest block of the event loop.')
	.option('scale', { type: 'number', default: 1, describe: 'share of the full size' })
	.option('json', { type: 'boolean', default: false, describe: 'the results as JSON' })
	.epilogue(`Scenarios:\n${scenarios.map(({ name, about }) => `  ${name.padEnd(16)} ${about(fullSizes)}`).join('\n')}`)
	.strictOptions()
	.parse();

interface Result {
	readonly scenario: string;
	readonly about: string;
	/** By the clock. */
	readonly longestBlockMs: number;
	/**
	 * Without the time in which the daemon waited for a processor: the relevant value on a busy
	 * machine.
	 */
	readonly ownBlockMs: number;
	readonly targetMs: number;
	readonly sessionsLost: number;
	readonly facts: string;
}

const names = options._.map(String);
const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
	process.stderr.write(`no such scenario: ${unknown.join(', ')}\n`);
	process.exit(2);
}
const scaled = (value: number, least: number) => Math.max(least, Math.round(value * options.scale));
const sizes: Sizes = {
	routes: scaled(fullSizes.routes, 1000),
	watchedSessions: fullSizes.watchedSessions,
	monitors: scaled(fullSizes.monitors, 10),
	origins: scaled(fullSizes.origins, 1000),
	peers: scaled(fullSizes.peers, 100),
	stormSessions: scaled(fullSizes.stormSessions, 50),
};

const results: Result[] = [];
const daemon = await MeasuredDaemon.start(bgpLines(sizes));
const neighbours = new Neighbours();
try {
	await neighbours.command({ type: 'open', first: 0, count: sizes.watchedSessions + 1, holdTimeSeconds });
	await neighbours.untilEstablished(sizes.watchedSessions + 1, 60);
	for (const scenario of scenarios) {
		// Listings need the routes.
		if (names.length > 0 && !names.includes(scenario.name) && scenario.name !== 'feed') continue;
		await daemon.longestBlock();
		const before = await neighbours.command({ type: 'report' });
		const facts = await scenario.run({ daemon, neighbours, sizes });
		const { clockMs: longestBlockMs, ownMs: ownBlockMs } = await daemon.longestBlock();
		const after = await neighbours.command({ type: 'report' });
		const result: Result = {
			scenario: scenario.name,
			about: scenario.about(sizes),
			longestBlockMs,
			ownBlockMs,
			targetMs: scenario.targetMs,
			sessionsLost: after.lost - before.lost,
			facts,
		};
		results.push(result);
		if (!options.json) print(result);
	}
} finally {
	neighbours.stop();
	await daemon.stop();
}
if (options.json) process.stdout.write(`${JSON.stringify({ sizes, load: loadavg()[0], results }, undefined, '\t')}\n`);
else
	process.stdout.write(
		`\nLoad of the machine: ${loadavg()[0]?.toFixed(1)}. Hold time of the watched sessions: ${holdTimeSeconds} s.\n`,
	);
process.exitCode = results.every(
	({ ownBlockMs, targetMs, sessionsLost }) => ownBlockMs <= targetMs && sessionsLost === 0,
)
	? 0
	: 1;

function print({ scenario, longestBlockMs, ownBlockMs, targetMs, sessionsLost, facts, about }: Result): void {
	const verdict = ownBlockMs <= targetMs ? 'within' : 'ABOVE ';
	const lost = sessionsLost === 0 ? 'no session lost' : `${sessionsLost} SESSIONS LOST`;
	process.stdout.write(
		`${scenario.padEnd(16)} ${ownBlockMs.toFixed(1).padStart(8)} ms (clock ` +
			`${longestBlockMs.toFixed(1).padStart(7)} ms)  ${verdict} ${String(targetMs).padStart(3)} ms ` +
			` ${lost}  ${about}: ${facts}\n`,
	);
}
