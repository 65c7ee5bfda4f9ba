import { resolve } from 'node:path';
import test from 'ava';

interface Prose {
	readonly line: number;
	readonly text: string;
}
const { proseOf } = (await import(resolve('scripts/lib/prose.mjs'))) as {
	proseOf: (file: string, source: string) => Iterable<Prose>;
};
const { unwantedWords } = (await import(resolve('scripts/lib/vocabulary.mjs'))) as {
	unwantedWords: (prose: Prose) => readonly { readonly line: number; readonly word: string }[];
};

const word = (name: string) => name.replace('_', '');
const found = (file: string, source: string) =>
	[...proseOf(file, source)].flatMap((prose) => unwantedWords(prose).map(({ line, word: each }) => `${line} ${each}`));

test('comments and strings are checked, names of code are not', (t) => {
	const source = [
		`const ${word('no_body')} = ${word('wan_ts')};`,
		`// ${word('No_body')} reads this`,
		`const a = 'what it ${word('sa_ys')}' + /${word('to_ld')}'/.source;`,
		`/* two`,
		`lines: ${word('who_ever')} */`,
		`const b = \`text ${word('to_ld')} \${${word('kno_ws')}} and ${word('to_ld')}\`;`,
		"const c = x / y; // 'it",
		`const d = "${word('what_ever')}";`,
	].join('\n');
	t.deepEqual(found('a.ts', source), [
		`2 ${word('no_body')}`,
		`3 ${word('sa_ys')}`,
		`5 ${word('who_ever')}`,
		`6 ${word('to_ld')}`,
		`6 ${word('to_ld')}`,
		`8 ${word('what_ever')}`,
	]);
});

test('documents are checked completely, files with # comments only in these', (t) => {
	const text = `# ${word('no_body')}\nkey: ${word('no_body')}\n`;
	t.deepEqual(found('a.md', text), [`1 ${word('no_body')}`, `2 ${word('no_body')}`]);
	t.deepEqual(found('a.yaml', text), [`1 ${word('no_body')}`]);
	t.deepEqual(found('a.json', text), []);
});
