import { canonicalSelector, evaluate, parseSelector, type Selector, SelectorError } from '../../src/selector/index.ts';
import type { CellRequest, Outcome, PolicyBackend } from './backend.ts';
import type { CaseStep, PolicyCase, SelectorCase, TableFile } from './cases.ts';
import { CaseRun, type PreparedStep } from './cluster.ts';

/** A cell with an unexpected outcome. */
export interface WrongCell {
	readonly id: string;
	/** Index of the step, from 0. */
	readonly step: number;
	readonly from: string;
	readonly to: string;
	readonly probe: string;
	readonly expected: string;
	readonly actual: string;
}

export interface TableResult {
	readonly cases: number;
	readonly cells: number;
	readonly wrong: readonly WrongCell[];
}

/** Runs every case of a file. `progress` is called after each. */
export async function runTable(
	table: TableFile,
	backend: PolicyBackend,
	progress: (done: number, all: number) => void = () => {},
): Promise<TableResult> {
	if (table.type === 'selectors') return runSelectors(table.cases, table.labels);
	const wrong: WrongCell[] = [];
	let cells = 0;
	for (const [index, one] of table.cases.entries()) {
		cells += await runCase(one, backend, wrong);
		progress(index + 1, table.cases.length);
	}
	return { cases: table.cases.length, cells, wrong };
}

async function runCase({ id, steps }: PolicyCase, backend: PolicyBackend, wrong: WrongCell[]): Promise<number> {
	const run = new CaseRun();
	await backend.begin(id);
	let cells = 0;
	for (const [index, step] of steps.entries()) {
		const prepared = run.prepare(step);
		await backend.apply(prepared);
		const requests = requestsOf(step, prepared);
		const outcomes = await backend.probe(requests.map(({ request }) => request));
		cells += requests.length;
		for (const [at, { request, expected }] of requests.entries()) {
			const actual = outcomes[at] ?? 'denied';
			if (agrees(expected, actual)) continue;
			const { from, to, probe } = request;
			const port = probe.port ?? `type ${probe.type ?? 0} code ${probe.code ?? 0}`;
			wrong.push({
				id,
				step: index,
				from: from.name,
				to: to.name,
				probe: `${probe.protocol} ${port}`,
				expected,
				actual,
			});
		}
	}
	return cells;
}

const agrees = (expected: string, actual: Outcome): boolean =>
	actual === expected || (actual === 'denied' && expected !== '.');

function requestsOf(step: CaseStep, { parties }: PreparedStep): { request: CellRequest; expected: string }[] {
	const party = (name: string) => {
		const found = parties.get(name);
		if (found === undefined) throw new Error(`the cluster has no '${name}'`);
		return found;
	};
	return step.expect.flatMap(({ probes, rows }) =>
		probes.flatMap((probe) =>
			step.from.flatMap((from, row) =>
				step.to.flatMap((to, column) => {
					const expected = rows[row]?.[column] ?? '-';
					return expected === '-' ? [] : [{ request: { from: party(from), to: party(to), probe }, expected }];
				}),
			),
		),
	);
}

/** Validity, canonical text and matches; each is a cell. */
function runSelectors(
	cases: readonly SelectorCase[],
	labels: readonly Readonly<Record<string, string>>[],
): TableResult {
	const wrong: WrongCell[] = [];
	let cells = 0;
	for (const { id, selector, valid, canonical, matches } of cases) {
		const check = (what: string, expected: string, actual: string, to = '') => {
			cells++;
			if (expected !== actual) wrong.push({ id, step: 0, from: selector, to, probe: what, expected, actual });
		};
		const parsed = parsedOrNone(selector);
		check('valid', String(valid), String(parsed !== undefined));
		if (parsed === undefined) continue;
		if (canonical !== undefined) check('canonical', canonical, canonicalSelector(parsed));
		for (const [index, expected] of (matches ?? []).entries())
			check('matches', String(expected), String(evaluate(parsed, labels[index] ?? {})), JSON.stringify(labels[index]));
	}
	return { cases: cases.length, cells, wrong };
}

function parsedOrNone(text: string): Selector | undefined {
	try {
		return parseSelector(text);
	} catch (error) {
		if (error instanceof SelectorError) return undefined;
		throw error;
	}
}
