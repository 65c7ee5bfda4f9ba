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
