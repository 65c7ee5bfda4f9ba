import { resolve } from 'node:path';
import test from 'ava';

interface TapResult {
	readonly outcome: string;
	readonly title: string;
	readonly detail: readonly string[];
}
interface Reader {
	readonly passed: number;
	readonly failed: number;
	readonly skipped: number;
	readonly ended: boolean;
	push(text: string): void;
	end(): void;
}

// The scripts are plain JavaScript, so that they run before anything is installed or compiled:
// their shapes are declared here.
const tap = (await import(resolve('scripts/lib/tap.mjs'))) as {
	TapReader: new (onResult: (result: TapResult) => void) => Reader;
};
const suites = (await import(resolve('scripts/lib/suites.mjs'))) as {
	chooseFiles: (
		files: readonly string[],
		paths: readonly string[],
		options?: { quick?: boolean; unit?: boolean },
	) => { together: string[]; serial: string[] };
	compiledPath: (path: string) => string;
	serialFolders: readonly { readonly folder: string; readonly mostMinutes: number }[];
	minutesOf: (file: string) => number;
};

const report = (await import(resolve('scripts/lib/run-report.mjs'))) as {
	readTimes: (text: string) => readonly { readonly file: string; readonly seconds: number }[];
	progressLine: (now: Readonly<Record<'files' | 'total' | 'tests' | 'failed' | 'seconds', number>>) => string;
	slowestFiles: (times: readonly { readonly file: string; readonly seconds: number }[], root: string) => string[];
	skippedSummary: (titles: readonly string[]) => string[];
};

const failures = (await import(resolve('scripts/lib/failures.mjs'))) as {
	mostFilesAgain: number;
	fileOf: (title: string, files: readonly string[]) => string | undefined;
	filesAgain: (failures: readonly { readonly file: string | undefined }[]) => string[];
};

const text = `TAP version 13
ok 1 - a › skipped one # SKIP
not ok 2 - a › later # TODO
ok 3 - a › passes
ok 4 - a › talks
#   hello
not ok 5 - a › fails
  ---
    name: AssertionError
  ...

`;

function read(chunks: readonly string[]) {
	const results: TapResult[] = [];
	const reader = new tap.TapReader((result) => results.push(result));
	for (const chunk of chunks) reader.push(chunk);
	reader.end();
	return { results, reader };
}

test('TAP is counted: passed, failed, and skipped together with announced', (t) => {
	const { reader, results } = read([text, '1..5\n']);
	t.deepEqual([reader.passed, reader.failed, reader.skipped, reader.ended], [2, 1, 2, true]);
	t.deepEqual(
		results.map(({ outcome }) => outcome),
		['skipped', 'todo', 'passed', 'passed', 'failed'],
	);
	t.true(results[4]?.detail.includes('    name: AssertionError'));
});

test('the result does not depend on the chunks of the text', (t) => {
	const whole = read([text, '1..5\n']).results;
	for (const size of [1, 7, 40]) {
		const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
			text.slice(index * size, (index + 1) * size),
		);
		t.deepEqual(read([...chunks, '1..5\n']).results, whole);
	}
});

test('a crashed runner has written no plan', (t) => t.false(read([text]).reader.ended));

const files = [
	'dist/test/uml/ipip.test.js',
	'dist/test/fib/diff.test.js',
	'dist/test/fib.test.js',
	'dist/test/interop/ebgp.test.js',
	'dist/test/lab/lab.test.js',
	'packages/bgp-packet/dist/test/x.test.js',
];

test('suites with real daemons are kept apart, and the long ones left out of a quick run', (t) => {
	t.deepEqual(suites.chooseFiles(files, []).serial, [
		'dist/test/uml/ipip.test.js',
		'dist/test/interop/ebgp.test.js',
		'dist/test/lab/lab.test.js',
	]);
	t.deepEqual(suites.chooseFiles(files, [], { quick: true }).serial, ['dist/test/uml/ipip.test.js']);
	t.deepEqual(suites.chooseFiles(files, [], { unit: true }).serial, []);
	t.is(suites.chooseFiles(files, [], { unit: true }).together.length, 3);
});

test('a folder selects its content, not other folders whose names begin with it', (t) => {
	t.deepEqual(suites.chooseFiles(files, ['dist/test/fib']).together, ['dist/test/fib/diff.test.js']);
});

for (const [given, compiled] of [
	['test/fib', 'dist/test/fib'],
	['test/fib/', 'dist/test/fib'],
	['test/fib/diff.test.ts', 'dist/test/fib/diff.test.js'],
	['./dist/test/fib', 'dist/test/fib'],
	['packages/bgp-packet/test', 'packages/bgp-packet/dist/test'],
] as const) {
	test(`'${given}' names ${compiled}`, (t) => t.is(suites.compiledPath(given), compiled));
}

test('every suite has a bound', (t) => {
	for (const { folder, mostMinutes } of suites.serialFolders) {
		t.true(mostMinutes > 0 && mostMinutes <= 15, folder);
		t.is(suites.minutesOf(`${folder}/some.test.js`), mostMinutes);
	}
	t.true(suites.minutesOf('dist/test/fib/diff.test.js') <= 30);
});

test('progress shows a total', (t) => {
	t.is(
		report.progressLine({ files: 12, total: 240, tests: 310, failed: 1, seconds: 125 }),
		'12 of 240 files, 310 tests, 1 failed, after 2 min 05 s',
	);
});

test('the slowest files come first, by the name of their source', (t) => {
	const lines = report.slowestFiles(
		[
			{ file: '/here/dist/test/fib/a.test.js', seconds: 3 },
			{ file: '/here/packages/bgp-packet/dist/test/b.test.js', seconds: 90 },
		],
		'/here',
	);
	t.deepEqual(
		lines.map((line) => line.trim()),
		['1 min 30 s  packages/bgp-packet/test/b.test.ts', '3 s  test/fib/a.test.ts'],
	);
});

test('skipped tests are one line for each reason', (t) => {
	t.deepEqual(
		report
			.skippedSummary(['a (skipped: not root)', 'b', 'c (skipped: not root)'])
			.map((line) => line.split('\n')[0]?.trim()),
		['2  not root', '1  no reason in the title'],
	);
});

test('a truncated line of times is ignored', (t) => {
	t.deepEqual(report.readTimes('{"file":"a","seconds":1}\n{"fi'), [{ file: 'a', seconds: 1 }]);
});

const avaFiles = [
	'dist/test/fib/lost-events.test.js',
	'dist/test/daemon/fib/lost-events.test.js',
	'dist/test/a.test.js',
	'packages/bgp-packet/dist/test/a.test.js',
];

for (const [title, expected] of [
	['fib › lost-events › one resync', avaFiles[0]],
	['dist › test › fib › lost-events › one resync', avaFiles[0]],
	['packages › bgp-packet › dist › test › a › b', avaFiles[3]],
	['daemon › fib › lost-events › one resync', avaFiles[1]],
	['a › title › fib › lost-events › x', avaFiles[2]],
	['dist/test/a.test.js exited with a non-zero exit code: 1', avaFiles[2]],
	['b › unknown', undefined],
] as const)
	test(`the file of a failed test: ${title}`, (t) => {
		t.is(failures.fileOf(title, avaFiles), expected);
	});

test('the file of a failed test in a run of one file', (t) => {
	t.is(failures.fileOf('no path in the title', ['dist/test/a.test.js']), 'dist/test/a.test.js');
});

test('files with failures run again, unless the runner failed or they are too many', (t) => {
	t.deepEqual(failures.filesAgain([{ file: 'a' }, { file: 'b' }, { file: 'a' }]), ['a', 'b']);
	t.deepEqual(failures.filesAgain([{ file: 'a' }, { file: undefined }]), []);
	t.deepEqual(
		failures.filesAgain(Array.from({ length: failures.mostFilesAgain + 1 }, (_, n) => ({ file: `${n}` }))),
		[],
	);
});
