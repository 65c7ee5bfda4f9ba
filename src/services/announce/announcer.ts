import type { Clock, Logger, PrefixKey, Timer } from '../../core/index.ts';
import { drainStep, type HeldAnnouncement, nextDrainMs } from './drain.ts';
import type { Announcement } from './eligible.ts';

/** Attributes of a route of this node, as the speaker takes them. */
export interface AnnouncementAttributes {
	readonly communities?: readonly string[];
	readonly localPref?: number;
}

export interface AnnouncerDependencies {
	/** Announces a prefix, or changes its attributes. */
	readonly originate: (prefix: PrefixKey, attributes: AnnouncementAttributes) => void;
	readonly withdraw: (prefix: PrefixKey) => void;
	/** What should be announced now. */
	readonly wanted: () => ReadonlyMap<PrefixKey, Announcement>;
	readonly stillServes: (announcement: Announcement) => boolean;
	/** The prefix is announced for another reason and is not to be touched. */
	readonly isTaken: (prefix: PrefixKey) => boolean;
	readonly drainMs: () => number;
	/** See `DrainInput.leadMs`. */
	readonly leadMs?: () => number;
	readonly clock: Clock;
	readonly log: Logger;
}

/** A prefix that neighbours have. */
export type Announced = HeldAnnouncement & Pick<Announcement, 'state'>;

/**
 * RFC 8326 §2 and §4: least preferred inside the AS, and the community for neighbours that lower it
 * themselves.
 */
const drainingAttributes: AnnouncementAttributes = { communities: ['graceful-shutdown'], localPref: 0 };

/**
 * Keeps the announced service prefixes equal to the wanted ones, with a drain before the
 * withdrawal.
 */
export class ServiceAnnouncer {
	readonly #dependencies: AnnouncerDependencies;
	#held: ReadonlyMap<PrefixKey, HeldAnnouncement> = new Map();
	#timer: Timer | undefined;

	constructor(dependencies: AnnouncerDependencies) {
		this.#dependencies = dependencies;
	}

	/** As announced now, by prefix. */
	get announced(): ReadonlyMap<PrefixKey, Announced> {
		const announced = new Map<PrefixKey, Announced>();
		for (const [prefix, { state, ...held }] of this.#held)
			if (state !== 'pending') announced.set(prefix, { ...held, state });
		return announced;
	}

	/** The prefix is announced. */
	isAnnounced(prefix: PrefixKey): boolean {
		const held = this.#held.get(prefix);
		return held !== undefined && held.state !== 'pending';
	}

	/** Something that announcements follow from may have changed. */
	refresh(): void {
		const { originate, withdraw, wanted, stillServes, isTaken, drainMs, leadMs, clock, log } = this.#dependencies;
		const nowMs = clock.monotonicMs();
		const before = this.#held;
		const after = new Map(
			[
				...drainStep({
					held: before,
					wanted: wanted(),
					stillServes,
					nowMs,
					drainMs: drainMs(),
					leadMs: leadMs?.() ?? 0,
				}),
			].filter(([prefix]) => !isTaken(prefix)),
		);
		this.#held = after;
		for (const [prefix, { kind, services, state }] of after) {
			const old = before.get(prefix);
			if (state === 'pending' || old?.state === state) continue;
			originate(prefix, state === 'draining' ? drainingAttributes : {});
			log.info(state === 'draining' ? 'service address draining' : 'service address announced', {
				prefix,
				kind,
				services,
			});
		}
		for (const [prefix, { kind, services, state }] of before) {
			if (state === 'pending' || after.has(prefix) || isTaken(prefix)) continue;
			withdraw(prefix);
			log.info('service address withdrawn', { prefix, kind, services });
		}
		this.#timer?.cancel();
		const next = nextDrainMs(after);
		this.#timer = next === undefined ? undefined : clock.after(Math.max(0, next - nowMs), () => this.refresh());
	}

	/** No more changes; what is announced stays, the speaker ends it. */
	stop(): void {
		this.#timer?.cancel();
	}
}
