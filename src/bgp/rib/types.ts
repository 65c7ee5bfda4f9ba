import type {
	Clock,
	ExplanationView,
	Family,
	Logger,
	MalformedCounts,
	NextHopView,
	PrefixCounts,
	PrefixKey,
	Random,
	RouteChange,
	RouteView,
} from '../../core/index.ts';

import type { Negotiated, SessionReceiver, SessionSink } from '../negotiated.ts';
import type { Policy } from '../policy/types.ts';
import type { GroupTuning } from '../update-group/index.ts';

/** What the operator wants of a peer's routes; may change while the session lives. */
export interface RibPeerOptions {
	readonly reflectorClient: boolean;
	/** The cluster that a client is in, where it is another than the speaker's (RFC 4456 §7). */
	readonly clusterId: number | undefined;
	readonly routeServerClient: boolean;
	/** `undefined`: iBGP accepts all; eBGP takes and gives nothing (RFC 8212), unless `ebgpRequiresPolicy` is off. */
	readonly importPolicies: readonly Policy[] | undefined;
	readonly exportPolicies: readonly Policy[] | undefined;
	readonly ebgpRequiresPolicy: boolean;
	/** RFC 8326 §4: the session is about to go down for maintenance; its routes are made the last resort on both sides. */
	readonly gracefulShutdown: boolean;
	/** `auto`: RFC 4271 §5.1.3 (kept towards iBGP, self towards eBGP). */
	readonly nextHopMode: 'auto' | 'self' | 'keep';
	/** The address to put in NEXT_HOP for `self`, by family; default: the session's local address where the family agrees. */
	readonly nextHopSelf: Readonly<Partial<Record<Family, string>>>;
	readonly allowOwnAs: number;
	readonly removePrivateAs: boolean;
	/** Only the number that the peer knows us by is prepended, not the speaker's own besides (RFC 7705 §3, "Replace Old AS"). */
	readonly replaceOwnAs: boolean;
	/** The number that the peer knows us by is not put in front of what comes from there (RFC 7705 §3, "No Prepend Inbound"). */
	readonly noPrependInbound: boolean;
	/** RFC 4271 §6.3; off for route servers. */
	readonly enforceFirstAs: boolean;
	readonly maxPrefix: { readonly limit: number; readonly warnPercent: number; readonly action: 'warn' | 'discard' | 'shutdown' } | undefined;
	/** Paths per prefix to send where add-path was negotiated: 0 for all. */
	readonly addPathLimit: number;
	/** Seconds to wait for End-of-RIB after a graceful restart. */
	readonly staleSeconds: number;
}

/** Who this speaker is in the attributes of routes; may change while it runs. */
export interface RibIdentity {
	readonly localAsNumber: number;
	readonly routerId: number;
	/** Present: this speaker reflects (RFC 4456). */
	readonly clusterId: number | undefined;
	/** Clusters that clients are in besides; the RIB keeps them itself. */
	readonly clientClusters?: ReadonlySet<number>;
}

/** The RIB's own settings. */
export interface RibOptions extends RibIdentity {
	readonly clientToClientReflection: boolean;
	/** Own addresses, by which a NEXT_HOP equal to one of them is ignored. */
	readonly localAddresses: readonly string[];
}

/** Which paths to show. */
export interface RouteQuery {
	readonly family?: Family;
	/** Exactly this prefix, or with `covered` everything inside it. */
	readonly prefix?: PrefixKey;
	readonly covered?: boolean;
	/** The best route to an address. */
	readonly address?: string;
	/** Adj-RIB-In of a peer, as received; `advertised`: its Adj-RIB-Out. */
	readonly received?: string;
	readonly advertised?: string;
	/** At most so many. */
	readonly limit?: number;
}

/** All tables of the speaker, one instance per address family inside. */
export interface Rib {
	/** A session came up. The receiver is called by the session from then on; a peer whose routes are held as stale gets them back by `Negotiated.peerName`. */
	established(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): SessionReceiver;
	/** The operator changed what he wants of a peer: re-evaluates what changed, without touching the session. Unknown names are ignored. */
	reconfigure(peerName: string, options: RibPeerOptions): void;
	/**
	 * AS number, router ID or cluster ID became others: loops are judged by the new ones (RFC 4456 §8), and established peers are told what
	 * reads differently now. No session is touched, no route leaves the tables meanwhile.
	 */
	setIdentity(identity: RibIdentity): void;
	/** Sends the whole Adj-RIB-Out again (soft reset outwards), as ROUTE-REFRESH would. */
	resend(peerName: string): void;
	/** `interiorCost` and `interfaceOf` may answer differently now, for these next hops (default: all): routes that this concerns are decided again. */
	nextHopsChanged(nextHops?: ReadonlySet<string>): void;
	/** The peer is no longer configured: routes that are held as stale for it go. */
	forget(peerName: string): void;
	/** Originates a prefix of this node; idempotent. `nextHop`: default is the session's own address. */
	originate(prefix: PrefixKey, attributes?: OriginateAttributes): void;
	withdrawOrigin(prefix: PrefixKey): void;
	/** Batches of best-route changes, after each slice of selection. At once on subscription: everything that is there. Returns what ends the subscription. */
	onChanges(listener: (changes: readonly RouteChange[]) => void): () => void;
	/** Calls `listener` once every session that was announced by `expectPeers` has sent End-of-RIB, or `timeoutSeconds` passed; at once if that was before. */
	onInSync(listener: () => void): void;
	/** Nothing is in sync before this was called; with no names it is so at once. `deferSelection`: no route is selected until then (RFC 4724 §4.1). */
	expectPeers(names: readonly string[], timeoutSeconds: number, deferSelection?: boolean): void;
	readonly inSync: boolean;
	/** Names that `expectPeers` gave and that have not sent End-of-RIB. */
	readonly waitingFor: readonly string[];
	routes(query: RouteQuery): RouteView[];
	explain(prefix: PrefixKey): ExplanationView;
	/** The next hops of all routes that neighbours have sent, each once. */
	nextHops(): NextHopView[];
	counts(peerName: string): PrefixCounts[];
	/** UPDATEs of the peer's session that were malformed; `undefined` without a session. */
	malformed(peerName: string): MalformedCounts | undefined;
	statistics(): RibStatistics;
}

export interface OriginateAttributes {
	readonly nextHop?: string;
	readonly localPref?: number;
	readonly med?: number;
	readonly communities?: readonly string[];
	readonly largeCommunities?: readonly string[];
	readonly extendedCommunities?: readonly string[];
	/** The kernel metric. */
	readonly priority?: number;
}

/** What the RIB needs from its surroundings. */
export interface RibDependencies {
	readonly clock: Clock;
	readonly log: Logger;
	/** Seeds of the hash tables; default `Math.random`. */
	readonly random?: Random;
	/** Calls back in a later turn of the event loop, after I/O; default `setImmediate`. */
	readonly defer?: (callback: () => void) => void;
	/**
	 * Interior cost of the way to a next hop, `undefined` where there is none (RFC 4271 §9.1.2.1); default: every one is there and
	 * costs nothing. It must not ask this RIB, so no route ever depends on itself. Asked once a next hop, and again on `nextHopsChanged`.
	 */
	readonly interiorCost?: (nextHop: string) => number | undefined;
	/** The interface that packets to a next hop leave through, where that is known: what policies mean by `interface`. Asked as `interiorCost` is. */
	readonly interfaceOf?: (nextHop: string) => string | undefined;
	/** No route has had this next hop for a while: nothing needs to be known of it. It may be asked for again. */
	readonly nextHopGone?: (nextHop: string) => void;
	/** Sizes of blocks and buffers; tests make them small. */
	readonly tuning?: Partial<RibTuning>;
}

/** Sizes of blocks and buffers, and what the tables have room for before they grow. */
export interface RibTuning extends GroupTuning {
	readonly ipv4Prefixes: number;
	readonly ipv6Prefixes: number;
	readonly attributeSets: number;
	/** Paths besides the first one of each prefix. */
	readonly furtherPaths: number;
}

export interface RibStatistics {
	readonly prefixes: Readonly<Record<Family, number>>;
	readonly paths: Readonly<Record<Family, number>>;
	readonly attributeSets: number;
	readonly updateGroups: number;
	/** Prefixes whose best path is still to be decided. */
	readonly dirty: number;
}
