import type { Clock, Timer } from './clock.ts';
import type { LogFields } from './log.ts';

/** Lines of one kind that are written in a window; the others are counted. */
const mostPerWindow = 5;
const windowMs = 10_000;
/** Kinds that are counted separately; more share one. */
const mostKinds = 1000;

interface Window {
	written: number;
	suppressed: number;
	readonly timer: Timer;
}

/**
 * Limits repeated log lines: the first five of a kind in ten seconds are written, the rest are
 * counted, and one line at the end of the window reports the count (`suppressed`).
 */
export class Repeats {
	readonly #clock: Pick<Clock, 'after'>;
	readonly #windows = new Map<string, Window>();

	constructor(clock: Pick<Clock, 'after'>) {
		this.#clock = clock;
	}

	/** Writes one line of `kind` through `write`, unless the limit is exceeded. */
	write(kind: string, write: (fields: LogFields) => void): void {
		const key = this.#windows.has(kind) || this.#windows.size < mostKinds ? kind : '';
		const window = this.#windows.get(key) ?? this.#begin(key, write);
		if (window.written < mostPerWindow) {
			window.written++;
			write({});
		} else window.suppressed++;
	}

	#begin(key: string, write: (fields: LogFields) => void): Window {
		const timer = this.#clock.after(windowMs, () => {
			this.#windows.delete(key);
			if (window.suppressed > 0) write({ suppressed: window.suppressed, windowSeconds: windowMs / 1000 });
		});
		const window: Window = { written: 0, suppressed: 0, timer };
		this.#windows.set(key, window);
		return window;
	}
}
