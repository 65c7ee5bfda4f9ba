import type { Clock, Timer } from '../core/index.ts';

/** Events come in bursts: one look after the burst is enough; and however large the tables, looking takes a tenth of the time at most. */
const eventDelayMs = 100;
const eventDelayPasses = 10;

/** Milliseconds from the first event of a burst until all of them are looked at, where the last look took `passMs`. */
export const afterEvents = (passMs: number): number => Math.max(eventDelayMs, eventDelayPasses * passMs);

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
