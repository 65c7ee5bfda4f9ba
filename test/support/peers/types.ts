/** A route as a peer originates it. */
export interface PeerRoute {
	readonly prefix: string;
	readonly nextHop: string;
	/** `65001:1`. */
	readonly communities?: readonly string[];
	/** `65001:1:2`. */
	readonly largeCommunities?: readonly string[];
	readonly med?: number;
}

/** The inputs of a peer's configuration: one session, with the speaker under test. */
export interface PeerSetting {
	readonly address: string;
	readonly port: number;
	readonly asNumber: number;
	readonly routerId: string;
	readonly remote: { readonly address: string; readonly port: number; readonly asNumber: number };
	readonly families: readonly ('ipv4' | 'ipv6')[];
	/** At most one of each family if the peer supports no more. */
	readonly originate: readonly PeerRoute[];
	readonly holdTimeSeconds?: number;
	/** TCP MD5 key. */
	readonly password?: string;
	/** In both directions, all paths. */
	readonly addPath?: boolean;
	/** Seconds; absent: graceful restart is off. */
	readonly restartSeconds?: number;
	/** Seconds of long-lived graceful restart (RFC 9494), beside `restartSeconds`. */
	readonly longLivedSeconds?: number;
	/** Its role towards us (RFC 9234). */
	readonly role?: 'customer' | 'peer';
	/** Messages of more than 4096 octets (RFC 8654). */
	readonly extendedMessage?: boolean;
	/** RFC 5082, one hop; needs its own link, not loopback. */
	readonly ttlSecurity?: boolean;
	/** RFC 8950. */
	readonly extendedNextHop?: boolean;
	/**
	 * IPv4 and IPv6 addresses for NEXT_HOP of sent routes: several daemons refuse one in
	 * 127.0.0.0/8.
	 */
	readonly nextHop: { readonly ipv4: string; readonly ipv6: string };
	/** A network namespace to run in. */
	readonly namespace?: string;
}

/** A route that a peer received from the speaker under test. */
export interface SeenRoute {
	readonly prefix: string;
	readonly nextHop: string;
	readonly asPath: readonly number[];
	readonly communities: readonly string[];
	readonly largeCommunities: readonly string[];
	readonly localPref?: number;
	readonly med?: number;
	readonly originatorId?: string;
	readonly clusterList?: readonly string[];
}

/** Features that not every daemon supports. */
export type PeerFeature =
	| 'add-path'
	| 'graceful-restart'
	| 'graceful-helper'
	| 'answers-refresh'
	| 'ttl-security'
	| 'extended-next-hop'
	| 'long-lived'
	| 'role'
	| 'extended-message'
	| 'enhanced-refresh';

/** A BGP daemon of another project. */
export interface PeerKind {
	readonly name: string;
	/** Files that exist if it is installed. */
	readonly files: readonly string[];
	readonly features: ReadonlySet<PeerFeature>;
	/** The installed version. */
	version(): Promise<string>;
	/** Starts it with all its files in `folder`. */
	start(setting: PeerSetting, folder: string): Promise<RunningPeer>;
}

/** A running peer. */
export interface RunningPeer {
	readonly name: string;
	isEstablished(): Promise<boolean>;
	/** The routes it received from the speaker under test. */
	routes(): Promise<SeenRoute[]>;
	/**
	 * Requests all routes from the speaker under test again (RFC 2918); absent if it has no command
	 * for it.
	 */
	refresh?(): Promise<void>;
	/** Stops it in order: it may send CEASE. */
	stop(): Promise<void>;
	/** Stops it as in a power failure. */
	kill(): Promise<void>;
	/** Its log, for a failed test. */
	log(): string;
}
