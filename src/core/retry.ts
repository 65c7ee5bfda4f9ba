import type { Random } from './clock.ts';

/** Number and delays of retries. */
export interface Backoff {
	readonly firstMs: number;
	readonly mostMs: number;
}

/**
 * Full-jitter exponential delay before attempt `attempt` (1, 2, ...): uniform between half of the
 * step and the step.
 */
export function backoffMs({ firstMs, mostMs }: Backoff, attempt: number, random: Random): number {
	const step = Math.min(mostMs, firstMs * 2 ** Math.min(attempt - 1, 30));
	return step * (0.5 + random() / 2);
}
