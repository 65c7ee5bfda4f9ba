import test from 'ava';
import fc from 'fast-check';
import { compilePattern } from '../../../src/bgp/policy/matches.ts';
import {
	compileRegularExpression,
	RegularExpressionError,
	regularExpressionProblem,
} from '../../../src/bgp/policy/regular-expression.ts';

const longPath = Array.from({ length: 4000 }, (_, index) => 64_512 + index).join(' ');

// A backtracking engine takes time exponential in the length of the path for each of these.
for (const source of ['^(\\d+ ?)+ 65001$', '(\\d*)*x', '(\\d+ ?)+$x', '^(1|12|123|\\d)*_$', '(?:\\d|\\d\\d)+ z']) {
	test(`time is linear in the length of the path: ${source}`, (t) => {
		t.false(compileRegularExpression(source)(longPath));
	});
}

test('the time of an interface pattern does not grow with its number of asterisks', (t) => {
	const matches = compilePattern(`${'*a'.repeat(30)}*b`);
	t.false(matches('a'.repeat(2000)));
	t.true(matches(`${'a'.repeat(2000)}b`));
});

for (const { source, problem } of [
	{ source: '(', problem: 'unmatched ( at character 1' },
	{ source: 'a)', problem: 'unmatched ) at character 2' },
	{ source: '[1-', problem: 'unmatched [ at character 1' },
	{ source: '*1', problem: 'nothing to repeat at character 1' },
	{ source: '{3}', problem: 'nothing to repeat at character 1' },
	{ source: '^*', problem: 'nothing to repeat at character 1' },
	{ source: '1{3,2}', problem: 'numbers out of order at character 2' },
	{ source: '[3-1]', problem: 'range out of order at character 3' },
	{ source: '(1)\\1', problem: '\\1 is not available at character 4' },
	{ source: '\\', problem: '\\ at the end at character 1' },
	{ source: '(?=1)', problem: 'lookaround and named groups are not available at character 1' },
	{ source: '(?<a>1)', problem: 'lookaround and named groups are not available at character 1' },
	{ source: '1{501}', problem: 'a repetition of more than 500 at character 1' },
	{ source: '((1{20}){20}){20}', problem: 'more than 500 steps with repetitions written out at character 1' },
	{ source: '('.repeat(10_000), problem: 'groups nested deeper than 50 at character 51' },
]) {
	test(`refused: ${source.slice(0, 20)}`, (t) => {
		t.is(regularExpressionProblem(source), problem);
		t.throws(() => compileRegularExpression(source), { instanceOf: RegularExpressionError });
	});
}

const atom = fc.constantFrom(
	...[
		'1',
		'2',
		' ',
		'.',
		'\\d',
		'\\D',
		'\\s',
		'\\w',
		'\\W',
		'[12]',
		'[^1]',
		'[0-5 ]',
		'[\\d-]',
		'[^\\s2]',
		'\\{',
		'\\b',
		'\\B',
		'^',
		'$',
	],
);
const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{2,}', '*?', '+?');
const isAssertion = (text: string): boolean => ['\\b', '\\B', '^', '$'].includes(text);
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
	expression: fc.oneof(
		{ maxDepth: 4, depthIdentifier: 'expression' },
		fc.tuple(atom, quantifier).map(([text, times]) => (isAssertion(text) ? text : text + times)),
		fc.tuple(tie('expression'), tie('expression')).map(([left, right]) => `${left}${right}`),
		fc.tuple(tie('expression'), tie('expression')).map(([left, right]) => `${left}|${right}`),
		fc.tuple(tie('expression'), quantifier).map(([inner, times]) => `(${inner})${times}`),
		fc.tuple(tie('expression'), quantifier).map(([inner, times]) => `(?:${inner})${times}`),
	),
}));
const text = fc
	.array(fc.constantFrom('1', '2', '6', ' ', '{', '}', 'a', '-'), { maxLength: 8 })
	.map((parts) => parts.join(''));

test("every expression matches the same paths as in JavaScript's own engine", (t) => {
	fc.assert(
		fc.property(expression, fc.array(text, { minLength: 1, maxLength: 6 }), (source, texts) => {
			const own = compileRegularExpression(source);
			const reference = new RegExp(source);
			for (const subject of texts) t.is(own(subject), reference.test(subject), `/${source}/ and '${subject}'`);
		}),
		{ numRuns: 2000 },
	);
});
