import { Afi, CeaseSubcode, ErrorCode, Safi } from 'bgp-packet';
import type { Family, Logger } from '../../core/index.ts';
import type { RibPeer } from './peers.ts';

/** What a peer may not send us, or not more of. */
export class Limits {
	readonly #log: Logger;
	#martians = 0;

	constructor(log: Logger) {
		this.#log = log;
	}

	/** A new path is one more than the peer's limit. `true`: it is taken all the same. The session may end meanwhile. */
	over(peer: RibPeer, family: Family): boolean {
		const { maxPrefix } = peer.options;
		if (maxPrefix === undefined || maxPrefix.action === 'warn') return true;
		this.near(peer, family);
		if (maxPrefix.action === 'shutdown') {
			// RFC 4486 §4: the data name the family and the limit.
			const { limit } = maxPrefix;
			const data = Uint8Array.of(0, family === 'ipv4' ? Afi.ipv4 : Afi.ipv6, Safi.unicast, limit >>> 24, limit >>> 16, limit >>> 8, limit);
			peer.sink?.fail(ErrorCode.cease, CeaseSubcode.maximumPrefixesReached, data, `more than ${limit} ${family} prefixes`);
		}
		return false;
	}

	/** The limit is near; said once a session. */
	near(peer: RibPeer, family: Family): void {
		const state = peer.families[family];
		if (state.warned) return;
		state.warned = true;
		this.#log.warn('a peer is near its prefix limit, or over it', { peer: peer.name, family, received: state.received, ...peer.options.maxPrefix });
	}

	/** A prefix that no unicast route may have was ignored (RFC 4271 §6.3). */
	martian(peer: RibPeer): void {
		// Once for each power of two: a peer that sends nothing else does not fill the log.
		const count = ++this.#martians;
		if ((count & (count - 1)) === 0) this.#log.warn('a prefix that no route may have was ignored', { peer: peer.name, ignored: count });
	}
}
