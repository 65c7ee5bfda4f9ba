/** One error in a configuration file. */
export interface ConfigProblem {
	/** 1-based; 0 if the file has no position for it. */
	readonly line: number;
	readonly column: number;
	/** Path in the file: `bgp.peers[0].holdTimeSeconds`; empty for the file as a whole. */
	readonly key: string;
	/** The value in the file, shortened. */
	readonly found: string;
	/** The accepted values. */
	readonly expected: string;
}

/** An invalid configuration, with all its errors. */
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

/**
 * `FILE:LINE:COLUMN: KEY: found X, expected Y`, as compilers write it, so that editors jump there.
 */
export function formatProblem(file: string, { line, column, key, found, expected }: ConfigProblem): string {
	const place = line > 0 ? `${file}:${line}:${column}` : file;
	return `${place}: ${key === '' ? '' : `${key}: `}found ${found}, expected ${expected}`;
}

/** A path in notation for users: `bgp.peers[0].address`. */
export function formatPath(path: readonly PropertyKey[]): string {
	return path.reduce<string>((text, step) => {
		if (typeof step === 'number') return `${text}[${step}]`;
		return text === '' ? String(step) : `${text}.${String(step)}`;
	}, '');
}
