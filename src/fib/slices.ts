export { setImmediate as othersFirst } from 'node:timers/promises';

/** Items worked on at a time: some milliseconds. */
const sliceLength = 5000;

/** A long list in parts; between them others get their turn (`await othersFirst()`). */
export function* slices<T>(items: Iterable<T>): Generator<T[]> {
	let slice: T[] = [];
	for (const item of items) {
		slice.push(item);
		if (slice.length < sliceLength) continue;
		yield slice;
		slice = [];
	}
	if (slice.length > 0) yield slice;
}
