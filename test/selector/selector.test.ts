import test from 'ava';
import * as fc from 'fast-check';
import {
	mostSelectorDepth,
	parseSelector,
	SelectorError,
	selectorMatches,
	selectorMatchesIfReadable,
} from '../../src/selector/index.ts';

const labels = { role: 'db', zone: 'eu-1', 'a.b/c-d_e': 'x', empty: '' };

const cases: readonly [selector: string, holds: boolean][] = [
	['', true],
	['  ', true],
	['all()', true],
	['global()', true],
	["role == 'db'", true],
	['role == "db"', true],
	["role=='db'", true],
	["role == 'web'", false],
	["absent == 'x'", false],
	["role != 'web'", true],
	["role != 'db'", false],
	["absent != 'x'", true],
	['has(role)', true],
	['has( role )', true],
	['has(absent)', false],
	['!has(absent)', true],
	['!!has(role)', true],
	['role in {\'db\', "web"}', true],
	["role in {'web'}", false],
	['role in {}', false],
	["role not in {'web'}", true],
	["role notin {'db'}", false],
	["absent not in {'x'}", true],
	["absent not in {''}", true],
	["empty not in {''}", false],
	["empty == ''", true],
	["zone contains 'u-'", true],
	["zone starts with 'eu'", true],
	["zone startswith 'us'", false],
	["zone ends with '-1'", true],
	["zone endswith '-2'", false],
	["absent contains ''", false],
	["a.b/c-d_e == 'x'", true],
	["role == 'db' && zone == 'eu-1'", true],
	["role == 'db' && zone == 'us' || has(empty)", true],
	["role == 'web' && (zone == 'eu-1' || has(empty))", false],
	["!(role == 'web') && !has(absent)", true],
	['has(constructor) || has(toString)', false],
	['all() && global()', true],
];
for (const [selector, holds] of cases)
	test(`'${selector}' ${holds ? 'selects' : 'does not select'}`, (t) => t.is(selectorMatches(selector, labels), holds));

const wrong: readonly [selector: string, message: string][] = [
	[
		'role',
		"selector 'role', position 5: expected '==', '!=', 'in', 'not in', 'contains', 'starts with' or 'ends with'",
	],
	['role == db', "selector 'role == db', position 9: expected a quoted string"],
	["role == 'db' &&", "selector 'role == 'db' &&', position 16: expected a label's name of at most 512 characters"],
	["(role == 'db'", "selector '(role == 'db'', position 14: expected ')'"],
	["role == 'db' zone", "selector 'role == 'db' zone', position 14: expected '&&', '||' or the end"],
	["role in {'a' 'b'}", "selector 'role in {'a' 'b'}', position 14: expected ',' or '}'"],
];
for (const [selector, message] of wrong)
	test(`'${selector}' is refused with its place`, (t) =>
		t.throws(() => parseSelector(selector), { instanceOf: SelectorError, message }));

test('any text is a selector or a SelectorError', (t) => {
	fc.assert(
		fc.property(
			fc.array(
				fc.constantFrom(
					'all()',
					'has(',
					'role',
					' in ',
					'{',
					'}',
					"'x'",
					'"y"',
					'==',
					'!=',
					'&&',
					'||',
					'!',
					'(',
					')',
					',',
					' ',
					'é',
				),
			),
			(pieces) => {
				try {
					parseSelector(pieces.join(''));
				} catch (error) {
					if (!(error instanceof SelectorError)) throw error;
				}
			},
		),
	);
	t.pass();
});

test('a selector that does not parse has no known meaning', (t) => {
	t.deepEqual(
		['a == "b"', 'a == "c"', 'a ==='].map((text) => selectorMatchesIfReadable(text, { a: 'b' })),
		[true, false, undefined],
	);
});

const tooMuch: readonly [string, string][] = [
	['parentheses', `${'('.repeat(5000)}all()${')'.repeat(5000)}`],
	['a million parentheses that never close', '('.repeat(1_000_000)],
	['negations and parentheses in turn', `${'!('.repeat(2000)}all()${')'.repeat(2000)}`],
	['text', `a in {${"'x',".repeat(20_000)}}`],
];
for (const [what, text] of tooMuch) {
	test(`a selector with too many ${what} is refused, and its error is short`, (t) => {
		const error = t.throws(() => parseSelector(text), { instanceOf: SelectorError });
		t.true((error?.message.length ?? 0) < 500);
		t.is(selectorMatchesIfReadable(text, {}), undefined);
	});
}

test('a selector of the greatest depth parses and is evaluated', (t) => {
	const nested = `${'!('.repeat(mostSelectorDepth)}has(a)${')'.repeat(mostSelectorDepth)}`;
	t.true(selectorMatches(nested, { a: '' }));
	t.true(selectorMatches(`${'!'.repeat(5000)}has(a)`, { a: '' }));
});
