import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoffMs, type Random } from '../../core/index.ts';
import { isObject, type JsonObject, ListReader, objectAt, parseJson, stringifyJson, textAt } from '../../json/index.ts';
import type { Credentials } from './credentials.ts';
import { ApiError, ApiUnreachableError, statusError } from './errors.ts';
import { type ApiRequest, piecesOf, send, textOf } from './transport.ts';

/** One kind of resource and its API path. */
export interface ResourceKind {
	readonly kind: string;
	/** `v1`, `crd.projectcalico.org/v1`. */
	readonly apiVersion: string;
	readonly plural: string;
	readonly namespaced: boolean;
}

/** The selection of a list. */
export interface ListOptions {
	readonly namespace?: string;
	readonly labelSelector?: string;
	readonly fieldSelector?: string;
	/** Objects per page. */
	readonly limit?: number;
	/**
	 * `newest` (the default): the list includes all earlier writes. An API server with an old etcd
	 * reads such a list from etcd, page by page. `any`: the list comes from the server's cache, in
	 * one response (resource version 0). It may be older than state seen before. Use it for a first
	 * list, followed by a watch from its version.
	 */
	readonly age?: 'newest' | 'any';
	/**
	 * `metadata`: objects without spec and status (PartialObjectMetadata), a fraction of the bytes.
	 */
	readonly form?: 'whole' | 'metadata';
	/** Reduces each object as soon as it is read. */
	readonly prune?: (object: JsonObject) => JsonObject;
	/**
	 * Gets the objects as they come, and the result has none. For very large kinds: the list is
	 * never complete in memory. After a failure in the middle of a page, the page is repeated.
	 */
	readonly take?: (object: JsonObject) => void;
	readonly signal?: AbortSignal;
}

/** Start, duration and selection of a watch. */
export interface WatchOptions extends Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
	readonly resourceVersion: string;
	readonly timeoutSeconds: number;
	readonly signal: AbortSignal;
	/** Called when the server has accepted the watch, before any event. */
	readonly onOpen?: () => void;
}

export interface ListResult {
	readonly items: readonly JsonObject[];
	/** The version at which the watch starts. */
	readonly resourceVersion: string;
}

export type WatchEvent =
	| { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: JsonObject }
	/** All events up to this version were sent. */
	| { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export type PatchType =
	| 'application/json-patch+json'
	| 'application/merge-patch+json'
	| 'application/strategic-merge-patch+json'
	| 'application/apply-patch+yaml';

const retryBackoff: Backoff = { firstMs: 100, mostMs: 5_000 };
/**
 * Limits for retries: the number of attempts, and the latest start of an attempt after the first
 * one. Callers wait for minutes at most.
 */
const mostAttempts = 6;
const repeatWithinMs = 20_000;
const answerTimeoutMs = 30_000;
const pageSize = 500;
const metadataList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';

/** The URL path of a kind, or of one object. */
export function pathOf(
	{ apiVersion, plural, namespaced }: ResourceKind,
	namespace?: string,
	name?: string,
	subresource?: string,
): string {
	const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
	const parts = [
		...(namespaced && namespace !== undefined ? ['namespaces', namespace] : []),
		plural,
		...(name === undefined ? [] : [name]),
		...(subresource === undefined ? [] : [subresource]),
	];
	return `${root}/${parts.map(encodeURIComponent).join('/')}`;
}

/**
 * A client of the Kubernetes API. Bodies keep every digit and every unknown field. Requests that
 * are safe to repeat are retried, after the delay that the server requests.
 */
export class ApiClient {
	readonly #credentials: Credentials;
	readonly #random: Random;

	constructor(credentials: Credentials, random: Random) {
		this.#credentials = credentials;
		this.#random = random;
	}

	get server(): string {
		return this.#credentials.server;
	}
	/** The namespace of the kubeconfig's context. */
	get namespace(): string {
		return this.#credentials.namespace;
	}

	/** `undefined`: the object does not exist. @throws ApiError, ApiUnreachableError */
	async get(kind: ResourceKind, name: string, namespace?: string): Promise<JsonObject | undefined> {
		try {
			return await this.#json({ method: 'GET', path: pathOf(kind, namespace, name) });
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return undefined;
			throw error;
		}
	}

	/**
	 * All objects of a kind, page by page, at one version. @throws ApiError (410 if the pages
	 * expired), ApiUnreachableError
	 */
	async list(
		kind: ResourceKind,
		{
			namespace,
			labelSelector,
			fieldSelector,
			limit = pageSize,
			age = 'newest',
			form = 'whole',
			prune = (object) => object,
			take,
			signal,
		}: ListOptions = {},
	): Promise<ListResult> {
		const items: JsonObject[] = [];
		let token: string | undefined;
		for (;;) {
			// A server without a cache pages this list, too.
			const resourceVersion = age === 'any' && token === undefined ? '0' : undefined;
			const query = { limit: String(limit), continue: token, resourceVersion, labelSelector, fieldSelector };
			const accept = form === 'metadata' ? metadataList : undefined;
			const page = await this.#ask(
				{ method: 'GET', path: pathOf(kind, namespace), query, signal, ...(accept === undefined ? {} : { accept }) },
				(response) => this.#page(response, prune, take),
			);
			for (const item of page.items) items.push(item);
			token = textAt(page.list, 'metadata', 'continue') || undefined;
			if (token === undefined)
				return { items, resourceVersion: textAt(page.list, 'metadata', 'resourceVersion') ?? '' };
		}
	}

	create(kind: ResourceKind, object: JsonObject, namespace?: string): Promise<JsonObject> {
		return this.#json({ method: 'POST', path: pathOf(kind, namespace), body: stringifyJson(object) });
	}

	/** Conditional on `metadata.resourceVersion` of the object, if present. @throws ApiError 409 */
	replace(kind: ResourceKind, object: JsonObject, subresource?: 'status'): Promise<JsonObject> {
		const name = textAt(object, 'metadata', 'name') ?? '';
		return this.#json({
			method: 'PUT',
			path: pathOf(kind, textAt(object, 'metadata', 'namespace'), name, subresource),
			body: stringifyJson(object),
		});
	}

	patch(
		kind: ResourceKind,
		name: string,
		patch: JsonObject,
		type: PatchType,
		options: {
			readonly namespace?: string;
			readonly subresource?: 'status';
			readonly query?: Readonly<Record<string, string>>;
		} = {},
	): Promise<JsonObject> {
		return this.#json({
			method: 'PATCH',
			path: pathOf(kind, options.namespace, name, options.subresource),
			body: stringifyJson(patch),
			contentType: type,
			...(options.query === undefined ? {} : { query: options.query }),
		});
	}

	/**
	 * Deletes with preconditions: only the object with this UID, at this version. Absence is
	 * success. @throws ApiError 409
	 */
	async remove(
		kind: ResourceKind,
		name: string,
		options: { readonly namespace?: string; readonly uid?: string; readonly resourceVersion?: string } = {},
	): Promise<void> {
		const preconditions = {
			...(options.uid === undefined ? {} : { uid: options.uid }),
			...(options.resourceVersion === undefined ? {} : { resourceVersion: options.resourceVersion }),
		};
		try {
			await this.#json({
				method: 'DELETE',
				path: pathOf(kind, options.namespace, name),
				body: stringifyJson({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions }),
			});
		} catch (error) {
			if (!(error instanceof ApiError && error.code === 404)) throw error;
		}
	}

	/**
	 * The server's newest version, from the metadata of a list of one object. @throws ApiError,
	 * ApiUnreachableError
	 */
	async revision(
		kind: ResourceKind,
		{ namespace, signal }: Pick<ListOptions, 'namespace' | 'signal'> = {},
	): Promise<string> {
		const list = await this.#json({
			method: 'GET',
			path: pathOf(kind, namespace),
			query: { limit: '1' },
			accept: metadataList,
			signal,
		});
		return textAt(list, 'metadata', 'resourceVersion') ?? '';
	}

	/** Requests any path: discovery, version, readiness, and objects in another representation. */
	raw(path: string, { query = {}, accept }: Pick<ApiRequest, 'query' | 'accept'> = {}): Promise<JsonObject> {
		return this.#json({ method: 'GET', path, query, accept });
	}

	/**
	 * Events after a version, until the server ends the stream or `signal` aborts. @throws ApiError
	 * (410: list again), ApiUnreachableError
	 */
	async *watch(
		kind: ResourceKind,
		{ resourceVersion, timeoutSeconds, namespace, labelSelector, fieldSelector, signal, onOpen }: WatchOptions,
	): AsyncGenerator<WatchEvent> {
		const query = {
			watch: 'true',
			resourceVersion,
			labelSelector,
			fieldSelector,
			allowWatchBookmarks: 'true',
			timeoutSeconds: String(timeoutSeconds),
		};
		const response = await send(this.#credentials, {
			method: 'GET',
			path: pathOf(kind, namespace),
			query,
			signal,
			timeoutMs: answerTimeoutMs,
			use: 'watch',
		});
		onOpen?.();
		let rest = '';
		for await (const piece of piecesOf(this.#credentials.server, response, signal)) {
			const lines = (rest + piece).split('\n');
			rest = lines.pop() ?? '';
			for (const line of lines) if (line !== '') yield toWatchEvent(line);
		}
	}

	/** Streams the objects of a page: each is pruned before the next one is read. */
	async #page(
		response: IncomingMessage,
		prune: (object: JsonObject) => JsonObject,
		take: ((object: JsonObject) => void) | undefined,
	): Promise<{ readonly list: JsonObject; readonly items: JsonObject[] }> {
		const reader = new ListReader();
		const items: JsonObject[] = [];
		for await (const piece of piecesOf(this.#credentials.server, response))
			for (const object of reader.push(piece))
				if (take === undefined) items.push(prune(object));
				else take(prune(object));
		return { list: reader.end(), items };
	}

	#json(request: Omit<ApiRequest, 'timeoutMs'>): Promise<JsonObject> {
		return this.#ask(request, async (response) => {
			const body = parseJson(await textOf(this.#credentials.server, response));
			return isObject(body) ? body : {};
		});
	}

	/** Sends a request, with retries if they are safe, until the response is complete. */
	async #ask<T>(request: Omit<ApiRequest, 'timeoutMs'>, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
		const startMs = performance.now();
		for (let attempt = 1; ; attempt++) {
			try {
				return await read(await send(this.#credentials, { timeoutMs: answerTimeoutMs, ...request }));
			} catch (error) {
				if (
					attempt >= mostAttempts ||
					performance.now() - startMs > repeatWithinMs ||
					!mayRepeat(error, request.method)
				)
					throw error;
				const asked = error instanceof ApiError ? error.retryAfterSeconds : undefined;
				await sleep(
					asked === undefined
						? backoffMs(retryBackoff, attempt, this.#random)
						: asked * 1000 * (1 + this.#random() / 4),
					undefined,
					request.signal === undefined ? {} : { signal: request.signal },
				);
			}
		}
	}
}

/**
 * A write without a response may have been executed: it is not repeated, and the caller reads
 * again. A rejected write (429) was not executed.
 */
function mayRepeat(error: unknown, method: ApiRequest['method']): boolean {
	if (error instanceof ApiError)
		return error.code === 429 || (method === 'GET' && [500, 502, 503, 504].includes(error.code));
	return error instanceof ApiUnreachableError && method === 'GET';
}

/** @throws ApiError for an ERROR event */
function toWatchEvent(line: string): WatchEvent {
	const event = parseJson(line);
	const type = textAt(event, 'type');
	const object = objectAt(event, 'object');
	if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object };
	if (type === 'BOOKMARK') return { type, resourceVersion: textAt(object, 'metadata', 'resourceVersion') ?? '' };
	throw statusError(500, object);
}
