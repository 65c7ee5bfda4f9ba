import {
	type Clock,
	type Prefix,
	parseAddress,
	parsePrefix,
	prefixContains,
	type Random,
	zonedAddress,
} from '../../core/index.ts';
import { endsSeries, idleHoldMs } from '../fsm/retry.ts';
import type { PeerOptions, PeerRangeOptions } from '../model/peer-options.ts';
import type { SessionOutcome } from '../session/host.ts';

/** The ranges of dynamic neighbours, and their present members. */
export class Ranges {
	#ranges: readonly { readonly options: PeerRangeOptions; readonly prefix: Prefix }[] = [];
	/** The name of the range of each dynamic neighbor, by name. */
	readonly #members = new Map<string, string>();
	readonly #counts = new Map<string, number>();

	/** The configured options. */
	get options(): readonly PeerRangeOptions[] {
		return this.#ranges.map(({ options }) => options);
	}

	replace(ranges: readonly PeerRangeOptions[]): void {
		this.#ranges = ranges.map((options) => ({ options, prefix: parsePrefix(options.prefix, 'clear') }));
	}

	/** The most specific range with an address. */
	find(address: string): PeerRangeOptions | undefined {
		const parsed = parseAddress(address);
		let found: { readonly options: PeerRangeOptions; readonly prefix: Prefix } | undefined;
		for (const range of this.#ranges) {
			if (prefixContains(range.prefix, parsed) && (found === undefined || range.prefix.length > found.prefix.length))
				found = range;
		}
		return found?.options;
	}

	isFull({ name, limit }: PeerRangeOptions): boolean {
		return (this.#counts.get(name) ?? 0) >= limit;
	}

	joined(peer: string, { name }: PeerRangeOptions): void {
		this.left(peer);
		this.#members.set(peer, name);
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
	}

	left(peer: string): void {
		const name = this.#members.get(peer);
		if (name === undefined) return;
		this.#members.delete(peer);
		this.#counts.set(name, (this.#counts.get(name) ?? 1) - 1);
	}
}

/** Number of failures in a row without a delay: a restarted neighbor reconnects at once. */
const freeFailures = 2;
/** Maximum number of remembered addresses; the oldest are removed first. */
const mostRemembered = 4096;

/** Failure history of addresses without a peer: repeated failures increase the delay. */
export class RangeBackoff {
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #failures = new Map<string, { readonly count: number; readonly untilMs: number }>();

	constructor(clock: Clock, random: Random) {
		this.#clock = clock;
		this.#random = random;
	}

	/** A session with the neighbor ended. */
	ended(name: string, { penalized, establishedMs }: SessionOutcome, idleHoldSeconds: number): void {
		const before = this.#failures.get(name)?.count ?? 0;
		this.#failures.delete(name);
		if (!penalized) return;
		const count = establishedMs !== undefined && endsSeries(establishedMs, idleHoldSeconds) ? 1 : before + 1;
		const pauseMs = idleHoldMs(Math.max(0, count - freeFailures), idleHoldSeconds, this.#random);
		this.#failures.set(name, { count, untilMs: this.#clock.monotonicMs() + pauseMs });
		for (const oldest of this.#failures.keys()) {
			if (this.#failures.size <= mostRemembered) break;
			this.#failures.delete(oldest);
		}
	}

	/** True while the neighbor is rejected. */
	holds(name: string): boolean {
		return this.#clock.monotonicMs() < (this.#failures.get(name)?.untilMs ?? 0);
	}
}

/**
 * The options of one neighbor of a range: named by its address (with the interface, if link-local),
 * never connected to.
 */
export function dynamicPeerOptions(
	{ peer }: PeerRangeOptions,
	address: string,
	interfaceName: string | undefined,
): PeerOptions {
	const name = zonedAddress(address, interfaceName);
	const device = name === address ? peer.device : interfaceName;
	return { ...peer, name, address, device, port: 179, passive: true, enabled: true };
}
