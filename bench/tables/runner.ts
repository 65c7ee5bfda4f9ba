/**
 * `npm run policy:table` and `npm run services:table`: cases of a truth table against one backend.
 * A table is a file with one JSON document per line; a case has an id and is evaluated to cells,
 * each with the expected and the actual outcome.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

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
	/** By name; the first one is the default. */
	readonly backends: Readonly<Record<string, OpenBackend<Case>>>;
}

/** Reads the cases of files, in order. @throws Error with file and line of text that is not JSON */
export function readCases<Case>(files: readonly string[]): Case[] {
	return files.flatMap((file) =>
		readFileSync(file, 'utf8')
			.split('\n')
			.flatMap((line, index) => {
				if (line.trim() === '') return [];
				try {
					// The files promise their shape; a missing member fails in the case that lacks
					// it.
					return [JSON.parse(line) as Case];
				} catch (error) {
					throw new Error(`${file}:${index + 1}: not JSON`, { cause: error });
				}
			}),
	);
}

/** Runs cases one after another. */
export async function runCases<Case extends { readonly id: string }>(
	name: string,
	backend: TableBackend<Case>,
	cases: readonly Case[],
): Promise<TableAnswer> {
	const cells: Cell[] = [];
	const skipped: { id: string; reason: string }[] = [];
	for (const item of cases) {
		const judged = await backend.judge(item);
		if ('skip' in judged) skipped.push({ id: item.id, reason: judged.skip });
		else cells.push(...judged);
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
	{ command, backends }: TableOptions<Case>,
	args: readonly string[],
): Promise<number> {
	const names = Object.keys(backends);
	const usage = `usage: npm run ${command} -- FILE... [--backend ${names.join('|')}] [--json]`;
	let parsed: { values: { backend?: string; json?: boolean }; positionals: string[] };
	try {
		parsed = parseArgs({
			args: [...args],
			allowPositionals: true,
			options: { backend: { type: 'string' }, json: { type: 'boolean' } },
		});
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
		return 2;
	}
	const name = parsed.values.backend ?? names[0] ?? '';
	const open = backends[name];
	if (open === undefined || parsed.positionals.length === 0) {
		process.stderr.write(`${usage}\n`);
		return 2;
	}
	try {
		const backend = await open();
		try {
			const answer = await runCases(name, backend, readCases<Case>(parsed.positionals));
			process.stdout.write(parsed.values.json === true ? `${JSON.stringify(answer)}\n` : render(answer));
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
export function render({ backend, cases, cells, wrong, skipped }: TableAnswer): string {
	const lines = wrong.map(
		({ id, step, from, to, probe, expected, actual }) =>
			`${id} step ${step}: ${from} -> ${to} ${probe}: expected ${expected}, actual ${actual}`,
	);
	const reasons = skipped.map(({ id, reason }) => `${id} skipped: ${reason}`);
	return [...lines, ...reasons, `${backend}: ${cases} cases, ${cells} cells, ${wrong.length} wrong`, ''].join('\n');
}
