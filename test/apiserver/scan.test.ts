import test from 'ava';
import fc from 'fast-check';
import { scanJson } from '../../src/apiserver/api/scan.ts';

const rows = [
	{ text: '{"a":1,"b":{"a":1}}', duplicates: [] },
	{ text: '{"a":1,"a":2,"a":3}', duplicates: ['a'] },
	{ text: '{"a":{"b":[{"c":1},{"c":1,"c":2}]},"d":0,"d":0}', duplicates: ['a.b[1].c', 'd'] },
	{ text: String.raw`{"a":1,"\u0061":2}`, duplicates: ['a'] },
] as const;
for (const { text, duplicates } of rows) {
	test(`finds duplicate members in ${text}`, (t) => t.deepEqual(scanJson(text), { problem: undefined, duplicates }));
}

test('accepts JSON, and nothing else', (t) => {
	fc.assert(fc.property(fc.json(), (text) => scanJson(text).problem === undefined));
	const isJson = (text: string) => {
		try {
			JSON.parse(text);
			return true;
		} catch {
			return false;
		}
	};
	const damaged = fc
		.tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', ']', ',', ':', '0', '\\', 'e', '\n'))
		.map(([text, at, sign]) => {
			const index = at % (text.length + 1);
			return text.slice(0, index) + sign + text.slice(index + 1);
		});
	fc.assert(
		fc.property(damaged, (text) => (scanJson(text).problem === undefined) === isJson(text)),
		{ numRuns: 2000 },
	);
	t.pass();
});

test('refuses nesting deeper than 10000, at any length', (t) => {
	t.is(scanJson('['.repeat(10_000) + ']'.repeat(10_000)).problem, undefined);
	t.is(scanJson('['.repeat(1_000_000)).problem, "invalid character '[' exceeded max depth");
});
