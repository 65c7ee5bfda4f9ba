import type { Clock, Timer } from '../core/index.ts';

/** Timers by name: to set one again replaces it. */
export class Timers<Name extends string> {
	readonly #clock: Clock;
	#stopped = false;
	readonly #armed = new Map<Name, Timer>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	isArmed(name: Name): boolean {
		return this.#armed.has(name);
	}

	arm(name: Name, delayMs: number, callback: () => void): void {
		if (this.#stopped) return;
		this.#armed.get(name)?.cancel();
		const timer = this.#clock.after(delayMs, () => {
			this.#armed.delete(name);
			callback();
		});
		this.#armed.set(name, timer);
	}

	/** None fires any more, and none can be set. */
	stop(): void {
		this.#stopped = true;
		for (const timer of this.#armed.values()) timer.cancel();
		this.#armed.clear();
	}
}
