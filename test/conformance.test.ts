import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { chapters } from './bgp/conformance/requirements.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const requirements = chapters.flatMap((chapter) => chapter.requirements);

/** Requirements in the titles of tests. */
function tested(): Set<string> {
	const files = ['test', 'packages/bgp-packet/test'].flatMap((folder) =>
		readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
			.filter((file) => file.endsWith('.test.ts') && file !== 'conformance.test.ts')
			.map((file) => join(root, folder, file)),
	);
	return new Set(
		files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/\[(C\d+)\]/g)].map(([, id = '']) => id)),
	);
}

test('the requirements are numbered without gaps', (t) => {
	t.deepEqual(
		requirements.map(({ id }) => id),
		requirements.map((_, index) => `C${index + 1}`),
	);
});

test('every requirement has a test, or a reason why there is none', (t) => {
	const held = tested();
	t.deepEqual(
		requirements.filter(({ id, untested }) => held.has(id) === (untested !== undefined)),
		[],
	);
});

test('every mark in the title of a test is a requirement', (t) => {
	const known = new Set(requirements.map(({ id }) => id));
	t.deepEqual(
		[...tested()].filter((id) => !known.has(id)),
		[],
	);
});

test('every requirement names its RFC and section, or is one of the last chapter', (t) => {
	const own = new Set(chapters.at(-1)?.requirements);
	t.deepEqual(
		requirements.filter((each) => (own.has(each) ? each.source !== '' : !/^RFC \d{4}( §|;|$)/.test(each.source))),
		[],
	);
});

test('the page of requirements is generated from the rows', (t) => {
	const file = join(root, 'docs/reference/conformance.md');
	const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
	const tables = chapters.map(({ title, requirements: rows }) => {
		const lines = rows.map(({ id, source, text, untested }) => {
			const note = untested === undefined ? '' : ` **No test:** ${untested}`;
			return `| ${id} | ${source} | ${cell(text + note)} |\n`;
		});
		return `## ${title}\n\n| | source | requirement |\n|---|---|---|\n${lines.join('')}`;
	});
	const page = `# Requirements of BGP

Generated from \`test/bgp/conformance/requirements.ts\`. A test that covers a requirement has its
number in the title: \`npm test -- --match '*C67]*'\` runs those of one number.
[Conformance](../conformance.md) lists the RFCs, what is implemented of each, and the choices.
In the text \`3/5\` is a NOTIFICATION: code and subcode.

${tables.join('\n')}`;
	if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, page);
	t.is(readFileSync(file, 'utf8'), page);
});
