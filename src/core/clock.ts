/** A pending call; `cancel` is idempotent. */
export interface Timer {
	cancel(): void;
}

/** Time as a dependency, so that tests decide when it passes. */
export interface Clock {
	/** Monotonic milliseconds with an arbitrary origin: for durations and deadlines. */
	monotonicMs(): number;
	/** Milliseconds since 1970: for what people read. */
	wallMs(): number;
	/** Calls back once after `delayMs`. A pending timer does not keep the process alive. */
	after(delayMs: number, callback: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
	monotonicMs: () => performance.now(),
	wallMs: () => Date.now(),
	after(delayMs, callback) {
		const handle = setTimeout(callback, delayMs);
		handle.unref();
		return { cancel: () => clearTimeout(handle) };
	},
};

/** Randomness as a dependency: a number in [0, 1). */
export type Random = () => number;
