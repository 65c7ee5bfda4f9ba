import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoffMs, type Clock, type Logger, type Random } from '../../core/index.ts';
import type { ApiClient, ListOptions, ResourceKind } from '../client/api-client.ts';
import { ApiError, ApiUnreachableError, NotListedError } from '../client/errors.ts';
import type { JsonObject } from '../json/index.ts';
import { type Resource, toResource } from '../model/resource.ts';

/** What happened to one object. */
export interface ResourceChange {
	readonly type: 'added' | 'changed' | 'removed';
	readonly resource: Resource;
}

export interface InformerOptions {
	readonly client: ApiClient;
	readonly kind: ResourceKind;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** Only objects of this namespace. */
	readonly namespace?: string;
	/** Only objects with these labels. */
	readonly labelSelector?: string;
	/** Only objects with these fields. */
	readonly fieldSelector?: string;
	/** What the first list may be: `any` age, at once from what the server has at hand, is for kinds with many objects; the watch brings what was missing in it. Default: `newest`. */
	readonly firstList?: 'newest' | 'any';
	/** What is missing without this kind, in words. Present: it is done without where the server does not let this node read it. */
	readonly without?: string;
	/** A server that does not have this kind, as those of older Calico, has none of it. */
	readonly mayLack?: true;
	/** Leaves out what nobody here reads: a cluster's Nodes are large. Not for objects that are written back whole. */
	readonly prune?: (object: JsonObject) => JsonObject;
}

/** The server ends a watch after so long; we ask for a little less regular times, so that not all watches of a cluster end at once. */
const watchSeconds = 300;
const reconnectBackoff: Backoff = { firstMs: 200, mostMs: 30_000 };

/** The key of an object: `name`, or `namespace/name`. */
export const resourceKey = ({ namespace, name }: Pick<Resource, 'namespace' | 'name'>): string => (namespace === undefined ? name : `${namespace}/${name}`);

/**
 * A copy of all objects of a kind that follows the server: list, then watch. While the server is away the copy stays as it was;
 * when it is back, the differences are told and nothing else, so that nobody downstream flaps.
 */
export class Informer {
	readonly #options: InformerOptions;
	readonly #items = new Map<string, Resource>();
	readonly #listeners = new Set<(changes: readonly ResourceChange[]) => void>();
	readonly #syncedListeners: (() => void)[] = [];
	readonly #answeredListeners: (() => void)[] = [];
	/** Told of each failure while they wait for the first list. */
	readonly #waiting = new Set<(failure: unknown) => void>();
	#resourceVersion = '';
	/** While a list is on its way: the versions that our own writes made, or removed, after it may have been read. */
	#meanwhile: Map<string, string> | undefined;
	#synced = false;
	#answered = false;
	#connected = false;
	#failingSinceMs: number | undefined;
	#refusal: string | undefined;
	#failure: unknown;
	#stop = new AbortController();

	constructor(options: InformerOptions) {
		this.#options = options;
	}

	/** By `resourceKey`. */
	get items(): ReadonlyMap<string, Resource> {
		return this.#items;
	}

	/** The first list is in: what is not here does not exist. Stays true when the server goes away. */
	get synced(): boolean {
		return this.#synced;
	}

	/** The server answers now. */
	get connected(): boolean {
		return this.#connected;
	}

	/** Milliseconds since 1970 of the first of the failures that go on; `undefined` while connected, and where the server answers that it refuses. */
	get failingSinceMs(): number | undefined {
		return this.#failingSinceMs;
	}

	/** What the server says while it does not let us read this kind: who may not do what with which resource. */
	get refusal(): string | undefined {
		return this.#refusal;
	}

	/** What is read, and what is missing without it. */
	get subject(): Pick<InformerOptions, 'kind' | 'namespace' | 'without'> {
		const { kind, namespace, without } = this.#options;
		return { kind, ...(namespace === undefined ? {} : { namespace }), ...(without === undefined ? {} : { without }) };
	}

	/** Begins with objects of an earlier life: the first list tells what differs from them. Before `start`; nobody is told. */
	restore(objects: readonly JsonObject[]): void {
		for (const object of objects) {
			const resource = this.#toResource(object);
			this.#items.set(resourceKey(resource), resource);
		}
	}

	/** Differences, in batches; what is there on subscription is not told. */
	onChanges(listener: (changes: readonly ResourceChange[]) => void): void {
		this.#listeners.add(listener);
	}

	onSynced(listener: () => void): void {
		if (this.#synced) listener();
		else this.#syncedListeners.push(listener);
	}

	/** The first list is in, or the server has said that there will be none: it refuses, or does not have this kind. */
	onAnswered(listener: () => void): void {
		if (this.#answered) listener();
		else this.#answeredListeners.push(listener);
	}

	/** Waits for the first list so long, in milliseconds, and no longer than the server answers. @throws NotListedError */
	async listed(patienceMs: number): Promise<void> {
		if (this.#synced) return;
		const { kind, clock } = this.#options;
		if (this.#failure !== undefined) throw new NotListedError(kind.kind, { cause: this.#failure });
		await new Promise<void>((resolve, reject) => {
			const end = (settle: () => void) => {
				timer.cancel();
				this.#waiting.delete(fail);
				settle();
			};
			const fail = (cause: unknown) => end(() => reject(new NotListedError(kind.kind, { cause })));
			const timer = clock.after(patienceMs, () => fail(undefined));
			this.#waiting.add(fail);
			this.onSynced(() => end(resolve));
		});
	}

	/** Runs until `stop`. Never rejects. */
	start(): void {
		this.#stop = new AbortController();
		void this.#run(this.#stop.signal);
	}

	stop(): void {
		this.#stop.abort();
	}

	/** Takes in what a write of our own answered, before the watch tells: newer than the copy, or nothing. */
	absorb(object: JsonObject): Resource {
		const resource = this.#toResource(object);
		const known = this.#items.get(resourceKey(resource));
		if (known !== undefined && !isNewer(resource.resourceVersion, known.resourceVersion)) return known;
		this.#items.set(resourceKey(resource), resource);
		this.#meanwhile?.set(resourceKey(resource), resource.resourceVersion);
		this.#tell([{ type: known === undefined ? 'added' : 'changed', resource }]);
		return resource;
	}

	/** Takes in that a removal of our own succeeded, of what was seen at this version. */
	forget(key: string, resourceVersion: string): void {
		const known = this.#items.get(key);
		if (known?.resourceVersion !== resourceVersion) return;
		this.#items.delete(key);
		this.#meanwhile?.set(key, resourceVersion);
		this.#tell([{ type: 'removed', resource: known }]);
	}

	async #run(signal: AbortSignal): Promise<void> {
		const { kind, log, random } = this.#options;
		let failures = 0;
		while (!signal.aborted) {
			try {
				if (this.#resourceVersion === '') await this.#list(signal);
				failures = 0;
				await this.#watch(signal);
			} catch (error) {
				if (signal.aborted) return;
				if (error instanceof ApiError && (error.code === 410 || error.reason === 'Expired')) {
					log.info('watch expired, listing again', { kind: kind.kind, reason: error.message });
					this.#resourceVersion = '';
					continue;
				}
				failures++;
				this.#failed(error, failures === 1);
				// Aborted while waiting: the loop ends.
				await sleep(backoffMs(reconnectBackoff, failures, random), undefined, { signal }).catch(() => undefined);
			}
		}
	}

	#failed(error: unknown, isFirst: boolean): void {
		const { kind, namespace, log, clock, without, mayLack } = this.#options;
		const what = { kind: kind.kind, ...(namespace === undefined ? {} : { namespace }), ...(without === undefined ? {} : { without }) };
		const refused = error instanceof ApiError && error.code === 403;
		// Nothing is known of it that could go: an API server that begins may lack kinds for a moment.
		const lacking = error instanceof ApiError && error.code === 404 && mayLack === true && this.#items.size === 0;
		if (refused && this.#refusal === undefined) {
			const message = 'the API server does not let this node read a kind, which needs the rights to list and watch it';
			if (without === undefined) log.error(message, { ...what, reason: error.message });
			else log.warn(message, { ...what, reason: error.message });
		} else if (lacking) {
			if (!this.#synced) log.info('the API server does not have a kind', what);
			this.#becomeSynced();
		} else if (!(error instanceof ApiError || error instanceof ApiUnreachableError)) log.error('watch failed', { ...what, error: String(error) });
		else if (isFirst && !refused)
			log.warn('API server away, going on with what is known', { ...what, reason: error.message, cause: String(error.cause ?? '') });
		this.#connected = false;
		this.#failure = error;
		this.#refusal = refused ? error.message : undefined;
		this.#failingSinceMs = refused || lacking ? undefined : (this.#failingSinceMs ?? clock.wallMs());
		for (const fail of [...this.#waiting]) fail(error);
		if (refused) this.#becomeAnswered();
	}

	#becomeSynced(): void {
		this.#synced = true;
		for (const listener of this.#syncedListeners.splice(0)) listener();
		this.#becomeAnswered();
	}

	#becomeAnswered(): void {
		this.#answered = true;
		for (const listener of this.#answeredListeners.splice(0)) listener();
	}

	async #list(signal: AbortSignal): Promise<void> {
		const { client, kind, log, firstList = 'newest', prune } = this.#options;
		// Never to go back: once something is known, also from an earlier life, only the newest will do.
		const age = this.#items.size === 0 && !this.#synced ? firstList : 'newest';
		const meanwhile = new Map<string, string>();
		this.#meanwhile = meanwhile;
		const { items, resourceVersion } = await client
			.list(kind, { signal, age, ...(prune === undefined ? {} : { prune }), ...this.#selectors() })
			.finally(() => (this.#meanwhile = undefined));
		const listed = new Map<string, Resource>();
		for (const object of items) {
			const resource = toResource(object);
			listed.set(resourceKey(resource), resource);
		}
		for (const [key, version] of meanwhile) {
			const known = this.#items.get(key);
			if (known === undefined && listed.get(key)?.resourceVersion === version) listed.delete(key);
			else if (known !== undefined && isNewer(version, resourceVersion)) listed.set(key, known);
		}
		const changes: ResourceChange[] = [];
		for (const [key, resource] of this.#items) if (!listed.has(key)) changes.push({ type: 'removed', resource });
		for (const [key, resource] of listed) {
			const known = this.#items.get(key);
			if (known === undefined) changes.push({ type: 'added', resource });
			else if (known.resourceVersion !== resource.resourceVersion || known.uid !== resource.uid) {
				if (!isNewer(resource.resourceVersion, known.resourceVersion) && known.uid === resource.uid)
					log.warn('object went back in time: the API server was restored from a backup', {
						kind: kind.kind,
						object: key,
						from: known.resourceVersion,
						to: resource.resourceVersion,
					});
				changes.push({ type: 'changed', resource });
			}
		}
		this.#items.clear();
		for (const [key, resource] of listed) this.#items.set(key, resource);
		this.#resourceVersion = resourceVersion;
		this.#reached();
		this.#tell(changes);
		if (this.#synced) return;
		log.info('in sync', { kind: kind.kind, objects: listed.size });
		this.#becomeSynced();
	}

	async #watch(signal: AbortSignal): Promise<void> {
		const { client, kind, random } = this.#options;
		const timeoutSeconds = Math.floor(watchSeconds * (1 + random()));
		for await (const event of client.watch(kind, {
			resourceVersion: this.#resourceVersion,
			timeoutSeconds,
			signal,
			...this.#selectors(),
		})) {
			this.#reached();
			if (event.type === 'BOOKMARK') {
				this.#resourceVersion = event.resourceVersion;
				continue;
			}
			const resource = this.#toResource(event.object);
			this.#resourceVersion = resource.resourceVersion;
			const key = resourceKey(resource);
			const known = this.#items.get(key);
			if (event.type === 'DELETED') {
				// It left the selection, and what is known of it is as new or newer: `absorb` was first.
				if (known !== undefined && !isNewer(resource.resourceVersion, known.resourceVersion)) continue;
				this.#items.delete(key);
				this.#tell([{ type: 'removed', resource }]);
			} else if (known?.resourceVersion !== resource.resourceVersion && (known === undefined || isNewer(resource.resourceVersion, known.resourceVersion))) {
				this.#items.set(key, resource);
				this.#tell([{ type: known === undefined ? 'added' : 'changed', resource }]);
			}
		}
	}

	#selectors(): Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
		const { namespace, labelSelector, fieldSelector } = this.#options;
		return {
			...(namespace === undefined ? {} : { namespace }),
			...(labelSelector === undefined ? {} : { labelSelector }),
			...(fieldSelector === undefined ? {} : { fieldSelector }),
		};
	}

	#toResource(object: JsonObject): Resource {
		return toResource(this.#options.prune?.(object) ?? object);
	}

	#reached(): void {
		const { kind, log, clock } = this.#options;
		if (this.#failingSinceMs !== undefined) log.info('API server is back', { kind: kind.kind, awayMs: clock.wallMs() - this.#failingSinceMs });
		if (this.#refusal !== undefined) log.info('the API server lets this node read a kind now', { kind: kind.kind });
		this.#failingSinceMs = undefined;
		this.#refusal = undefined;
		this.#failure = undefined;
		this.#connected = true;
	}

	#tell(changes: readonly ResourceChange[]): void {
		if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
	}
}

/** Versions are numbers in text, of any size; Kubernetes promises that they can be compared so (KEP-5504). */
export function isNewer(left: string, right: string): boolean {
	return left.length === right.length ? left > right : left.length > right.length;
}
