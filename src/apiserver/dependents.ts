import { arrayAt, at, type JsonObject, type JsonValue, textAt, withAt } from '../json/index.ts';
import { type Api, timestamp } from './api/index.ts';
import { decideDelete, plainDelete } from './objects/index.ts';
import { collectionOf, type ResourceType } from './resources/index.ts';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/** True if a deletion waits for its dependents. */
export function waitsForDependents(value: JsonObject): boolean {
	if (at(value, 'metadata', 'deletionTimestamp') === undefined) return false;
	return arrayAt(value, 'metadata', 'finalizers').some((finalizer) => finalizer === foreground || finalizer === orphan);
}

/**
 * Deletes or orphans the dependents, as the deletion requested, and then completes the deletion.
 * Scans all objects: such deletions are rare.
 */
export async function settleDependents(api: Api, collection: string, key: string): Promise<void> {
	const { store, registry } = api;
	const owner = store.latest(collection, key);
	const uid = textAt(owner?.value, 'metadata', 'uid');
	if (owner === undefined || uid === undefined || !waitsForDependents(owner.value)) return;
	const finalizers = arrayAt(owner.value, 'metadata', 'finalizers');
	const owned = (value: JsonValue) => at(value, 'uid') === uid;
	for (const type of new Map(registry.types.map((one) => [collectionOf(one), one])).values()) {
		for (const { key: dependent, value } of [...store.scanLatest(collectionOf(type))]) {
			const owners = arrayAt(value, 'metadata', 'ownerReferences');
			if (!owners.some(owned)) continue;
			if (finalizers.includes(orphan))
				await release(
					api,
					type,
					dependent,
					value,
					owners.filter((one) => !owned(one)),
				);
			else await drop(api, type, dependent, value);
		}
	}
	const latest = store.latest(collection, key);
	if (latest === undefined) return;
	const left = arrayAt(latest.value, 'metadata', 'finalizers').filter(
		(finalizer) => finalizer !== foreground && finalizer !== orphan,
	);
	const waits =
		left.length > 0 ||
		arrayAt(latest.value, 'spec', 'finalizers').length > 0 ||
		Number(at(latest.value, 'metadata', 'deletionGracePeriodSeconds') ?? 0) > 0;
	await store.write(
		collection,
		key,
		waits
			? (revision) =>
					atRevision(withAt(latest.value, ['metadata', 'finalizers'], left.length === 0 ? undefined : left), revision)
			: undefined,
	);
}

async function release(
	{ store }: Api,
	type: ResourceType,
	key: string,
	value: JsonObject,
	owners: readonly JsonValue[],
): Promise<void> {
	const free = withAt(value, ['metadata', 'ownerReferences'], owners.length === 0 ? undefined : owners);
	await store.write(collectionOf(type), key, (revision) => atRevision(free, revision));
}

async function drop({ store, clock }: Api, type: ResourceType, key: string, value: JsonObject): Promise<void> {
	const decision = decideDelete(type, value, plainDelete, timestamp(clock));
	if (decision.type === 'remove') await store.write(collectionOf(type), key, undefined);
	if (decision.type === 'write')
		await store.write(collectionOf(type), key, (revision) => atRevision(decision.object, revision));
}

const atRevision = (value: JsonObject, revision: number): JsonObject =>
	withAt(value, ['metadata', 'resourceVersion'], String(revision));
