import { isObject, type JsonObject } from '../../json/index.ts';

/**
 * A set of field paths as a tree. The steps are written as in `managedFields` (fieldsType
 * FieldsV1): `f:NAME`, `k:{KEYS}`, `v:VALUE`, `i:INDEX`. `member`: the path that ends here is in
 * the set. Immutable.
 */
export interface FieldSet {
	readonly member: boolean;
	readonly children: ReadonlyMap<string, FieldSet>;
}

export const emptySet: FieldSet = { member: false, children: new Map() };
export const leaf: FieldSet = { member: true, children: new Map() };

export const isEmpty = (set: FieldSet): boolean => !set.member && set.children.size === 0;

/** A node; `undefined` if it would be empty. */
function node(member: boolean, children: ReadonlyMap<string, FieldSet>): FieldSet | undefined {
	return member || children.size > 0 ? { member, children } : undefined;
}

/** A set from its children; empty ones are omitted. */
export function setOf(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
	return { member, children: new Map([...children].filter(([, child]) => !isEmpty(child))) };
}

/**
 * Caches a set for its JSON and the reverse, because most writes leave most managers unchanged.
 * Both are immutable.
 */
const setsOfJson = new WeakMap<JsonObject, FieldSet>();
const jsonOfSets = new WeakMap<FieldSet, JsonObject>();

/** Reads FieldsV1. */
export function fieldSetFromJson(json: JsonObject): FieldSet {
	const known = setsOfJson.get(json);
	if (known !== undefined) return known;
	const set = readFields(json);
	setsOfJson.set(json, set);
	jsonOfSets.set(set, json);
	return set;
}

function readFields(json: JsonObject): FieldSet {
	const children = new Map<string, FieldSet>();
	for (const [step, value] of Object.entries(json)) {
		if (step === '.' || !isObject(value)) continue;
		const child = readFields(value);
		// `{}` is the path itself; with children, the path is a member only with the `.` entry.
		children.set(step, Object.keys(value).length === 0 ? leaf : { member: '.' in value, children: child.children });
	}
	return { member: false, children };
}

/** Converts to FieldsV1, with steps in Kubernetes' order. */
export function fieldSetToJson(set: FieldSet): JsonObject {
	const known = jsonOfSets.get(set);
	if (known !== undefined) return known;
	const json = writeFields(set);
	jsonOfSets.set(set, json);
	return json;
}

function writeFields({ children }: FieldSet): JsonObject {
	return Object.fromEntries(
		[...children]
			.sort(([left], [right]) => compareSteps(left, right))
			.map(([step, child]) => [
				step,
				child.member && child.children.size > 0 ? { '.': {}, ...writeFields(child) } : writeFields(child),
			]),
	);
}

const compareSteps = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

export function union(left: FieldSet, right: FieldSet): FieldSet {
	if (isEmpty(left)) return right;
	if (isEmpty(right)) return left;
	const children = new Map(left.children);
	for (const [step, child] of right.children) {
		const there = children.get(step);
		children.set(step, there === undefined ? child : union(there, child));
	}
	return { member: left.member || right.member, children };
}

/** The paths of `left` that are not in `right`. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
	return differenceOrNothing(left, right) ?? emptySet;
}

function differenceOrNothing(left: FieldSet, right: FieldSet | undefined): FieldSet | undefined {
	if (right === undefined) return left;
	const children = new Map<string, FieldSet>();
	for (const [step, child] of left.children) {
		const rest = differenceOrNothing(child, right.children.get(step));
		if (rest !== undefined) children.set(step, rest);
	}
	return node(left.member && !right.member, children);
}

/** As `difference`; also removes all paths below a path of `right`. */
export function withoutSubtrees(left: FieldSet, right: FieldSet): FieldSet {
	const children = new Map<string, FieldSet>();
	for (const [step, child] of left.children) {
		const cut = right.children.get(step);
		if (cut === undefined) children.set(step, child);
		else if (!cut.member) {
			const rest = withoutSubtrees(child, cut);
			if (!isEmpty(rest)) children.set(step, rest);
		}
	}
	return { member: left.member && !right.member, children };
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
	const children = new Map<string, FieldSet>();
	for (const [step, child] of left.children) {
		const other = right.children.get(step);
		const both = other === undefined ? emptySet : intersection(child, other);
		if (!isEmpty(both)) children.set(step, both);
	}
	return { member: left.member && right.member, children };
}

export function sameSet(left: FieldSet, right: FieldSet): boolean {
	if (left.member !== right.member || left.children.size !== right.children.size) return false;
	for (const [step, child] of left.children) {
		const other = right.children.get(step);
		if (other === undefined || !sameSet(child, other)) return false;
	}
	return true;
}

/** The paths in readable form: `.spec.containers[name="web"].image`. */
export function describePaths(set: FieldSet, prefix = ''): string[] {
	return [...set.children]
		.sort(([left], [right]) => compareSteps(left, right))
		.flatMap(([step, child]) => {
			const path = `${prefix}${describeStep(step)}`;
			return [...(child.member ? [path] : []), ...describePaths(child, path)];
		});
}

function describeStep(step: string): string {
	const value = step.slice(2);
	if (step.startsWith('f:')) return `.${value}`;
	if (!step.startsWith('k:')) return `[${step.startsWith('v:') ? `=${value}` : value}]`;
	// The keys were written by us, or validated when they were read.
	const keys = JSON.parse(value) as Readonly<Record<string, unknown>>;
	return `[${Object.entries(keys)
		.map(([name, key]) => `${name}=${JSON.stringify(key)}`)
		.join(',')}]`;
}
