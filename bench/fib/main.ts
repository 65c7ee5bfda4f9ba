import { parseArgs } from 'node:util';
import { addInterfaces, enterNewNamespace } from './namespace.ts';
import { type Layout, type Timing, timeFib, timeIpBatch, timeKernel } from './subjects.ts';

/** Writing routes to the kernel: our netlink, our whole FIB, and `ip -batch`, each in a fresh network namespace. */
const { values } = parseArgs({
	options: {
		routes: { type: 'string', default: '100000' },
		hops: { type: 'string', default: '1,1000' },
		runs: { type: 'string', default: '3' },
		json: { type: 'boolean', default: false },
	},
});

const subjects = { kernel: timeKernel, fib: timeFib, 'ip -batch': timeIpBatch } as const;
const phases = ['install', 'replace', 'delete'] as const;

function median(numbers: readonly number[]): number {
	return [...numbers].sort((left, right) => left - right)[numbers.length >> 1] ?? Number.NaN;
}

const perSecond = (routes: number, milliseconds: number): string => `${Math.round(routes / milliseconds)}k/s`;

const routes = Number(values.routes);
const results: { subject: string; nextHops: number; timings: Timing[] }[] = [];
for (const nextHops of values.hops.split(',').map(Number)) {
	const layout: Layout = { routes, nextHops };
	const taken = Object.keys(subjects).map((subject) => ({ subject, nextHops, timings: [] as Timing[] }));
	// The subjects take turns, so that a change of the machine's mood meets all of them.
	for (let run = 0; run < Number(values.runs); run++) {
		for (const { subject, timings } of taken) {
			enterNewNamespace();
			addInterfaces();
			timings.push(await subjects[subject as keyof typeof subjects](layout));
		}
	}
	results.push(...taken);
}

if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
	process.stdout.write(`${routes} routes, medians of ${values.runs}\n`);
	process.stdout.write(`${['', 'next hops', ...phases, 'read back', 'longest block'].map((cell) => cell.padEnd(14)).join('')}\n`);
	for (const { subject, nextHops, timings } of results) {
		const cells = phases.map((phase) => perSecond(routes, median(timings.map((timing) => timing[`${phase}Ms`]))));
		const listMs = `${Math.round(median(timings.map((timing) => timing.listMs)))} ms`;
		const block = `${Math.round(median(timings.map((timing) => timing.longestBlockMs)))} ms`;
		process.stdout.write(`${[subject, String(nextHops), ...cells, listMs, block].map((cell) => cell.padEnd(14)).join('')}\n`);
	}
}
process.exit(0);
