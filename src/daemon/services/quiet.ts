import type { Clock, Timer } from '../../core/index.ts';

export interface QuietDependencies {
	/** The connections that other nodes have begun here, by any unique text. */
	readonly connections: () => ReadonlySet<string>;
	/** Without a new connection for this time, none is expected any more. */
	readonly quietMs: number;
	readonly clock: Clock;
	/** `connections` failed; it is called again. */
	readonly onError: (error: unknown) => void;
}

/**
 * Waits until other nodes begin no more connections here. A node that has not learned yet that it
 * must not is busy or cut off from the API: how long that takes is not known, but its packets are
 * seen.
 */
export class QuietWatch {
	readonly #dependencies: QuietDependencies;
	#timer: Timer | undefined;

	constructor(dependencies: QuietDependencies) {
		this.#dependencies = dependencies;
	}

	get isRunning(): boolean {
		return this.#timer !== undefined;
	}

	/** Calls `quiet` once; one that runs already ends without a call. */
	begin(quiet: () => void): void {
		this.cancel();
		this.#wait(this.#read(), quiet);
	}

	cancel(): void {
		this.#timer?.cancel();
		this.#timer = undefined;
	}

	#wait(before: ReadonlySet<string> | undefined, quiet: () => void): void {
		const { clock, quietMs } = this.#dependencies;
		this.#timer = clock.after(quietMs, () => {
			const now = this.#read();
			if (before === undefined || now === undefined || [...now].some((one) => !before.has(one))) this.#wait(now, quiet);
			else {
				this.#timer = undefined;
				quiet();
			}
		});
	}

	#read(): ReadonlySet<string> | undefined {
		try {
			return this.#dependencies.connections();
		} catch (error) {
			this.#dependencies.onError(error);
			return undefined;
		}
	}
}
