import { type Clock, type Logger, type Random, zonedAddress } from '../../core/index.ts';
import type { PeerRangeOptions } from '../model/peer-options.ts';
import type { RefusalReason } from '../model/speaker-api.ts';
import type { SessionOutcome } from '../session/host.ts';
import { RangeBackoff, Ranges } from './ranges.ts';
import { Refusals } from './refusals.ts';

/**
 * Which connections without a peer become one: those from a range with room, unless earlier
 * sessions of the neighbor failed. Others are counted.
 */
export class Admission {
	readonly ranges = new Ranges();
	readonly #backoff: RangeBackoff;
	readonly #refusals: Refusals;

	constructor(clock: Clock, random: Random, log: Logger) {
		this.#backoff = new RangeBackoff(clock, random);
		this.#refusals = new Refusals(clock, log);
	}

	/** Refused connections by reason. */
	get refused(): Readonly<Record<RefusalReason, number>> {
		return this.#refusals.counts;
	}

	/** The range of a new neighbor; `undefined`: its connection is refused, and counted. */
	admit(address: string, interfaceName: string | undefined): PeerRangeOptions | undefined {
		const range = this.ranges.find(address);
		if (range === undefined) return this.refuse('not-configured', address);
		if (this.ranges.isFull(range)) return this.refuse('range-full', address, range.name);
		if (this.#backoff.holds(zonedAddress(address, interfaceName))) return this.refuse('held-down', address, range.name);
		return range;
	}

	/** Counts a connection that no peer takes. */
	refuse(reason: RefusalReason, address: string, range?: string): undefined {
		this.#refusals.add(reason, address, range);
	}

	/** A session with a neighbor of a range ended: failures delay its next one. */
	ended(name: string, outcome: SessionOutcome, idleHoldSeconds: number): void {
		this.#backoff.ended(name, outcome, idleHoldSeconds);
	}
}
