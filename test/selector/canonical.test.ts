import test from 'ava';
import * as fc from 'fast-check';
import { canonicalSelector, evaluate, mapLabels, parseSelector, type Selector } from '../../src/selector/index.ts';

const cases: readonly [selector: string, canonical: string][] = [
	['', 'all()'],
	["a in {'c', 'b', 'c'}", 'a in {"b", "c"}'],
	["a notin {'b'}", 'a not in {"b"}'],
	['a == \'say "x"\'', 'a == \'say "x"\''],
	["a == 'b' && c != 'd' || has(e)", '((a == "b" && c != "d") || has(e))'],
	['!!has(a)', 'has(a)'],
	['! ! !has(a)', '!has(a)'],
	['!(!has(a))', '!!has(a)'],
	[
		"a startswith 'b' || (c endswith 'd' || e contains 'f')",
		'(a starts with "b" || (c ends with "d" || e contains "f"))',
	],
];
for (const [selector, canonical] of cases)
	test(`'${selector}' is written ${canonical}`, (t) => t.is(canonicalSelector(parseSelector(selector)), canonical));

test('labels are renamed everywhere', (t) => {
	const renamed = mapLabels(parseSelector("has(a) && !(b in {'x'} || c == 'y') && all()"), (label) => `pcns.${label}`);
	t.is(canonicalSelector(renamed), '(has(pcns.a) && !(pcns.b in {"x"} || pcns.c == "y") && all())');
});

const label = fc.constantFrom('a', 'b', 'c/d');
const value = fc.constantFrom('', 'x', 'y', "it's", 'say "z"');
const { selector } = fc.letrec<{ selector: Selector }>((tie) => ({
	selector: fc.oneof(
		{ maxDepth: 4 },
		fc.record({ type: fc.constant('has' as const), label }),
		fc.record({
			type: fc.constantFrom('equals' as const, 'not-equals' as const, 'contains' as const, 'starts-with' as const),
			label,
			value,
		}),
		fc.record({
			type: fc.constantFrom('in' as const, 'not-in' as const),
			label,
			values: fc.array(value, { maxLength: 3 }),
		}),
		fc.record({ type: fc.constant('not' as const), operand: tie('selector') }),
		fc.record({
			type: fc.constantFrom('and' as const, 'or' as const),
			operands: fc.array(tie('selector'), { minLength: 2, maxLength: 3 }),
		}),
	),
}));

test('the canonical text parses to a selector of the same meaning', (t) => {
	fc.assert(
		fc.property(selector, fc.dictionary(label, value), (tree, labels) => {
			const again = parseSelector(canonicalSelector(tree));
			t.is(evaluate(again, labels), evaluate(tree, labels));
		}),
	);
});
