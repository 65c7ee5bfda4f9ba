import test from 'ava';
import fc from 'fast-check';
import { type JsonObject, JsonSyntaxError, ListReader, parseJson, stringifyJson } from '../../src/json/index.ts';

/** The result for a text that arrives in pieces with these ends. */
function read(text: string, ends: readonly number[]): { readonly items: JsonObject[]; readonly list: JsonObject } {
	const reader = new ListReader();
	const items: JsonObject[] = [];
	let from = 0;
	for (const end of [
		...ends.map((place) => place % (text.length + 1)).sort((left, right) => left - right),
		text.length,
	]) {
		items.push(...reader.push(text.slice(from, end)));
		from = end;
	}
	return { items, list: reader.end() };
}

const text = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 5 }),
	fc.constantFrom('items', '"items":[{', '\\', '"', '{', ']}', '\\"'),
);
const { object } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 3 },
		text,
		fc.constantFrom(null, true, 1, 1_780_000_000_123_456_789n),
		fc.array(tie('value'), { maxLength: 3 }),
		tie('object'),
	),
	object: fc.dictionary(fc.oneof(text, fc.constantFrom('items', 'a')), tie('value'), {
		noNullPrototype: true,
		maxKeys: 3,
	}),
}));

test('for any pieces of a list, its objects and surrounding members are the same', (t) => {
	const lists = fc.record({
		before: fc.dictionary(
			text.filter((name) => name !== 'items'),
			fc.oneof(text, object, fc.array(object, { maxLength: 2 })),
			{ noNullPrototype: true, maxKeys: 3 },
		),
		items: fc.array(object, { maxLength: 4 }),
		after: object,
		indent: fc.constantFrom(undefined, 1),
		ends: fc.array(fc.nat(), { maxLength: 6 }),
	});
	fc.assert(
		fc.property(lists, ({ before, items, after, indent, ends }) => {
			// `fast-check` creates plain values of the JSON types.
			const whole = { ...before, items, metadata: after } as JsonObject;
			const found = read(stringifyJson(whole, indent), ends);
			t.is(stringifyJson(found.items as never), stringifyJson(parseJson(stringifyJson(items as never))));
			t.is(stringifyJson(found.list), stringifyJson({ ...whole, items: items.map(() => 0) }));
		}),
		{ numRuns: 500 },
	);
});

const broken = [
	'',
	'{',
	'{"items":[',
	'{"items":[{}',
	'{"items":[{}}',
	'{"items":[{}{}]}',
	'{"items":[{},]}',
	'{"items":[{"a":}]}',
	'{"items":[{]]}',
	'<html>',
	'{"a":"',
];
for (const piece of broken)
	test(`a list that is not JSON is reported: ${piece === '' ? 'nothing' : piece}`, (t) =>
		void t.throws(() => read(piece, []), { instanceOf: JsonSyntaxError }));

test('items that are not objects are skipped', (t) => {
	t.deepEqual(read('{"items":[1,{"a":[{}]},[{"b":1}],null,{}]}', [14, 30]).items, [{ a: [{}] }, {}]);
});

test('items that are null, or a response that is not a list, have no objects', (t) => {
	t.deepEqual(read('{"kind":"NodeList","items":null}', []), { items: [], list: { kind: 'NodeList', items: null } });
	t.deepEqual(read('[{"items":[{}]}]', []).items, []);
});
