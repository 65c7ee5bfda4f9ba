import type { Logger } from '../core/index.ts';
import { arrayAt, at, type JsonObject, objectAt, sameJson, textAt, withAt } from '../json/index.ts';
import { type Api, put, timestamp } from './api/index.ts';
import { settleDependents, waitsForDependents } from './dependents.ts';
import { cleanupFinalizer, collectionOf, established, type ResourceType } from './resources/index.ts';
import { everyCollection, type StoreEvent } from './store/index.ts';

const definitions = 'apiextensions.k8s.io/customresourcedefinitions';
const namespaces = '/namespaces';
/** Lifetime of events, as in kube-apiserver, in milliseconds. */
const eventLifeMs = 3600_000;

/**
 * Background work: registers resources of new definitions, deletes the contents of deleted
 * namespaces and definitions, removes old events, and trims history.
 */
export class Controllers {
	readonly #api: Api;
	readonly #log: Logger;
	readonly #stops: (() => void)[] = [];

	constructor(api: Api, log: Logger) {
		this.#api = api;
		this.#log = log;
	}

	/** Registers the existing definitions, then follows changes. */
	start(): void {
		const { store, registry } = this.#api;
		for (const { key, value } of store.scan(definitions)) registry.define(key, value);
		this.#stops.push(store.subscribe(definitions, (event) => this.#definitionChanged(event)));
		this.#stops.push(
			store.subscribe(
				namespaces,
				({ key, current }) =>
					current.value !== undefined && this.#supervise('namespace', this.#namespaceChanged(key, current.value)),
			),
		);
		this.#stops.push(
			store.subscribe(everyCollection, ({ collection, key, current: { value } }) => {
				if (value !== undefined && waitsForDependents(value))
					this.#supervise('dependents', settleDependents(this.#api, collection, key));
			}),
		);
		const timer = setInterval(() => this.#supervise('housekeeping', this.#housekeeping()), 30_000);
		timer.unref();
		this.#stops.push(() => clearInterval(timer));
		for (const { key, value } of store.scan(namespaces))
			this.#supervise('namespace', this.#namespaceChanged(key, value));
		for (const { key, value } of store.scan(definitions))
			this.#supervise('definition', this.#settleDefinition(key, value));
	}

	stop(): void {
		for (const stop of this.#stops) stop();
	}

	#supervise(what: string, work: Promise<void>): void {
		work.catch((error: unknown) =>
			this.#log.error('controller failed', { what, error: error instanceof Error ? error.message : String(error) }),
		);
	}

	#definitionChanged({ key, current: { value } }: StoreEvent): void {
		const { registry } = this.#api;
		if (value === undefined) registry.undefine(key);
		else {
			// Registered at once, so that the client can use it after the response to its creation.
			registry.define(key, value);
			this.#supervise('definition', this.#settleDefinition(key, value));
		}
	}

	async #settleDefinition(key: string, value: JsonObject): Promise<void> {
		const { store, clock, registry } = this.#api;
		const type = registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
		if (type === undefined) return;
		if (at(value, 'metadata', 'deletionTimestamp') !== undefined) {
			await this.#empty(
				{ group: textAt(value, 'spec', 'group') ?? '', plural: textAt(value, 'spec', 'names', 'plural') ?? '' },
				'',
			);
			const latest = store.latest(definitions, key);
			if (latest === undefined) return;
			const left = arrayAt(latest.value, 'metadata', 'finalizers').filter(
				(finalizer) => finalizer !== cleanupFinalizer,
			);
			if (left.length === 0) await store.write(definitions, key, undefined);
			else if (left.length !== arrayAt(latest.value, 'metadata', 'finalizers').length)
				await put(this.#api, undefined, type, key, withAt(latest.value, ['metadata', 'finalizers'], left));
			return;
		}
		const latest = store.latest(definitions, key)?.value ?? value;
		const settled = established(latest, timestamp(clock));
		if (!sameJson(settled, latest)) await put(this.#api, undefined, type, key, settled);
	}

	async #namespaceChanged(name: string, value: JsonObject): Promise<void> {
		if (at(value, 'metadata', 'deletionTimestamp') === undefined) return;
		const { store, registry } = this.#api;
		const type = registry.find('', 'v1', 'namespaces');
		if (type === undefined) return;
		for (const inner of distinct(registry.types)) if (inner.namespaced) await this.#empty(inner, `${name}/`);
		const latest = store.latest(namespaces, name);
		if (latest === undefined) return;
		const finalizers = arrayAt(latest.value, 'spec', 'finalizers').filter((finalizer) => finalizer !== 'kubernetes');
		const waiting =
			finalizers.length > 0 ||
			arrayAt(latest.value, 'metadata', 'finalizers').length > 0 ||
			distinct(registry.types).some(
				(inner) => inner.namespaced && !isNothing(store.scanLatest(collectionOf(inner), `${name}/`)),
			);
		if (!waiting) await store.write(namespaces, name, undefined);
		else if (finalizers.length !== arrayAt(latest.value, 'spec', 'finalizers').length)
			await put(this.#api, undefined, type, name, {
				...latest.value,
				spec: { ...objectAt(latest.value, 'spec'), finalizers },
			});
	}

	/** Deletes objects without finalizers, and marks the others as deleted. */
	async #empty(type: Pick<ResourceType, 'group' | 'plural'>, prefix: string): Promise<void> {
		const { store, clock } = this.#api;
		const collection = collectionOf(type);
		const writes = [...store.scanLatest(collection, prefix)].map(({ key, value }) => {
			if (arrayAt(value, 'metadata', 'finalizers').length === 0) return store.write(collection, key, undefined);
			if (at(value, 'metadata', 'deletionTimestamp') !== undefined) return undefined;
			const marked = withAt(
				withAt(value, ['metadata', 'deletionTimestamp'], timestamp(clock)),
				['metadata', 'deletionGracePeriodSeconds'],
				0,
			);
			return store.write(collection, key, (revision) =>
				withAt(marked, ['metadata', 'resourceVersion'], String(revision)),
			);
		});
		await Promise.all(writes);
	}

	async #housekeeping(): Promise<void> {
		const { store, clock } = this.#api;
		store.compact();
		const oldest = clock.wallMs() - eventLifeMs;
		for (const { key, value } of [...store.scan('/events')]) {
			if (Date.parse(textAt(value, 'metadata', 'creationTimestamp') ?? '') < oldest)
				await store.write('/events', key, undefined);
		}
		// Objects with finalizers may have been removed since.
		for (const { key, value } of store.scan(namespaces)) await this.#namespaceChanged(key, value);
		for (const { key, value } of store.scan(definitions))
			if (at(value, 'metadata', 'deletionTimestamp') !== undefined) await this.#settleDefinition(key, value);
	}
}

function isNothing(items: Iterable<unknown>): boolean {
	for (const _ of items) return false;
	return true;
}

/** One version of each resource is sufficient to find its objects. */
function distinct(types: readonly ResourceType[]): ResourceType[] {
	return [...new Map(types.map((type) => [collectionOf(type), type])).values()];
}
