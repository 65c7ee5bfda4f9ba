import test from 'ava';
import fc from 'fast-check';
import { jsonPatch, mergePatch, PatchError, strategicMergePatch } from '../../../src/apiserver/patch/index.ts';
import { anything, Schema } from '../../../src/apiserver/schema/index.ts';
import { isObject, type JsonValue, sameJson } from '../../../src/json/index.ts';

const names = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'a/b', '~');
const value: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 3 },
		fc.constantFrom<JsonValue>(null, true, 0, 'x'),
		fc.array(tie('value'), { maxLength: 3 }),
		fc.dictionary(names, tie('value'), { maxKeys: 3, noNullPrototype: true }),
	),
})).value;

/** RFC 7386, appendix A. */
const mergeRows: readonly (readonly [document: JsonValue, patch: JsonValue, result: JsonValue])[] = [
	[{ a: 'b' }, { a: 'c' }, { a: 'c' }],
	[{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
	[{ a: 'b' }, { a: null }, {}],
	[{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
	[{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
	[{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
	[{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
	[{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
	[
		['a', 'b'],
		['c', 'd'],
		['c', 'd'],
	],
	[{ a: 'b' }, ['c'], ['c']],
	[{ a: 'foo' }, null, null],
	[{ a: 'foo' }, 'bar', 'bar'],
	[{ e: null }, { a: 1 }, { e: null, a: 1 }],
	[[1, 2], { a: 'b', c: null }, { a: 'b' }],
	[{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
for (const [document, patch, result] of mergeRows) {
	test(`merge patch: ${JSON.stringify(document)} and ${JSON.stringify(patch)}`, (t) =>
		t.true(sameJson(mergePatch(document, patch), result)));
}

/** RFC 6902, appendix A, and errors. */
const patchRows: readonly (readonly [
	title: string,
	document: JsonValue,
	patch: JsonValue,
	result: JsonValue | PatchError['kind'],
])[] = [
	['a member is added', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
	['an element is inserted', { a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
	['an element is appended', { a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
	['a member is removed', { a: 1, b: 2 }, [{ op: 'remove', path: '/b' }], { a: 1 }],
	['an element is removed', [1, 2, 3], [{ op: 'remove', path: '/1' }], [1, 3]],
	['a value is moved', { a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
	['a value is tested', { a: [1, { b: 2 }] }, [{ op: 'test', path: '/a/1', value: { b: 2 } }], { a: [1, { b: 2 }] }],
	['the whole document is replaced', { a: 1 }, [{ op: 'replace', path: '', value: [2] }], [2]],
	[
		'escapes are decoded',
		{ 'a/b': 1, 'm~n': 2 },
		[
			{ op: 'remove', path: '/a~1b' },
			{ op: 'remove', path: '/m~0n' },
		],
		{},
	],
	['a test fails', { a: 1 }, [{ op: 'test', path: '/a', value: '1' }], 'unfit'],
	['a parent is missing', { a: 1 }, [{ op: 'add', path: '/b/c', value: 1 }], 'unfit'],
	['an index is out of range', { a: [1] }, [{ op: 'add', path: '/a/3', value: 1 }], 'unfit'],
	['an index has a leading zero', { a: [1] }, [{ op: 'remove', path: '/a/00' }], 'unfit'],
	// As in kube-apiserver, which differs from RFC 6902.
	['a replaced member does not exist', { a: 1 }, [{ op: 'replace', path: '/b', value: 1 }], { a: 1, b: 1 }],
	['a copied member does not exist', { a: 1 }, [{ op: 'copy', from: '/b', path: '/c' }], { a: 1, c: null }],
	['a replaced element does not exist', { a: [] }, [{ op: 'replace', path: '/a/0', value: 1 }], 'unfit'],
	['the parent of a copied member does not exist', { a: 1 }, [{ op: 'copy', from: '/b/c', path: '/c' }], 'unfit'],
	['an operation is unknown', { a: 1 }, [{ op: 'spam', path: '/b' }], 'unfit'],
	['a patch that is not a list', { a: 1 }, {}, 'malformed'],
	['a path that is not a pointer', { a: 1 }, [{ op: 'add', path: 'b', value: 1 }], 'malformed'],
];
for (const [title, document, patch, result] of patchRows) {
	test(`JSON patch: ${title}`, (t) => {
		if (typeof result === 'string')
			t.like(
				t.throws(() => jsonPatch(document, patch), { instanceOf: PatchError }),
				{ kind: result },
			);
		else t.true(sameJson(jsonPatch(document, patch), result));
	});
}

test('any JSON patch applies completely or raises PatchError, and the document stays unchanged', (t) => {
	const path = fc
		.array(fc.constantFrom('a', 'b', '0', '1', '-', '__proto__', 'a~1b'), { maxLength: 3 })
		.map((steps) => steps.map((step) => `/${step}`).join(''));
	const operation = fc.record({
		op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'odd'),
		path,
		from: path,
		value,
	});
	fc.assert(
		fc.property(value, fc.array(operation, { maxLength: 4 }), (document, patch) => {
			const before = structuredClone(document);
			try {
				jsonPatch(document, patch);
			} catch (error) {
				t.true(error instanceof PatchError);
			}
			t.true(sameJson(document, before));
			t.is(({} as Readonly<Record<string, unknown>>)['a'], undefined);
		}),
		{ numRuns: 3000 },
	);
});

test('a merge patch is idempotent', (t) => {
	fc.assert(
		fc.property(value, value, (document, patch) =>
			sameJson(mergePatch(mergePatch(document, patch), patch), mergePatch(document, patch)),
		),
		{ numRuns: 2000 },
	);
	t.pass();
});

test('without a schema a strategic merge patch without directives is a merge patch, except for nulls in new members', (t) => {
	const holdsNull = (item: JsonValue | undefined): boolean =>
		item === null ||
		(Array.isArray(item) ? item.some(holdsNull) : isObject(item ?? 0) && Object.values(item as object).some(holdsNull));
	fc.assert(
		fc.property(
			value.filter(isObject),
			value.filter((item) => isObject(item) && !holdsNull(item)),
			(document, patch) => {
				if (isObject(document) && isObject(patch))
					t.true(sameJson(strategicMergePatch(anything, document, patch), mergePatch(document, patch)));
			},
		),
		{ numRuns: 2000 },
	);
});

test('items of a strategic merge patch keep their neighbours', (t) => {
	const schema = new Schema({
		type: 'object',
		properties: {
			l: {
				type: 'array',
				'x-kubernetes-patch-strategy': 'merge',
				'x-kubernetes-patch-merge-key': 'n',
				items: { type: 'object' },
			},
		},
	});
	const list = (...keys: readonly string[]) => ({ l: keys.map((n) => ({ n })) });
	t.deepEqual(
		strategicMergePatch(schema, list('a', 'b', 'c'), { '$setElementOrder/l': [{ n: 'c' }, { n: 'a' }], l: [] }),
		list('b', 'c', 'a'),
	);
	t.deepEqual(strategicMergePatch(schema, list('a', 'b'), { l: [{ n: 'a', $patch: 'delete' }] }), list('b'));
});
