import type { Family } from '../../core/index.ts';
import type { RibPeer } from './peers.ts';

/**
 * Peers that came up while selection waited after a restart of ours: End-of-RIB tells them that everything was sent, and what
 * they hold of us from before goes then, so it may not be sent before there is anything. RFC 4724 §4.1.
 */
export class OwedEndOfRib {
	readonly #peers = new Set<RibPeer>();

	/** A session begins: does its End-of-RIB wait? */
	owes(peer: RibPeer, defersSelection: boolean): boolean {
		if (defersSelection) this.#peers.add(peer);
		else this.#peers.delete(peer);
		return defersSelection;
	}

	/** Selection has been done: `send` gives a peer everything, with End-of-RIB behind it. */
	pay(send: (peer: RibPeer, family: Family) => void): void {
		for (const peer of this.#peers) {
			this.#peers.delete(peer);
			if (peer.sink !== undefined) for (const { family } of peer.negotiated?.families ?? []) send(peer, family);
		}
	}
}
