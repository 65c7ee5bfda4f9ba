import type { PrefixKey } from '../core/index.ts';
import { blocksOf, decrement, increment, isSpent, newHandle } from './handle.ts';
import { handleName } from './names.ts';
import { ConflictError, compareAndSwap, type Retry, type Store } from './store.ts';
import type { Handle } from './values.ts';

/** `existed`: the handle existed with these blocks; nothing was written. */
export type Incremented =
	| { readonly type: 'created' }
	| { readonly type: 'existed'; readonly blocks: readonly PrefixKey[] };

/** Keeps the counts of the handles in step with the blocks. */
export class HandleKeeper {
	readonly #store: Store<Handle>;
	readonly #retry: Retry;

	constructor(store: Store<Handle>, retry: Retry) {
		this.#store = store;
		this.#retry = retry;
	}

	/**
	 * Counts one address of a block for a handle. Tries to create the handle without a read,
	 * because most handles are new.
	 */
	async increment(handleId: string, cidr: PrefixKey): Promise<Incremented> {
		try {
			await this.#store.create(handleName(handleId), newHandle(handleId, cidr, 1));
			return { type: 'created' };
		} catch (error) {
			if (!(error instanceof ConflictError)) throw error;
		}
		return { type: 'existed', blocks: await this.blocksOf(handleId) };
	}

	/** The blocks in which a handle counts addresses; empty if it does not exist. */
	async blocksOf(handleId: string): Promise<readonly PrefixKey[]> {
		return blocksOf((await this.#store.read(handleName(handleId), 'fresh'))?.value);
	}

	/** Counts one more address for an existing handle. */
	async incrementExisting(handleId: string, cidr: PrefixKey): Promise<void> {
		await compareAndSwap(
			this.#store,
			handleName(handleId),
			(handle) => ({
				type: 'write',
				value: handle === undefined ? newHandle(handleId, cidr, 1) : increment(handle, cidr, 1),
				result: undefined,
			}),
			this.#retry,
		);
	}

	/** Counts `count` addresses less; removes a handle without addresses. */
	async decrement(handleId: string, cidr: PrefixKey, count: number): Promise<void> {
		await compareAndSwap(
			this.#store,
			handleName(handleId),
			(handle) => {
				if (handle === undefined) return { type: 'leave', result: undefined };
				const left = decrement(handle, cidr, count);
				return isSpent(left)
					? { type: 'remove', result: undefined }
					: { type: 'write', value: left, result: undefined };
			},
			this.#retry,
		);
	}
}
