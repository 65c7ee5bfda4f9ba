import type { Clock } from '../../core/index.ts';

/** How long work may go on before the event loop gets its turn. */
const sliceMs = 3;

/** Long work in short steps, in turns of the event loop of its own, so that nothing else is ever late. */
export class Jobs {
	readonly #clock: Clock;
	readonly #defer: (callback: () => void) => void;
	#queue: (() => boolean)[] = [];
	#scheduled = false;
	/** The longest slice so far, in milliseconds. */
	longestMs = 0;

	constructor(clock: Clock, defer: (callback: () => void) => void) {
		this.#clock = clock;
		this.#defer = defer;
	}

	/** Calls `step` in a later turn, again as long as it returns `true`. A step takes a millisecond or two. */
	add(step: () => boolean): void {
		this.#queue.push(step);
		this.#schedule();
	}

	#schedule(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		this.#defer(() => this.#slice());
	}

	#slice(): void {
		this.#scheduled = false;
		const start = this.#clock.monotonicMs();
		let elapsed = 0;
		while (this.#queue.length > 0 && elapsed < sliceMs) {
			// Every job once, then the clock: what a step adds waits for the next round.
			const round = this.#queue;
			this.#queue = [];
			for (const [index, step] of round.entries()) {
				if (step()) this.#queue.push(step);
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
