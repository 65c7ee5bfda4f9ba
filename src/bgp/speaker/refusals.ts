import type { Clock, Logger } from '../../core/index.ts';
import type { RefusalReason } from '../model/speaker-api.ts';

/** At most one log entry per reason in this time. */
const pauseMs = 60_000;

const texts: Readonly<Record<RefusalReason, string>> = {
	'not-configured': 'connection refused: no peer and no range has its address',
	'range-full': 'connection refused: the range of neighbors is full',
	'held-down': 'connection refused: earlier sessions of this neighbor of a range failed',
};

/**
 * Connections without a matching peer: counted, and logged with the number of suppressed entries.
 */
export class Refusals {
	readonly #clock: Clock;
	readonly #log: Logger;
	readonly #counts: Record<RefusalReason, number> = { 'not-configured': 0, 'range-full': 0, 'held-down': 0 };
	/** By reason: time of the last log entry, and the count at that time. */
	readonly #logged = new Map<RefusalReason, { readonly atMs: number; readonly count: number }>();

	constructor(clock: Clock, log: Logger) {
		this.#clock = clock;
		this.#log = log;
	}

	get counts(): Readonly<Record<RefusalReason, number>> {
		return { ...this.#counts };
	}

	add(reason: RefusalReason, address: string, range: string | undefined): void {
		const count = ++this.#counts[reason];
		const now = this.#clock.monotonicMs();
		const last = this.#logged.get(reason);
		if (last !== undefined && now - last.atMs < pauseMs) return;
		this.#logged.set(reason, { atMs: now, count });
		this.#log.warn(texts[reason], {
			address,
			...(range === undefined ? {} : { range }),
			count,
			suppressed: count - 1 - (last?.count ?? 0),
		});
	}
}
