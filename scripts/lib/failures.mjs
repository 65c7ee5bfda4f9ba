/**
 * Which file a failed test is in, and how failures are listed at the end of a run. Pure.
 */

/** More files with failures than this are a broken build: none of them runs again. */
export const mostFilesAgain = 4;

const separator = ' › ';
const shownLines = 30;

/**
 * `dist/test/fib/lost-events.test.js` as ava may show it before a title: `dist › test › fib ›
 * lost-events`, or without the folders `dist` and `test`.
 */
function shownPaths(file) {
	const parts = file.replace(/\.(test\.)?js$/, '').split('/');
	return [parts, parts.filter((part) => !['dist', 'test', 'packages'].includes(part))];
}

/**
 * The file that a test of a run of `files` is in. Ava shows the path below the folder that all
 * files share, so that the file with the longest matching end of its path is the one. A file that
 * crashed has its whole path as title. Undefined where no file matches.
 */
export function fileOf(title, files) {
	if (files.length === 1) return files[0];
	let best;
	let length = 0;
	for (const file of files) {
		if (title.startsWith(`${file} `)) return file;
		for (const parts of shownPaths(file)) {
			for (let from = 0; from < parts.length && parts.length - from > length; from++) {
				if (!title.startsWith(parts.slice(from).join(separator) + separator)) continue;
				best = file;
				length = parts.length - from;
			}
		}
	}
	return best;
}

/**
 * The files that run once more: those of the failures, unless a failure has no file (the runner
 * ended early) or the files are too many.
 */
export function filesAgain(failures) {
	const files = new Set(failures.map(({ file }) => file));
	return files.has(undefined) || files.size > mostFilesAgain ? [] : [...files];
}

/** Title and first lines of each failure. */
export const failureSummary = (failures) =>
	failures.map(({ title, detail }) => `  ${title}\n${detail.slice(0, shownLines).join('\n')}`);
