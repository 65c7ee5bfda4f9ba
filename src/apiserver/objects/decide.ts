import { arrayAt, at, type JsonObject, type JsonValue, objectAt, sameJson, textAt, withAt } from '../../json/index.ts';
import { cause, conflict, invalid, stale } from '../api/status.ts';
import {
	emptySet,
	type FieldSet,
	leaf,
	managersAfterUpdate,
	managersOf,
	setOf,
	type Writer,
	withManagers,
	withoutTimes,
} from '../patch/index.ts';
import { cleanupFinalizer, keyOf, type ResourceType } from '../resources/index.ts';
import type { Schema } from '../schema/index.ts';
import { check } from './normalize.ts';

/** External inputs of a decision: the time, an identity, and the writer. */
export interface Circumstances {
	/** RFC 3339, whole seconds, UTC. */
	readonly now: string;
	readonly uid: string;
	readonly manager: string;
	/** `''` for the object itself, or `status`. */
	readonly subresource: string;
}

/** Fields that a write through this endpoint can not change and therefore does not manage. */
export function resetFields(type: ResourceType, subresource: string): FieldSet {
	if (!type.status) return emptySet;
	if (subresource === '') return setOf(false, [['f:status', leaf]]);
	const others = [...type.schema.properties.keys()].filter((name) => name !== 'status' && name !== 'metadata');
	return setOf(
		false,
		others.map((name) => [`f:${name}`, leaf] as const),
	);
}

export const writerOf = (object: JsonObject, { manager, now, subresource }: Circumstances): Writer => ({
	manager,
	apiVersion: textAt(object, 'apiVersion') ?? '',
	subresource,
	time: now,
});

/**
 * Decides the first stored state of a normalized object. `managed`: the managers are already
 * computed (server-side apply). @throws ApiError
 */
export function decideCreate(
	type: ResourceType,
	body: JsonObject,
	circumstances: Circumstances,
	managed = false,
): JsonObject {
	const {
		resourceVersion: _,
		selfLink: __,
		deletionTimestamp: ___,
		deletionGracePeriodSeconds: ____,
		managedFields,
		generation: _____,
		...metadata
	} = objectAt(body, 'metadata');
	// A Node may be created with its status; for other kinds the status starts empty.
	const own = type.status && type.plural !== 'nodes' ? withAt(body, ['status'], undefined) : body;
	const identified = {
		...own,
		metadata: {
			...metadata,
			uid: circumstances.uid,
			creationTimestamp: circumstances.now,
			...(type.rules.generation ? { generation: 1 } : {}),
			...(managed && managedFields !== undefined ? { managedFields } : {}),
		},
	};
	const object = type.rules.prepare(identified, undefined);
	check(type, object, undefined);
	if (managed) return object;
	// Fields that the server defaults belong to the writer of the object.
	return withManagers(
		object,
		managersAfterUpdate(
			type.schema,
			emptyObject(type),
			own,
			[],
			writerOf(object, circumstances),
			resetFields(type, circumstances.subresource),
		),
	);
}

/**
 * An empty built-in object as Go decodes it. Its structures exist, so that they do not count as
 * added by a writer.
 */
function emptyObject(type: ResourceType): JsonObject {
	if (type.custom) return {};
	const structures = [...type.schema.properties].filter(
		([name, schema]) => name !== 'metadata' && schema.type === 'object' && schema.properties.size > 0,
	);
	const lists = (schema: Schema) =>
		schema.required.filter((name) => schema.member(name)?.type === 'array').map((name) => [name, []] as const);
	return Object.fromEntries(structures.map(([name, schema]) => [name, Object.fromEntries(lists(schema))]));
}

/**
 * The result of an update: a new state, no change, or the removal of an object whose last finalizer
 * was removed.
 */
export type Update =
	| { readonly type: 'write'; readonly object: JsonObject }
	| { readonly type: 'unchanged' }
	| { readonly type: 'remove'; readonly object?: JsonObject };

/** Decides the replacement of `current` by a normalized object. @throws ApiError */
export function decideUpdate(
	type: ResourceType,
	current: JsonObject,
	body: JsonObject,
	circumstances: Circumstances,
	managed = false,
): Update {
	const name = textAt(current, 'metadata', 'name') ?? '';
	checkVersion(type, current, body);
	const allowed =
		circumstances.subresource === 'status'
			? statusOnly(type, current, body)
			: type.status
				? withAt(body, ['status'], current['status'])
				: body;
	const kept = objectAt(current, 'metadata');
	const given = objectAt(allowed, 'metadata');
	const merged: JsonObject = {
		...allowed,
		metadata: {
			...without(given, [
				'resourceVersion',
				'deletionTimestamp',
				'deletionGracePeriodSeconds',
				'generation',
				'selfLink',
			]),
			name,
			...pick(kept, [
				'namespace',
				'uid',
				'creationTimestamp',
				'deletionTimestamp',
				'deletionGracePeriodSeconds',
				'generation',
			]),
		},
	};
	const prepared = type.rules.prepare(merged, current);
	const counted =
		type.rules.generation &&
		circumstances.subresource !== 'status' &&
		!sameJson(ownContent(type, prepared), ownContent(type, current));
	const object = counted
		? withAt(prepared, ['metadata', 'generation'], Number(at(current, 'metadata', 'generation') ?? 0) + 1)
		: prepared;
	checkFinalizers(type, object, current);
	check(type, object, current);
	const settled = managed
		? object
		: withManagers(
				object,
				managersFor(
					type,
					current,
					body,
					type.custom && circumstances.subresource === 'status' ? { ...object, metadata: body['metadata'] } : object,
					circumstances,
				),
			);
	if (isFinished(settled))
		return {
			type: 'remove',
			object: withAt(settled, ['metadata', 'resourceVersion'], textAt(current, 'metadata', 'resourceVersion')),
		};
	if (
		sameJson(
			withoutTimes(withAt(settled, ['metadata', 'resourceVersion'], undefined)),
			withoutTimes(withAt(current, ['metadata', 'resourceVersion'], undefined)),
		)
	)
		return { type: 'unchanged' };
	return { type: 'write', object: settled };
}

/** An object under deletion accepts no new finalizers. */
function checkFinalizers(type: ResourceType, object: JsonObject, current: JsonObject): void {
	if (at(current, 'metadata', 'deletionTimestamp') === undefined) return;
	const before = arrayAt(current, 'metadata', 'finalizers');
	const added = arrayAt(object, 'metadata', 'finalizers').filter((finalizer) => !before.includes(finalizer));
	if (added.length === 0) return;
	const shown = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`;
	const why = cause.forbidden(
		'metadata.finalizers',
		`no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`,
	);
	throw invalid(type.group, type.kind, textAt(object, 'metadata', 'name') ?? '', [why]);
}

/** The previous managers, or those in the request; `[{}]` clears them. */
function managersFor(
	type: ResourceType,
	current: JsonObject,
	body: JsonObject,
	after: JsonObject,
	circumstances: Circumstances,
) {
	const sent = arrayAt(body, 'metadata', 'managedFields');
	const live = arrayAt(current, 'metadata', 'managedFields');
	const base = sent.length === 0 || sameJson(sent, live) ? managersOf(current) : managersOf(body);
	return managersAfterUpdate(
		type.schema,
		current,
		after,
		base,
		writerOf(after, circumstances),
		resetFields(type, circumstances.subresource),
	);
}

function checkVersion(type: ResourceType, current: JsonObject, body: JsonObject): void {
	const name = textAt(current, 'metadata', 'name') ?? '';
	const version = textAt(body, 'metadata', 'resourceVersion') ?? '';
	const uid = textAt(body, 'metadata', 'uid') ?? '';
	const currentUid = textAt(current, 'metadata', 'uid') ?? '';
	if (uid !== '' && uid !== currentUid) {
		const place = keyOf(textAt(current, 'metadata', 'namespace') ?? '', name);
		const key = `/registry/${type.custom ? `${type.group}/` : ''}${type.plural}/${place}`;
		throw conflict(
			type,
			name,
			`StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
				`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`,
		);
	}
	if (version !== '' && version !== '0' && version !== textAt(current, 'metadata', 'resourceVersion'))
		throw stale(type, name);
}

function statusOnly(type: ResourceType, current: JsonObject, body: JsonObject): JsonObject {
	const managedFields = at(body, 'metadata', 'managedFields');
	const metadata = type.rules.statusKeepsMetadata
		? withAt(current, ['metadata', 'managedFields'], managedFields)['metadata']
		: body['metadata'];
	const { status: _, ...rest } = current;
	return body['status'] === undefined ? { ...rest, metadata } : { ...rest, metadata, status: body['status'] };
}

const without = (object: JsonObject, members: readonly string[]): JsonObject =>
	Object.fromEntries(Object.entries(object).filter(([name]) => !members.includes(name)));
const pick = (object: JsonObject, members: readonly string[]): JsonObject =>
	Object.fromEntries(members.flatMap((name) => (object[name] === undefined ? [] : [[name, object[name]] as const])));

const ownContent = (type: ResourceType, object: JsonObject): JsonObject =>
	without(object, type.status ? ['metadata', 'status', 'apiVersion'] : ['metadata', 'apiVersion']);

const isFinished = (object: JsonObject): boolean =>
	at(object, 'metadata', 'deletionTimestamp') !== undefined &&
	arrayAt(object, 'metadata', 'finalizers').length === 0 &&
	Number(at(object, 'metadata', 'deletionGracePeriodSeconds') ?? 0) === 0 &&
	arrayAt(object, 'spec', 'finalizers').length === 0;

/** The options of a deletion. */
export interface DeleteOptions {
	readonly graceSeconds: number | undefined;
	readonly uid: string | undefined;
	readonly resourceVersion: string | undefined;
	/** The finalizer of the propagation policy: `foregroundDeletion`, `orphan`, or none. */
	readonly finalizer: string | undefined;
}

export const plainDelete: DeleteOptions = {
	graceSeconds: undefined,
	uid: undefined,
	resourceVersion: undefined,
	finalizer: undefined,
};

/** Parses a DeleteOptions object. */
export function deleteOptions(said: JsonObject): DeleteOptions {
	const grace = at(said, 'gracePeriodSeconds') ?? undefined;
	const policy = textAt(said, 'propagationPolicy') ?? (at(said, 'orphanDependents') === true ? 'Orphan' : undefined);
	return {
		// A negative grace period means the shortest one.
		graceSeconds: grace === undefined || grace === null ? undefined : Number(grace) < 0 ? 1 : Number(grace),
		uid: textAt(said, 'preconditions', 'uid'),
		resourceVersion: textAt(said, 'preconditions', 'resourceVersion'),
		finalizer: policy === 'Foreground' ? 'foregroundDeletion' : policy === 'Orphan' ? 'orphan' : undefined,
	};
}

/**
 * Decides a deletion: immediate, or marked and waiting for finalizers or a grace period. @throws
 * ApiError 409
 */
export function decideDelete(type: ResourceType, current: JsonObject, options: DeleteOptions, now: string): Update {
	const name = textAt(current, 'metadata', 'name') ?? '';
	const uid = textAt(current, 'metadata', 'uid') ?? '';
	const version = textAt(current, 'metadata', 'resourceVersion') ?? '';
	if (options.uid !== undefined && options.uid !== uid) {
		throw conflict(
			{ group: '', plural: type.kind },
			name,
			`the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The ` +
				'object might have been deleted and then recreated',
		);
	}
	if (options.resourceVersion !== undefined && options.resourceVersion !== version) {
		throw conflict(
			{ group: '', plural: type.kind },
			name,
			`the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ` +
				`ResourceVersion in record (${version}). The object might have been modified`,
		);
	}
	const grace =
		options.graceSeconds === undefined
			? type.rules.graceSeconds(current)
			: Math.min(options.graceSeconds, Math.max(type.rules.graceSeconds(current), 0));
	const finalizers: readonly JsonValue[] = withFinalizer(
		arrayAt(current, 'metadata', 'finalizers'),
		type.plural === 'customresourcedefinitions' ? cleanupFinalizer : options.finalizer,
	);
	const waits = grace > 0 || finalizers.length > 0 || arrayAt(current, 'spec', 'finalizers').length > 0;
	if (!waits) return { type: 'remove' };
	const terminating = at(current, 'metadata', 'deletionTimestamp') !== undefined;
	const graceBefore = Number(at(current, 'metadata', 'deletionGracePeriodSeconds') ?? 0);
	if (terminating && grace >= graceBefore) return { type: 'unchanged' };
	const generation = at(current, 'metadata', 'generation');
	const metadata = {
		...objectAt(current, 'metadata'),
		...(finalizers.length === 0 ? {} : { finalizers }),
		...(generation === undefined || terminating ? {} : { generation: Number(generation) + 1 }),
		deletionTimestamp: terminating
			? (at(current, 'metadata', 'deletionTimestamp') ?? now)
			: new Date(Date.parse(now) + grace * 1000).toISOString().replace('.000', ''),
		deletionGracePeriodSeconds: grace,
	};
	const phase =
		type.plural === 'namespaces' ? { status: { ...objectAt(current, 'status'), phase: 'Terminating' } } : {};
	return { type: 'write', object: { ...current, metadata, ...phase } };
}

const withFinalizer = (finalizers: readonly JsonValue[], added: string | undefined): readonly JsonValue[] =>
	added === undefined || finalizers.includes(added) ? finalizers : [...finalizers, added];
