import type { Clock, Timer } from '../../core/index.ts';
import type { RestartOptions } from '../model/speaker-options.ts';

/** Calico's restart time: no neighbor waits longer. */
const bridgeMs = 120_000;

/**
 * The R and F bits of our OPENs (RFC 4724 §3, §4.1): after a start of this process until its tables
 * are complete, and for a limited time while sessions restart administratively.
 */
export class OwnRestart {
	readonly #clock: Clock;
	#isRestarting: boolean;
	#isComplete = false;
	#isPreserved: boolean;
	#bridged: Timer | undefined;

	constructor({ restarting, forwardingPreserved }: RestartOptions, clock: Clock) {
		this.#clock = clock;
		this.#isRestarting = restarting;
		this.#isPreserved = forwardingPreserved;
	}

	/** The bits of the next OPEN. */
	get options(): RestartOptions {
		const isPreserved = this.#bridged !== undefined || this.#isPreserved;
		// A running speaker forwards, although a session ends: F without R.
		return {
			restarting: this.#isRestarting,
			forwardingPreserved: this.#isComplete || (this.#isRestarting && isPreserved),
		};
	}

	/** RFC 4724 §4.1: once the tables are complete, new sessions are no part of our restart. */
	complete(): void {
		this.#isRestarting = false;
		this.#isComplete = true;
	}

	/** Whether the kernel has the routes of an earlier process: known once it was read. */
	setForwardingPreserved(preserved: boolean): void {
		this.#isPreserved = preserved;
	}

	/**
	 * Neighbours keep our routes while sessions restart administratively: OPENs set the R bit (RFC
	 * 4724 §4.1) for a limited time.
	 */
	bridge(): void {
		this.#isRestarting = true;
		this.#bridged?.cancel();
		this.#bridged = this.#clock.after(bridgeMs, () => {
			this.#isRestarting = false;
			this.#bridged = undefined;
		});
	}

	stop(): void {
		this.#bridged?.cancel();
	}
}
