/** A source of received bytes. */
export interface Reader {
	/**
	 * Processes bytes until none are left or `performance.now()` passes `untilMs`; at least one
	 * message. `true`: more is left.
	 */
	work(untilMs: number): boolean;
}

/**
 * Shares the processing time for received messages among all sessions: at most `budgetMs` per turn
 * of the event loop; the rest waits for the next turn, in order of arrival. Hence timers,
 * keepalives, and the RIB's slices run on time under any load.
 */
export class ReadTurns {
	readonly #budgetMs: number;
	readonly #waiting = new Set<Reader>();
	#untilMs = 0;
	#scheduled = false;

	constructor(budgetMs = 3) {
		this.#budgetMs = budgetMs;
	}

	/**
	 * Runs `reader` at once if this turn has time left and no other reader waits, otherwise later.
	 */
	ready(reader: Reader): void {
		if (this.#waiting.has(reader)) return;
		if (!this.#scheduled) {
			this.#untilMs = performance.now() + this.#budgetMs;
			this.#schedule();
		}
		if (this.#waiting.size > 0 || performance.now() >= this.#untilMs || reader.work(this.#untilMs))
			this.#waiting.add(reader);
	}

	/** Removes a reader that has ended. */
	gone(reader: Reader): void {
		this.#waiting.delete(reader);
	}

	#schedule(): void {
		this.#scheduled = true;
		setImmediate(() => this.#turn());
	}

	/** After the poll phase: gives this turn's time to waiting readers. */
	#turn(): void {
		this.#scheduled = false;
		if (this.#waiting.size === 0) return;
		this.#untilMs = performance.now() + this.#budgetMs;
		this.#schedule();
		for (const reader of this.#waiting) {
			this.#waiting.delete(reader);
			// Set order is arrival order: an unfinished reader moves to the end.
			if (reader.work(this.#untilMs)) this.#waiting.add(reader);
			if (performance.now() >= this.#untilMs) return;
		}
	}
}
