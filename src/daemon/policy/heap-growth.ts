import { setFlagsFromString } from 'node:v8';

/**
 * While large lists are read, the heap grows by this much between two full collections, percent of
 * what is in use.
 */
const percentDuringLists = 20;
/** An API server that is away must not make collections more frequent for longer. */
const longestMs = 300_000;

/**
 * V8 lets the heap grow to several times of what is in use while much is allocated. The lists of a
 * large cluster are hundreds of megabytes that are reduced at once to a tenth: without a bound the
 * process stays that large. Call the result when the lists are read.
 */
export function boundHeapGrowth(): () => void {
	const set = (percent: number): void => setFlagsFromString(`--heap-growing-percent=${percent}`);
	// 0: V8 decides.
	const timer = setTimeout(() => set(0), longestMs).unref();
	set(percentDuringLists);
	return () => {
		clearTimeout(timer);
		set(0);
	};
}
