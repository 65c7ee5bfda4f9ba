import { arrayAt, isObject, type JsonObject, type JsonValue, objectAt, textAt, withAt } from '../../json/index.ts';
import type { Schema } from '../schema/index.ts';
import {
	describePaths,
	difference,
	emptySet,
	type FieldSet,
	fieldSetFromJson,
	fieldSetToJson,
	intersection,
	isEmpty,
	leaf,
	sameSet,
	setOf,
	union,
	withoutSubtrees,
} from './field-set.ts';
import { changed, compare, fieldsOf, mergeTyped, removeFields } from './typed.ts';

/** Who set which fields, in which way. */
export interface Manager {
	readonly manager: string;
	readonly operation: 'Apply' | 'Update';
	readonly apiVersion: string;
	readonly subresource: string;
	/** RFC 3339. */
	readonly time: string;
	readonly fields: FieldSet;
}

/** Who writes, and how. */
export interface Writer {
	readonly manager: string;
	readonly apiVersion: string;
	readonly subresource: string;
	readonly time: string;
}

/** Fields that others hold with another value. */
export interface FieldConflict {
	readonly manager: string;
	readonly apiVersion: string;
	readonly operation: 'Apply' | 'Update';
	readonly time: string;
	readonly subresource: string;
	/** `.spec.cidr` */
	readonly path: string;
}

/** Fields that the server itself sets, or that name the object: nobody manages them. */
const unmanaged: FieldSet = setOf(false, [
	['f:apiVersion', leaf],
	['f:kind', leaf],
	[
		'f:metadata',
		setOf(
			true,
			['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'].map(
				(name) => [`f:${name}`, leaf] as const,
			),
		),
	],
]);
// `metadata` itself is unmanaged, what is in it is not.
const bareMetadata: FieldSet = setOf(false, [['f:metadata', leaf]]);

const managedOf = (set: FieldSet, reset: FieldSet): FieldSet => withoutSubtrees(difference(withoutMetadataSubtree(set), bareMetadata), reset);

function withoutMetadataSubtree(set: FieldSet): FieldSet {
	const metadata = unmanaged.children.get('f:metadata');
	const own = set.children.get('f:metadata');
	const rest = withoutSubtrees(
		set,
		setOf(false, [
			['f:apiVersion', leaf],
			['f:kind', leaf],
		]),
	);
	if (metadata === undefined || own === undefined) return rest;
	return setOf(
		false,
		[...rest.children].map(
			([step, child]) => [step, step === 'f:metadata' ? withoutSubtrees(own, { member: false, children: metadata.children }) : child] as const,
		),
	);
}

/** The managers that an object lists; entries that cannot be read are passed over. */
export function managersOf(object: JsonObject): Manager[] {
	return arrayAt(object, 'metadata', 'managedFields').flatMap((entry) => {
		const operation = textAt(entry, 'operation');
		if (!isObject(entry) || (operation !== 'Apply' && operation !== 'Update')) return [];
		return [
			{
				manager: textAt(entry, 'manager') ?? 'unknown',
				operation,
				apiVersion: textAt(entry, 'apiVersion') ?? '',
				subresource: textAt(entry, 'subresource') ?? '',
				time: textAt(entry, 'time') ?? '',
				fields: fieldSetFromJson(objectAt(entry, 'fieldsV1')),
			},
		];
	});
}

/** The object with these managers, in Kubernetes' order; without any, the list is absent. */
export function withManagers(object: JsonObject, managers: readonly Manager[]): JsonObject {
	const sorted = [...managers].sort(
		(left, right) =>
			order(left.operation, right.operation) ||
			order(left.time, right.time) ||
			order(left.manager, right.manager) ||
			order(left.apiVersion, right.apiVersion) ||
			order(left.subresource, right.subresource),
	);
	const entries = sorted.map(({ manager, operation, apiVersion, time, fields, subresource }) => ({
		manager,
		operation,
		apiVersion,
		...(time === '' ? {} : { time }),
		fieldsType: 'FieldsV1',
		fieldsV1: fieldSetToJson(fields),
		...(subresource === '' ? {} : { subresource }),
	}));
	return withAt(object, ['metadata', 'managedFields'], entries.length === 0 ? undefined : entries);
}

const order = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** Paths are compared without what the server adds by itself. */
const content = (object: JsonObject): JsonObject => withAt(object, ['metadata', 'managedFields'], undefined);

/**
 * The managers after an update: the writer holds what it changed, nobody else does; what is gone is nobody's.
 * `reset`: fields that this way of writing cannot change.
 */
export function managersAfterUpdate(
	schema: Schema,
	before: JsonObject,
	after: JsonObject,
	managers: readonly Manager[],
	writer: Writer,
	reset: FieldSet,
): Manager[] {
	const comparison = compare(schema, content(before), content(after));
	const touched = managedOf(changed(comparison), reset);
	const removed = managedOf(comparison.removed, reset);
	const gone = union(touched, removed);
	if (isEmpty(gone)) return [...managers];
	const isMine = (manager: Manager) => manager.operation === 'Update' && sameWriter(manager, writer);
	const others = managers.filter((manager) => !isMine(manager)).map((manager) => withoutFields(manager, gone));
	const mine = managers.find(isMine);
	const wanted = union(difference(mine?.fields ?? emptySet, removed), touched);
	const same = mine !== undefined && sameSet(mine.fields, wanted);
	return [...others, { ...writer, time: same ? mine.time : writer.time, operation: 'Update' as const, fields: same ? mine.fields : wanted }].filter(
		(manager) => !isEmpty(manager.fields),
	);
}

/** The manager without those fields; itself where it has none of them. */
function withoutFields(manager: Manager, gone: FieldSet): Manager {
	return isEmpty(intersection(manager.fields, gone)) ? manager : { ...manager, fields: difference(manager.fields, gone) };
}

const sameWriter = (manager: Manager, writer: Writer): boolean =>
	manager.manager === writer.manager && manager.apiVersion === writer.apiVersion && manager.subresource === writer.subresource;

/** What an apply comes to. */
export type Applied = { readonly type: 'applied'; readonly object: JsonObject } | { readonly type: 'conflict'; readonly conflicts: readonly FieldConflict[] };

/**
 * Server-side apply: the fields of `config` are set and held by the writer, those it applied before and no longer does go, unless somebody else
 * holds them. Fields that others hold with another value are conflicts, or taken over by `force`.
 */
export function apply(schema: Schema, live: JsonObject | undefined, config: JsonObject, writer: Writer, options: { force: boolean; reset: FieldSet }): Applied {
	const managers = live === undefined ? [] : managersOf(live);
	const isMine = (manager: Manager) => manager.operation === 'Apply' && manager.manager === writer.manager && manager.subresource === writer.subresource;
	const mine = managers.find(isMine);
	const others = managers.filter((manager) => !isMine(manager));
	const fields = managedOf(fieldsOf(schema, content(config)), options.reset);
	const before = live === undefined ? {} : content(live);
	const merged = mergeTyped(schema, before, content(config));
	const dropped = difference(mine?.fields ?? emptySet, fields);
	const held = others.reduce((set, manager) => union(set, manager.fields), fields);
	const after = asObject(isEmpty(dropped) ? merged : removeFields(schema, merged, difference(dropped, held), held), live ?? {});

	const comparison = compare(schema, before, after);
	const touched = managedOf(changed(comparison), options.reset);
	const contested = others.map((manager) => ({ manager, paths: intersection(manager.fields, touched) })).filter(({ paths }) => !isEmpty(paths));
	if (contested.length > 0 && !options.force) {
		const conflicts = contested.flatMap(({ manager: { fields: _, ...who }, paths }) => describePaths(paths).map((path) => ({ ...who, path })));
		return { type: 'conflict', conflicts };
	}
	const gone = union(touched, managedOf(comparison.removed, options.reset));
	const left = others.map((manager) => withoutFields(manager, gone)).filter((manager) => !isEmpty(manager.fields));
	// An apply that changes nothing but who manages what is not a time to be remembered.
	const changes = [comparison.added, comparison.modified, comparison.removed].some((set) => !isEmpty(set));
	const time = changes ? writer.time : (mine?.time ?? '');
	const entry: Manager = { ...writer, time, operation: 'Apply', fields };
	return { type: 'applied', object: withManagers(after, isEmpty(fields) ? left : [...left, entry]) };
}

function asObject(value: JsonValue | undefined, otherwise: JsonObject): JsonObject {
	return isObject(value) ? value : otherwise;
}
