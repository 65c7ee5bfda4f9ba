import type { Random } from '../../core/index.ts';

/** RFC 4271 §10: timers are shortened by a random factor between 0.75 and 1. */
export function jittered(milliseconds: number, random: Random): number {
	return milliseconds * (0.75 + random() / 4);
}

/**
 * Milliseconds until attempt `attempt` (1, 2, ...) to connect: one second, doubling up to
 * ConnectRetryTime. A neighbour that starts at the same time is reached soon, an absent one is not
 * contacted often.
 */
export function connectRetryMs(attempt: number, connectRetrySeconds: number, random: Random): number {
	return jittered(doubling(attempt, connectRetrySeconds), random);
}

/**
 * Milliseconds in Idle after `failures` failed sessions in a row (RFC 4271 §8.1.1,
 * DampPeerOscillations): 250 after the first, doubling up to `idleHoldSeconds`.
 */
export function idleHoldMs(failures: number, idleHoldSeconds: number, random: Random): number {
	return failures === 0 ? 0 : jittered(doubling(failures, idleHoldSeconds, 250), random);
}

/** A session of this duration ends a series of failures. */
export function endsSeries(establishedMs: number, idleHoldSeconds: number): boolean {
	return establishedMs >= Math.max(10, idleHoldSeconds) * 1000;
}

function doubling(count: number, mostSeconds: number, firstMs = 1000): number {
	return Math.min(mostSeconds * 1000, firstMs * 2 ** Math.min(count - 1, 20));
}
