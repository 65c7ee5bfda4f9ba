import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoffMs, type Random } from '../../core/index.ts';
import { isObject, type JsonObject, ListReader, objectAt, parseJson, stringifyJson, textAt } from '../json/index.ts';
import type { Credentials } from './credentials.ts';
import { ApiError, ApiUnreachableError, statusError } from './errors.ts';
import { type ApiRequest, piecesOf, send, textOf } from './transport.ts';

/** One kind of resource: where it lives. */
export interface ResourceKind {
	readonly kind: string;
	/** `v1`, `crd.projectcalico.org/v1`. */
	readonly apiVersion: string;
	readonly plural: string;
	readonly namespaced: boolean;
}

/** Which objects of a kind. */
export interface ListOptions {
	readonly namespace?: string;
	readonly labelSelector?: string;
	readonly fieldSelector?: string;
	/** Objects a page. */
	readonly limit?: number;
	/**
	 * `newest` (what is left out): nothing that was written before is missing, which an API server with an old etcd reads from there, page by page. `any`: what the
	 * server has at hand, at once and whole (resource version 0); it may be older than what was seen before, so it is for beginnings, with a watch from there on.
	 */
	readonly age?: 'newest' | 'any';
	/** What is kept of each object as soon as it is read. */
	readonly prune?: (object: JsonObject) => JsonObject;
	readonly signal?: AbortSignal;
}

/** From where, for how long and of what. */
export interface WatchOptions extends Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
	readonly resourceVersion: string;
	readonly timeoutSeconds: number;
	readonly signal: AbortSignal;
}

export interface ListResult {
	readonly items: readonly JsonObject[];
	/** Where a watch goes on. */
	readonly resourceVersion: string;
}

export type WatchEvent =
	| { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: JsonObject }
	/** Nothing before this version is outstanding. */
	| { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export type PatchType =
	| 'application/json-patch+json'
	| 'application/merge-patch+json'
	| 'application/strategic-merge-patch+json'
	| 'application/apply-patch+yaml';

const retryBackoff: Backoff = { firstMs: 100, mostMs: 5_000 };
/** Attempts of a request that may be repeated, and how long after its start the last of them begins: whoever waits for it has a patience of minutes. */
const mostAttempts = 6;
const repeatWithinMs = 20_000;
const answerTimeoutMs = 30_000;
/** A watch brings a bookmark about once a minute: without any for so long, the server's host is gone. */
const silenceMs = 180_000;
const pageSize = 500;

/** The path of a kind, or of one object of it. */
export function pathOf({ apiVersion, plural, namespaced }: ResourceKind, namespace?: string, name?: string, subresource?: string): string {
	const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
	const parts = [
		...(namespaced && namespace !== undefined ? ['namespaces', namespace] : []),
		plural,
		...(name === undefined ? [] : [name]),
		...(subresource === undefined ? [] : [subresource]),
	];
	return `${root}/${parts.map(encodeURIComponent).join('/')}`;
}

/** Kubernetes' API: bodies keep every digit and every unknown field. Requests that may be repeated are, after what the server asks to wait. */
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

	/** `undefined`: there is no such object. @throws ApiError, ApiUnreachableError */
	async get(kind: ResourceKind, name: string, namespace?: string): Promise<JsonObject | undefined> {
		try {
			return await this.#json({ method: 'GET', path: pathOf(kind, namespace, name) });
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return undefined;
			throw error;
		}
	}

	/** Everything of a kind, page by page, as of one version. @throws ApiError (410 when the pages grew too old), ApiUnreachableError */
	async list(
		kind: ResourceKind,
		{ namespace, labelSelector, fieldSelector, limit = pageSize, age = 'newest', prune = (object) => object, signal }: ListOptions = {},
	): Promise<ListResult> {
		const items: JsonObject[] = [];
		let token: string | undefined;
		for (;;) {
			// A server that keeps no cache makes pages here, too.
			const resourceVersion = age === 'any' && token === undefined ? '0' : undefined;
			const query = { limit: String(limit), continue: token, resourceVersion, labelSelector, fieldSelector };
			const page = await this.#ask({ method: 'GET', path: pathOf(kind, namespace), query, signal }, (response) => this.#page(response, prune));
			for (const item of page.items) items.push(item);
			token = textAt(page.list, 'metadata', 'continue') || undefined;
			if (token === undefined) return { items, resourceVersion: textAt(page.list, 'metadata', 'resourceVersion') ?? '' };
		}
	}

	create(kind: ResourceKind, object: JsonObject, namespace?: string): Promise<JsonObject> {
		return this.#json({ method: 'POST', path: pathOf(kind, namespace), body: stringifyJson(object) });
	}

	/** Conditional on `metadata.resourceVersion` of the object, where it has one. @throws ApiError 409 */
	replace(kind: ResourceKind, object: JsonObject, subresource?: 'status'): Promise<JsonObject> {
		const name = textAt(object, 'metadata', 'name') ?? '';
		return this.#json({ method: 'PUT', path: pathOf(kind, textAt(object, 'metadata', 'namespace'), name, subresource), body: stringifyJson(object) });
	}

	patch(
		kind: ResourceKind,
		name: string,
		patch: JsonObject,
		type: PatchType,
		options: { readonly namespace?: string; readonly subresource?: 'status'; readonly query?: Readonly<Record<string, string>> } = {},
	): Promise<JsonObject> {
		return this.#json({
			method: 'PATCH',
			path: pathOf(kind, options.namespace, name, options.subresource),
			body: stringifyJson(patch),
			contentType: type,
			...(options.query === undefined ? {} : { query: options.query }),
		});
	}

	/** With preconditions: only this very object, at this very version. Absent is success. @throws ApiError 409 */
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

	/** Any path: discovery, version, readiness, and objects in another form than their own. */
	raw(path: string, { query = {}, accept }: Pick<ApiRequest, 'query' | 'accept'> = {}): Promise<JsonObject> {
		return this.#json({ method: 'GET', path, query, accept });
	}

	/** Events from a version on, until the server ends the stream or `signal` aborts. @throws ApiError (410: list again), ApiUnreachableError */
	async *watch(
		kind: ResourceKind,
		{ resourceVersion, timeoutSeconds, namespace, labelSelector, fieldSelector, signal }: WatchOptions,
	): AsyncGenerator<WatchEvent> {
		const query = { watch: 'true', resourceVersion, labelSelector, fieldSelector, allowWatchBookmarks: 'true', timeoutSeconds: String(timeoutSeconds) };
		const response = await send(this.#credentials, { method: 'GET', path: pathOf(kind, namespace), query, signal, timeoutMs: silenceMs, use: 'watch' });
		let rest = '';
		for await (const piece of piecesOf(this.#credentials.server, response, signal)) {
			const lines = (rest + piece).split('\n');
			rest = lines.pop() ?? '';
			for (const line of lines) if (line !== '') yield toWatchEvent(line);
		}
	}

	/** Objects as they arrive: each is pruned before the next one is read. */
	async #page(response: IncomingMessage, prune: (object: JsonObject) => JsonObject): Promise<{ readonly list: JsonObject; readonly items: JsonObject[] }> {
		const reader = new ListReader();
		const items: JsonObject[] = [];
		for await (const piece of piecesOf(this.#credentials.server, response)) for (const object of reader.push(piece)) items.push(prune(object));
		return { list: reader.end(), items };
	}

	#json(request: Omit<ApiRequest, 'timeoutMs'>): Promise<JsonObject> {
		return this.#ask(request, async (response) => {
			const body = parseJson(await textOf(this.#credentials.server, response));
			return isObject(body) ? body : {};
		});
	}

	/** Sends, and again where that may be, until the answer has been read whole. */
	async #ask<T>(request: Omit<ApiRequest, 'timeoutMs'>, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
		const startMs = performance.now();
		for (let attempt = 1; ; attempt++) {
			try {
				return await read(await send(this.#credentials, { timeoutMs: answerTimeoutMs, ...request }));
			} catch (error) {
				if (attempt >= mostAttempts || performance.now() - startMs > repeatWithinMs || !mayRepeat(error, request.method)) throw error;
				const asked = error instanceof ApiError ? error.retryAfterSeconds : undefined;
				await sleep(
					asked === undefined ? backoffMs(retryBackoff, attempt, this.#random) : asked * 1000 * (1 + this.#random() / 4),
					undefined,
					request.signal === undefined ? {} : { signal: request.signal },
				);
			}
		}
	}
}

/** A write whose answer was lost may have been done: it is not repeated, the caller reads again. One that was turned away (429) was not done. */
function mayRepeat(error: unknown, method: ApiRequest['method']): boolean {
	if (error instanceof ApiError) return error.code === 429 || (method === 'GET' && [500, 502, 503, 504].includes(error.code));
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
