import type { Family } from '../../core/index.ts';
import type { RibPeer } from '../table/peers.ts';

/**
 * Peers established before initial convergence; their End-of-RIB is deferred (RFC 4724 §4.1). At
 * End-of-RIB a peer removes our stale routes, so it may only be sent after our routes.
 */
export class OwedEndOfRib {
	readonly #peers = new Set<RibPeer>();

	/** A session starts; returns whether its End-of-RIB is deferred. */
	owes(peer: RibPeer, defersSelection: boolean): boolean {
		if (defersSelection) this.#peers.add(peer);
		else this.#peers.delete(peer);
		return defersSelection;
	}

	/** Selection has completed: `send` sends all routes to a peer, with End-of-RIB at the end. */
	pay(send: (peer: RibPeer, family: Family) => void): void {
		for (const peer of this.#peers) {
			this.#peers.delete(peer);
			if (peer.sink !== undefined) for (const { family } of peer.negotiated?.families ?? []) send(peer, family);
		}
	}
}
