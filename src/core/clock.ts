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

/** `setTimeout` takes 31 bits of milliseconds, not quite 25 days, and fires at once for more. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Randomness as a dependency: a number in [0, 1). */
export type Random = () => number;
