import type { Clock } from '../../core/index.ts';
import { type JsonObject, parseJson } from '../../json/index.ts';
import { Collection, stored } from './collection.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { type Stored, type StoreEvent, Version } from './version.ts';

/** The revision is older than the history. */
export class CompactedError extends Error {
	override readonly name = 'CompactedError';
	readonly revision: number;
	readonly oldest: number;

	constructor(revision: number, oldest: number) {
		super(`revision ${revision} is older than ${oldest}, the oldest that is kept`);
		this.revision = revision;
		this.oldest = oldest;
	}
}

/**
 * A disk write failed; all writes are refused until a restart. `cause` is the error of the disk.
 */
export class StoreFailedError extends Error {
	override readonly name = 'StoreFailedError';
}

/** The object's text is longer than `mostObjectBytes`; it was not written. */
export class ObjectTooLargeError extends Error {
	override readonly name = 'ObjectTooLargeError';
}

/** The limit of etcd, the store of kube-apiserver. */
const mostObjectBytes = 1.5 * 1024 * 1024;

/** Limits of the history for watches and paging. */
export interface HistoryLimits {
	readonly mostEvents: number;
	readonly mostAgeMs: number;
}

/** Five minutes, as etcd under kube-apiserver, and a bound on memory. */
const defaultHistory: HistoryLimits = { mostEvents: 100_000, mostAgeMs: 5 * 60_000 };

/** Selects all collections. */
export const everyCollection = '*';

type Listener = (event: StoreEvent) => void;

interface Pending {
	readonly event: StoreEvent;
	readonly resolve: () => void;
	readonly reject: (error: Error) => void;
}

/**
 * A versioned map. Writers use the newest state (`head`); readers and watchers see durable state
 * (`committed`). One batch at a time is written to disk; writes that arrive meanwhile form the next
 * batch (group commit).
 */
export class Store {
	readonly #collections = new Map<string, Collection>();
	readonly #listeners = new Map<string, Set<Listener>>();
	/** Committed events, oldest first, with their commit times. */
	#events: { readonly event: StoreEvent; readonly atMs: number }[] = [];
	readonly #journal: Journal | undefined;
	readonly #clock: Clock;
	readonly #history: HistoryLimits;
	#pending: Pending[] = [];
	#flushing = false;
	#failure: StoreFailedError | undefined;
	#head = 0;
	#committed = 0;
	#compacted = 0;

	private constructor(journal: Journal | undefined, clock: Clock, history: HistoryLimits) {
		this.#journal = journal;
		this.#clock = clock;
		this.#history = history;
	}

	/**
	 * Opens a store with the contents of the journal; without a journal, an empty one in memory.
	 */
	static async open(
		journal: Journal | undefined,
		clock: Clock,
		history: HistoryLimits = defaultHistory,
	): Promise<Store> {
		const store = new Store(journal, clock, history);
		const contents = await journal?.load();
		if (contents === undefined) return store;
		const { revision, entries } = contents;
		for (const { collection, key, text = '' } of entries) {
			// Only objects are written to the journal.
			const value = parseJson(text) as JsonObject;
			store.#collection(collection).push(key, new Version(revisionOf(value), value, text));
		}
		store.#head = store.#committed = store.#compacted = revision;
		return store;
	}

	/** True after a disk write failed; all writes are refused then. */
	get failed(): boolean {
		return this.#failure !== undefined;
	}

	/** The revision of the newest write, durable or not. */
	get head(): number {
		return this.#head;
	}

	/** The revision of the newest write that readers may see. */
	get committed(): number {
		return this.#committed;
	}

	/** The oldest revision for reads and watches. */
	get oldest(): number {
		return this.#compacted;
	}

	/** The newest state, as input of a write decision; possibly not durable yet. */
	latest(collection: string, key: string): Stored | undefined {
		return this.get(collection, key, this.#head);
	}

	/** The state at a revision, by default the newest durable one. */
	get(collection: string, key: string, revision = this.#committed): Stored | undefined {
		const version = this.#collections.get(collection)?.version(key, revision);
		return version?.value === undefined ? undefined : stored(key, version, version.value);
	}

	/**
	 * Iterates lazily over the objects at a revision by key: those under `prefix`, at or after
	 * `from`. @throws CompactedError
	 */
	scan(collection: string, prefix = '', from = '', revision = this.#committed): Iterable<Stored> {
		if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
		return this.#collections.get(collection)?.scan(prefix, from, revision) ?? [];
	}

	/** As `scan`, on the newest state, as input of write decisions. */
	scanLatest(collection: string, prefix = ''): Iterable<Stored> {
		return this.#collections.get(collection)?.scan(prefix, '', this.#head) ?? [];
	}

	/**
	 * Writes `make(revision)`, or deletes if `make` is undefined. Writers see the result at once;
	 * readers see it, and the promise resolves, when it is durable. @throws StoreFailedError,
	 * ObjectTooLargeError, and RangeError for a value too deeply nested to serialize
	 */
	write(
		collection: string,
		key: string,
		make: ((revision: number) => JsonObject) | undefined,
	): Promise<Stored | undefined> {
		if (this.#failure !== undefined) return Promise.reject(this.#failure);
		const revision = this.#head + 1;
		const value = make?.(revision);
		const current = new Version(revision, value);
		// Serialized before it is accepted: a value that can not be serialized would block the
		// batch with all other writes, and every list.
		const { text } = current;
		if (text.length * 3 > mostObjectBytes && Buffer.byteLength(text) > mostObjectBytes)
			throw new ObjectTooLargeError(key);
		this.#head = revision;
		const previous = this.#collection(collection).push(key, current);
		const event: StoreEvent = {
			revision,
			collection,
			key,
			current,
			previous: previous?.value === undefined ? undefined : previous,
		};
		const result = value === undefined ? undefined : stored(key, current, value);
		if (this.#journal === undefined) {
			this.#commit([event]);
			return Promise.resolve(result);
		}
		return new Promise((resolve, reject) => {
			this.#pending.push({ event, resolve: () => resolve(result), reject });
			void this.#flush(this.#journal);
		});
	}

	/** Committed events after `revision`, oldest first. @throws CompactedError */
	eventsSince(collection: string, revision: number): StoreEvent[] {
		if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
		return this.#events
			.filter(({ event }) => event.revision > revision && event.collection === collection)
			.map(({ event }) => event);
	}

	/**
	 * Calls back in order for each committed event of one or all collections, until the returned
	 * function is called.
	 */
	subscribe(collection: string | typeof everyCollection, listener: Listener): () => void {
		const listeners = this.#listeners.get(collection) ?? new Set();
		this.#listeners.set(collection, listeners);
		listeners.add(listener);
		return () => void listeners.delete(listener);
	}

	/** Discards events beyond the limits, or up to `upTo`. */
	compact(upTo?: number): void {
		const now = this.#clock.monotonicMs();
		const { mostEvents, mostAgeMs } = this.#history;
		let count = 0;
		for (const { event, atMs } of this.#events) {
			const stale =
				upTo === undefined
					? this.#events.length - count > mostEvents || now - atMs > mostAgeMs
					: event.revision <= upTo;
			if (!stale) break;
			count++;
		}
		if (count === 0) return;
		const dropped = this.#events.slice(0, count);
		this.#events = this.#events.slice(count);
		this.#compacted = dropped.at(-1)?.event.revision ?? this.#compacted;
		for (const { event } of dropped) this.#collection(event.collection).compact(event.key, this.#compacted);
	}

	/** Waits for pending writes, then closes the journal. */
	async close(): Promise<void> {
		while (this.#flushing) await new Promise((resolve) => setImmediate(resolve));
		this.#failure ??= new StoreFailedError('the store is closed');
		await this.#journal?.close();
	}

	#collection(name: string): Collection {
		const collection = this.#collections.get(name) ?? new Collection();
		this.#collections.set(name, collection);
		return collection;
	}

	async #flush(journal: Journal | undefined): Promise<void> {
		if (this.#flushing || journal === undefined) return;
		this.#flushing = true;
		// Requests of the same turn of the event loop share the first batch.
		await new Promise((resolve) => setImmediate(resolve));
		while (this.#pending.length > 0) {
			const batch = this.#pending;
			this.#pending = [];
			try {
				await journal.append(batch.map(({ event }) => entryOf(event)));
			} catch (error) {
				this.#fail(batch, error);
				break;
			}
			this.#commit(batch.map(({ event }) => event));
			for (const { resolve } of batch) resolve();
		}
		this.#flushing = false;
	}

	/** Rolls back the unacknowledged writes, newest first, and refuses further ones. */
	#fail(batch: readonly Pending[], cause: unknown): void {
		const failure = new StoreFailedError('the disk refused a write', { cause });
		this.#failure = failure;
		const lost = [...batch, ...this.#pending];
		this.#pending = [];
		for (const { event } of lost.toReversed()) this.#collection(event.collection).pop(event.key);
		this.#head = this.#committed;
		for (const { reject } of lost) reject(failure);
	}

	#commit(events: readonly StoreEvent[]): void {
		const atMs = this.#clock.monotonicMs();
		for (const event of events) {
			this.#committed = event.revision;
			this.#events.push({ event, atMs });
			for (const listener of this.#listeners.get(event.collection) ?? []) listener(event);
			for (const listener of this.#listeners.get(everyCollection) ?? []) listener(event);
		}
		if (this.#events.length > this.#history.mostEvents * 1.25) this.compact();
	}
}

function entryOf({ collection, key, revision, current }: StoreEvent): JournalEntry {
	return { collection, key, revision, text: current.value === undefined ? undefined : current.text };
}

function revisionOf(value: JsonObject): number {
	const metadata = value['metadata'] as JsonObject | undefined;
	return Number(metadata?.['resourceVersion'] ?? 0);
}
