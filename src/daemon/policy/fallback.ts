import type { Clock, Timer } from '../../core/index.ts';

/** Why eBPF, which was asked for, is not in use. */
export interface DataplaneProblem {
	/**
	 * `unavailable`: not possible on this node; `does-not-fit`: not possible with the policy as it
	 * is.
	 */
	readonly type: 'unavailable' | 'does-not-fit';
	readonly reason: string;
}

/** The sentence for people. */
export const problemText = ({ type, reason }: DataplaneProblem): string =>
	`${type === 'unavailable' ? 'not possible on this node' : 'the policy does not fit'}: ${reason}`;

/** Time between two tries, doubled with each, and the least time after a change of the policy. */
const retryMs = { first: 30_000, most: 600_000, afterChange: 5_000 } as const;

/**
 * eBPF was tried and given up; when it is tried again. A try compiles and loads programs of all
 * pods, so that changes in quick succession do not start one each.
 */
export class Fallback {
	readonly #clock: Clock;
	/** Asks for the next `sync`. */
	readonly #retry: () => void;
	#problem: DataplaneProblem | undefined;
	#tries = 0;
	#triedAtMs = 0;
	#dueAtMs = 0;
	#timer: Timer | undefined;

	constructor(clock: Clock, retry: () => void) {
		this.#clock = clock;
		this.#retry = retry;
	}

	get problem(): DataplaneProblem | undefined {
		return this.#problem;
	}

	/** Nothing was given up, or the time for the next try has come. */
	get isDue(): boolean {
		return this.#problem === undefined || this.#clock.monotonicMs() >= this.#dueAtMs;
	}

	/** `true`: the reason differs from the last one. */
	begin(problem: DataplaneProblem): boolean {
		const isNew = this.#problem?.reason !== problem.reason;
		this.#problem = problem;
		this.#triedAtMs = this.#clock.monotonicMs();
		this.#schedule(Math.min(retryMs.most, retryMs.first * 2 ** this.#tries));
		this.#tries++;
		return isNew;
	}

	/** What did not fit may fit now. */
	changed(): void {
		if (this.#problem?.type !== 'does-not-fit') return;
		const now = this.#clock.monotonicMs();
		const delayMs = Math.max(0, this.#triedAtMs + retryMs.afterChange - now);
		if (now + delayMs < this.#dueAtMs) this.#schedule(delayMs);
	}

	/** eBPF is in use, or not wanted any more. */
	end(): void {
		this.#timer?.cancel();
		this.#problem = undefined;
		this.#tries = 0;
	}

	#schedule(delayMs: number): void {
		this.#timer?.cancel();
		this.#dueAtMs = this.#clock.monotonicMs() + delayMs;
		this.#timer = this.#clock.after(delayMs, () => {
			// A timer may be early by a fraction of a millisecond.
			this.#dueAtMs = 0;
			this.#retry();
		});
	}
}
