/** Runs tasks of one key one after another, tasks of different keys concurrently. */
export class KeyedLock {
	readonly #tails = new Map<string, Promise<unknown>>();

	async run<R>(key: string, task: () => Promise<R>): Promise<R> {
		const before = this.#tails.get(key) ?? Promise.resolve();
		const mine = before.then(task, task);
		const tail = mine.catch(() => undefined);
		this.#tails.set(key, tail);
		try {
			return await mine;
		} finally {
			if (this.#tails.get(key) === tail) this.#tails.delete(key);
		}
	}
}
