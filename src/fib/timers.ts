import type { Clock, Timer } from '../core/index.ts';

/** The kernel reports one change, such as a link that comes up, by several events. */
const eventDelayMs = 5;
/** Events come in bursts: passes that they start take a tenth of the time at most. */
const eventIntervalMs = 100;
const eventIntervalPasses = 10;

/**
 * Delay in milliseconds from an event to its pass. The first event after a quiet time is followed
 * by a pass at once, since routes that went with a link are missing until then. `passMs`: the
 * duration of the last pass; `sinceMs`: the time since events started the last one.
 */
export const afterEvents = (passMs: number, sinceMs: number): number =>
	Math.max(eventDelayMs, Math.max(eventIntervalMs, eventIntervalPasses * passMs) - sinceMs);

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
