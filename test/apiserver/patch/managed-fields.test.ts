import test from 'ava';
import fc from 'fast-check';
import {
	apply,
	describePaths,
	difference,
	emptySet,
	type FieldSet,
	fieldSetFromJson,
	fieldSetToJson,
	intersection,
	isEmpty,
	managersOf,
	sameSet,
	setOf,
	union,
	type Writer,
	withManagers,
} from '../../../src/apiserver/patch/index.ts';
import { Schema } from '../../../src/apiserver/schema/index.ts';
import { type JsonObject, objectAt, sameJson, withAt } from '../../../src/json/index.ts';

const step = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1');
const fieldSet: fc.Arbitrary<FieldSet> = fc
	.letrec<{ set: FieldSet }>((tie) => ({
		set: fc.oneof(
			{ maxDepth: 3 },
			fc.constant<FieldSet>({ member: true, children: new Map() }),
			fc
				.tuple(fc.boolean(), fc.array(fc.tuple(step, tie('set')), { maxLength: 3 }))
				.map(([member, children]) => setOf(member, new Map(children))),
		),
	}))
	.set.map((set) => ({ member: false, children: set.children }));

test('a field set reads back from its JSON', (t) => {
	fc.assert(
		fc.property(fieldSet, (set) =>
			t.true(sameSet(fieldSetFromJson(JSON.parse(JSON.stringify(fieldSetToJson(set))) as JsonObject), set)),
		),
	);
});

test('managers are sorted by operation, time, name, version and subresource', (t) => {
	const rows = [
		['Apply', '2026-01-01T00:00:01Z', 'b', 'v1', ''],
		['Apply', '2026-01-01T00:00:02Z', 'a', 'v1', ''],
		['Apply', '2026-01-01T00:00:02Z', 'b', 'v1', ''],
		['Update', '2026-01-01T00:00:00Z', 'a', 'v1', ''],
		['Update', '2026-01-01T00:00:00Z', 'a', 'v1', 'status'],
		['Update', '2026-01-01T00:00:00Z', 'a', 'v2', ''],
	] as const;
	const managers = rows.map(([operation, time, manager, apiVersion, subresource]) => ({
		operation,
		time,
		manager,
		apiVersion,
		subresource,
		fields: emptySet,
	}));
	fc.assert(
		fc.property(fc.shuffledSubarray(managers, { minLength: managers.length }), (shuffled) => {
			const listed = managersOf(withManagers({}, shuffled)).map(
				({ operation, time, manager, apiVersion, subresource }) => [operation, time, manager, apiVersion, subresource],
			);
			t.deepEqual(listed, rows as unknown as string[][]);
		}),
	);
});

test('field sets are sets', (t) => {
	fc.assert(
		fc.property(fieldSet, fieldSet, (left, right) => {
			const both = union(left, right);
			t.true(sameSet(both, union(right, left)));
			t.true(sameSet(union(difference(left, right), intersection(left, right)), left));
			t.true(isEmpty(difference(left, both)));
			t.true(isEmpty(intersection(difference(left, right), right)));
			t.deepEqual(
				describePaths(both),
				[...new Set([...describePaths(left), ...describePaths(right)])].sort(
					(a, b) => describePaths(both).indexOf(a) - describePaths(both).indexOf(b),
				),
			);
		}),
	);
});

const schema = new Schema({
	type: 'object',
	properties: {
		metadata: { type: 'object', properties: { managedFields: { type: 'array', items: { type: 'object' } } } },
		size: { type: 'integer' },
		labels: { type: 'object', additionalProperties: { type: 'string' } },
		tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
		parts: {
			type: 'array',
			'x-kubernetes-list-type': 'map',
			'x-kubernetes-list-map-keys': ['name'],
			items: { type: 'object', properties: { name: { type: 'string' }, weight: { type: 'integer' } } },
		},
		whole: { type: 'array', items: { type: 'integer' } },
	},
});
const letters = fc.constantFrom('a', 'b', 'c');
const config: fc.Arbitrary<JsonObject> = fc.record(
	{
		size: fc.nat(2),
		labels: fc.dictionary(letters, letters, { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
		tags: fc.uniqueArray(letters, { minLength: 1 }),
		parts: fc.uniqueArray(fc.record({ name: letters, weight: fc.nat(2) }, { requiredKeys: ['name'] }), {
			selector: ({ name }) => name,
			minLength: 1,
		}),
		whole: fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }),
	},
	{ requiredKeys: [] },
);
const writer = (manager: string): Writer => ({ manager, apiVersion: 'v1', subresource: '', time: 't' });
const force = { force: true, reset: emptySet };

function applied(live: JsonObject | undefined, sent: JsonObject, manager: string, options = force): JsonObject {
	const result = apply(schema, live, sent, writer(manager), options);
	if (result.type !== 'applied') throw new Error('a forced apply has no conflicts');
	return result.object;
}
/** Ignores the order of list items, and manager entries. */
function content(object: JsonObject): JsonObject {
	const sorted = (name: string) =>
		Array.isArray(object[name]) && name !== 'whole'
			? [...object[name]].sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1))
			: object[name];
	return Object.fromEntries(
		Object.keys(object)
			.filter((name) => name !== 'metadata')
			.map((name) => [name, sorted(name)]),
	);
}

test('an apply by a single manager sets the object to its configuration', (t) => {
	fc.assert(
		fc.property(config, config, (first, second) => {
			t.true(sameJson(content(applied(applied(undefined, first, 'one'), second, 'one')), content(second)));
		}),
		{ numRuns: 500 },
	);
});

test('a repeated apply changes nothing and causes no conflict', (t) => {
	fc.assert(
		fc.property(config, config, (mine, theirs) => {
			const live = applied(applied(undefined, theirs, 'two'), mine, 'one');
			t.true(sameJson(applied(live, mine, 'one', { force: false, reset: emptySet }), live));
		}),
		{ numRuns: 500 },
	);
});

test('a released field that another manager owns stays; a field without owner is removed', (t) => {
	fc.assert(
		fc.property(config, config, (mine, theirs) => {
			const both = applied(applied(undefined, mine, 'one'), theirs, 'two');
			const left = applied(both, {}, 'one');
			t.true(sameJson(content(left), content(theirs)));
			t.deepEqual(
				managersOf(left).map(({ manager }) => manager),
				Object.keys(theirs).length === 0 ? [] : ['two'],
			);
		}),
		{ numRuns: 500 },
	);
});

test('another value of a field with an owner is a conflict, named by its path', (t) => {
	const live = applied(undefined, { size: 1, parts: [{ name: 'a', weight: 1 }] }, 'one');
	const result = apply(schema, live, { size: 2, parts: [{ name: 'a', weight: 2 }] }, writer('two'), {
		force: false,
		reset: emptySet,
	});
	t.deepEqual(result.type === 'conflict' ? result.conflicts.map(({ manager, path }) => `${manager} ${path}`) : [], [
		'one .parts[name="a"].weight',
		'one .size',
	]);
	t.is(objectAt(withAt(live, ['metadata'], undefined), 'metadata')['managedFields'], undefined);
});
