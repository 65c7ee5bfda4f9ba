import type { Clock } from '../../core/index.ts';

/** Neighbours wait for a node that restarts: with something to begin with, a server that does not even refuse is not waited for. */
export function within<T>(answer: Promise<T>, ms: number, clock: Clock): Promise<T> {
	const over = new Promise<never>((_resolve, reject) => clock.after(ms, () => reject(new Error(`no answer within ${ms} ms`))));
	return Promise.race([answer, over]);
}

/** How often `until` looks, in milliseconds. */
const lookMs = 20;

/** Looks until something holds; `false`: it does not after so long, in milliseconds. */
export async function until(holds: () => boolean, ms: number, clock: Clock): Promise<boolean> {
	const deadlineMs = clock.monotonicMs() + ms;
	while (!holds()) {
		if (clock.monotonicMs() >= deadlineMs) return false;
		await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
	}
	return true;
}
