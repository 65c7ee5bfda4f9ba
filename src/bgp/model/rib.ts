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

import type { Negotiated, SessionReceiver, SessionSink } from './negotiated.ts';
import type { RibPeerOptions } from './peer-options.ts';

/** The speaker's identity in route attributes; may change at run time. */
export interface RibIdentity {
	readonly localAsNumber: number;
	readonly routerId: number;
	/** Present: this speaker reflects (RFC 4456). */
	readonly clusterId: number | undefined;
	/** Clusters of clients in addition; the RIB maintains them. */
	readonly clientClusters?: ReadonlySet<number>;
}

/** The RIB's own settings. */
export interface RibOptions extends RibIdentity {
	readonly clientToClientReflection: boolean;
	/** Own addresses: a route with one of them as NEXT_HOP is ignored. */
	readonly localAddresses: readonly string[];
	/**
	 * Maximum number of next hops of equal paths in a best route (`BestRoute.alternatives`).
	 * Default 1: only the best one.
	 */
	readonly maximumPaths?: number;
	/**
	 * Kernel metric of ordinary routes of a family, read at each use. A LOCAL_PREF for a lower one
	 * gives a route that metric (`elevatedMetricOf`). Default 1024.
	 */
	readonly normalPriority?: (family: Family) => number;
}

/** Selects the paths to show. */
export interface RouteQuery {
	readonly family?: Family;
	/** Exactly this prefix, or with `covered` all prefixes inside it. */
	readonly prefix?: PrefixKey;
	readonly covered?: boolean;
	/** The best route to an address. */
	readonly address?: string;
	/** Adj-RIB-In of a peer, as received; `advertised`: its Adj-RIB-Out. */
	readonly received?: string;
	readonly advertised?: string;
	/** Maximum number of results. */
	readonly limit?: number;
}

/** All tables of the speaker, with one instance per address family. */
export interface Rib {
	/**
	 * A session was established. The session uses the receiver from then on; stale routes of the
	 * peer are matched by `Negotiated.peerName`.
	 */
	established(negotiated: Negotiated, options: RibPeerOptions, sink: SessionSink): SessionReceiver;
	/**
	 * A peer's configuration changed: evaluates its routes again without an effect on the session.
	 * Unknown names are ignored.
	 */
	reconfigure(peerName: string, options: RibPeerOptions): void;
	/**
	 * AS number, router ID or cluster ID changed: loop detection uses the new ones (RFC 4456 §8),
	 * and changed attributes are sent to established peers. No session is restarted, and no route
	 * is removed.
	 */
	setIdentity(identity: RibIdentity): void;
	/** Sends the whole Adj-RIB-Out again (soft reset outbound), as after a ROUTE-REFRESH. */
	resend(peerName: string): void;
	/**
	 * `interiorCost` and `interfaceOf` may have changed for these next hops (default: all):
	 * affected routes are decided again.
	 */
	nextHopsChanged(nextHops?: ReadonlySet<string>): void;
	/** The peer is no longer configured: its stale routes are removed. */
	forget(peerName: string): void;
	/**
	 * Originates a prefix of this node; idempotent. Default `nextHop`: the session's own address.
	 * `path` distinguishes several of one prefix, of which the best one is announced; default 0.
	 */
	originate(prefix: PrefixKey, attributes?: OriginateAttributes, path?: number): void;
	/** `path`: as in `originate`; the other paths of this node stay. */
	withdrawOrigin(prefix: PrefixKey, path?: number): void;
	/**
	 * Subscribes to batches of best-route changes, after each slice of selection. First delivers
	 * all present routes, unless `fromNow`. Returns a function that ends the subscription.
	 */
	onChanges(listener: (changes: readonly RouteChange[]) => void, options?: { readonly fromNow?: boolean }): () => void;
	/**
	 * Calls `listener` once every session announced by `expectPeers` has sent End-of-RIB, or
	 * `timeoutSeconds` has passed; at once if that is already the case.
	 */
	onInSync(listener: () => void): void;
	/**
	 * Required for "in sync"; with no names the RIB is in sync at once. `deferSelection`: no route
	 * is selected until then (RFC 4724 §4.1).
	 */
	expectPeers(names: readonly string[], timeoutSeconds: number, deferSelection?: boolean): void;
	readonly inSync: boolean;
	/** Expected peers without End-of-RIB. */
	readonly waitingFor: readonly string[];
	/** The complete result: only for small queries. */
	routes(query: RouteQuery): RouteView[];
	/** The same as an iterator, for results of any size; `undefined` marks a pause. */
	eachRoute(query: RouteQuery): Iterable<RouteView | undefined>;
	/** The prefixes with paths, usable or not, that contain an address; most specific first. */
	covering(address: string): PrefixKey[];
	explain(prefix: PrefixKey): ExplanationView;
	/** The next hops of all routes from neighbours, each once. */
	nextHops(): NextHopView[];
	counts(peerName: string): PrefixCounts[];
	/** Malformed UPDATEs of the peer's session; `undefined` without a session. */
	malformed(peerName: string): MalformedCounts | undefined;
	/**
	 * Sessions and families for which this node has own routes but no next hop to announce them.
	 */
	withoutNextHop(): readonly { readonly peer: string; readonly family: Family }[];
	/** Sessions that are near their prefix limit, or over it. */
	nearLimit(): readonly PeerLimit[];
	statistics(): RibStatistics;
}

/** A session near its prefix limit, or over it. */
export interface PeerLimit {
	readonly peer: string;
	readonly family: Family;
	readonly received: number;
	readonly limit: number;
	/** What happens to prefixes over the limit. */
	readonly action: NonNullable<RibPeerOptions['maxPrefix']>['action'];
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

/** External functions of the RIB. */
export interface RibDependencies {
	readonly clock: Clock;
	readonly log: Logger;
	/** Seeds of the hash tables; default `Math.random`. */
	readonly random?: Random;
	/** Calls back in a later turn of the event loop, after I/O; default `setImmediate`. */
	readonly defer?: (callback: () => void) => void;
	/**
	 * Interior cost to a next hop; `undefined` if unreachable (RFC 4271 §9.1.2.1); default: every
	 * next hop is reachable at cost 0. It must not depend on this RIB, so that no route depends on
	 * itself. Called once per next hop, and again after `nextHopsChanged`.
	 */
	readonly interiorCost?: (nextHop: string) => number | undefined;
	/**
	 * The outgoing interface towards a next hop, if known: `interface` in policies. Called like
	 * `interiorCost`.
	 */
	readonly interfaceOf?: (nextHop: string) => string | undefined;
	/**
	 * No route has had this next hop for a while: its state can be dropped. It may be requested
	 * again later.
	 */
	readonly nextHopGone?: (nextHop: string) => void;
	/** Sizes of blocks and buffers; small in tests. */
	readonly tuning?: Partial<RibTuning>;
	/**
	 * Called with an unexpected exception of a job. The session that it concerns ends; a failed
	 * selection is repeated. Without a handler the exception propagates.
	 */
	readonly onFault?: (error: unknown) => void;
}

/** Limits and sizes; small in tests, so that rare events occur often. */
export interface GroupTuning {
	/** Bytes of a chunk of the log. */
	readonly chunkBytes: number;
	/** A cursor that is further behind is given up: its peer gets the latest state instead. */
	readonly behindBytes: number;
	/** Prefixes in one block of a walk through the table. */
	readonly walkPrefixes: number;
	/** Missed prefixes sent in one step. */
	readonly missedPrefixes: number;
}

/** Sizes of blocks and buffers, and initial capacities of tables. */
export interface RibTuning extends GroupTuning {
	readonly ipv4Prefixes: number;
	readonly ipv6Prefixes: number;
	readonly attributeSets: number;
	/** Paths besides the first one of each prefix. */
	readonly furtherPaths: number;
}

/** Memory of the attribute blocks. */
export interface AttributeMemory {
	/** Bytes of the blocks that routes use, with their headers. */
	readonly heldBytes: number;
	/**
	 * Bytes of memory for blocks, free space included: at most 1.25 times the held ones and 1 MiB.
	 */
	readonly residentBytes: number;
}

export interface RibStatistics {
	readonly prefixes: Readonly<Record<Family, number>>;
	readonly paths: Readonly<Record<Family, number>>;
	readonly attributeSets: number;
	readonly attributeMemory: AttributeMemory;
	readonly updateGroups: number;
	/** Prefixes that wait for selection. */
	readonly dirty: number;
}
