import {
	isArray,
	isObject,
	type JsonArray,
	type JsonObject,
	type JsonValue,
	sameJson,
	stringifyJson,
} from '../../json/index.ts';
import { anything, type Schema } from '../schema/index.ts';
import { emptySet, type FieldSet, leaf, setOf, union } from './field-set.ts';

/**
 * The children of a value that server-side apply tracks separately, by step; `undefined` for an
 * atomic value.
 */
function childrenOf(
	schema: Schema,
	value: JsonValue | undefined,
): Map<string, { schema: Schema; value: JsonValue; named: boolean }> | undefined {
	if (isObject(value)) {
		if (schema.atomicMap) return undefined;
		const entries = Object.entries(value).flatMap(([name, member]) => {
			if (member === undefined) return [];
			const named = schema.properties.has(name);
			return [[`f:${name}`, { schema: schema.member(name) ?? anything, value: member, named }] as const];
		});
		return new Map(entries);
	}
	if (isArray(value) && schema.listType !== 'atomic') {
		const items = schema.items ?? anything;
		return new Map(value.map((item) => [stepOf(schema, item), { schema: items, value: item, named: false }] as const));
	}
	return undefined;
}

/** The step to an item of a list: by its keys, or by its value. */
function stepOf(schema: Schema, item: JsonValue): string {
	if (schema.listType !== 'map' || !isObject(item)) return `v:${stringifyJson(item)}`;
	const keys = [...schema.listKeys].sort().flatMap((key) => {
		const value = item[key] ?? schema.items?.member(key)?.default;
		return value === undefined ? [] : [[key, value] as const];
	});
	return `k:${stringifyJson(Object.fromEntries(keys))}`;
}

const isLeaf = (value: JsonValue): boolean => value === null || (isObject(value) && Object.keys(value).length === 0);

/** All fields that a value sets. */
export function fieldsOf(schema: Schema, value: JsonValue): FieldSet {
	const children = childrenOf(schema, value);
	if (children === undefined) return leaf;
	const ofList = isArray(value);
	return setOf(
		false,
		[...children].map(([step, child]) => {
			const set = fieldsOf(child.schema, child.value);
			// Members of maps and items of lists are fields; a structure is represented only by its
			// members.
			const member = set.member || ofList || !child.named || isLeaf(child.value);
			return [step, { member, children: set.children }] as const;
		}),
	);
}

/** As `fieldsOf`, including containers: the added fields of an update. */
function everyNode(schema: Schema, value: JsonValue): FieldSet {
	const children = childrenOf(schema, value);
	if (children === undefined) return leaf;
	return {
		member: true,
		children: new Map([...children].map(([step, child]) => [step, everyNode(child.schema, child.value)])),
	};
}

/** The differences between two values. */
export interface Comparison {
	readonly added: FieldSet;
	readonly modified: FieldSet;
	readonly removed: FieldSet;
}

const same: Comparison = { added: emptySet, modified: emptySet, removed: emptySet };

/** Compares by the schema: a change of an atomic list or map is one change. */
export function compare(schema: Schema, before: JsonValue | undefined, after: JsonValue | undefined): Comparison {
	// Most compared values are equal, and a test for equality is cheaper than the full comparison.
	if (sameJson(before, after)) return same;
	if (before === undefined) return after === undefined ? same : { ...same, added: everyNode(schema, after) };
	if (after === undefined) return { ...same, removed: everyNode(schema, before) };
	// A list that was empty: its items are added, not the list.
	const old = before === null ? undefined : childrenOf(schema, before);
	const now = childrenOf(schema, after);
	if (old === undefined || now === undefined) return { ...same, modified: leaf };
	const steps = new Set([...old.keys(), ...now.keys()]);
	const parts = [...steps].map((step) => {
		const child = now.get(step) ?? old.get(step);
		return [step, compare(child?.schema ?? anything, old.get(step)?.value, now.get(step)?.value)] as const;
	});
	const collect = (key: keyof Comparison) =>
		setOf(
			false,
			parts.map(([step, part]) => [step, part[key]] as const),
		);
	return { added: collect('added'), modified: collect('modified'), removed: collect('removed') };
}

export const changed = ({ added, modified }: Comparison): FieldSet => union(added, modified);

/** Merges the applied value into the live value. */
export function mergeTyped(schema: Schema, live: JsonValue | undefined, applied: JsonValue): JsonValue {
	if (live === undefined || live === null) return applied;
	if (isObject(applied) && isObject(live) && !schema.atomicMap) {
		const members = new Map(Object.entries(live));
		for (const [name, value] of Object.entries(applied)) {
			if (value !== undefined) members.set(name, mergeTyped(schema.member(name) ?? anything, members.get(name), value));
		}
		return Object.fromEntries(members);
	}
	if (isArray(applied) && isArray(live) && schema.listType !== 'atomic') return mergeLists(schema, live, applied);
	return applied;
}

/**
 * Live items keep their positions; common items take the applied order; new items follow the live
 * items that precede them.
 */
function mergeLists(schema: Schema, live: JsonArray, applied: JsonArray): JsonArray {
	const there = new Map(live.map((item) => [stepOf(schema, item), item]));
	const mine = new Set(applied.map((item) => stepOf(schema, item)));
	const others = [...there].map(([step, item]) => ({ step, item }));
	const result: JsonValue[] = [];
	let next = 0;
	const takeOthers = () => {
		for (let other = others[next]; other !== undefined && !mine.has(other.step); other = others[++next])
			result.push(other.item);
	};
	for (const item of applied) {
		takeOthers();
		const step = stepOf(schema, item);
		result.push(mergeTyped(schema.items ?? anything, there.get(step), item));
		if (there.has(step)) next++;
	}
	for (; next < others.length; next++) {
		const other = others[next];
		if (other !== undefined && !mine.has(other.step)) result.push(other.item);
	}
	return result;
}

/**
 * Removes the fields in `remove`, with all fields below them except those in `keep`. Structures
 * that become empty are removed, too.
 */
export function removeFields(
	schema: Schema,
	value: JsonValue,
	remove: FieldSet,
	keep: FieldSet,
): JsonValue | undefined {
	const children = childrenOf(schema, value);
	if (children === undefined) return value;
	const kept = new Map<string, JsonValue>();
	for (const [step, child] of children) {
		const cut = remove.children.get(step);
		const held = keep.children.get(step);
		if (cut === undefined) kept.set(step, child.value);
		else if (cut.member && held === undefined) continue;
		else {
			const rest = removeFields(child.schema, child.value, cut, held ?? emptySet);
			if (rest === undefined || (held === undefined && isEmptied(child.value, rest))) continue;
			kept.set(step, rest);
		}
	}
	if (isArray(value)) return value.flatMap((item) => kept.get(stepOf(schema, item)) ?? []);
	return Object.fromEntries([...kept].map(([step, member]) => [step.slice(2), member])) satisfies JsonObject;
}

function isEmptied(before: JsonValue, after: JsonValue): boolean {
	if (isArray(after)) return after.length === 0 && isArray(before) && before.length > 0;
	return isObject(after) && Object.keys(after).length === 0 && isObject(before) && Object.keys(before).length > 0;
}
