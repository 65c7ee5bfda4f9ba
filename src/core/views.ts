/**
 * The views as plain JSON: the rooms produce them, `control/` serves them, `cli/` renders them.
 * They are the stable shapes behind `--json`; a field is added, never renamed.
 */
import type { Family, PrefixKey } from './ip.ts';
import type { RouteSource } from './route.ts';

/** A current problem of this node. */
export interface ProblemView {
	/** Stable identifier, a row of docs/reference/health.md. */
	readonly id: string;
	readonly severity: 'error' | 'warning';
	/** The affected object; empty for the node as a whole. */
	readonly subject: string;
	readonly text: string;
	/** The details, with the message of the kernel or the server if there is one. */
	readonly reason: string;
	/** The remedy. */
	readonly remedy: string;
	/** Page of `docs/`. */
	readonly docs: string;
	/** ISO 8601. */
	readonly since: string;
}

/** A current problem of one peer. */
export interface PeerProblemView {
	/** Stable identifier, a row of docs/reference/health.md. */
	readonly id: string;
	readonly severity: 'error' | 'warning';
	readonly reason: string;
	readonly remedy: string;
}

/** A session in one line, with all other details. */
export interface PeerView {
	readonly name: string;
	/**
	 * The configured description; for a cluster's session its resources: `BGPPeer tor, Node
	 * worker-2`.
	 */
	readonly description?: string;
	readonly address: string;
	readonly port: number;
	readonly asNumber: number;
	readonly localAsNumber: number;
	readonly kind: 'internal' | 'external';
	readonly reflectorClient: boolean;
	/** A dynamic neighbour, accepted by a range; removed when its session ends. */
	readonly dynamic: boolean;
	readonly passive: boolean;
	readonly state: 'idle' | 'connect' | 'active' | 'open-sent' | 'open-confirm' | 'established';
	/** `false` after `peer disable`. */
	readonly enabled: boolean;
	/** The options that differ from their defaults, secrets as `true`; only of a single peer. */
	readonly options?: Readonly<Record<string, unknown>>;
	/** ISO 8601; start of the present state. */
	readonly since: string;
	readonly routerId?: string;
	readonly localAddress?: string;
	readonly holdTimeSeconds?: number;
	readonly keepaliveSeconds?: number;
	/**
	 * Prefixes by family: in the Adj-RIB-In, those accepted by policy, the best ones, in the
	 * Adj-RIB-Out.
	 */
	readonly prefixes: readonly PrefixCounts[];
	readonly messages: { readonly received: MessageCounts; readonly sent: MessageCounts };
	/** Times the session reached Established. */
	readonly establishedCount: number;
	readonly lastError?: ErrorView;
	readonly lastNotificationSent?: NotificationView;
	readonly lastNotificationReceived?: NotificationView;
	/** UPDATEs of this session that were malformed (RFC 7606); absent without a session. */
	readonly malformed?: MalformedCounts;
	readonly capabilities?: {
		readonly sent: readonly string[];
		readonly received: readonly string[];
		readonly negotiated: readonly string[];
	};
	/**
	 * Seconds left of running timers: `connectRetry`, `delayOpen`, `hold`, `keepalive`, `sendHold`;
	 * `idleHold`: until an idle peer retries.
	 */
	readonly timers?: Readonly<Record<string, number>>;
	/** Its problems as `status` has them; absent without one. */
	readonly problems?: readonly PeerProblemView[];
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
	/** Text in the usual notation: `64999 65001 {65002 65003}`. */
	readonly asPath: string;
	readonly communities: readonly string[];
	readonly largeCommunities: readonly string[];
	readonly extendedCommunities: readonly string[];
	readonly originatorId?: string;
	readonly clusterList: readonly string[];
	/**
	 * The reason why it is not used (loop, rejected by policy, martian, limit, ...), if it is not
	 * eligible.
	 */
	readonly ineligible?: string;
}

/** A next hop of received routes. */
export interface NextHopView {
	readonly nextHop: string;
	/** `false`: unreachable, and the routes are not used. */
	readonly reachable: boolean;
	/** Interior cost of the next hop (RFC 4271 §9.1.2.2 e), if reachable. */
	readonly cost?: number;
	/** Outgoing interface, if known. */
	readonly interface?: string;
}

/** The term of a policy that decided on a route. */
export interface PolicyTermView {
	readonly policy: string;
	/** Its name, or its number from 1 on; `otherwise` if no term matched. */
	readonly term: string;
	readonly action: 'accept' | 'reject';
}

/** A path with the result of the decision. */
export type ExplainedPath = RouteView & {
	/** The step at which it lost. */
	readonly lostAt?: { readonly step: string; readonly rfc: string };
	/** The term of the peer's import policy that decided on it. */
	readonly importedBy?: PolicyTermView;
};

/** An address and its owner on the node. */
export interface ExplainedAddress {
	readonly address: string;
	readonly pool?: string;
	readonly block?: string;
	readonly node?: string;
	/** `namespace/name`. */
	readonly pod?: string;
}

/** The reason why the best path is best, and its receivers. */
export interface ExplanationView {
	readonly prefix: PrefixKey;
	readonly paths: readonly ExplainedPath[];
	/**
	 * Peers that received the best route, and the others, by reason; absent without a best route.
	 */
	readonly announced?: {
		readonly to: readonly string[];
		readonly withheld: readonly { readonly reason: string; readonly peers: readonly string[] }[];
	};
	/**
	 * The routes of the prefix in the kernel, and the reason why the best one is missing; absent if
	 * the kernel is not accessed.
	 */
	readonly kernel?: readonly FibRouteView[];
	/**
	 * Why paths may be missing, none is best, or the best one is not in the kernel; absent: nothing
	 * to say.
	 */
	readonly notes?: readonly string[];
	/** For an address: more specific prefixes without a usable path. */
	readonly passedOver?: readonly { readonly prefix: PrefixKey; readonly paths: readonly ExplainedPath[] }[];
	readonly address?: ExplainedAddress;
}

/** An installed or desired route of ours. */
export interface FibRouteView {
	readonly prefix: PrefixKey;
	readonly type: 'unicast' | 'blackhole';
	readonly via?: string;
	readonly device?: string;
	readonly onlink: boolean;
	readonly metric: number;
	/**
	 * `installed`: desired and present; `missing`: desired, not present yet; `failed`: the kernel
	 * refused; `extra`: present, not desired (swept when in sync); `skipped`: known, not programmed
	 * by this node.
	 */
	readonly state: 'installed' | 'missing' | 'failed' | 'extra' | 'skipped';
	readonly reason?: string;
}

/** Another program writes the routes of this node: this node writes none meanwhile. */
export interface FibRefusal {
	/** The evidence: routes in the kernel, or the cluster's resources. */
	readonly seen: 'kernel' | 'resources';
	readonly reason: string;
	/** The remedy. */
	readonly hint: string;
}

export interface FibView {
	readonly enabled: boolean;
	/** Every source of routes is complete, and the kernel refused none. */
	readonly inSync: boolean;
	/** Sources that are not complete yet; nothing is swept before they are. */
	readonly waitingFor: readonly string[];
	/** The protocol number that marks our routes. */
	readonly routeProtocol: number;
	/** The routing table of our routes; 254 is the main one. */
	readonly table: number;
	/** Metric of routes for which no policy sets one. */
	readonly metric: number;
	readonly routes: readonly FibRouteView[];
	/** If present, no route is written. */
	readonly refusal?: FibRefusal;
}
