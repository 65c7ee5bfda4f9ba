import { canonicalSelector, evaluate, parseSelector, type Selector, SelectorError } from '../../src/selector/index.ts';
import { type Cell, runCases, type TableAnswer, type TableBackend } from '../truth-table.ts';
import type { CellRequest, PolicyBackend } from './backend.ts';
import type { CaseStep, PolicyCase, SelectorCase, TableFile } from './cases.ts';
import { CaseRun, type PreparedStep } from './cluster.ts';

/** A case of either kind; a selector has the label sets of its file. */
export type TableCase = PolicyCase | (SelectorCase & { readonly labels: readonly Readonly<Record<string, string>>[] });

/** The cases of a file. */
export const casesOf = (table: TableFile): readonly TableCase[] =>
	table.type === 'policy' ? table.cases : table.cases.map((one) => ({ ...one, labels: table.labels }));

/** Evaluates the cells of policy cases by a backend, those of selectors by the selectors alone. */
export function policyTable(backend: PolicyBackend): TableBackend<TableCase> {
	return {
		judge: async (item) => ('selector' in item ? selectorCells(item) : policyCells(item, backend)),
		close: () => backend.close(),
	};
}

/** Runs every case of a file. */
export const runTable = (table: TableFile, backend: PolicyBackend): Promise<TableAnswer> =>
	runCases('policy', policyTable(backend), casesOf(table));

async function policyCells({ id, steps }: PolicyCase, backend: PolicyBackend): Promise<Cell[]> {
	const run = new CaseRun();
	await backend.begin(id);
	const cells: Cell[] = [];
	for (const [index, step] of steps.entries()) {
		const prepared = run.prepare(step);
		await backend.apply(prepared);
		const requests = requestsOf(step, prepared);
		const outcomes = await backend.probe(requests.map(({ request }) => request));
		for (const [at, { request, expected }] of requests.entries()) {
			const { from, to, probe } = request;
			const actual = outcomes[at] ?? 'denied';
			cells.push({
				id,
				step: index,
				from: from.name,
				to: to.name,
				probe: `${probe.protocol} ${probe.port ?? `type ${probe.type ?? 0} code ${probe.code ?? 0}`}`,
				// A backend that observes packets does not know which side denied one.
				expected: actual === 'denied' && expected !== '.' ? 'denied' : expected,
				actual,
			});
		}
	}
	return cells;
}

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
function selectorCells({ id, selector, valid, canonical, matches, labels }: Exclude<TableCase, PolicyCase>): Cell[] {
	const cells: Cell[] = [];
	const add = (probe: string, expected: string, actual: string, to = '') =>
		cells.push({ id, step: 0, from: selector, to, probe, expected, actual });
	const parsed = parsedOrNone(selector);
	add('valid', String(valid), String(parsed !== undefined));
	if (parsed === undefined) return cells;
	if (canonical !== undefined) add('canonical', canonical, canonicalSelector(parsed));
	for (const [index, expected] of (matches ?? []).entries())
		add('matches', String(expected), String(evaluate(parsed, labels[index] ?? {})), JSON.stringify(labels[index]));
	return cells;
}

function parsedOrNone(text: string): Selector | undefined {
	try {
		return parseSelector(text);
	} catch (error) {
		if (error instanceof SelectorError) return undefined;
		throw error;
	}
}
