/** Runs at most so many tasks at a time; the others wait, in the order of their calls. */
export class ConcurrencyLimit {
	#free: number;
	readonly #waiting: (() => void)[] = [];

	constructor(most: number) {
		this.#free = most;
	}

	async run<R>(task: () => Promise<R>): Promise<R> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resume) => this.#waiting.push(resume));
		try {
			return await task();
		} finally {
			// The slot passes to the next task, or is free.
			const next = this.#waiting.shift();
			if (next === undefined) this.#free++;
			else next();
		}
	}
}
