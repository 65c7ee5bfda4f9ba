import type { PeerView } from '../../core/index.ts';
import type { PeerOptions, PeerRangeOptions } from './peer-options.ts';
import type { ListenAddress, SessionEvent, SpeakerIdentity, StopOptions } from './speaker-options.ts';

/** The number of peers by state. */
export interface PeerCounts {
	readonly configured: number;
	readonly dynamic: number;
	readonly disabled: number;
	readonly states: Readonly<Record<PeerView['state'], number>>;
}

/**
 * Interface of `Speaker`; `new Speaker(options: SpeakerOptions, dependencies:
 * SpeakerDependencies)`.
 */
export interface SpeakerApi {
	/**
	 * Binds the listening sockets, before all other steps; connections wait until `start`. @throws
	 * ListenError
	 */
	listen(): Promise<void>;
	/** Listens and starts every enabled peer. Rejects if an address can not be bound. */
	start(): Promise<void>;
	/**
	 * Ends every session and stops listening; resolves when the sockets are closed (at most two
	 * seconds).
	 */
	stop(options: StopOptions): Promise<void>;

	/** The present identity of this speaker. */
	readonly identity: SpeakerIdentity;
	/**
	 * Changes the identity. A new cluster ID restarts no session. AS number and router ID are part
	 * of OPEN: sessions that use them restart. If only the router ID changed, the restart is
	 * graceful (RFC 4724), so that both sides keep the routes. Returns the restarting peers.
	 */
	setIdentity(identity: SpeakerIdentity): readonly string[];
	/** The present listening addresses. */
	readonly listening: readonly ListenAddress[];
	/**
	 * Changes the listening addresses: new sockets first, then the removal of old ones. Sessions
	 * continue. @throws ListenError, and no address has changed
	 */
	setListen(listen: readonly ListenAddress[]): Promise<void>;

	/** @throws PeerExistsError */
	addPeer(options: PeerOptions): void;
	/** CEASE 6/3; its routes are removed. @throws UnknownPeerError */
	removePeer(name: string): void;
	/**
	 * Applies the effect computed by `describePeerChange`: none, routes only, or a reset with CEASE
	 * 6/6. @throws UnknownPeerError
	 */
	updatePeer(options: PeerOptions): PeerChange;
	/** Adds, changes and removes ranges; neighbours of a removed or changed range are reset. */
	setRanges(ranges: readonly PeerRangeOptions[]): void;

	/**
	 * An interface went down, lost its carrier or was removed: sessions of peers on its link end at
	 * once, as at a loss of TCP. Multihop sessions continue. Returns the peers whose session ended.
	 */
	interfaceLost(interfaceName: string): readonly string[];

	/** @throws UnknownPeerError */
	enable(name: string): void;
	/**
	 * The peer is about to be removed, once others are up: its session stands, but no further one is
	 * made until `enable`. What a graceful restart holds of it stays. Two peers that are one speaker
	 * at two addresses would otherwise supersede each other's sessions. @throws UnknownPeerError
	 */
	leave(name: string): void;
	/** CEASE 6/2 with the text (RFC 9003); stays down until `enable`. @throws UnknownPeerError */
	disable(name: string, text?: string): void;
	/**
	 * `hard`: CEASE 6/4 with the text; `soft`: routes are requested and sent again. @throws
	 * UnknownPeerError
	 */
	reset(name: string, how: 'soft' | 'hard', text?: string): void;
	/**
	 * Requests all routes again (RFC 2918). `false`: the peer does not support it or is not
	 * established. @throws UnknownPeerError
	 */
	refresh(name: string): boolean;

	/** Sorted by name, as one list. With thousands of peers use `eachPeer`. */
	peers(): PeerView[];
	/** The same as an iterator. */
	eachPeer(): Iterable<PeerView>;
	/** The peer at an address; the first one if several differ by port. */
	peerAt(address: string): PeerView | undefined;
	/** The number of peers by state, without a view of each. */
	peerCounts(): PeerCounts;
	peer(name: string): PeerView | undefined;
	/** The state of a peer, without a view of it. */
	stateOf(name: string): PeerView['state'] | undefined;
	/** The configuration of a peer, or of its range. */
	peerOptions(name: string): PeerOptions | undefined;
	/** The options of every peer. */
	eachPeerOptions(): Iterable<PeerOptions>;
	/** Peers without an MD5 key inside a range with one: the kernel drops their segments. */
	withoutKey(): readonly { readonly peer: string; readonly range: string }[];
	/** Connections without a matching peer, since the start. */
	refusedConnections(): Readonly<Record<RefusalReason, number>>;
	/** @returns a function that ends the subscription. */
	onEvent(listener: (event: SessionEvent) => void): () => void;
}

/** The reason why a connection was refused before it reached a peer. */
export type RefusalReason = 'not-configured' | 'range-full' | 'held-down';

/** The effect of new options on a peer, for `reload --dry-run` and for the reload. */
export interface PeerChange {
	readonly peer: string;
	/**
	 * `none`: equal; `live`: applied at once; `routes`: routes are evaluated again, the session
	 * continues; `reset`: the session restarts.
	 */
	readonly effect: 'none' | 'live' | 'routes' | 'reset';
	/**
	 * The changed fields, in order of the options; the strongest effect is the effect of the whole.
	 */
	readonly fields: readonly {
		readonly field: keyof PeerOptions;
		readonly effect: 'live' | 'routes' | 'reset';
		readonly why: string;
	}[];
}

/** No peer has this name. */
export class UnknownPeerError extends Error {
	override readonly name = 'UnknownPeerError';
	readonly peer: string;

	constructor(peer: string) {
		super(`no peer is called '${peer}'`);
		this.peer = peer;
	}
}

/** Another peer has this name or address. */
export class PeerExistsError extends Error {
	override readonly name = 'PeerExistsError';
	readonly peer: string;

	constructor(peer: string) {
		super(`a peer '${peer}' is there already`);
		this.peer = peer;
	}
}
