import { setTimeout as sleep } from 'node:timers/promises';
import type { PrefixKey } from '../core/index.ts';
import { type Backoff, backoffMs, type Random } from '../core/index.ts';
import type { Affinity, Block, Handle, IpamConfig, Pool } from './values.ts';

/** A value with the version at which it was read. */
export interface Versioned<T> {
	readonly value: T;
	readonly version: string;
	/** The object that the store needs for the write; opaque to callers. */
	readonly origin?: unknown;
}

/** Another client wrote in between, or the object already exists: read and decide again. */
export class ConflictError extends Error {
	override readonly name = 'ConflictError';
}

/** The conflict persists after all attempts. */
export class RetriesExhaustedError extends Error {
	override readonly name = 'RetriesExhaustedError';
}

/** An object that exists and can not be read: its content is unknown. */
export interface Unreadable {
	readonly name: string;
	/** Description of the error. */
	readonly problem: string;
	/** The addresses that it may contain: by its name, and by its own CIDR field. */
	readonly cidrs: readonly PrefixKey[];
}

/** An unreadable object is excluded from all decisions, and never overwritten. */
export class UnreadableError extends Error {
	override readonly name = 'UnreadableError';
	readonly unreadable: Unreadable;

	constructor(unreadable: Unreadable, options?: ErrorOptions) {
		super(`${unreadable.name} can not be read: ${unreadable.problem}`, options);
		this.unreadable = unreadable;
	}
}

/** The awaited value, or `otherwise` if a required object can not be read. */
export async function whereReadable<R, O>(awaited: Promise<R>, otherwise: O): Promise<R | O> {
	try {
		return await awaited;
	} catch (error) {
		if (error instanceof UnreadableError) return otherwise;
		throw error;
	}
}

/** All objects of a kind at one moment. */
export interface Listing<T> {
	readonly items: readonly (Versioned<T> & { readonly name: string })[];
	readonly unreadable: readonly Unreadable[];
}

/** The readable objects of a listing. */
export const valuesOf = <T>({ items }: Pick<Listing<T>, 'items'>): T[] => items.map(({ value }) => value);

/** The addresses that unreadable objects may contain. */
export const cidrsOf = (unreadable: readonly Unreadable[]): PrefixKey[] => unreadable.flatMap(({ cidrs }) => cidrs);

/** An unreadable object, with its kind. */
export interface UnreadableResource {
	readonly kind: 'block' | 'claim' | 'handle' | 'pool' | 'reservation';
	readonly name: string;
	readonly problem: string;
}

/**
 * Objects of one kind, by name. Every write is conditional. Objects marked as deleted are removed
 * and reported as absent.
 */
export interface Store<T> {
	/**
	 * May read from a cache kept by a watch; `fresh` reads from the server. `undefined`: absent.
	 * @throws UnreadableError
	 */
	read(name: string, fresh?: 'fresh'): Promise<Versioned<T> | undefined>;
	/** @throws ConflictError if it exists */
	create(name: string, value: T): Promise<Versioned<T>>;
	/** @throws ConflictError if the version has changed */
	write(name: string, next: Versioned<T>): Promise<Versioned<T>>;
	/**
	 * Removes the object at the version that was read; absence is success. @throws ConflictError
	 */
	remove(name: string, seen: Versioned<T>): Promise<void>;
	/** Reads all objects from the server: a large response, for rare requests. */
	list(): Promise<Listing<T>>;
}

/** The external data of an allocator. */
export interface IpamStore {
	readonly blocks: Store<Block>;
	readonly affinities: Store<Affinity>;
	readonly handles: Store<Handle>;
	/** Reads the CIDRs of all existing blocks, readable or not; cheaper than the list of blocks. */
	blockCidrs(): Promise<readonly PrefixKey[]>;
	/** The affinities of this node; may come from a cache. */
	affinitiesOf(node: string): Promise<readonly Affinity[]>;
	/** May come from a cache that a watch keeps; `fresh` asks the server. */
	pools(fresh?: 'fresh'): Promise<readonly Pool[]>;
	reservations(): Promise<readonly PrefixKey[]>;
	config(): Promise<IpamConfig>;
	nodeLabels(node: string): Promise<Readonly<Record<string, string>>>;
	namespaceLabels(namespace: string): Promise<Readonly<Record<string, string>>>;
	/**
	 * The reason why writes are locked (a migration: `ClusterInformation.datastoreReady` is false;
	 * or an unknown layout); `undefined`: writes are allowed.
	 */
	readOnlyReason(): Promise<string | undefined>;
	/** The objects that could not be read at their last read. */
	unreadable(): readonly UnreadableResource[];
}

/** The decision on a value that was read; `undefined` for an absent object. */
export type Change<T, R> =
	| { readonly type: 'leave'; readonly result: R }
	| { readonly type: 'write'; readonly value: T; readonly result: R }
	| { readonly type: 'remove'; readonly result: R };

/** The limit of attempts after conflicts, and the pause between them. */
export interface Retry {
	readonly attempts: number;
	pause(attempt: number): Promise<void>;
}

/** Calico's hundred attempts, with jitter between. */
export function conflictRetry(random: Random, backoff: Backoff = { firstMs: 2, mostMs: 250 }, attempts = 100): Retry {
	return { attempts, pause: (attempt) => sleep(backoffMs(backoff, attempt, random)) };
}

/**
 * Reads, decides and writes; after a conflict again with a fresh value. `decide` is pure. The first
 * read uses the cache if the caller allows it. A decision to leave a cached value unchanged is
 * repeated on a fresh value, because no conflict would reveal a stale one. @throws
 * RetriesExhaustedError, UnreadableError
 */
export async function compareAndSwap<T, R>(
	store: Store<T>,
	name: string,
	decide: (value: T | undefined) => Change<T, R>,
	retry: Retry,
	first?: 'cached',
): Promise<R> {
	for (let attempt = 1; attempt <= retry.attempts; attempt++) {
		const current = await store.read(name, attempt === 1 && first === 'cached' ? undefined : 'fresh');
		const change = decide(current?.value);
		if (change.type === 'leave' && attempt === 1 && first === 'cached') continue;
		try {
			if (change.type === 'write') {
				if (current === undefined) await store.create(name, change.value);
				else await store.write(name, { ...current, value: change.value });
			} else if (change.type === 'remove' && current !== undefined) {
				await store.remove(name, current);
			}
			return change.result;
		} catch (error) {
			if (!(error instanceof ConflictError)) throw error;
			await retry.pause(attempt);
		}
	}
	throw new RetriesExhaustedError(`${name}: still conflicting after ${retry.attempts} attempts`);
}

/** The block to write: its sequence number is one higher than at the read. */
export const nextWrite = (block: Block): Block => ({ ...block, sequenceNumber: block.sequenceNumber + 1n });
