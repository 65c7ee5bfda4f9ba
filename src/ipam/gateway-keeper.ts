import type { PrefixKey } from '../core/index.ts';
import { newHandle } from './handle.ts';
import { blockName, gatewayHandle, handleName } from './names.ts';
import {
	ConflictError,
	type IpamStore,
	RetriesExhaustedError,
	type Retry,
	type Store,
	type Versioned,
} from './store.ts';
import type { Handle } from './values.ts';

/** Writes the handle of a block's gateway before the gateway, once for all concurrent requests. */
export class GatewayKeeper {
	readonly #store: Store<Handle>;
	readonly #retry: Retry;
	readonly #pending = new Map<PrefixKey, { readonly written: Promise<void>; users: number }>();

	constructor(store: Store<Handle>, retry: Retry) {
		this.#store = store;
		this.#retry = retry;
	}

	/**
	 * Runs `use` after the handle is written. Concurrent callers share one handle: it is replaced
	 * only while no other write depends on it.
	 */
	async withHandle<R>(cidr: PrefixKey, use: () => Promise<R>): Promise<R> {
		const pending = this.#pending.get(cidr) ?? { written: this.#write(cidr), users: 0 };
		this.#pending.set(cidr, pending);
		pending.users++;
		try {
			await pending.written;
			return await use();
		} finally {
			if (--pending.users === 0) this.#pending.delete(cidr);
		}
	}

	/**
	 * An existing handle was left by a crash, or the writer that gave up the block is about to
	 * remove it. It is written again, so that a removal at the old version fails.
	 */
	async #write(cidr: PrefixKey): Promise<void> {
		const name = handleName(gatewayHandle(cidr));
		for (let attempt = 1; attempt <= this.#retry.attempts; attempt++) {
			try {
				await this.#store.create(name, newHandle(gatewayHandle(cidr), cidr, 1));
				return;
			} catch (error) {
				if (!(error instanceof ConflictError)) throw error;
			}
			const seen = await this.#store.read(name, 'fresh');
			if (seen !== undefined) await removeAsSeen(this.#store, name, seen);
			if (attempt > 1) await this.#retry.pause(attempt);
		}
		throw new RetriesExhaustedError(`${name}: still conflicting after ${this.#retry.attempts} attempts`);
	}
}

/** Removes the gateway handle of a removed block. If the block exists again, the handle is kept. */
export async function dropGatewayHandle(
	{ blocks, handles }: Pick<IpamStore, 'blocks' | 'handles'>,
	cidr: PrefixKey,
): Promise<void> {
	const name = handleName(gatewayHandle(cidr));
	// The handle is read first: a handle written later for a new block has another version.
	const seen = await handles.read(name, 'fresh');
	if (seen === undefined || (await blocks.read(blockName(cidr), 'fresh')) !== undefined) return;
	await removeAsSeen(handles, name, seen);
}

/** Removes a resource at the version that was read; `false`: it has changed and is kept. */
export async function removeAsSeen<T>(store: Store<T>, name: string, seen: Versioned<T>): Promise<boolean> {
	try {
		await store.remove(name, seen);
		return true;
	} catch (error) {
		if (!(error instanceof ConflictError)) throw error;
		return false;
	}
}
