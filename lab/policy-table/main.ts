import yargs from 'yargs';
import { backends } from './backends.ts';
import { readTable } from './cases.ts';
import { runTable, type TableResult } from './run.ts';

/** Number of wrong cells printed without `--json`. */
const mostShown = 20;

/**
 * `npm run policy:table -- FILE... [--backend NAME] [--json]`; exit code 1 if a cell is wrong, 2 if
 * it could not run.
 */
async function main(): Promise<number> {
	const {
		_: files,
		backend: name,
		json,
	} = await yargs(process.argv.slice(2))
		.usage(
			'npm run policy:table -- FILE... [--backend NAME] [--json]\n\nRuns truth tables of network policy or selectors.',
		)
		.option('backend', { choices: Object.keys(backends), default: 'evaluate', describe: 'what decides' })
		.option('json', { type: 'boolean', default: false, describe: 'the result as one JSON document' })
		.example(
			'npm run policy:table -- ../shared/data/policy/policy-k8s.jsonl',
			'Check the meaning of the representation',
		)
		.demandCommand(1, 'Name at least one file')
		.strict()
		.parseAsync();
	const backend = await backends[name]?.();
	if (backend === undefined) throw new Error(`the backend ${name} does not exist`);
	try {
		const results: TableResult[] = [];
		for (const file of files) {
			const progress = (done: number, all: number) => {
				if (process.stderr.isTTY) process.stderr.write(`\r${file}: ${done}/${all}${done === all ? '\n' : ''}`);
			};
			results.push(await runTable(readTable(String(file)), backend, progress));
		}
		const result: TableResult = {
			cases: results.reduce((sum, { cases }) => sum + cases, 0),
			cells: results.reduce((sum, { cells }) => sum + cells, 0),
			wrong: results.flatMap(({ wrong }) => wrong),
		};
		process.stdout.write(json ? `${JSON.stringify(result)}\n` : render(result));
		return result.wrong.length === 0 ? 0 : 1;
	} finally {
		await backend.close();
	}
}

function render({ cases, cells, wrong }: TableResult): string {
	const lines = wrong
		.slice(0, mostShown)
		.map(
			({ id, step, from, to, probe, expected, actual }) =>
				`${id} step ${step}: ${from} to ${to}, ${probe}: expected ${expected}, is ${actual}`,
		);
	if (wrong.length > mostShown) lines.push(`... and ${wrong.length - mostShown} more`);
	return `${[...lines, `${cases} cases, ${cells} cells, ${wrong.length} wrong`].join('\n')}\n`;
}

main().then(
	(code) => {
		process.exitCode = code;
	},
	(error: unknown) => {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
		process.exitCode = 2;
	},
);
