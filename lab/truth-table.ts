/**
 * `npm run policy:table` and `npm run services:table`: cases of a truth table against one backend.
 * A table is a file with one JSON document per line; a case has an id and is evaluated to cells,
 * each with the expected and the actual outcome.
 */
import { readFileSync } from 'node:fs';
import yargs from 'yargs';

/** One probe of a case and its outcome, as text that can be compared. */
export interface Cell {
	readonly id: string;
	/** Index of the step within the case. */
	readonly step: number;
	readonly from: string;
	readonly to: string;
	readonly probe: string;
	readonly expected: string;
	readonly actual: string;
}

/** The result of a run; `wrong` lists the cells whose actual outcome differs. */
export interface TableAnswer {
	readonly backend: string;
	readonly cases: number;
	readonly cells: number;
	readonly wrong: readonly Cell[];
	/** Cases that the backend cannot evaluate, each with the reason. */
	readonly skipped: readonly { readonly id: string; readonly reason: string }[];
}

/** Evaluates cases. Resources of the kernel are created in `open` and removed in `close`. */
export interface TableBackend<Case> {
	/** The cells of a case, or the reason why it cannot be evaluated. */
	judge(item: Case): Promise<readonly Cell[] | { readonly skip: string }>;
	close(): Promise<void>;
}

/** Creates a backend; rejects with the missing requirements of the machine. */
export type OpenBackend<Case> = () => Promise<TableBackend<Case>>;

/** The definition of a table. */
export interface TableOptions<Case extends { readonly id: string }> {
	/** Name of the command, for the usage. */
	readonly command: string;
	/** What the cases are, for the usage: `policies and selectors`. */
	readonly subject: string;
	/** A file that exists, for the usage. */
	readonly example: string;
	/** By name; the first one is the default. */
	readonly backends: Readonly<Record<string, OpenBackend<Case>>>;
	/** Reads the cases of one file. @throws Error with the place of what cannot be read */
	readonly read: (file: string) => readonly Case[];
}

/** Number of wrong cells printed without `--json`. */
const mostShown = 20;

/**
 * Reads the cases of a file whose lines are cases. @throws Error with file and line of text that is
 * not JSON
 */
export function readCases<Case>(file: string): Case[] {
	return readFileSync(file, 'utf8')
		.split('\n')
		.flatMap((line, index) => {
			if (line.trim() === '') return [];
			try {
				// The files promise their shape; a missing member fails in the case that lacks it.
				return [JSON.parse(line) as Case];
			} catch (error) {
				throw new Error(`${file}:${index + 1}: not JSON`, { cause: error });
			}
		});
}

/** Runs cases one after another. `progress` is called after each with the number of ended cases. */
export async function runCases<Case extends { readonly id: string }>(
	name: string,
	backend: TableBackend<Case>,
	cases: readonly Case[],
	progress: (done: number) => void = () => {},
): Promise<TableAnswer> {
	const cells: Cell[] = [];
	const skipped: { id: string; reason: string }[] = [];
	for (const [index, item] of cases.entries()) {
		const judged = await backend.judge(item);
		if ('skip' in judged) skipped.push({ id: item.id, reason: judged.skip });
		else cells.push(...judged);
		progress(index + 1);
	}
	return {
		backend: name,
		cases: cases.length - skipped.length,
		cells: cells.length,
		wrong: cells.filter(({ expected, actual }) => expected !== actual),
		skipped,
	};
}

/**
 * The command: `FILE... [--backend NAME] [--json]`. Returns the exit code: 0 all correct, 1 wrong
 * cells, 2 not run.
 */
export async function tableMain<Case extends { readonly id: string }>(
	{ command, subject, example, backends, read }: TableOptions<Case>,
	args: readonly string[],
): Promise<number> {
	try {
		const names = Object.keys(backends);
		const given = await yargs([...args])
			.usage(`npm run ${command} -- FILE... [--backend NAME] [--json]\n\nRuns truth tables of ${subject}.`)
			.option('backend', { choices: names, default: names[0], describe: 'what decides' })
			.option('json', { type: 'boolean', default: false, describe: 'the result as one JSON document' })
			.example(`npm run ${command} -- ${example}`, `Run one table; the backend is ${names[0]}`)
			.demandCommand(1, 'Name at least one file')
			.strict()
			.exitProcess(false)
			.fail((message, error) => {
				throw error ?? new Error(`${message}\nnpm run ${command} -- --help lists the options`);
			})
			.parseAsync();
		if (args.includes('--help')) return 0;
		const name = given.backend ?? '';
		const cases = given._.flatMap((file) => read(String(file)));
		const backend = await backends[name]?.();
		if (backend === undefined) throw new Error(`the backend ${name} does not exist`);
		try {
			const progress = (done: number) => {
				const end = done === cases.length ? '\n' : '';
				if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${cases.length} cases${end}`);
			};
			const answer = await runCases(name, backend, cases, progress);
			process.stdout.write(given.json ? `${JSON.stringify(answer)}\n` : render(answer));
			return answer.wrong.length === 0 ? 0 : 1;
		} finally {
			await backend.close();
		}
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
		return 2;
	}
}

/** The result as text. */
function render({ backend, cases, cells, wrong, skipped }: TableAnswer): string {
	const lines = wrong
		.slice(0, mostShown)
		.map(
			({ id, step, from, to, probe, expected, actual }) =>
				`${id} step ${step}: ${from} to ${to}, ${probe}: expected ${expected}, is ${actual}`,
		);
	if (wrong.length > mostShown) lines.push(`... and ${wrong.length - mostShown} more`);
	const reasons = skipped.map(({ id, reason }) => `${id} skipped: ${reason}`);
	return [...lines, ...reasons, `${backend}: ${cases} cases, ${cells} cells, ${wrong.length} wrong`, ''].join('\n');
}
