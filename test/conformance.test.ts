import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const requirements = Array.from({ length: 235 }, (_, index) => `C${index + 1}`);

/** Numbers in the titles of tests. */
function tested(): Set<string> {
	const files = ['test', 'packages/bgp-packet/test'].flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
			.filter((file) => file.endsWith('.test.ts'))
			.map((file) => join(root, folder, file)),
	);
	return new Set(files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/\[(C\d+)\]/g)].map(([, number = '']) => number)));
}

const page = readFileSync(join(root, 'docs/conformance.md'), 'utf8');
const excused = new Set([...page.matchAll(/^\| (C\d+) +\|.*\| *\S.*\|$/gm)].map(([, number = '']) => number));

test('every requirement has a test or a reason on the page', (t) => {
	const held = tested();
	t.deepEqual(
		requirements.filter((number) => !held.has(number) && !excused.has(number)),
		[],
	);
});

test('the page excuses nothing that has a test, and numbers are those that exist', (t) => {
	const held = tested();
	t.deepEqual(
		[...excused].filter((number) => held.has(number) || !requirements.includes(number)),
		[],
	);
	t.deepEqual(
		[...held].filter((number) => !requirements.includes(number)),
		[],
	);
});
