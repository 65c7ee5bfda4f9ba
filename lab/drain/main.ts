/**
 * `npm run lab -- --scenario drain`: a laboratory of its own, for it needs Services in nftables and
 * no tunnel.
 */
import { parseArgs } from 'node:util';
import { findCommand } from '../uml/index.ts';
import { drainSteps, runDrain } from './run.ts';

const usage = `Usage: npm run lab -- --scenario drain [--connections N] [--rate N] [--lifetime MS] [--step STEP]...
              [--order drain|withdraw] [--json]

Opens connections through ECMP to a Service with externalTrafficPolicy Local, while a node is cordoned, drained and
restarted, another one is excluded from load balancers, and a Deployment rolls. Exit code 0: none was broken.

  --connections N   as many at least (20000)
  --rate N          new ones a second (300)
  --lifetime MS     longest lifetime of one (2000)
  --step STEP       drain: a node is cordoned, drained and restarted; exclude: one is excluded from load balancers;
                    roll: a Deployment rolls (all three)
  --order ORDER     drain: this project's order of events; withdraw: the route goes at once, as with MetalLB and Calico
  --json            standard output is one JSON document`;

/** Are these the arguments of this laboratory? */
export const isDrain = (argv: readonly string[]): boolean =>
	argv.some((word, index) => word === '--scenario=drain' || (word === 'drain' && argv[index - 1] === '--scenario'));

/** Runs it; returns the exit code. */
export async function drainMain(argv: readonly string[]): Promise<number> {
	let values: Record<string, string | boolean | string[] | undefined>;
	try {
		({ values } = parseArgs({
			args: [...argv],
			options: {
				scenario: { type: 'string', multiple: true },
				connections: { type: 'string', default: '20000' },
				rate: { type: 'string', default: '300' },
				lifetime: { type: 'string', default: '2000' },
				step: { type: 'string', multiple: true, default: [...drainSteps] },
				order: { type: 'string', default: 'drain' },
				json: { type: 'boolean', default: false },
				help: { type: 'boolean', short: 'h', default: false },
			},
		}));
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
		return 2;
	}
	if (values['help'] === true) {
		process.stdout.write(`${usage}\n`);
		return 0;
	}
	const { order } = values;
	const [connections, rate, lifetimeMs] = [
		Number(values['connections']),
		Number(values['rate']),
		Number(values['lifetime']),
	];
	const named = [values['step'] ?? []].flat();
	const steps = drainSteps.filter((step) => named.includes(step));
	const isKnown = steps.length === new Set(named).size;
	if (
		!isKnown ||
		(order !== 'drain' && order !== 'withdraw') ||
		!(connections > 0) ||
		!(rate > 0) ||
		!(lifetimeMs > 0)
	) {
		process.stderr.write(`${usage}\n`);
		return 2;
	}
	const missing = ['ip', 'nft', 'bird', 'sysctl'].filter((command) => findCommand(command) === undefined);
	if (process.getuid?.() !== 0) missing.unshift('root');
	if (missing.length > 0) {
		process.stderr.write(`the laboratory needs: ${missing.join(', ')}\n`);
		return 2;
	}
	const progress = (text: string) => process.stderr.write(`${text}\n`);
	const report = await runDrain({ order, steps, connections, rate, lifetimeMs, progress });
	if (values['json'] === true) process.stdout.write(`${JSON.stringify(report)}\n`);
	else {
		const reasons = Object.entries(report.reasons).map(([name, count]) => `${name} ${count}`);
		process.stdout.write(
			`${report.connections} connections in ${report.seconds.toFixed(0)} s, ${report.broken} broken${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}; load of the machine ${report.loadAverage}\n${report.failures.map((failure) => `  ${failure}\n`).join('')}${report.problems.map((problem) => `${problem}\n`).join('')}`,
		);
	}
	return report.ok ? 0 : 1;
}
