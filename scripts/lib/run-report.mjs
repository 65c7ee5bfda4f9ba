/**
 * The output of `npm test` about a run besides its failures: progress, the slowest files, and
 * skipped tests with their reasons. Pure.
 */

const shown = 10;
const minutes = (seconds) =>
	seconds < 60
		? `${seconds.toFixed(0)} s`
		: `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, '0')} s`;

/** The lines that `timing.mjs` wrote; a truncated line is ignored. */
export function readTimes(text) {
	return text.split('\n').flatMap((line) => {
		try {
			return line === '' ? [] : [JSON.parse(line)];
		} catch {
			return [];
		}
	});
}

/** `12 of 240 files, 310 tests, 1 failed, after 2 min 05 s`. */
export const progressLine = ({ files, total, tests, failed, seconds }) =>
	`${files} of ${total} files, ${tests} tests${failed > 0 ? `, ${failed} failed` : ''}, after ${minutes(seconds)}`;

/** The slowest files, slowest first. */
export function slowestFiles(times, root) {
	return [...times]
		.sort((left, right) => right.seconds - left.seconds)
		.slice(0, shown)
		.map(({ file, seconds }) => {
			const path = file
				.slice(root.length + 1)
				.replace(/^dist\//, '')
				.replace(/\/dist\//, '/')
				.replace(/\.js$/, '.ts');
			return `${minutes(seconds).padStart(12)}  ${path}`;
		});
}

/** The reason why a test was skipped, from its title: `... (skipped: not root, no daemon)`. */
const reasonOf = (title) => /\(skipped: (.+)\)\s*$/.exec(title)?.[1] ?? 'no reason in the title';

/**
 * One line for each reason, with the number of tests and one of them as example. Most tests first.
 */
export function skippedSummary(titles) {
	const byReason = new Map();
	for (const title of titles) {
		const reason = reasonOf(title);
		byReason.set(reason, [...(byReason.get(reason) ?? []), title]);
	}
	return [...byReason]
		.sort(([, left], [, right]) => right.length - left.length)
		.map(([reason, tests]) => {
			const example = (tests[0] ?? '').replace(/\s*\(skipped: .+\)\s*$/, '');
			return `${String(tests.length).padStart(5)}  ${reason}\n         ${example}${tests.length > 1 ? ', ...' : ''}`;
		});
}
