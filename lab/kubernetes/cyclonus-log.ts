/** A step of a case: policies, pods or namespaces change, and every pair of pods is probed. */
export interface CyclonusStep {
	/** Pairs of pods in the last try. */
	readonly wrong: number;
	readonly right: number;
	/** Tries, of which the last one counts. */
	readonly tries: number;
	/** Cells by protocol, without those from a pod to itself. */
	readonly cells: Readonly<Record<string, CyclonusCells>>;
	/** Wrong cells: `x/a -> y/b TCP/80: expected X, got .` (X blocked, . allowed, ! not probed). */
	readonly wrongCells: readonly string[];
}

/** A case of `cyclonus generate`. */
export interface CyclonusCase {
	readonly number: number;
	readonly description: string;
	readonly steps: readonly CyclonusStep[];
}

/** Probes of one protocol in the last try of each step. */
export interface CyclonusCells {
	readonly right: number;
	readonly wrong: number;
}

/** The figures of a run. */
export interface CyclonusFigures {
	readonly planned: number;
	readonly cases: number;
	readonly steps: number;
	/** Steps that were wrong at the first try; a later one may have been right. */
	readonly retried: number;
	/** Without those from a pod to itself. */
	readonly cells: Readonly<Record<string, CyclonusCells>>;
}

/** What the output of `cyclonus generate` has so far. */
export interface CyclonusReport {
	/** Cases that it is going to run. */
	readonly planned: number;
	/** Those that have ended. */
	readonly cases: readonly CyclonusCase[];
	/** All of them, with its own summary behind them. */
	readonly isWhole: boolean;
}

/** Reads the output of `cyclonus generate`, its log included. Pure. */
export function readCyclonus(text: string): CyclonusReport {
	const planned = Number(/^testing (\d+) cases/m.exec(text)?.[1] ?? 0);
	const parts = text.split(/^starting test case #/m).slice(1);
	const cases = parts.flatMap((part): readonly CyclonusCase[] => {
		const number = Number.parseInt(part, 10);
		if (!new RegExp(`^finished policy #${number}$`, 'm').test(part)) return [];
		const description = /^evaluating test case: (.*)$/m.exec(part)?.[1] ?? '';
		const tries = triesOf(part);
		const steps = part.split(/^(?=step \d+ on .*:$)/m).slice(1);
		return [{ number, description, steps: steps.map((step, index) => readStep(step, tries[index] ?? 0)) }];
	});
	return { planned, cases, isWhole: planned > 0 && cases.length === planned && text.includes('\nSummaryTable:\n') };
}

/** How many tries each step of a case took, from the log lines before the results. */
const triesOf = (part: string): readonly number[] =>
	[...part.matchAll(/running kube probe on try (\d+)/g)]
		.map(([, number]) => Number(number))
		.filter((_, index, all) => (all[index + 1] ?? 1) === 1);

function readStep(text: string, tries: number): CyclonusStep {
	const protocol = /^step \d+ on port \S+, protocol (\S+):/.exec(text)?.[1];
	const [verdict = '', wrong = '0', right = '0'] = /(\d+) wrong, \d+ ignored, (\d+) correct\n/.exec(text) ?? [];
	const results = [...text.matchAll(/^kube results, try \d+:\n/gm)].map(([title]) => title);
	const actual = tableAfter(text, results.at(-1) ?? verdict, protocol);
	// Where nothing is wrong, only the actual results are printed.
	const expected = wrong === '0' ? actual : tableAfter(text, 'Expected combined:\n', protocol);
	const differing = [...expected].filter(([key, value]) => actual.get(key) !== value);
	const count = (keys: readonly string[], name: string) => keys.filter((key) => key.includes(` ${name}`)).length;
	const [all, differ] = [[...expected.keys()], differing.map(([key]) => key)];
	const protocols = ['TCP', 'UDP', 'SCTP'].filter((name) => count(all, name) > 0);
	return {
		...{ wrong: Number(wrong), right: Number(right), tries },
		cells: Object.fromEntries(
			protocols.map((name) => [name, { right: count(all, name) - count(differ, name), wrong: count(differ, name) }]),
		),
		wrongCells: differing.map(([key, value]) => `${key}: expected ${value}, got ${actual.get(key) ?? 'nothing'}`),
	};
}

/**
 * The cells of the table behind a title, without those from a pod to itself. It has a row for each
 * source, a column for each destination in the same order, and in a cell one character for each port
 * of the first column's title, or for the one port of the step.
 */
function tableAfter(text: string, title: string, protocol: string | undefined): ReadonlyMap<string, string> {
	const begin = title === '' ? -1 : text.indexOf(title);
	const after = begin === -1 ? [] : text.slice(begin + title.length).split('\n');
	const end = after.findIndex((line) => !/^[|+]/.test(line));
	const rows = after
		.slice(0, end === -1 ? undefined : end)
		.filter((line) => line.startsWith('|'))
		.map((line) =>
			line
				.split('|')
				.slice(1, -1)
				.map((cell) => cell.trim()),
		);
	const head = rows.filter(([first = '']) => first === '' || /^(TCP|UDP|SCTP)\b/.test(first));
	const body = rows.filter((row) => !head.includes(row));
	const titles = head.map(([first = '']) => first).filter(Boolean);
	const ports = titles.length === 0 ? [protocol ?? 'unknown'] : titles;
	const sources = body.map(([first = '']) => first);
	return new Map(
		body.flatMap(([source = '', ...values]) =>
			values.flatMap((value, column) =>
				(sources[column] === source ? [] : value.split(' ')).map((verdict, index): [string, string] => [
					`${source} -> ${sources[column]} ${ports[index]}`,
					verdict,
				]),
			),
		),
	);
}

/** The sums over all cases. Pure. */
export function figuresOf({ planned, cases }: CyclonusReport): CyclonusFigures {
	const steps = cases.flatMap((one) => one.steps);
	const protocols = [...new Set(steps.flatMap(({ cells }) => Object.keys(cells)))];
	const sum = (protocol: string, of: keyof CyclonusCells) =>
		steps.reduce((total, { cells }) => total + (cells[protocol]?.[of] ?? 0), 0);
	return {
		...{ planned, cases: cases.length, steps: steps.length },
		retried: steps.filter(({ tries }) => tries > 1).length,
		cells: Object.fromEntries(
			protocols.map((name) => [name, { right: sum(name, 'right'), wrong: sum(name, 'wrong') }]),
		),
	};
}
