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

/** What a peer's configuration is made from: one session, with the speaker under test. */
export interface PeerSetting {
	readonly address: string;
	readonly port: number;
	readonly asNumber: number;
	readonly routerId: string;
	readonly remote: { readonly address: string; readonly port: number; readonly asNumber: number };
	readonly families: readonly ('ipv4' | 'ipv6')[];
	/** At most one of each family where the peer can do no better. */
	readonly originate: readonly PeerRoute[];
	readonly holdTimeSeconds?: number;
	/** TCP MD5 key. */
	readonly password?: string;
	/** Both ways, all paths. */
	readonly addPath?: boolean;
	/** Seconds; absent: graceful restart is off. */
	readonly restartSeconds?: number;
	/** Seconds of long-lived graceful restart (RFC 9494), beside `restartSeconds`. */
	readonly longLivedSeconds?: number;
	/** What it says it is to us (RFC 9234). */
	readonly role?: 'customer' | 'peer';
	/** Messages of more than 4096 octets (RFC 8654). */
	readonly extendedMessage?: boolean;
	/** RFC 5082, one hop; needs a link of its own, not loopback. */
	readonly ttlSecurity?: boolean;
	/** RFC 8950. */
	readonly extendedNextHop?: boolean;
	/** IPv4 and IPv6 addresses for NEXT_HOP of what is sent: one in 127.0.0.0/8 is refused by several daemons. */
	readonly nextHop: { readonly ipv4: string; readonly ipv6: string };
	/** A network namespace to run in. */
	readonly namespace?: string;
}

/** A route as a peer tells that it got it from the speaker under test. */
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

/** Features that not every daemon has. */
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

/** A BGP daemon of somebody else. */
export interface PeerKind {
	readonly name: string;
	/** Files that tell it is installed. */
	readonly files: readonly string[];
	readonly features: ReadonlySet<PeerFeature>;
	/** The version that is installed here. */
	version(): Promise<string>;
	/** Starts it with everything of its own in `folder`. */
	start(setting: PeerSetting, folder: string): Promise<RunningPeer>;
}

/** One that runs. */
export interface RunningPeer {
	readonly name: string;
	isEstablished(): Promise<boolean>;
	/** What it has from the speaker under test. */
	routes(): Promise<SeenRoute[]>;
	/** Asks the speaker under test for everything again (RFC 2918); absent where it can't be told to. */
	refresh?(): Promise<void>;
	/** Ends it in order: it may say goodbye. */
	stop(): Promise<void>;
	/** Ends it as a power failure does. */
	kill(): Promise<void>;
	/** Its log, for a failed test. */
	log(): string;
}
