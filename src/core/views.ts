/**
 * What a person can look at, as plain JSON: the rooms produce these, `control/` serves them, `cli/` renders them.
 * They are the stable shapes behind `--json`; a field is added, never renamed.
 */
import type { Family, PrefixKey } from './ip.ts';
import type { RouteSource } from './route.ts';

/** A session in one line, and everything else that is known of it. */
export interface PeerView {
	readonly name: string;
	readonly address: string;
	readonly port: number;
	readonly asNumber: number;
	readonly localAsNumber: number;
	readonly kind: 'internal' | 'external';
	readonly reflectorClient: boolean;
	/** A dynamic neighbour, accepted because of a range; gone when its session ends. */
	readonly dynamic: boolean;
	readonly passive: boolean;
	readonly state: 'idle' | 'connect' | 'active' | 'open-sent' | 'open-confirm' | 'established';
	/** `false` after `peer disable`. */
	readonly enabled: boolean;
	/** ISO 8601; when the present state began. */
	readonly since: string;
	readonly routerId?: string;
	readonly localAddress?: string;
	readonly holdTimeSeconds?: number;
	readonly keepaliveSeconds?: number;
	/** Prefixes by family: in the Adj-RIB-In, of those accepted by policy, of those best, in the Adj-RIB-Out. */
	readonly prefixes: readonly PrefixCounts[];
	readonly messages: { readonly received: MessageCounts; readonly sent: MessageCounts };
	/** Times the session reached Established. */
	readonly establishedCount: number;
	readonly lastError?: ErrorView;
	readonly lastNotificationSent?: NotificationView;
	readonly lastNotificationReceived?: NotificationView;
	/** UPDATEs of this session that were malformed (RFC 7606); absent without a session. */
	readonly malformed?: MalformedCounts;
	readonly capabilities?: { readonly sent: readonly string[]; readonly received: readonly string[]; readonly negotiated: readonly string[] };
	/** Seconds left of those that run: `connectRetry`, `delayOpen`, `hold`, `keepalive`, `sendHold`; `idleHold`: until a peer that is idle tries again. */
	readonly timers?: Readonly<Record<string, number>>;
}

/** Malformed UPDATEs that did not end the session. */
export interface MalformedCounts {
	/** Their routes were withdrawn. */
	readonly treatedAsWithdraw: number;
	/** They were used without the attribute. */
	readonly attributesDiscarded: number;
}

export interface PrefixCounts {
	readonly family: Family;
	readonly received: number;
	readonly accepted: number;
	readonly best: number;
	readonly advertised: number;
	readonly stale: number;
}

export interface MessageCounts {
	readonly open: number;
	readonly update: number;
	readonly notification: number;
	readonly keepalive: number;
	readonly refresh: number;
	readonly bytes: number;
}

export interface ErrorView {
	readonly at: string;
	readonly message: string;
}

export interface NotificationView {
	readonly at: string;
	readonly code: number;
	readonly subcode: number;
	readonly name: string;
	/** RFC 9003 text, escaped for a terminal. */
	readonly text?: string;
	readonly dataHex: string;
}

/** One path to one prefix. */
export interface RouteView {
	readonly prefix: PrefixKey;
	readonly nextHop?: string;
	readonly source: RouteSource;
	readonly peer?: string;
	readonly best: boolean;
	readonly stale: boolean;
	readonly pathId?: number;
	readonly localPref?: number;
	readonly med?: number;
	readonly origin: 'igp' | 'egp' | 'incomplete';
	/** Text as people write it: `64999 65001 {65002 65003}`. */
	readonly asPath: string;
	readonly communities: readonly string[];
	readonly largeCommunities: readonly string[];
	readonly extendedCommunities: readonly string[];
	readonly originatorId?: string;
	readonly clusterList: readonly string[];
	/** Why it is not used (loop, rejected by policy, martian, limit, ...), where it is not eligible. */
	readonly ineligible?: string;
}

/** A next hop of routes that neighbours have sent. */
export interface NextHopView {
	readonly nextHop: string;
	/** `false`: no way leads there, and the routes are not used. */
	readonly reachable: boolean;
	/** Interior cost of the way (RFC 4271 §9.1.2.2 e), where there is one. */
	readonly cost?: number;
	/** Where the way begins, where that is known. */
	readonly interface?: string;
}

/** Why the best path is the best. */
export interface ExplanationView {
	readonly prefix: PrefixKey;
	readonly paths: readonly (RouteView & { readonly lostAt?: { readonly step: string; readonly rfc: string } })[];
}

/** A route of ours in the kernel, and one that should be. */
export interface FibRouteView {
	readonly prefix: PrefixKey;
	readonly type: 'unicast' | 'blackhole';
	readonly via?: string;
	readonly device?: string;
	readonly onlink: boolean;
	readonly metric: number;
	/** `installed`: wanted and there; `missing`: wanted, not there yet; `failed`: the kernel refused; `extra`: there, not wanted (swept when in sync); `skipped`: known, not ours to program. */
	readonly state: 'installed' | 'missing' | 'failed' | 'extra' | 'skipped';
	readonly reason?: string;
}

/** Somebody else programs the routes that are this node's to program: nothing is written while that lasts. */
export interface FibRefusal {
	/** Where it was seen: by routes in the kernel, or by what the cluster's resources say. */
	readonly seen: 'kernel' | 'resources';
	readonly reason: string;
	/** What to do about it. */
	readonly hint: string;
}

export interface FibView {
	readonly enabled: boolean;
	readonly inSync: boolean;
	/** Sources that have not said "in sync" yet; nothing is swept before they do. */
	readonly waitingFor: readonly string[];
	readonly routeProtocol: number;
	readonly routes: readonly FibRouteView[];
	/** Present: nothing is written. */
	readonly refusal?: FibRefusal;
}
