/** One thing that is wrong with a configuration file. */
export interface ConfigProblem {
	/** 1-based; 0 where the file has no position for it. */
	readonly line: number;
	readonly column: number;
	/** Where in the file: `bgp.peers[0].holdTimeSeconds`; empty for the file as a whole. */
	readonly key: string;
	/** What the file says there, shortened. */
	readonly found: string;
	/** What may be written there. */
	readonly expected: string;
}

/** A configuration that can't be used, with everything that is wrong with it. */
export class ConfigError extends Error {
	override readonly name = 'ConfigError';
	readonly file: string;
	readonly problems: readonly ConfigProblem[];

	constructor(file: string, problems: readonly ConfigProblem[], options?: ErrorOptions) {
		super(problems.map((problem) => formatProblem(file, problem)).join('\n'), options);
		this.file = file;
		this.problems = problems;
	}
}

/** `FILE:LINE:COLUMN: KEY: found X, expected Y`, as compilers write it, so that editors jump there. */
export function formatProblem(file: string, { line, column, key, found, expected }: ConfigProblem): string {
	const place = line > 0 ? `${file}:${line}:${column}` : file;
	return `${place}: ${key === '' ? '' : `${key}: `}found ${found}, expected ${expected}`;
}

/** A path as people write it: `bgp.peers[0].address`. */
export function formatPath(path: readonly PropertyKey[]): string {
	return path.reduce<string>((text, step) => {
		if (typeof step === 'number') return `${text}[${step}]`;
		return text === '' ? String(step) : `${text}.${String(step)}`;
	}, '');
}
