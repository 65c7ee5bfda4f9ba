import { setTimeout as sleep } from 'node:timers/promises';
import type { PrefixKey } from '../core/index.ts';
import { type Backoff, backoffMs, type Random } from '../core/index.ts';
import type { Affinity, Block, Handle, IpamConfig, Pool } from './values.ts';

/** A value and the version it was read at. */
export interface Versioned<T> {
	readonly value: T;
	readonly version: string;
	/** What the store needs to write it back (the object it came from); nobody else looks at it. */
	readonly origin?: unknown;
}

/** Somebody else wrote in between, or the thing exists already: read again and decide again. */
export class ConflictError extends Error {
	override readonly name = 'ConflictError';
}

/** Still conflicting after all attempts. */
export class RetriesExhaustedError extends Error {
	override readonly name = 'RetriesExhaustedError';
}

/** Something that is there and does not say what it must, so that nobody knows what it holds. */
export interface Unreadable {
	readonly name: string;
	/** What is wrong with it. */
	readonly problem: string;
	/** The addresses that it may hold: by its name, and by what it says of itself. */
	readonly cidrs: readonly PrefixKey[];
}

/** Nothing is decided on what can't be read, and nothing is written over it. */
export class UnreadableError extends Error {
	override readonly name = 'UnreadableError';
	readonly unreadable: Unreadable;

	constructor(unreadable: Unreadable, options?: ErrorOptions) {
		super(`${unreadable.name} can not be read: ${unreadable.problem}`, options);
		this.unreadable = unreadable;
	}
}

/** What is awaited, or `otherwise` where something that it needs can't be read. */
export async function whereReadable<R, O>(awaited: Promise<R>, otherwise: O): Promise<R | O> {
	try {
		return await awaited;
	} catch (error) {
		if (error instanceof UnreadableError) return otherwise;
		throw error;
	}
}

/** Everything of a kind, as of one moment. */
export interface Listing<T> {
	readonly items: readonly (Versioned<T> & { readonly name: string })[];
	readonly unreadable: readonly Unreadable[];
}

/** What of a listing could be read. */
export const valuesOf = <T>({ items }: Pick<Listing<T>, 'items'>): T[] => items.map(({ value }) => value);

/** Which addresses things may hold that can't be read. */
export const cidrsOf = (unreadable: readonly Unreadable[]): PrefixKey[] => unreadable.flatMap(({ cidrs }) => cidrs);

/** What can't be read, of whatever kind. */
export interface UnreadableResource {
	readonly kind: 'block' | 'claim' | 'handle' | 'pool' | 'reservation';
	readonly name: string;
	readonly problem: string;
}

/** One kind of thing, by name. Every write is conditional. Things marked as deleted are finished off and reported as absent. */
export interface Store<T> {
	/** May come from a cache that a watch keeps; `fresh` asks the server. `undefined`: there is none. @throws UnreadableError */
	read(name: string, fresh?: 'fresh'): Promise<Versioned<T> | undefined>;
	/** @throws ConflictError if it exists */
	create(name: string, value: T): Promise<Versioned<T>>;
	/** @throws ConflictError if it is not at this version any more */
	write(name: string, next: Versioned<T>): Promise<Versioned<T>>;
	/** Removes it as it was seen; absent is success. @throws ConflictError */
	remove(name: string, seen: Versioned<T>): Promise<void>;
	/** All of them, as of now: a large answer, for rare questions. */
	list(): Promise<Listing<T>>;
}

/** Everything an allocator needs from outside. */
export interface IpamStore {
	readonly blocks: Store<Block>;
	readonly affinities: Store<Affinity>;
	readonly handles: Store<Handle>;
	/** The claims of this node; may come from a cache. */
	affinitiesOf(node: string): Promise<readonly Affinity[]>;
	pools(): Promise<readonly Pool[]>;
	reservations(): Promise<readonly PrefixKey[]>;
	config(): Promise<IpamConfig>;
	nodeLabels(node: string): Promise<Readonly<Record<string, string>>>;
	namespaceLabels(namespace: string): Promise<Readonly<Record<string, string>>>;
	/** Why nothing may be written now (a migration holds the lock: `ClusterInformation.datastoreReady` is false; an unknown layout); `undefined`: go on. */
	readOnlyReason(): Promise<string | undefined>;
	/** What could not be read when it was last looked at. */
	unreadable(): readonly UnreadableResource[];
}

/** What to do with a value that was read; `undefined` for one that does not exist. */
export type Change<T, R> =
	| { readonly type: 'leave'; readonly result: R }
	| { readonly type: 'write'; readonly value: T; readonly result: R }
	| { readonly type: 'remove'; readonly result: R };

/** How often a conflict is answered by a fresh attempt, and how long between. */
export interface Retry {
	readonly attempts: number;
	pause(attempt: number): Promise<void>;
}

/** Calico's hundred attempts, with jitter between. */
export function conflictRetry(random: Random, backoff: Backoff = { firstMs: 2, mostMs: 250 }, attempts = 100): Retry {
	return { attempts, pause: (attempt) => sleep(backoffMs(backoff, attempt, random)) };
}

/**
 * Read, decide, write; on a conflict again with a fresh value. `decide` is pure. The first read comes from the cache where the
 * caller says so; a decision to leave things alone is then made again on a fresh value, since no conflict would tell.
 * @throws RetriesExhaustedError, UnreadableError
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

/** A block as it is written: its sequence number is one higher than when it was read. */
export const nextWrite = (block: Block): Block => ({ ...block, sequenceNumber: block.sequenceNumber + 1n });
