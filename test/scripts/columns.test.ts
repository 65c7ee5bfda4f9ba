import { resolve } from 'node:path';
import test from 'ava';

const { longLines } = (await import(resolve('scripts/lib/columns.mjs'))) as {
	longLines: (text: string) => readonly { readonly line: number; readonly width: number; readonly most: number }[];
};

test('a line of code has at most 120 columns, one of a comment 100; a tab is two', (t) => {
	const source = [
		'x'.repeat(120),
		'x'.repeat(121),
		`\t// ${'x'.repeat(95)}`,
		`\t// ${'x'.repeat(96)}`,
		` * ${'x'.repeat(98)}`,
		`\t\t${'x'.repeat(117)}`,
	].join('\n');
	t.deepEqual(longLines(source), [
		{ line: 2, width: 121, most: 120 },
		{ line: 4, width: 101, most: 100 },
		{ line: 5, width: 101, most: 100 },
		{ line: 6, width: 121, most: 120 },
	]);
});
