import type { PrefixKey } from '../core/index.ts';
import { newHandle } from './handle.ts';
import { blockName, gatewayHandle, handleName } from './names.ts';
import { ConflictError, type IpamStore, RetriesExhaustedError, type Retry, type Store, type Versioned } from './store.ts';
import type { Handle } from './values.ts';

/** Writes the handle of a block's gateway before the gateway itself, once for all requests that come together. */
export class GatewayKeeper {
	readonly #store: Store<Handle>;
	readonly #retry: Retry;
	readonly #pending = new Map<PrefixKey, { readonly written: Promise<void>; users: number }>();

	constructor(store: Store<Handle>, retry: Retry) {
		this.#store = store;
		this.#retry = retry;
	}

	/** Runs `use` when the handle stands. While anybody is at it, those who come share the handle: it is replaced only where nobody's write depends on it. */
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
	 * One that exists was left by a crash, or is about to be removed by whoever gave the block up: it is made anew, so that a
	 * removal of what they saw fails.
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

/** The handle of the gateway of a block that is gone. Should the block be there again, the handle is its own. */
export async function dropGatewayHandle({ blocks, handles }: Pick<IpamStore, 'blocks' | 'handles'>, cidr: PrefixKey): Promise<void> {
	const name = handleName(gatewayHandle(cidr));
	// In this order: a handle that was written for the block's next life is another than the one seen here.
	const seen = await handles.read(name, 'fresh');
	if (seen === undefined || (await blocks.read(blockName(cidr), 'fresh')) !== undefined) return;
	await removeAsSeen(handles, name, seen);
}

/** Removes what was seen; `false`: it is another by now, and stays. */
export async function removeAsSeen<T>(store: Store<T>, name: string, seen: Versioned<T>): Promise<boolean> {
	try {
		await store.remove(name, seen);
		return true;
	} catch (error) {
		if (!(error instanceof ConflictError)) throw error;
		return false;
	}
}
