import type { Clock } from '../../core/index.ts';

/** Maximum duration of work before the event loop gets its turn. */
const sliceMs = 3;

/**
 * Runs long work in short steps, in separate turns of the event loop, so that other events are not
 * delayed.
 */
export class Jobs {
	readonly #clock: Clock;
	readonly #defer: (callback: () => void) => void;
	readonly #onFault: ((error: unknown) => void) | undefined;
	#queue: (() => boolean)[] = [];
	#scheduled = false;
	/** The longest slice so far, in milliseconds. */
	longestMs = 0;

	/**
	 * `onFault` receives the exception of a step; its job ends, and the others continue. Without it
	 * the exception propagates.
	 */
	constructor(clock: Clock, defer: (callback: () => void) => void, onFault?: (error: unknown) => void) {
		this.#clock = clock;
		this.#defer = defer;
		this.#onFault = onFault;
	}

	/**
	 * Calls `step` in a later turn, again as long as it returns `true`. A step takes a millisecond
	 * or two.
	 */
	add(step: () => boolean): void {
		this.#queue.push(step);
		this.#schedule();
	}

	#schedule(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		this.#defer(() => this.#slice());
	}

	#run(step: () => boolean): boolean {
		try {
			return step();
		} catch (error) {
			if (this.#onFault === undefined) throw error;
			this.#onFault(error);
			return false;
		}
	}

	#slice(): void {
		this.#scheduled = false;
		const start = this.#clock.monotonicMs();
		let elapsed = 0;
		while (this.#queue.length > 0 && elapsed < sliceMs) {
			// Each job once, then a look at the clock: a job added by a step waits for the next
			// round.
			const round = this.#queue;
			this.#queue = [];
			for (const [index, step] of round.entries()) {
				if (this.#run(step)) this.#queue.push(step);
				elapsed = this.#clock.monotonicMs() - start;
				if (elapsed < sliceMs) continue;
				this.#queue.unshift(...round.slice(index + 1));
				break;
			}
		}
		this.longestMs = Math.max(this.longestMs, elapsed);
		if (this.#queue.length > 0) this.#schedule();
	}
}
