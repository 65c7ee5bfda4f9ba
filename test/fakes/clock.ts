import type { Clock, Timer } from '../../src/core/index.ts';

interface Pending {
	readonly atMs: number;
	readonly order: number;
	readonly callback: () => void;
}

/** A clock that only moves by `advance`; timers fire in the order of their times. */
export class FakeClock implements Clock {
	#nowMs = 0;
	#order = 0;
	readonly #pending = new Set<Pending>();

	monotonicMs(): number {
		return this.#nowMs;
	}

	/** 2026-01-01T00:00:00Z when the clock is new. */
	wallMs(): number {
		return Date.UTC(2026, 0, 1) + this.#nowMs;
	}

	after(delayMs: number, callback: () => void): Timer {
		const pending: Pending = { atMs: this.#nowMs + delayMs, order: this.#order++, callback };
		this.#pending.add(pending);
		return { cancel: () => void this.#pending.delete(pending) };
	}

	/** Timers that are pending and not cancelled. */
	get pendingCount(): number {
		return this.#pending.size;
	}

	/** Advances the time; timers that are set meanwhile fire too when they are due. */
	advance(byMs: number): void {
		const endMs = this.#nowMs + byMs;
		for (;;) {
			const [next] = [...this.#pending]
				.filter(({ atMs }) => atMs <= endMs)
				.sort((left, right) => left.atMs - right.atMs || left.order - right.order);
			if (next === undefined) break;
			this.#pending.delete(next);
			this.#nowMs = next.atMs;
			next.callback();
		}
		this.#nowMs = endMs;
	}
}
