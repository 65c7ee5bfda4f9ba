/** Somebody with received bytes to work through. */
export interface Reader {
	/** Works until nothing is left or `performance.now()` passes `untilMs`; at least one message. `true`: more is left. */
	work(untilMs: number): boolean;
}

/**
 * Shares the time for received messages among all sessions: one turn of the event loop spends at most `budgetMs` on them, the rest waits for
 * the next turn, in the order it came. So timers, keepalives, and the RIB's own slices get their turn however much arrives.
 */
export class ReadTurns {
	readonly #budgetMs: number;
	readonly #waiting = new Set<Reader>();
	#untilMs = 0;
	#scheduled = false;

	constructor(budgetMs = 3) {
		this.#budgetMs = budgetMs;
	}

	/** Works for `reader` at once while this turn has time left and nobody waits before it, otherwise later. */
	ready(reader: Reader): void {
		if (this.#waiting.has(reader)) return;
		if (!this.#scheduled) {
			this.#untilMs = performance.now() + this.#budgetMs;
			this.#schedule();
		}
		if (this.#waiting.size > 0 || performance.now() >= this.#untilMs || reader.work(this.#untilMs)) this.#waiting.add(reader);
	}

	/** Forgets a reader that ended. */
	gone(reader: Reader): void {
		this.#waiting.delete(reader);
	}

	#schedule(): void {
		this.#scheduled = true;
		setImmediate(() => this.#turn());
	}

	/** After the poll phase: what waited gets this turn's time. */
	#turn(): void {
		this.#scheduled = false;
		if (this.#waiting.size === 0) return;
		this.#untilMs = performance.now() + this.#budgetMs;
		this.#schedule();
		for (const reader of this.#waiting) {
			this.#waiting.delete(reader);
			// Set order is arrival order: who is not done goes to the end.
			if (reader.work(this.#untilMs)) this.#waiting.add(reader);
			if (performance.now() >= this.#untilMs) return;
		}
	}
}
