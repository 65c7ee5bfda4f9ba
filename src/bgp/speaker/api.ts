import type { PeerView } from '../../core/index.ts';
import type { PeerOptions, PeerRangeOptions } from '../session/options.ts';
import type { ListenAddress, SessionEvent, SpeakerIdentity, StopOptions } from './options.ts';

/** What `Speaker` can be asked and told; `new Speaker(options: SpeakerOptions, dependencies: SpeakerDependencies)`. */
export interface SpeakerApi {
	/** Listens and starts every enabled peer. Rejects where an address can't be listened at. */
	start(): Promise<void>;
	/** Ends every session and stops listening; resolves when the sockets are closed (bounded by two seconds). */
	stop(options: StopOptions): Promise<void>;

	/** Who this speaker is, as of now. */
	readonly identity: SpeakerIdentity;
	/**
	 * Becomes another one. The cluster ID touches no session. AS number and router ID are said in OPEN: the sessions that said them start again, and
	 * where only the router ID changed they are bridged as a restart is (RFC 4724), so that routes stay on both sides. Returns the peers that do.
	 */
	setIdentity(identity: SpeakerIdentity): readonly string[];
	/** Where sessions are accepted, as of now. */
	readonly listening: readonly ListenAddress[];
	/** Listens elsewhere: new addresses first, then those that are no longer wanted. Sessions stay. @throws ListenError and nothing has changed */
	setListen(listen: readonly ListenAddress[]): Promise<void>;

	/** @throws PeerExistsError */
	addPeer(options: PeerOptions): void;
	/** CEASE 6/3; its routes go. @throws UnknownPeerError */
	removePeer(name: string): void;
	/** Applies what `describePeerChange` says: nothing, routes only, or a reset with CEASE 6/6. @throws UnknownPeerError */
	updatePeer(options: PeerOptions): PeerChange;
	/** Adds, changes and removes ranges; neighbours of a range that went or changed are reset. */
	setRanges(ranges: readonly PeerRangeOptions[]): void;

	/** @throws UnknownPeerError */
	enable(name: string): void;
	/** CEASE 6/2 with the text (RFC 9003); stays down until `enable`. @throws UnknownPeerError */
	disable(name: string, text?: string): void;
	/** `hard`: CEASE 6/4 with the text; `soft`: routes are asked for and sent again. @throws UnknownPeerError */
	reset(name: string, how: 'soft' | 'hard', text?: string): void;
	/** Asks for all routes again (RFC 2918). `false`: the peer can't or is not established. @throws UnknownPeerError */
	refresh(name: string): boolean;

	/** Sorted by name. */
	peers(): PeerView[];
	peer(name: string): PeerView | undefined;
	/** What is configured of a peer, or of the range it came from. */
	peerOptions(name: string): PeerOptions | undefined;
	/** @returns a function that ends the subscription. */
	onEvent(listener: (event: SessionEvent) => void): () => void;
}

/** What applying new options to a peer means, for `reload --dry-run` and for doing it. */
export interface PeerChange {
	readonly peer: string;
	/** `none`: equal; `live`: applied at once; `routes`: re-evaluated without touching the session; `reset`: the session starts again. */
	readonly effect: 'none' | 'live' | 'routes' | 'reset';
	/** What changed, in order of the options; the effect of the whole is the strongest. */
	readonly fields: readonly { readonly field: keyof PeerOptions; readonly effect: 'live' | 'routes' | 'reset'; readonly why: string }[];
}

/** The name is not among the peers. */
export class UnknownPeerError extends Error {
	override readonly name = 'UnknownPeerError';
	readonly peer: string;

	constructor(peer: string) {
		super(`no peer is called '${peer}'`);
		this.peer = peer;
	}
}

/** Name or address is taken by another peer. */
export class PeerExistsError extends Error {
	override readonly name = 'PeerExistsError';
	readonly peer: string;

	constructor(peer: string) {
		super(`a peer '${peer}' is there already`);
		this.peer = peer;
	}
}
