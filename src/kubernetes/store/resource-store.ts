import type { Logger, PrefixKey } from '../../core/index.ts';
import {
	ConflictError,
	type Listing,
	type Store,
	type Unreadable,
	UnreadableError,
	type Versioned,
} from '../../ipam/index.ts';
import type { JsonObject } from '../../json/index.ts';
import { isObject, sameJson } from '../../json/index.ts';
import type { ApiClient, ResourceKind } from '../client/api-client.ts';
import { ApiError, ApiUnreachableError } from '../client/errors.ts';
import { type Resource, ResourceError, readResource, toResource } from '../model/resource.ts';

/** Conversion between values of one kind and resources. */
export interface ResourceCodec<T> {
	readonly kind: ResourceKind;
	/** @throws ResourceError */
	toValue(resource: Resource): T;
	toSpec(value: T): JsonObject;
	labels?(value: T): Readonly<Record<string, string>>;
	isDeleted(value: T): boolean;
	/** The addresses that an unreadable resource may hold. */
	cidrsOf?(resource: Resource): readonly PrefixKey[];
}

/** A cache: gets all reads and writes, and is consulted before the server. */
export interface ResourceCache {
	get(name: string): Resource | undefined;
	absorb(object: JsonObject): Resource;
	forget(name: string, resourceVersion: string): void;
}

/** The empty cache. */
export const noCache: ResourceCache = { get: () => undefined, absorb: toResource, forget() {} };

/**
 * Caches the last state that this process read or wrote; a write conflict reveals a stale entry.
 */
export function ownCache(): ResourceCache {
	const known = new Map<string, Resource>();
	return {
		get: (name) => known.get(name),
		absorb(object) {
			const resource = toResource(object);
			known.set(resource.name, resource);
			return resource;
		},
		forget: (name) => void known.delete(name),
	};
}

/** Maximum number of attempts of a write whose response is lost. */
const mostSendings = 3;

/**
 * Conditional writes of values as resources of one kind. After a lost response the store reads the
 * object: if the write took effect, it counts; if not, it is sent again. Its condition makes that
 * safe even if the first one arrives later. Fields that the value does not include are written back
 * as read. An unreadable resource is reported once, and neither written nor deleted: requests for
 * it fail, all others continue. A resource that Calico has marked as deleted is deleted when it is
 * read, and reported as absent.
 */
export class ResourceStore<T> implements Store<T> {
	readonly #client: ApiClient;
	readonly #codec: ResourceCodec<T>;
	readonly #cache: ResourceCache;
	readonly #log: Logger;
	/** Decoded values, so that a resource is decoded once. */
	readonly #decoded = new WeakMap<Resource, T>();
	readonly #unreadable = new Map<string, Unreadable>();

	constructor(client: ApiClient, codec: ResourceCodec<T>, cache: ResourceCache, log: Logger) {
		this.#client = client;
		this.#codec = codec;
		this.#cache = cache;
		this.#log = log;
	}

	/** The resources that could not be read at their last read. */
	get unreadable(): readonly Unreadable[] {
		return [...this.#unreadable.values()];
	}

	async read(name: string, fresh?: 'fresh'): Promise<Versioned<T> | undefined> {
		const cached = fresh === 'fresh' ? undefined : this.#cache.get(name);
		if (cached !== undefined) return this.#versioned(cached);
		const object = await this.#client.get(this.#codec.kind, name);
		if (object === undefined) {
			const known = this.#cache.get(name);
			if (known !== undefined) this.#cache.forget(name, known.resourceVersion);
			this.#unreadable.delete(name);
			return undefined;
		}
		const resource = this.#cache.absorb(object);
		const versioned = this.#versioned(resource);
		if (!this.#codec.isDeleted(versioned.value)) return versioned;
		try {
			await this.remove(name, versioned);
		} catch (error) {
			// Another writer has completed the deletion and created a new object of that name.
			if (error instanceof ConflictError) return this.read(name, 'fresh');
			throw error;
		}
		return undefined;
	}

	async create(name: string, value: T): Promise<Versioned<T>> {
		const { kind, toSpec, labels } = this.#codec;
		const object = {
			apiVersion: kind.apiVersion,
			kind: kind.kind,
			metadata: { name, ...(labels === undefined ? {} : { labels: labels(value) }) },
			spec: toSpec(value),
		};
		return this.#written(name, undefined, object, () => this.#client.create(kind, object));
	}

	async write(name: string, { value, version, origin }: Versioned<T>): Promise<Versioned<T>> {
		// Origins are created only by this class.
		const { raw } = origin as Resource;
		const metadata = isObject(raw['metadata']) ? raw['metadata'] : {};
		const { kind, toSpec, labels } = this.#codec;
		// The previous writer may not have set these labels.
		const own =
			labels === undefined
				? {}
				: { labels: { ...(isObject(metadata['labels']) ? metadata['labels'] : {}), ...labels(value) } };
		const object = { ...raw, metadata: { ...metadata, ...own, resourceVersion: version }, spec: toSpec(value) };
		return this.#written(name, version, object, () => this.#client.replace(kind, object));
	}

	async remove(name: string, { version, origin }: Versioned<T>): Promise<void> {
		const { uid } = origin as Resource;
		await this.#surely(
			name,
			() => this.#client.remove(this.#codec.kind, name, { uid, resourceVersion: version }),
			(found) => (found === undefined || toResource(found).uid !== uid ? { result: undefined } : 'again'),
		);
		this.#cache.forget(name, version);
	}

	async list(): Promise<Listing<T>> {
		const { items } = await this.#client.list(this.#codec.kind);
		const unreadable: Unreadable[] = [];
		const readable = items.flatMap((object) => {
			try {
				const resource = toResource(object);
				const versioned = this.#versioned(resource);
				return this.#codec.isDeleted(versioned.value) ? [] : [{ name: resource.name, ...versioned }];
			} catch (error) {
				if (!(error instanceof UnreadableError)) throw error;
				unreadable.push(error.unreadable);
				return [];
			}
		});
		// Removes the objects that no longer exist.
		const known = new Set(unreadable.map(({ name }) => name));
		for (const name of this.#unreadable.keys()) if (!known.has(name)) this.#unreadable.delete(name);
		return { items: readable, unreadable };
	}

	/** `version`: the version at which it may be written; `undefined`: it must not exist. */
	#written(
		name: string,
		version: string | undefined,
		object: JsonObject,
		send: () => Promise<JsonObject>,
	): Promise<Versioned<T>> {
		return this.#surely(
			name,
			async () => this.#versioned(this.#cache.absorb(await send())),
			(found, cause) => {
				if (found === undefined && version === undefined) return 'again';
				if (found === undefined) throw new ConflictError(`${name}: it is gone`, { cause });
				const resource = this.#cache.absorb(found);
				if (resource.resourceVersion === version) return 'again';
				if (!sameJson(found['spec'], object['spec']))
					throw new ConflictError(`${name}: another client wrote it`, { cause });
				return { result: this.#versioned(resource) };
			},
		);
	}

	/**
	 * Sends a write. After a lost response, `settle` decides from the present object: the write
	 * took effect (with its result), or is sent again.
	 */
	async #surely<R>(
		name: string,
		send: () => Promise<R>,
		settle: (found: JsonObject | undefined, lost: unknown) => { readonly result: R } | 'again',
	): Promise<R> {
		for (let sending = 1; ; sending++) {
			try {
				return await send();
			} catch (error) {
				if (sending === mostSendings || !isAnswerLost(error)) throw asConflict(error, name);
				const settled = settle(await this.#client.get(this.#codec.kind, name), error);
				if (settled !== 'again') return settled.result;
			}
		}
	}

	#versioned(resource: Resource): Versioned<T> {
		let value = this.#decoded.get(resource);
		if (value === undefined) {
			value = this.#read(resource);
			this.#decoded.set(resource, value);
		}
		return { value, version: resource.resourceVersion, origin: resource };
	}

	/** @throws UnreadableError */
	#read(resource: Resource): T {
		const { name } = resource;
		try {
			const value = readResource(resource, (raw) => this.#codec.toValue(raw));
			this.#unreadable.delete(name);
			return value;
		} catch (error) {
			if (!(error instanceof ResourceError)) throw error;
			const unreadable = { name, problem: error.problem, cidrs: this.#codec.cidrsOf?.(resource) ?? [] };
			const { kind } = this.#codec.kind;
			if (this.#unreadable.get(name)?.problem !== error.problem)
				this.#log.error('a resource can not be read: nothing is decided on it, and it is left alone', {
					kind,
					name,
					problem: error.problem,
				});
			this.#unreadable.set(name, unreadable);
			throw new UnreadableError(unreadable, { cause: error });
		}
	}
}

/** True if the write may have been executed. */
function isAnswerLost(error: unknown): boolean {
	return error instanceof ApiUnreachableError || (error instanceof ApiError && error.code >= 500);
}

/** A stale version, an existing name, or an absent object: the caller reads again. */
function asConflict(error: unknown, name: string): unknown {
	if (error instanceof ApiError && (error.code === 409 || error.code === 404))
		return new ConflictError(`${name}: ${error.message}`, { cause: error });
	return error;
}
