import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runAsDaemon } from './launch.ts';
import { addInterfaces, enterNewNamespace, removeInterfaces } from './namespace.ts';
import { type Layout, type Operation, operations, type Subject, subjects, type Timing } from './subjects.ts';

/**
 * Writing routes to the kernel, each subject in a fresh network namespace: C, our netlink, our
 * whole FIB, `ip -batch` and BIRD.
 */
const help = `npm run bench:fib -- [OPTIONS]

  --routes N       routes of each pass (100000)
  --hops LIST      numbers of next hops, which routes name in turn (1,1000,5000)
  --runs N         passes; medians are shown (3)
  --subjects LIST  of ${Object.keys(subjects).join(', ')}
  --json FILE      rows { subject, nextHops, operation, routesPerSecond, longestBlockMs }; - is standard output

The subjects kernel and fib run in a process with the options of bgpmeshd. The program c sends the same messages
(next hop objects from 64 next hops on, grouped by next hop, no acknowledgements, one socket), but reads a list without
keeping its routes.

Needs root. The subject c needs a C compiler, bird the package bird2; one that is missing is left out, and named.
`;

const { values } = parseArgs({
	options: {
		routes: { type: 'string', default: '100000' },
		hops: { type: 'string', default: '1,1000,5000' },
		runs: { type: 'string', default: '3' },
		subjects: { type: 'string', default: Object.keys(subjects).join(',') },
		json: { type: 'string' },
		help: { type: 'boolean', default: false },
	},
});

interface Row {
	readonly subject: string;
	readonly nextHops: number;
	readonly operation: Operation;
	readonly routesPerSecond: number;
	/** Of our event loop; `null` for a subject in a separate process. */
	readonly longestBlockMs: number | null;
}

runAsDaemon();

const median = (numbers: readonly number[]): number =>
	[...numbers].sort((left, right) => left - right)[numbers.length >> 1] ?? Number.NaN;

async function measure(): Promise<Row[]> {
	const routes = Number(values.routes);
	const rows: Row[] = [];
	for (const nextHops of values.hops.split(',').map(Number)) {
		const layout: Layout = { routes, nextHops };
		const taken = values.subjects.split(',').map((name) => ({ name, timings: [] as Timing[] }));
		// The subjects take turns, so that a change of the machine's load affects all of them.
		for (let run = 0; run < Number(values.runs); run++) {
			for (const { name, timings } of taken) {
				const subject: Subject | undefined = subjects[name as keyof typeof subjects];
				if (subject === undefined) throw new Error(`no subject '${name}': ${Object.keys(subjects).join(', ')}`);
				enterNewNamespace();
				addInterfaces();
				// The garbage of the subject before is not this one's.
				globalThis.gc?.();
				const timing = await subject(layout);
				removeInterfaces();
				if (timing.type === 'missing') {
					if (run === 0) process.stderr.write(`bench:fib: ${name} is left out: ${timing.reason}\n`);
				} else timings.push(timing.timing);
			}
		}
		for (const { name, timings } of taken)
			for (const operation of timings.length === 0 ? [] : operations) {
				const ms = median(timings.map((timing) => timing[operation].ms));
				const blocks = timings.flatMap((timing) => timing[operation].longestBlockMs ?? []);
				rows.push({
					subject: name,
					nextHops,
					operation,
					routesPerSecond: Math.round(routes / (ms / 1000)),
					longestBlockMs: blocks.length === 0 ? null : Math.round(median(blocks) * 10) / 10,
				});
			}
	}
	return rows;
}

function render(rows: readonly Row[]): string {
	const cell = (text: string) => text.padEnd(12);
	const head = ['', 'next hops', ...operations, 'longest block'].map(cell).join('');
	const groups = new Map<string, Row[]>();
	for (const row of rows) {
		const key = `${row.subject} ${row.nextHops}`;
		groups.set(key, [...(groups.get(key) ?? []), row]);
	}
	const lines = [...groups.values()].map((group) => {
		const [first] = group;
		const rates = operations.map((operation) => {
			const row = group.find((candidate) => candidate.operation === operation);
			return `${Math.round((row?.routesPerSecond ?? 0) / 1000)}k/s`;
		});
		const blocks = group.flatMap(({ longestBlockMs }) => longestBlockMs ?? []);
		const block = blocks.length === 0 ? '' : `${Math.max(...blocks)} ms`;
		return [first?.subject ?? '', String(first?.nextHops ?? ''), ...rates, block].map(cell).join('');
	});
	return `${values.routes} routes, medians of ${values.runs}\n${[head, ...lines].join('\n')}\n`;
}

if (values.help) process.stdout.write(help);
else {
	const rows = await measure();
	if (values.json === '-') process.stdout.write(`${JSON.stringify(rows)}\n`);
	else {
		process.stdout.write(render(rows));
		if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, '\t')}\n`);
	}
}
process.exit(0);
