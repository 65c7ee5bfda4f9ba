import { isEmpty } from './block.ts';
import { compareAndSwap, nextWrite, type Retry, type Store } from './store.ts';
import type { Block } from './values.ts';

/** One decision on a block that waits to be written with others; pure, since a conflict runs it again. The same block back: nothing to write. */
export type BlockStep<R> = (block: Block | undefined) => { readonly block: Block | undefined; readonly result: R };

/** Nobody waits longer than this for company, in milliseconds. */
const mostGatherMs = 20;

interface Pending {
	readonly step: BlockStep<unknown>;
	resolve(result: unknown): void;
	reject(error: unknown): void;
}

/**
 * Group commit: while one write of a block is on its way, whatever else is wanted of that block gathers, and is written by
 * the next. So a hundred requests that arrive together cost a few writes, and no block is ever contended by its own node.
 */
export class BlockCommitter {
	readonly #store: Store<Block>;
	readonly #retry: Retry;
	readonly #afterRemoval: (block: Block) => Promise<void>;
	readonly #waiting = new Map<string, Pending[]>();

	/** `afterRemoval` hears of each block that went, as it was last. */
	constructor(store: Store<Block>, retry: Retry, afterRemoval: (block: Block) => Promise<void>) {
		this.#store = store;
		this.#retry = retry;
		this.#afterRemoval = afterRemoval;
	}

	/** Applies `step` to the block `name` (a resource name) in the next write. */
	commit<R>(name: string, step: BlockStep<R>): Promise<R> {
		return new Promise<R>((resolve, reject) => {
			// The result has the step's own type; the queue holds steps of many.
			const pending: Pending = { step, resolve: resolve as (result: unknown) => void, reject };
			const queue = this.#waiting.get(name);
			if (queue !== undefined) queue.push(pending);
			else {
				this.#waiting.set(name, [pending]);
				void this.#drain(name);
			}
		});
	}

	/** Writes until nothing waits for this block. Never rejects: errors go to those who waited. */
	async #drain(name: string): Promise<void> {
		let gatherMs = 0;
		for (;;) {
			// Requests of the same turn join the first write. Under load the next write waits about as long as the last one took,
			// so that most of those whose handles are being written meanwhile join it: half the block writes, the same latency.
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
				const { outcomes, removed } = await compareAndSwap(this.#store, name, (block) => applyAll(block, batch), this.#retry, 'cached');
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

/** Runs the steps one after another; one that throws changes nothing and fails alone. */
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
	// Nobody's block without addresses has no reason to stay (Calico ReleaseIPs).
	if (block === undefined || (block.affinity === undefined && isEmpty(block))) return { type: 'remove', result: { outcomes, removed: original } } as const;
	return { type: 'write', value: nextWrite(block), result: { outcomes, removed: undefined } } as const;
}
