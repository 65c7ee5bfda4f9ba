import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, backoffMs, type Clock, type Logger, type Random } from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import type { ApiClient, ListOptions, ResourceKind } from '../client/api-client.ts';
import { ApiError, ApiUnreachableError } from '../client/errors.ts';
import { type Follower, type ServerState, serverStateOf } from '../client/server-state.ts';
import type { Resource } from '../model/resource.ts';
import { type CopyDependencies, isNewer, type ResourceChange, ResourceCopy } from './copy.ts';
import { FirstList } from './first-list.ts';

export interface InformerDependencies extends CopyDependencies {
	readonly client: ApiClient;
	readonly kind: ResourceKind;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** Only objects in this namespace. */
	readonly namespace?: string;
	/** Only objects with these labels. */
	readonly labelSelector?: string;
	/** Only objects with these fields. */
	readonly fieldSelector?: string;
	/**
	 * Age of the first list. `any`: from the server's cache, for large kinds. Default: `newest`.
	 */
	readonly firstList?: 'newest' | 'any';
	/**
	 * For the log: the function lost without this kind. Present: missing permissions are tolerated.
	 */
	readonly without?: string;
	/** The server may lack this kind, as with older versions of Calico; it then counts as empty. */
	readonly mayLack?: true;
}

/**
 * Duration of a watch in seconds. Randomised, so that the watches of a cluster end at different
 * times.
 */
const watchSeconds = 300;
/** A watch silent for this time, in milliseconds, is verified by a separate small request. */
const silenceMs = 60_000;
const reconnectBackoff: Backoff = { firstMs: 200, mostMs: 30_000 };

/**
 * A local copy of all objects of a kind, kept by list and watch. While the server is away the copy
 * is unchanged. Afterwards only the differences are reported, so that an outage causes no flaps.
 */
export class Informer {
	readonly #dependencies: InformerDependencies;
	readonly #copy: ResourceCopy;
	readonly #firstList: FirstList;
	readonly #listeners = new Set<(changes: readonly ResourceChange[]) => void>();
	#resourceVersion = '';
	#connected = false;
	#failingSinceMs: number | undefined;
	#refusal: string | undefined;
	#stop = new AbortController();
	/** Aborting it ends the pause after a failure. */
	#wake = new AbortController();
	readonly #server: ServerState;
	readonly #follower: Follower;

	constructor(dependencies: InformerDependencies) {
		this.#dependencies = dependencies;
		const { client, log, clock, kind, namespace } = dependencies;
		this.#copy = new ResourceCopy(dependencies);
		this.#firstList = new FirstList(kind.kind);
		this.#server = serverStateOf(client, log, clock);
		this.#follower = {
			what: namespace === undefined ? kind.kind : `${kind.kind} in ${namespace}`,
			wake: () => this.#wake.abort(),
		};
	}

	/** By `resourceKey`. */
	get items(): ReadonlyMap<string, Resource> {
		return this.#copy.items;
	}

	/** The first list is complete: an absent object does not exist. Stays true during an outage. */
	get synced(): boolean {
		return this.#firstList.synced;
	}

	/** True while the server responds. */
	get connected(): boolean {
		return this.#connected;
	}

	/** Start of the outage, ms since 1970; `undefined` while connected or refused. */
	get failingSinceMs(): number | undefined {
		return this.#failingSinceMs;
	}

	/** The server's message while it denies access, with user, verb and resource. */
	get refusal(): string | undefined {
		return this.#refusal;
	}

	/** The selection of this informer, and the function that is lost without it. */
	get subject(): Pick<InformerDependencies, 'kind' | 'namespace' | 'without'> {
		const { kind, namespace, without } = this.#dependencies;
		return { kind, ...(namespace === undefined ? {} : { namespace }), ...(without === undefined ? {} : { without }) };
	}

	/** Starts with the objects of a previous run. Call before `start`; listeners are not called. */
	restore(objects: readonly JsonObject[]): void {
		this.#copy.restore(objects);
	}

	/** Subscribes to batches of changes. Objects that exist already are not reported. */
	onChanges(listener: (changes: readonly ResourceChange[]) => void): void {
		this.#listeners.add(listener);
	}

	onSynced(listener: () => void): void {
		this.#firstList.onSynced(listener);
	}

	/** Calls back when the first list is complete, denied, or the kind is absent. */
	onAnswered(listener: () => void): void {
		this.#firstList.onAnswered(listener);
	}

	/** Waits for the first list: `patienceMs`, or until a failure. @throws NotListedError */
	listed(patienceMs: number): Promise<void> {
		return this.#firstList.wait(patienceMs, this.#dependencies.clock);
	}

	/** Runs until `stop`. Never rejects. */
	start(): void {
		this.#stop = new AbortController();
		void this.#run(this.#stop.signal);
	}

	stop(): void {
		this.#stop.abort();
		this.#server.left(this.#follower);
	}

	/** Adds the response of our own write, unless the copy is newer. */
	absorb(object: JsonObject): Resource {
		const { resource, change } = this.#copy.absorb(object);
		this.#tell([change]);
		return resource;
	}

	/** Records our own successful removal of an object at this version. */
	forget(key: string, resourceVersion: string): void {
		this.#tell([this.#copy.forget(key, resourceVersion)]);
	}

	async #run(signal: AbortSignal): Promise<void> {
		const { kind, log, random } = this.#dependencies;
		let failures = 0;
		while (!signal.aborted) {
			try {
				if (this.#resourceVersion !== '') await this.#checkRevision(signal);
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
				// Aborted when the server has responded to another informer, or at `stop`.
				this.#wake = new AbortController();
				await sleep(backoffMs(reconnectBackoff, failures, random), undefined, {
					signal: AbortSignal.any([signal, this.#wake.signal]),
				}).catch(() => undefined);
			}
		}
	}

	#failed(error: unknown, isFirst: boolean): void {
		const { kind, namespace, log, clock, without, mayLack } = this.#dependencies;
		const what = {
			kind: kind.kind,
			...(namespace === undefined ? {} : { namespace }),
			...(without === undefined ? {} : { without }),
		};
		const refused = error instanceof ApiError && error.code === 403;
		// Applies only to an empty copy: an API server that starts may lack kinds for a moment.
		const lacking = error instanceof ApiError && error.code === 404 && mayLack === true && this.#copy.items.size === 0;
		if (refused && this.#refusal === undefined) {
			const message = 'the API server does not let this node read a kind, which needs the rights to list and watch it';
			if (without === undefined) log.error(message, { ...what, reason: error.message });
			else log.warn(message, { ...what, reason: error.message });
		} else if (lacking) {
			if (!this.synced) log.info('the API server does not have a kind', what);
			this.#firstList.becomeSynced();
		} else if (isUnavailable(error)) this.#server.failed(this.#follower, error.message, String(error.cause ?? ''));
		else if (!(error instanceof ApiError)) log.error('watch failed', { ...what, error: String(error) });
		else if (isFirst && !refused)
			log.warn('the API server refuses to list or watch a kind', { ...what, reason: error.message });
		this.#connected = false;
		this.#refusal = refused ? error.message : undefined;
		this.#failingSinceMs = refused || lacking ? undefined : (this.#failingSinceMs ?? clock.wallMs());
		this.#firstList.failed(error);
		if (refused) this.#firstList.becomeAnswered();
	}

	async #list(signal: AbortSignal): Promise<void> {
		const { client, kind, log, firstList = 'newest', prune, keep } = this.#dependencies;
		// Never goes back in time: once the copy has objects, also from a previous run, only the
		// newest list is used.
		const age = this.#copy.items.size === 0 && !this.synced ? firstList : 'newest';
		const options = { signal, age, ...(prune === undefined ? {} : { prune }), ...this.#selectors() };
		const { resourceVersion, changes, stepsBack } =
			keep === 'versions'
				? await this.#copy.replaceInPlace(
						(take) => client.list(kind, { ...options, take }),
						(change) => this.#tell([change]),
					)
				: await this.#copy.replace(() => client.list(kind, options));
		for (const step of stepsBack)
			log.warn('object went back in time: the API server was restored from a backup', { kind: kind.kind, ...step });
		this.#resourceVersion = resourceVersion;
		this.#reached();
		this.#tell(changes);
		if (this.synced) return;
		log.info('in sync', { kind: kind.kind, objects: this.#copy.items.size });
		this.#firstList.becomeSynced();
	}

	/**
	 * Detects a server restored from an older state, on which a watch would wait without an error:
	 * if its newest version is older than the copy's, everything is listed again.
	 */
	async #checkRevision(signal: AbortSignal): Promise<void> {
		const { client, kind, namespace, log } = this.#dependencies;
		const newest = await client.revision(kind, { signal, ...(namespace === undefined ? {} : { namespace }) });
		this.#reached();
		if (newest === '' || !isNewer(this.#resourceVersion, newest)) return;
		log.warn('the API server is behind what it gave before: it was restored from a backup; listing again', {
			kind: kind.kind,
			known: this.#resourceVersion,
			newest,
		});
		this.#resourceVersion = '';
	}

	/** Processes events until the watch ends, or a check after a long silence fails. */
	async #watch(signal: AbortSignal): Promise<void> {
		const broken = new AbortController();
		let failure: unknown;
		const check = () => {
			timer = this.#dependencies.clock.after(silenceMs, () =>
				this.#checkRevision(broken.signal)
					.then(() => {
						if (this.#resourceVersion === '') broken.abort();
						else if (!broken.signal.aborted) check();
					})
					.catch((error: unknown) => {
						failure = error;
						broken.abort();
					}),
			);
		};
		let timer: { cancel(): void } = { cancel() {} };
		const heard = () => {
			timer.cancel();
			check();
		};
		try {
			await this.#events(AbortSignal.any([signal, broken.signal]), heard);
		} catch (error) {
			if (signal.aborted || !broken.signal.aborted) throw error;
			if (failure !== undefined) throw failure;
		} finally {
			timer.cancel();
			broken.abort();
		}
	}

	async #events(signal: AbortSignal, heard: () => void): Promise<void> {
		const { client, kind, random } = this.#dependencies;
		const timeoutSeconds = Math.floor(watchSeconds * (1 + random()));
		for await (const event of client.watch(kind, {
			resourceVersion: this.#resourceVersion,
			timeoutSeconds,
			signal,
			onOpen: () => {
				this.#reached();
				heard();
			},
			...this.#selectors(),
		})) {
			this.#reached();
			heard();
			if (event.type === 'BOOKMARK') {
				this.#resourceVersion = event.resourceVersion;
				continue;
			}
			const resource = this.#copy.toResource(event.object);
			this.#resourceVersion = resource.resourceVersion;
			this.#tell([this.#copy.apply(event.type, resource)]);
		}
	}

	#selectors(): Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
		const { namespace, labelSelector, fieldSelector } = this.#dependencies;
		return {
			...(namespace === undefined ? {} : { namespace }),
			...(labelSelector === undefined ? {} : { labelSelector }),
			...(fieldSelector === undefined ? {} : { fieldSelector }),
		};
	}

	#reached(): void {
		const { kind, log } = this.#dependencies;
		this.#server.answered(this.#follower);
		if (this.#refusal !== undefined) log.info('the API server lets this node read a kind now', { kind: kind.kind });
		this.#failingSinceMs = undefined;
		this.#refusal = undefined;
		this.#firstList.recovered();
		this.#connected = true;
	}

	#tell(given: readonly (ResourceChange | undefined)[]): void {
		const changes = given.filter((change) => change !== undefined);
		if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
	}
}

/** True if the server did not respond, or reported that it is unavailable. */
const isUnavailable = (error: unknown): error is ApiUnreachableError | ApiError =>
	error instanceof ApiUnreachableError || (error instanceof ApiError && (error.code >= 500 || error.code === 429));
