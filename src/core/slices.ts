/** Time that one piece of work runs before timers and I/O run, in milliseconds. */
const sliceMs = 4;

const waiting: (() => void)[] = [];
let scheduled = false;

/**
 * One waiter per turn: callbacks of `setImmediate` run back to back, and together would block for
 * the sum of their slices.
 */
function runNext(): void {
	scheduled = false;
	waiting.shift()?.();
	if (waiting.length > 0) schedule();
}

function schedule(): void {
	if (scheduled) return;
	scheduled = true;
	setImmediate(runNext);
}

/**
 * Resolves in a later turn of the event loop, after timers and I/O. All long work of the process
 * shares these turns: each turn goes to one waiter, in the order of the calls.
 */
export function nextTurn(): Promise<void> {
	return new Promise((resolve) => {
		waiting.push(resolve);
		schedule();
	});
}

/**
 * The time that one piece of long work may use in a turn: `if (slice.isOver) await slice.next()`.
 */
export class Slice {
	#endsAtMs = performance.now() + sliceMs;

	get isOver(): boolean {
		return performance.now() >= this.#endsAtMs;
	}

	/** Lets timers and I/O run, then begins the next slice. */
	async next(): Promise<void> {
		await nextTurn();
		this.#endsAtMs = performance.now() + sliceMs;
	}
}

/**
 * Long work as a generator: each `yield` is a pause point; a step takes less than a millisecond.
 */
export type Steps<R> = Generator<unknown, R, void>;

/**
 * Runs long work to its end in slices. `signal` aborts it. @throws the error of the work, and the
 * signal's reason
 */
export async function inSlices<R>(steps: Steps<R>, signal?: AbortSignal): Promise<R> {
	const slice = new Slice();
	for (;;) {
		const { done, value } = steps.next();
		if (done === true) return value;
		if (!slice.isOver) continue;
		await slice.next();
		signal?.throwIfAborted();
	}
}

/** Runs the same work at once, for callers that can't wait. */
export function atOnce<R>(steps: Steps<R>): R {
	for (;;) {
		const { done, value } = steps.next();
		if (done === true) return value;
	}
}
