import type { Clock, Timer } from '../core/index.ts';

/**
 * Events come in bursts: one pass after the burst is sufficient, and passes take a tenth of the
 * time at most.
 */
const eventDelayMs = 100;
const eventDelayPasses = 10;

/**
 * Delay in milliseconds from the first event of a burst to its pass; `passMs`: the duration of the
 * last pass.
 */
export const afterEvents = (passMs: number): number => Math.max(eventDelayMs, eventDelayPasses * passMs);

/** Timers by name: setting one again replaces it. */
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

	/** Cancels all timers; no new one can be set. */
	stop(): void {
		this.#stopped = true;
		for (const timer of this.#armed.values()) timer.cancel();
		this.#armed.clear();
	}
}
