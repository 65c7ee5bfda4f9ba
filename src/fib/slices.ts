import type { Steps } from '../core/index.ts';

export { nextTurn as othersFirst } from '../core/index.ts';

/**
 * Items per slice: a few milliseconds. The kernel is not faster with larger batches than a thousand
 * routes.
 */
const sliceLength = 1000;

/**
 * Splits a long list into parts of `length`; the caller yields between them (`await
 * othersFirst()`).
 */
export function* slices<T>(items: Iterable<T>, length = sliceLength): Generator<T[]> {
	let slice: T[] = [];
	for (const item of items) {
		slice.push(item);
		if (slice.length < length) continue;
		yield slice;
		slice = [];
	}
	if (slice.length > 0) yield slice;
}

/** Adds every item to a set, as long work with pauses. */
export function* addAll<T>(set: Set<T>, items: Iterable<T>): Steps<void> {
	let seen = 0;
	for (const item of items) {
		set.add(item);
		if (++seen % 256 === 0) yield;
	}
}
