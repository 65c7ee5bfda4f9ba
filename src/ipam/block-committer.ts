import { isEmpty } from './block.ts';
import { compareAndSwap, nextWrite, type Retry, type Store } from './store.ts';
import type { Block } from './values.ts';

/**
 * One pending decision on a block. Pure, because a conflict runs it again. If it returns the same
 * block, nothing is written.
 */
export type BlockStep<R> = (block: Block | undefined) => { readonly block: Block | undefined; readonly result: R };

/** Longest time to collect steps for one write, in milliseconds. */
const mostGatherMs = 20;

interface Pending {
	readonly step: BlockStep<unknown>;
	resolve(result: unknown): void;
	reject(error: unknown): void;
}

/**
 * Group commit. While one write of a block is in progress, further steps for that block are
 * collected for the next write. A hundred concurrent requests cost a few writes, and a node never
 * conflicts with itself on a block.
 */
export class BlockCommitter {
	readonly #store: Store<Block>;
	readonly #retry: Retry;
	readonly #afterRemoval: (block: Block) => Promise<void>;
	readonly #waiting = new Map<string, Pending[]>();

	/** `afterRemoval` is called with the last state of each removed block. */
	constructor(store: Store<Block>, retry: Retry, afterRemoval: (block: Block) => Promise<void>) {
		this.#store = store;
		this.#retry = retry;
		this.#afterRemoval = afterRemoval;
	}

	/** Applies `step` to the block `name` (a resource name) in the next write. */
	commit<R>(name: string, step: BlockStep<R>): Promise<R> {
		return new Promise<R>((resolve, reject) => {
			// The result has the step's own type; the queue holds steps of different types.
			const pending: Pending = { step, resolve: resolve as (result: unknown) => void, reject };
			const queue = this.#waiting.get(name);
			if (queue !== undefined) queue.push(pending);
			else {
				this.#waiting.set(name, [pending]);
				void this.#drain(name);
			}
		});
	}

	/** Writes until the queue of this block is empty. Never rejects: errors go to the callers. */
	async #drain(name: string): Promise<void> {
		let gatherMs = 0;
		for (;;) {
			// Requests of the same turn join the first write. Under load the next write waits about
			// as long as the last one took. Most requests whose handles are written meanwhile then
			// join it: half the block writes at the same latency.
			if (gatherMs > 1) await new Promise((resolve) => setTimeout(resolve, gatherMs));
			else await new Promise((resolve) => setImmediate(resolve));
			const batch = this.#waiting.get(name) ?? [];
			if (batch.length === 0) {
				this.#waiting.delete(name);
				return;
			}
			this.#waiting.set(name, []);
			const startMs = performance.now();
			try {
				const { outcomes, removed } = await compareAndSwap(
					this.#store,
					name,
					(block) => applyAll(block, batch),
					this.#retry,
					'cached',
				);
				if (removed !== undefined) await this.#afterRemoval(removed);
				for (const [index, outcome] of outcomes.entries()) {
					if ('error' in outcome) batch[index]?.reject(outcome.error);
					else batch[index]?.resolve(outcome.result);
				}
			} catch (error) {
				for (const { reject } of batch) reject(error);
			}
			gatherMs = batch.length > 1 ? Math.min(mostGatherMs, performance.now() - startMs) : 0;
		}
	}
}

type Outcome = { readonly result: unknown } | { readonly error: unknown };

/** Runs the steps in order; a step that throws changes nothing and fails alone. */
function applyAll(original: Block | undefined, batch: readonly Pending[]) {
	let block = original;
	const outcomes = batch.map(({ step }): Outcome => {
		try {
			const applied = step(block);
			block = applied.block;
			return { result: applied.result };
		} catch (error) {
			return { error };
		}
	});
	if (block === original) return { type: 'leave', result: { outcomes, removed: undefined } } as const;
	// Removes a block without affinity and addresses (Calico ReleaseIPs).
	if (block === undefined || (block.affinity === undefined && isEmpty(block)))
		return { type: 'remove', result: { outcomes, removed: original } } as const;
	return { type: 'write', value: nextWrite(block), result: { outcomes, removed: undefined } } as const;
}
