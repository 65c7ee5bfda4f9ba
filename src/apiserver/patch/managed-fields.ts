import {
	arrayAt,
	at,
	isArray,
	isObject,
	type JsonObject,
	type JsonValue,
	objectAt,
	textAt,
	withAt,
} from '../../json/index.ts';
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

/** A field manager: its fields and its operation. */
export interface Manager {
	readonly manager: string;
	readonly operation: 'Apply' | 'Update';
	readonly apiVersion: string;
	readonly subresource: string;
	/** RFC 3339. */
	readonly time: string;
	readonly fields: FieldSet;
}

/** The writer and its operation. */
export interface Writer {
	readonly manager: string;
	readonly apiVersion: string;
	readonly subresource: string;
	readonly time: string;
}

/** A field that another manager holds with a different value. */
export interface FieldConflict {
	readonly manager: string;
	readonly apiVersion: string;
	readonly operation: 'Apply' | 'Update';
	readonly time: string;
	readonly subresource: string;
	/** `.spec.cidr` */
	readonly path: string;
}

/** Unmanaged fields: the server sets them, or they identify the object. */
const unmanaged: FieldSet = setOf(false, [
	['f:apiVersion', leaf],
	['f:kind', leaf],
	[
		'f:metadata',
		setOf(
			true,
			[
				'name',
				'namespace',
				'creationTimestamp',
				'selfLink',
				'uid',
				'clusterName',
				'generation',
				'managedFields',
				'resourceVersion',
			].map((name) => [`f:${name}`, leaf] as const),
		),
	],
]);
// `metadata` itself is unmanaged; its members are managed.
const bareMetadata: FieldSet = setOf(false, [['f:metadata', leaf]]);

const managedOf = (set: FieldSet, reset: FieldSet): FieldSet =>
	withoutSubtrees(difference(withoutMetadataSubtree(set), bareMetadata), reset);

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
			([step, child]) =>
				[
					step,
					step === 'f:metadata' ? withoutSubtrees(own, { member: false, children: metadata.children }) : child,
				] as const,
		),
	);
}

/** The managers of an object; invalid entries are skipped. */
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

/**
 * Returns the object with these managers in Kubernetes' order; without managers, the list is
 * absent.
 */
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

/** The object without server-set fields, for comparisons. */
const content = (object: JsonObject): JsonObject => withAt(object, ['metadata', 'managedFields'], undefined);

/**
 * The managers after an update: the writer gets the fields that it changed, all other managers lose
 * them, and removed fields have no manager. `reset`: fields that this endpoint can not change.
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
	return [
		...others,
		{
			...writer,
			time: same ? mine.time : writer.time,
			operation: 'Update' as const,
			fields: same ? mine.fields : wanted,
		},
	].filter((manager) => !isEmpty(manager.fields));
}

/** The manager without those fields; the same object if it has none of them. */
function withoutFields(manager: Manager, gone: FieldSet): Manager {
	return isEmpty(intersection(manager.fields, gone))
		? manager
		: { ...manager, fields: difference(manager.fields, gone) };
}

const sameWriter = (manager: Manager, writer: Writer): boolean =>
	manager.manager === writer.manager &&
	manager.apiVersion === writer.apiVersion &&
	manager.subresource === writer.subresource;

/** The result of an apply. */
export type Applied =
	| { readonly type: 'applied'; readonly object: JsonObject }
	| { readonly type: 'conflict'; readonly conflicts: readonly FieldConflict[] };

/**
 * Server-side apply. Sets the fields of `config` with the writer as their manager. Removes fields
 * that the writer applied before and no longer lists, unless another manager has them. A field that
 * another manager holds with a different value is a conflict; `force` takes it over.
 */
export function apply(
	schema: Schema,
	live: JsonObject | undefined,
	config: JsonObject,
	writer: Writer,
	options: { force: boolean; reset: FieldSet },
): Applied {
	const managers = live === undefined ? [] : managersOf(live);
	const isMine = (manager: Manager) =>
		manager.operation === 'Apply' && manager.manager === writer.manager && manager.subresource === writer.subresource;
	const mine = managers.find(isMine);
	const others = managers.filter((manager) => !isMine(manager));
	const fields = managedOf(fieldsOf(schema, content(config)), options.reset);
	const before = live === undefined ? {} : content(live);
	const merged = mergeTyped(schema, before, content(config));
	const dropped = difference(mine?.fields ?? emptySet, fields);
	const held = others.reduce((set, manager) => union(set, manager.fields), fields);
	const after = asObject(
		isEmpty(dropped) ? merged : removeFields(schema, merged, difference(dropped, held), held),
		live ?? {},
	);

	const comparison = compare(schema, before, after);
	const touched = managedOf(changed(comparison), options.reset);
	const contested = others
		.map((manager) => ({ manager, paths: intersection(manager.fields, touched) }))
		.filter(({ paths }) => !isEmpty(paths));
	if (contested.length > 0 && !options.force) {
		const conflicts = contested.flatMap(({ manager: { fields: _, ...who }, paths }) =>
			describePaths(paths).map((path) => ({ ...who, path })),
		);
		return { type: 'conflict', conflicts };
	}
	const gone = union(touched, managedOf(comparison.removed, options.reset));
	const left = others.map((manager) => withoutFields(manager, gone)).filter((manager) => !isEmpty(manager.fields));
	// An apply that changes only the managers keeps the old time.
	const changes = [comparison.added, comparison.modified, comparison.removed].some((set) => !isEmpty(set));
	const time = changes ? writer.time : (mine?.time ?? '');
	const entry: Manager = { ...writer, time, operation: 'Apply', fields };
	return { type: 'applied', object: withManagers(after, isEmpty(fields) ? left : [...left, entry]) };
}

/**
 * The object without times of its managers. Objects that differ in nothing else are the same: a
 * default that an apply leaves out is a change to the merged object, and none once it is set again
 * (kube-apiserver: `IgnoreManagedFieldsTimestampsTransformer`).
 */
export function withoutTimes(object: JsonObject): JsonObject {
	const entries = at(object, 'metadata', 'managedFields');
	if (!isArray(entries)) return object;
	const timeless = entries.map((entry) => (isObject(entry) ? withAt(entry, ['time'], undefined) : entry));
	return withAt(object, ['metadata', 'managedFields'], timeless);
}

function asObject(value: JsonValue | undefined, otherwise: JsonObject): JsonObject {
	return isObject(value) ? value : otherwise;
}
