/** A pending call; `cancel` is idempotent. */
export interface Timer {
	cancel(): void;
}

/** Time as a dependency, so that tests control it. */
export interface Clock {
	/** Monotonic milliseconds with an arbitrary origin: for durations and deadlines. */
	monotonicMs(): number;
	/** Milliseconds since 1970: for display. */
	wallMs(): number;
	/** Calls back once after `delayMs`. A pending timer does not keep the process alive. */
	after(delayMs: number, callback: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
	monotonicMs: () => performance.now(),
	wallMs: () => Date.now(),
	after(delayMs, callback) {
		let handle: NodeJS.Timeout | undefined;
		const wait = (leftMs: number): void => {
			const now = Math.min(leftMs, longestTimeoutMs);
			handle = setTimeout(() => (leftMs > now ? wait(leftMs - now) : callback()), now);
			handle.unref();
		};
		wait(delayMs);
		return { cancel: () => clearTimeout(handle) };
	},
};

/**
 * The same clock with a boundary around each callback: an exception is passed to `onFault` and
 * affects no other timer.
 */
export const guardedClock = (clock: Clock, onFault: (error: unknown) => void): Clock => ({
	monotonicMs: () => clock.monotonicMs(),
	wallMs: () => clock.wallMs(),
	after: (delayMs, callback) =>
		clock.after(delayMs, () => {
			try {
				callback();
			} catch (error) {
				onFault(error);
			}
		}),
});

/** `setTimeout` accepts 31 bits of milliseconds, not quite 25 days, and fires at once for more. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Randomness as a dependency: a number in [0, 1). */
export type Random = () => number;
