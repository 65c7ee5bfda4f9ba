import type { Clock } from './clock.ts';
import type { LogFields, Logger } from './log.ts';
import { Repeats } from './repeats.ts';

/**
 * The entries through which input reaches the daemon; labels of the metric
 * `bgpmesh_caught_exceptions_total`.
 */
const entries = ['bgp', 'cluster', 'cni', 'config', 'control', 'kernel', 'metrics', 'promise', 'rib', 'timer'] as const;
export type Entry = (typeof entries)[number];

/** Runs each step although an earlier one failed; `onFault` receives the exceptions. */
export function tryEach(steps: readonly (() => void)[], onFault: (error: unknown) => void): void {
	for (const step of steps) {
		try {
			step();
		} catch (error) {
			onFault(error);
		}
	}
}

/**
 * The last exception handler of every entry: an unexpected exception ends here as a log line and a
 * count. It ends one request, connection or event, never the process.
 */
export class Boundary {
	readonly #log: Logger;
	readonly #repeats: Repeats;
	readonly #caught = new Map<Entry, number>(entries.map((entry) => [entry, 0]));

	constructor({ log, clock }: { readonly log: Logger; readonly clock: Pick<Clock, 'after'> }) {
		this.#log = log;
		this.#repeats = new Repeats(clock);
	}

	/** Exceptions caught so far, by entry. */
	get caught(): ReadonlyMap<Entry, number> {
		return this.#caught;
	}

	/** Counts an exception and logs it with its stack; repeated ones are counted in one line. */
	report(entry: Entry, error: unknown, fields: LogFields = {}): void {
		this.#caught.set(entry, (this.#caught.get(entry) ?? 0) + 1);
		const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
		this.#repeats.write(`${entry} ${text}`, (repeated) =>
			this.#log.error('unexpected error', { entry, ...fields, error: text, ...repeated }),
		);
	}

	/** The callback with its exceptions caught here, including those of its promise. */
	guard<A extends readonly unknown[]>(entry: Entry, callback: (...values: A) => unknown): (...values: A) => void {
		return (...values) => {
			try {
				const result = callback(...values);
				if (result instanceof Promise) result.catch((error: unknown) => this.report(entry, error));
			} catch (error) {
				this.report(entry, error);
			}
		};
	}
}
