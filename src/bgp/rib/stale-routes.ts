import { WellKnownCommunity } from 'bgp-packet';
import type { Clock, Family } from '../../core/index.ts';
import type { AttributePool } from '../table/attribute-pool.ts';
import { Kind } from '../table/attribute-pool.ts';
import { Flag } from '../table/attribute-summary.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import type { Importer } from './importer.ts';
import { familyNames } from './peer-registry.ts';
import { markStale, recount, removal, replacement } from './walks.ts';

/** Dependencies of the stale-route handling. */
interface StaleRoutesDependencies {
	readonly clock: Clock;
	readonly pool: AttributePool;
	readonly importer: Importer;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	readonly changed: (table: RouteTable) => void;
	readonly later: (step: () => boolean) => void;
	/** All or nearly all routes of a peer without a session are removed. */
	readonly emptied: (peer: RibPeer) => void;
}

/**
 * Routes that outlive their session, or are being refreshed: marked as stale, unmarked when sent
 * again, swept at the end.
 */
export class StaleRoutes {
	readonly #dependencies: StaleRoutesDependencies;

	constructor(dependencies: StaleRoutesDependencies) {
		this.#dependencies = dependencies;
	}

	/** The session ended; its routes are removed. */
	forget(peer: RibPeer): void {
		for (const family of familyNames) {
			this.#stopTimer(peer, family);
			this.#remove(peer, family, false);
		}
	}

	/**
	 * The session ended; routes of families with graceful restart are kept for the restart time.
	 * RFC 4724 §4.2.
	 */
	retain(peer: RibPeer): void {
		const restartSeconds = peer.negotiated?.peerRestartSeconds ?? 0;
		for (const family of familyNames) {
			const state = peer.families[family];
			this.#stopTimer(peer, family);
			if (state.negotiated?.gracefulRestart === undefined) {
				this.#remove(peer, family, false);
				continue;
			}
			// RFC 4724 §4.2: routes that were already stale do not survive a second restart. Routes
			// marked only by a refresh do.
			if (!state.refreshing) this.#removeAtOnce(peer, family);
			markStale(this.#dependencies.tables[family], peer, state);
			this.#after(peer, family, restartSeconds, () => this.#restartTimeOver(peer, family));
		}
		this.#dependencies.emptied(peer);
	}

	/**
	 * The session is back. RFC 4724 §4.2: routes of a family without preserved forwarding state are
	 * removed at once.
	 */
	resume(peer: RibPeer): void {
		for (const family of familyNames) {
			const state = peer.families[family];
			this.#stopTimer(peer, family);
			if (state.stale === 0) continue;
			if (state.negotiated?.gracefulRestart?.forwarding === true)
				this.#after(peer, family, peer.options.staleSeconds, () => this.sweep(peer, family));
			else this.#remove(peer, family, true);
		}
	}

	/** BoRR: routes that are not sent again until EoRR will be removed. RFC 7313 §4. */
	beginRefresh(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		state.refreshing = true;
		markStale(this.#dependencies.tables[family], peer, state);
		// Limits the wait for a missing end mark.
		this.#stopTimer(peer, family);
		this.#after(peer, family, peer.options.staleSeconds, () => this.sweep(peer, family));
	}

	/** EoRR; without BoRR it is ignored. */
	endRefresh(peer: RibPeer, family: Family): void {
		if (peer.families[family].refreshing) this.sweep(peer, family);
	}

	/** Removes routes that are still stale. */
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

	/** RFC 9494 §4.2: stale routes get LLGR_STALE; those with NO_LLGR are removed. */
	#markLongLived(peer: RibPeer, family: Family): void {
		const { pool, tables, changed, later } = this.#dependencies;
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
				if (peer.families[family].received === 0) this.#dependencies.emptied(peer);
			},
		);
		later(step);
	}

	#marked(peer: RibPeer, set: number): number {
		const { importer } = this.#dependencies;
		const attributes = importer.attributes(set);
		const communities = [...(attributes.communities ?? []), WellKnownCommunity.llgrStale];
		return importer.variant(peer, set, Kind.longLivedStale, { ...attributes, communities });
	}

	#remove(peer: RibPeer, family: Family, onlyStale: boolean): void {
		const state = peer.families[family];
		if ((onlyStale ? state.stale : state.received) === 0) {
			this.#dependencies.emptied(peer);
			return;
		}
		const table = this.#dependencies.tables[family];
		const step = removal(table, peer, state, onlyStale, () => this.#dependencies.changed(table));
		this.#dependencies.later(() => {
			const more = step();
			if (!more) this.#dependencies.emptied(peer);
			return more;
		});
	}

	#removeAtOnce(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		if (state.stale === 0) return;
		const table = this.#dependencies.tables[family];
		const step = removal(table, peer, state, true, () => this.#dependencies.changed(table));
		while (step());
	}

	#after(peer: RibPeer, family: Family, seconds: number, act: () => void): void {
		const state = peer.families[family];
		if (seconds <= 0) act();
		else state.staleTimer = this.#dependencies.clock.after(seconds * 1000, act);
	}

	#stopTimer(peer: RibPeer, family: Family): void {
		peer.families[family].staleTimer?.cancel();
		peer.families[family].staleTimer = undefined;
	}
}
