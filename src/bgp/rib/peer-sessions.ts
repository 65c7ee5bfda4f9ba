import { CeaseSubcode, ErrorCode } from 'bgp-packet';
import { type Family, tryEach } from '../../core/index.ts';
import type { Negotiated, SessionEnd, SessionReceiver, SessionSink } from '../model/negotiated.ts';
import type { RibPeerOptions } from '../model/peer-options.ts';
import type { RibPeer } from '../table/peers.ts';
import type { RouteTable } from '../table/route-table.ts';
import { endOfRibBytes, type Groups } from '../update-group/index.ts';
import type { Importer } from './importer.ts';
import type { Limits } from './limits.ts';
import { OwedEndOfRib } from './owed-end-of-rib.ts';
import { familyNames, type PeerRegistry } from './peer-registry.ts';
import { Receiver, type ReceiverDependencies } from './receiver.ts';
import type { Reconsideration } from './reconsideration.ts';
import { refreshMark } from './refresh-marks.ts';
import type { StaleRoutes } from './stale-routes.ts';
import type { Sync } from './sync.ts';

/** The parts of the RIB that follow the sessions of a peer. */
export interface PeerSessionsDependencies {
	readonly peers: PeerRegistry;
	readonly tables: Readonly<Record<Family, RouteTable>>;
	readonly groups: Readonly<Record<Family, Groups>>;
	readonly importer: Importer;
	readonly limits: Limits;
	readonly stale: StaleRoutes;
	readonly sync: Sync;
	readonly reconsideration: Reconsideration;
	/** Prefixes wait for selection. */
	readonly changed: () => void;
	/** Receives an unexpected exception; without it the exception propagates. */
	readonly onFault: ((error: unknown) => void) | undefined;
}

/**
 * The sessions of peers from the start to the last retained route: joins and leaves update groups,
 * keeps or removes routes, answers refreshes, and releases a peer that has neither a session nor
 * routes.
 */
export class PeerSessions {
	readonly #dependencies: PeerSessionsDependencies;
	readonly #receiver: ReceiverDependencies;
	/** Peers without a session whose last routes are being removed. */
	readonly #leaving = new Set<RibPeer>();
	readonly #owed = new OwedEndOfRib();

	constructor(dependencies: PeerSessionsDependencies) {
		this.#dependencies = dependencies;
		const { importer, tables, changed, limits } = dependencies;
		this.#receiver = {
			importer,
			tables,
			changed,
			limits,
			endOfRib: (peer, family) => this.#endOfRib(peer, family),
			refresh: (peer, family, subtype) => this.#refresh(peer, family, subtype),
			drained: (peer) => this.#drained(peer),
			ended: (peer, end) => this.#ended(peer, end),
		};
	}

	/** A session is established: its routes are sent to `sink`, the receiver gets the peer's. */
	established(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): SessionReceiver {
		const { tables, groups, stale, sync, reconsideration, changed } = this.#dependencies;
		const peer = this.#peerFor(negotiated);
		this.#leaving.delete(peer);
		peer.attach(negotiated, options, sink);
		reconsideration.clustersChanged(peer);
		for (const { family, addPathReceive } of negotiated.families) if (addPathReceive) tables[family].usePathIds();
		stale.resume(peer);
		// RFC 4724 §4.1: selection does not wait for peers that restart as well, nor for those
		// without graceful restart.
		if (negotiated.peerRestarting || negotiated.families.every(({ gracefulRestart }) => gracefulRestart === undefined))
			sync.exclude(peer.name);
		const owes = this.#owed.owes(peer, sync.defersSelection);
		for (const family of negotiated.families)
			groups[family.family].join(
				peer,
				reconsideration.terms(peer, negotiated, family),
				owes ? undefined : endOfRibBytes(family.family),
			);
		// The first group that sends more than the best path triggers a new decision of all
		// prefixes.
		changed();
		return new Receiver(peer, this.#receiver);
	}

	/** Sends all routes of all families to a peer with a session. */
	resend(peer: RibPeer): void {
		if (peer.sink === undefined) return;
		for (const { family } of peer.negotiated?.families ?? []) this.#refresh(peer, family, 'request');
	}

	/** The peer is not configured any more: the retained routes of its last session are removed. */
	forget(peer: RibPeer): void {
		if (peer.sink !== undefined) return;
		this.#dependencies.peers.forgetName(peer);
		this.#dependencies.stale.forget(peer);
		this.releaseLater(peer);
	}

	/** Releases a peer once it has neither a session nor routes. */
	releaseLater(peer: RibPeer): void {
		if (peer.sink === undefined && familyNames.every((family) => peer.families[family].received === 0)) {
			this.#leaving.add(peer);
			this.#dependencies.changed();
		}
	}

	/** No prefix waits for selection: deferred End-of-RIBs are sent, emptied peers released. */
	settled(): void {
		const { peers, groups } = this.#dependencies;
		for (const peer of this.#leaving) if (peers.releaseIfGone(peer)) this.#leaving.delete(peer);
		this.#owed.pay((peer, family) => groups[family].resend(peer.id, undefined, endOfRibBytes(family)));
	}

	/** Work for these peers failed: what they hold is unknown, and their sessions end. */
	failed(peers: Iterable<RibPeer>, error: unknown): void {
		const { onFault } = this.#dependencies;
		if (onFault === undefined) throw error;
		onFault(error);
		const reason = 'internal error, the log has the details';
		const ends = [...peers].map(({ sink }) => () => {
			sink?.fail(ErrorCode.cease, CeaseSubcode.outOfResources, new Uint8Array(0), reason);
		});
		tryEach(ends, onFault);
	}

	/** The peer of a new session: the one with retained routes, or a new one. */
	#peerFor(negotiated: Negotiated): RibPeer {
		const { peers } = this.#dependencies;
		const known = peers.byName(negotiated.peerName);
		if (known === undefined) return peers.create(negotiated.peerName);
		const same =
			known.routerId === negotiated.peerRouterId &&
			known.asNumber === negotiated.peerAsNumber &&
			known.localAsNumber === negotiated.localAsNumber &&
			// Link-local next hops of retained routes belong to the interface of the former
			// session.
			known.interfaceName === negotiated.interfaceName;
		if (known.sink === undefined && same) return known;
		this.#ended(known, { type: 'forget' });
		return peers.create(negotiated.peerName);
	}

	#drained(peer: RibPeer): void {
		peer.blocked = false;
		for (const family of familyNames) this.#dependencies.groups[family].of(peer.id)?.drained(peer.id);
	}

	#ended(peer: RibPeer, end: SessionEnd): void {
		if (peer.sink === undefined && end.type === 'retain') return;
		const { peers, groups, stale } = this.#dependencies;
		for (const family of familyNames) groups[family].leave(peer.id);
		peer.sink = undefined;
		if (end.type === 'retain') stale.retain(peer);
		else {
			peers.forgetName(peer);
			stale.forget(peer);
		}
		this.releaseLater(peer);
	}

	#endOfRib(peer: RibPeer, family: Family): void {
		const { stale, sync } = this.#dependencies;
		const state = peer.families[family];
		state.complete = true;
		if (!state.refreshing) stale.sweep(peer, family);
		if (peer.negotiated?.families.every((row) => peer.families[row.family].complete)) sync.complete(peer.name);
	}

	#refresh(peer: RibPeer, family: Family, subtype: 'request' | 'begin' | 'end'): void {
		const { stale, groups } = this.#dependencies;
		if (peer.families[family].negotiated === undefined) return;
		if (subtype === 'begin') stale.beginRefresh(peer, family);
		else if (subtype === 'end') stale.endRefresh(peer, family);
		else {
			const marks = peer.negotiated?.enhancedRefresh === true;
			groups[family].resend(
				peer.id,
				marks ? refreshMark(family, 'begin') : undefined,
				marks ? refreshMark(family, 'end') : undefined,
			);
		}
	}
}
