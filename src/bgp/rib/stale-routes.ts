import { WellKnownCommunity } from 'bgp-packet';
import type { Clock, Family } from '../../core/index.ts';
import type { AttributePool } from './attribute-pool.ts';
import { Kind } from './attribute-pool.ts';
import { Flag } from './attribute-summary.ts';
import type { Importer } from './importer.ts';
import { familyNames } from './peer-registry.ts';
import type { RibPeer } from './peers.ts';
import type { RouteTable } from './route-table.ts';
import { markStale, recount, removal, replacement } from './walks.ts';

/** What the keeper of stale routes asks of the RIB. */
export interface StaleContext {
	readonly clock: Clock;
	readonly pool: AttributePool;
	readonly importer: Importer;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	readonly changed: (table: RouteTable) => void;
	readonly later: (step: () => boolean) => void;
	/** Routes of a peer without a session are all gone, or nearly. */
	readonly emptied: (peer: RibPeer) => void;
}

/** Routes that outlive their session, or are being refreshed: marked, unmarked by being sent again, swept at the end. */
export class StaleRoutes {
	readonly #context: StaleContext;

	constructor(context: StaleContext) {
		this.#context = context;
	}

	/** The session is gone and its routes with it. */
	forget(peer: RibPeer): void {
		for (const family of familyNames) {
			this.#stopTimer(peer, family);
			this.#remove(peer, family, false);
		}
	}

	/** The session is gone; what the peer can restart is held for its restart time. RFC 4724 §4.2. */
	retain(peer: RibPeer): void {
		const restartSeconds = peer.negotiated?.peerRestartSeconds ?? 0;
		for (const family of familyNames) {
			const state = peer.families[family];
			this.#stopTimer(peer, family);
			if (state.negotiated?.gracefulRestart === undefined) {
				this.#remove(peer, family, false);
				continue;
			}
			// RFC 4724 §4.2: what was stale already did not survive a second restart. What only waited to be refreshed was as good as ever.
			if (!state.refreshing) this.#removeAtOnce(peer, family);
			markStale(this.#context.tables[family], peer, state);
			this.#after(peer, family, restartSeconds, () => this.#restartTimeOver(peer, family));
		}
		this.#context.emptied(peer);
	}

	/** The session is back. RFC 4724 §4.2: routes of a family whose forwarding state was lost go at once. */
	resume(peer: RibPeer): void {
		for (const family of familyNames) {
			const state = peer.families[family];
			this.#stopTimer(peer, family);
			if (state.stale === 0) continue;
			if (state.negotiated?.gracefulRestart?.forwarding === true) this.#after(peer, family, peer.options.staleSeconds, () => this.sweep(peer, family));
			else this.#remove(peer, family, true);
		}
	}

	/** BoRR: what is not sent again until EoRR will go. RFC 7313 §4. */
	beginRefresh(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		state.refreshing = true;
		markStale(this.#context.tables[family], peer, state);
		// An end mark that never comes leaves nothing for ever.
		this.#stopTimer(peer, family);
		this.#after(peer, family, peer.options.staleSeconds, () => this.sweep(peer, family));
	}

	/** EoRR; without BoRR it is ignored. */
	endRefresh(peer: RibPeer, family: Family): void {
		if (peer.families[family].refreshing) this.sweep(peer, family);
	}

	/** What is still stale goes. */
	sweep(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		state.refreshing = false;
		this.#stopTimer(peer, family);
		this.#remove(peer, family, true);
	}

	#restartTimeOver(peer: RibPeer, family: Family): void {
		const seconds = peer.families[family].negotiated?.longLivedStaleSeconds ?? 0;
		if (seconds === 0) {
			this.sweep(peer, family);
			return;
		}
		this.#markLongLived(peer, family);
		this.#after(peer, family, seconds, () => this.sweep(peer, family));
	}

	/** RFC 9494 §4.2: stale routes get LLGR_STALE; those with NO_LLGR go. */
	#markLongLived(peer: RibPeer, family: Family): void {
		const { pool, tables, changed, later } = this.#context;
		const table = tables[family];
		const step = replacement(
			table,
			peer,
			'stale',
			(set) => {
				const flags = pool.flags[set] ?? 0;
				if ((flags & Flag.noLlgr) !== 0) return 0;
				const marked = (flags & Flag.llgrStale) !== 0 ? set : this.#marked(peer, set);
				pool.retain(marked);
				return marked;
			},
			() => changed(table),
			() => {
				recount(table, peer, peer.families[family]);
				if (peer.families[family].received === 0) this.#context.emptied(peer);
			},
		);
		later(step);
	}

	#marked(peer: RibPeer, set: number): number {
		const { importer } = this.#context;
		const attributes = importer.attributes(set);
		const communities = [...(attributes.communities ?? []), WellKnownCommunity.llgrStale];
		return importer.variant(peer, set, Kind.longLivedStale, { ...attributes, communities });
	}

	#remove(peer: RibPeer, family: Family, onlyStale: boolean): void {
		const state = peer.families[family];
		if ((onlyStale ? state.stale : state.received) === 0) {
			this.#context.emptied(peer);
			return;
		}
		const table = this.#context.tables[family];
		const step = removal(table, peer, state, onlyStale, () => this.#context.changed(table));
		this.#context.later(() => {
			const more = step();
			if (!more) this.#context.emptied(peer);
			return more;
		});
	}

	#removeAtOnce(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		if (state.stale === 0) return;
		const table = this.#context.tables[family];
		const step = removal(table, peer, state, true, () => this.#context.changed(table));
		while (step());
	}

	#after(peer: RibPeer, family: Family, seconds: number, act: () => void): void {
		const state = peer.families[family];
		if (seconds <= 0) act();
		else state.staleTimer = this.#context.clock.after(seconds * 1000, act);
	}

	#stopTimer(peer: RibPeer, family: Family): void {
		peer.families[family].staleTimer?.cancel();
		peer.families[family].staleTimer = undefined;
	}
}
