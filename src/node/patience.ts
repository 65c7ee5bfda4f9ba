import type { Clock } from '../core/index.ts';

/**
 * Limits the wait for an answer: neighbours wait for a restarting node. With a last known state,
 * the start does not wait for a server without a response.
 */
export function within<T>(answer: Promise<T>, ms: number, clock: Clock): Promise<T> {
	const over = new Promise<never>((_resolve, reject) =>
		clock.after(ms, () => reject(new Error(`no answer within ${ms} ms`))),
	);
	return Promise.race([answer, over]);
}

/** Interval of the checks of `until`, in milliseconds. */
const lookMs = 20;

/** Checks until a condition holds; `false` after `ms` milliseconds. */
export async function until(holds: () => boolean, ms: number, clock: Clock): Promise<boolean> {
	const deadlineMs = clock.monotonicMs() + ms;
	while (!holds()) {
		if (clock.monotonicMs() >= deadlineMs) return false;
		await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
	}
	return true;
}
