import test from 'ava';
import fc from 'fast-check';
import { notCompact, parseCompact } from '../../src/json/compact.ts';
import { JsonSyntaxError, type JsonValue, parseJson, sameJson, stringifyJson } from '../../src/json/index.ts';

const unsafeInteger = fc
	.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
	.filter((value) => value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER));

const anyValue: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		fc.constantFrom<JsonValue>(null, true, false, 0, '', '12345678901234567890', '__proto__', 'a:1234567890123456789,'),
		fc.string({ unit: 'binary' }),
		fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
		fc.maxSafeInteger(),
		unsafeInteger,
		fc.array(tie('value')),
		fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'toString', 'sequenceNumber')), tie('value'), {
			noNullPrototype: true,
		}),
	),
})).value;

test('written values read back the same, with all digits', (t) => {
	fc.assert(
		fc.property(anyValue, fc.constantFrom(undefined, 2), (value, indent) => {
			// A double that is a whole number beyond 2^53 is written as an integer and reads back
			// as one of the same value.
			const read = parseJson(stringifyJson(value, indent));
			t.is(stringifyJson(read), stringifyJson(value));
		}),
		{ numRuns: 2000 },
	);
});

test('integers of 64 bits keep their digits at any position', (t) => {
	fc.assert(
		fc.property(unsafeInteger, (value) => {
			for (const text of [`${value}`, `[${value}]`, `[1, ${value}]`, `{"a":${value}}`, `{"a" :\n${value} }`])
				t.true(stringifyJson(parseJson(text)).includes(String(value)), text);
		}),
	);
});

test('an integer beyond 64 bits is rounded to a double', (t) => {
	t.is(parseJson('18446744073709551615'), 18446744073709551615n);
	t.is(parseJson('18446744073709551616'), 18446744073709552000);
});

test('text that is not JSON raises JsonSyntaxError from either parser', (t) => {
	for (const text of ['', '{', '{"a":1780000000123456789', '[1780000000123456789,]', 'nul'])
		t.throws(() => parseJson(text), { instanceOf: JsonSyntaxError }, text);
});

test('any text parses or raises JsonSyntaxError', (t) => {
	fc.assert(
		fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[[\]{}:,"0-9eE.+ -]{0,60}$/)), (text) => {
			try {
				parseJson(text);
			} catch (error) {
				t.true(error instanceof JsonSyntaxError);
			}
		}),
		{ numRuns: 5000 },
	);
	t.pass();
});

test('equality ignores the order of members and undefined members', (t) => {
	t.true(sameJson({ a: 1, b: [2n, { c: null }] }, { b: [2n, { c: null }], a: 1, d: undefined }));
	t.false(sameJson({ a: 1 }, { a: 1, b: null }));
	t.false(sameJson([1], { 0: 1 }));
	t.false(sameJson({ a: undefined, b: 1 }, { a: 1, b: undefined }));
});

test('the parser for compact text accepts only JSON, and reads it as the engine does', (t) => {
	const piece = fc.constantFrom(
		'{',
		'}',
		'[',
		']',
		',',
		':',
		'"a"',
		'"b\\"c"',
		'"\\\\"',
		'"\\',
		'"__proto__"',
		'"',
		'\\',
		'1',
		'-0',
		'01',
		'1.5e3',
		'-',
		'true',
		'nul',
		'null',
		' ',
		'\\u0041',
		'"\\u0041"',
	);
	const broken = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
	const whole = anyValue.map((value) => stringifyJson(value).replaceAll(/\d{16,}/g, '7'));
	fc.assert(
		fc.property(
			fc.oneof(
				broken,
				whole,
				fc
					.tuple(whole, fc.nat(), piece)
					.map(([text, at, odd]) => text.slice(0, at % (text.length + 1)) + odd + text.slice(at % (text.length + 1))),
			),
			(text) => {
				let expected: unknown;
				try {
					expected = JSON.parse(text);
				} catch {}
				if (!notCompact.test(text)) t.deepEqual(parseCompact(text, Number), expected as JsonValue | undefined, text);
			},
		),
		{ numRuns: 20_000 },
	);
	t.pass();
});
