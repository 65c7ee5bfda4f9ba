import type { PrefixKey } from '../../core/index.ts';
import type { Announcement } from './eligible.ts';

/** A prefix as it is announced now. */
export interface HeldAnnouncement extends Omit<Announcement, 'state'> {
	/** `pending`: not announced yet. */
	readonly state: Announcement['state'] | 'pending';
	/** Monotonic milliseconds at which the route goes; absent: it stays as long as it is wanted. */
	readonly untilMs?: number;
	/**
	 * Monotonic milliseconds until which the route stays as it is, although another state is wanted.
	 */
	readonly changesMs?: number;
}

/** What `drainStep` decides with. */
export interface DrainInput {
	readonly held: ReadonlyMap<PrefixKey, HeldAnnouncement>;
	readonly wanted: ReadonlyMap<PrefixKey, Announcement>;
	/**
	 * This node still carries connections for the announcement: withdrawing it at once would cut
	 * them.
	 */
	readonly stillServes: (announcement: Announcement) => boolean;
	readonly nowMs: number;
	readonly drainMs: number;
	/**
	 * Routers move connections so much later: by then every node hands over what it does not know. 0:
	 * at once.
	 */
	readonly leadMs?: number;
}

/**
 * The next state of the announcements. One that is wanted no more while this node could still serve
 * it (the node is excluded, for instance) is drained: its route asks neighbours for another one
 * during `drainMs`, and goes then. One that the node cannot serve goes at once. RFC 8326 §4.
 */
export function drainStep({
	held,
	wanted,
	stillServes,
	nowMs,
	drainMs,
	leadMs = 0,
}: DrainInput): ReadonlyMap<PrefixKey, HeldAnnouncement> {
	const next = new Map<PrefixKey, HeldAnnouncement>();
	for (const [prefix, announcement] of wanted) {
		const old = held.get(prefix);
		next.set(prefix, leadMs === 0 ? announcement : afterLead(old, announcement, nowMs, leadMs));
	}
	for (const [prefix, announcement] of held) {
		if (wanted.has(prefix) || announcement.state === 'pending' || !stillServes({ ...announcement, state: 'draining' }))
			continue;
		const changesMs = announcement.changesMs ?? nowMs + leadMs;
		if (announcement.state === 'ready' && changesMs > nowMs) {
			next.set(prefix, { ...announcement, changesMs });
			continue;
		}
		const untilMs = announcement.untilMs ?? nowMs + drainMs;
		// A time in the past would wake the announcer again at once, and again.
		const { changesMs: _, ...draining } = announcement;
		if (untilMs > nowMs) next.set(prefix, { ...draining, state: 'draining', untilMs });
	}
	return next;
}

/** A wanted announcement, or what stands before it until the other nodes are prepared. */
function afterLead(
	old: HeldAnnouncement | undefined,
	wanted: Announcement,
	nowMs: number,
	leadMs: number,
): HeldAnnouncement {
	// A range is announced by every node: none takes connections of another.
	if (wanted.kind === 'range' || old?.state === wanted.state) return wanted;
	if (wanted.state === 'draining' && old?.state !== 'ready') return wanted;
	const changesMs = old?.changesMs ?? nowMs + leadMs;
	if (changesMs <= nowMs) return wanted;
	if (old === undefined || old.state === 'pending') return { ...wanted, state: 'pending', changesMs };
	const { untilMs: _, ...stays } = old;
	return { ...stays, changesMs };
}

/** The first time at which `drainStep` has something to do without a change; `undefined`: none. */
export function nextDrainMs(held: ReadonlyMap<PrefixKey, HeldAnnouncement>): number | undefined {
	let first: number | undefined;
	for (const { untilMs, changesMs } of held.values())
		for (const atMs of [untilMs, changesMs])
			if (atMs !== undefined && (first === undefined || atMs < first)) first = atMs;
	return first;
}
