import { z } from 'zod';
import { type Family, parseAddress } from '../../core/index.ts';
import {
	address,
	asNumber,
	expects,
	flag,
	holdTimeSeconds,
	integer,
	ipv4Address,
	ipv6Address,
	key,
	list,
	oneOf,
	path,
	port,
	routerId,
	sentence,
	word,
} from '../../schema/index.ts';
import { converted, derived, internal, type OptionContext, option } from './peer-option-rows.ts';
import type { Policy } from './policy.ts';

const identity = { effect: 'reset', why: 'it is another peer', imports: false } as const;
const open = { effect: 'reset', why: 'it is part of OPEN, once per session', imports: false } as const;
const transport = { effect: 'reset', why: 'it is a property of the TCP connection', imports: false } as const;
const next = { effect: 'live', why: 'it counts from the next connection or pause on', imports: false } as const;
const routes = { effect: 'routes', why: 'routes are evaluated again', imports: false } as const;
const imports = { ...routes, imports: true } as const;

const maxPrefix = expects(
	z.strictObject({
		limit: key(integer(1, 0xffff_ffff, 'a number of prefixes'), 'prefixes accepted of one address family', 'routes'),
		warnPercent: key(integer(1, 100, 'percent').default(75), 'of the limit, at which a warning is logged', 'routes'),
		action: key(oneOf('warn', 'discard', 'shutdown').default('shutdown'), 'what happens beyond the limit', 'routes'),
		restartSeconds: key(
			integer(1, 86_400, 'seconds').exactOptional(),
			'after a shutdown by the limit, until the next attempt',
			'live',
			'down until `peer enable`',
		),
	}),
	'{ limit: 1000, warnPercent: 75, action: warn | discard | shutdown, restartSeconds: 300 }',
);

const gracefulRestart = expects(
	z.strictObject({
		enabled: key(
			flag.default(true),
			'announce graceful restart (RFC 4724, RFC 8538), and hold the routes of a peer that restarts',
			'reset',
		),
		restartSeconds: key(
			integer(1, 4095, 'seconds').default(120),
			'how long the peer is asked to wait for our return',
			'reset',
		),
		staleSeconds: key(
			integer(1, 86_400, 'seconds').default(360),
			"how long a restarted peer's routes are held until its End-of-RIB",
			'routes',
		),
		longLivedStaleSeconds: key(
			integer(0, 0xff_ffff, 'seconds').default(0),
			'long-lived graceful restart (RFC 9494); 0: off',
			'reset',
		),
	}),
	'{ enabled: true, restartSeconds: 120, staleSeconds: 360, longLivedStaleSeconds: 0 }',
);

const addPath = expects(
	z.strictObject({
		receive: key(flag.default(false), 'accept several paths for one prefix (RFC 7911)', 'reset'),
		send: key(flag.default(false), 'send several paths for one prefix', 'reset'),
		limit: key(integer(0, 255, 'a number of paths').default(0), 'paths sent for one prefix; 0: all', 'routes'),
	}),
	'{ receive: true, send: true, limit: 0 }',
);

const nextHopSelf = expects(
	z.strictObject({
		ipv4: key(ipv4Address.exactOptional(), 'of IPv4 routes', 'routes'),
		ipv6: key(ipv6Address.exactOptional(), 'of IPv6 routes', 'routes'),
	}),
	'{ ipv4: 10.0.1.2, ipv6: fd00::2 }',
);

const policyNames = (policies: readonly Policy[] | undefined) => policies?.map(({ name }) => name);
const policiesOf = (names: readonly string[] | undefined, context: OptionContext) => names && context.policies(names);

/** A dotted quad as a number. */
export function identifierNumber(dotted: string): number {
	const { bytes } = parseAddress(dotted);
	return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/**
 * The options of a peer: one row declares an option. From the row follow the type
 * (`PeerOptions`, and with the effect `routes` `RibPeerOptions`), the default, the key of peers,
 * groups and ranges in the configuration file with its check and its line of the manual, the effect
 * of a change at a reload and on a running session, and the output of `bgpmesh peers NAME`.
 */
export const peerOptionTable = {
	/** Unique among the speaker's peers; the identifier in output, logs and metrics. */
	name: internal('', identity),
	/** Canonical text of the neighbour's address, for connections in both directions. */
	address: internal('', identity),
	asNumber: internal(0, open),

	description: option(sentence.exactOptional(), {
		text: 'for people',
		change: { effect: 'live', why: 'it is for people', imports: false },
	}),
	/** `false`: configured, but down until `enable`. */
	enabled: option(flag.default(true), {
		text: '`false`: configured, but no session is made; one that is up ends',
		change: { effect: 'live', why: 'the session is started or stopped', imports: false },
	}),
	/** The port to connect to. */
	port: option(port.default(179), { text: 'TCP port of the peer, for the next attempt to connect', change: next }),
	/** The source address of connections, canonical text; `undefined`: the kernel chooses. */
	localAddress: option(address.exactOptional(), {
		text: 'source address of the session',
		otherwise: "the kernel's choice",
		change: transport,
	}),
	/** The network device of connections (SO_BINDTODEVICE); required for link-local addresses. */
	device: option(word.exactOptional(), {
		text: 'network device of the session; needed for a link-local address',
		otherwise: "the kernel's choice",
		change: transport,
	}),
	/** Our AS number towards this peer (RFC 7705); `undefined`: the speaker's. */
	localAsNumber: option(asNumber.exactOptional(), {
		text:
			'our AS number towards this peer (RFC 7705); with an external peer it is put in front of the ' +
			'AS path of what comes from there, and in front of `bgp.asNumber` in what goes there',
		otherwise: '`bgp.asNumber`',
		change: open,
	}),
	/**
	 * If an external peer rejects `localAsNumber` (2/2), the next OPEN uses the speaker's, and so
	 * on alternately.
	 */
	dualAs: option(flag.default(false), {
		text:
			'with `localAsNumber` and an external peer: where it refuses that number the next attempt is ' +
			'made with `bgp.asNumber`, and so on in turn',
		change: open,
	}),
	/**
	 * The AS number of our OPEN is not prepended to received paths (RFC 7705 §3, "No Prepend
	 * Inbound").
	 */
	noPrependInbound: option(flag.default(false), {
		text: 'with `localAsNumber`: it is not put in front of what comes from the peer (RFC 7705, "No Prepend Inbound")',
		change: imports,
	}),
	/**
	 * Only the AS number of our OPEN is prepended, without the speaker's own (RFC 7705 §3, "Replace
	 * Old AS").
	 */
	replaceOwnAs: option(flag.default(false), {
		text:
			'with `localAsNumber`: that number stands in the AS path in place of `bgp.asNumber`, not in ' +
			'front of it (RFC 7705, "Replace Old AS")',
		change: routes,
	}),
	/** Never connects, only accepts. */
	passive: option(flag.default(false), { text: 'wait for the peer to connect', change: next }),
	/** Families to offer (RFC 4760 §8). */
	families: converted(list(oneOf('ipv4', 'ipv6'), 'address families: ipv4, ipv6').default(['ipv4', 'ipv6']), {
		text: 'unicast address families of the session',
		change: open,
		read: (families): readonly Family[] => families,
	}),
	/** Offered in OPEN; 0 disables keepalives and hold timer. */
	holdTimeSeconds: option(holdTimeSeconds.default(90), {
		text: 'proposed hold time; keepalives follow at a third; 0: none',
		change: open,
	}),
	/** RFC 9687; `undefined`: the larger of 480 and twice the hold time; 0 for off. */
	sendHoldSeconds: option(integer(0, 65535, 'seconds').exactOptional(), {
		text:
			'how long a peer may take nothing of what we send before the session ends (RFC 9687); 0: for ' +
			'ever; from the next session on',
		otherwise: '480, or twice the hold time if that is more',
		change: next,
	}),
	/**
	 * The longest pause between connection attempts; the first ones are shorter, see
	 * `retryDelayMs`.
	 */
	connectRetrySeconds: option(integer(1, 65535, 'seconds').default(30), {
		text: 'the longest pause between attempts to connect; the first ones come sooner',
		change: next,
	}),
	/**
	 * The TTL of packets to an external peer outside our subnet; `undefined`: 1 to an external, the
	 * kernel's default to an internal peer.
	 */
	multihopTtl: option(integer(1, 255, 'a number of hops').exactOptional(), {
		text: 'TTL towards an external peer more than a hop away',
		otherwise: '1 to external peers',
		change: transport,
	}),
	/** GTSM (RFC 5082): maximum number of hops to the neighbour; `undefined` for off. */
	ttlSecurityHops: option(integer(1, 254, 'a number of hops').exactOptional(), {
		text: 'accept packets from at most so many hops away (GTSM, RFC 5082); not together with `multihopTtl`',
		otherwise: 'off',
		change: transport,
	}),
	/**
	 * TCP MD5 key (RFC 2385), 1 to 80 bytes; `readMd5Key` reads one from a file. A change takes
	 * effect without a reset.
	 */
	md5Key: converted(path.exactOptional(), {
		of: 'passwordFile',
		text:
			'file with the TCP MD5 key (RFC 2385), its last line end aside; a changed key is taken over ' +
			'at the next reload without a reset',
		otherwise: 'no key',
		change: {
			effect: 'live',
			why: 'the key of the connection is changed; the peer has the hold time to follow',
			imports: false,
		},
		read: (file, context) => (file === undefined ? undefined : context.md5Key(file)),
		show: (secret) => secret !== undefined,
	}),
	reflectorClient: option(flag.default(false), {
		text: 'the peer is a client of this route reflector (RFC 4456)',
		change: imports,
	}),
	/** The cluster of a client, if it differs from the speaker's (RFC 4456 §7). */
	clusterId: converted(routerId.exactOptional(), {
		text: 'the cluster that the client is in (RFC 4456, 7)',
		otherwise: '`bgp.clusterId`',
		change: routes,
		read: (dotted) => (dotted === undefined ? undefined : identifierNumber(dotted)),
	}),
	/**
	 * If the best path may not be sent to the peer (its own path, or rejected by export policy),
	 * the best of the others is sent (RFC 7947 §2.3).
	 */
	secondBestPath: option(flag.default(false), {
		text:
			"where the best path is the peer's own, or export policy refuses it, the best of the others " +
			'is sent (RFC 7947 §2.3, for clients of a route server); it costs an update group per peer',
		change: routes,
	}),
	routeServerClient: option(flag.default(false), {
		text: 'routes go to and from the peer with AS path and next hop untouched',
		change: imports,
	}),
	/**
	 * `undefined`: iBGP accepts all; eBGP accepts and sends no routes (RFC 8212), unless
	 * `ebgpRequiresPolicy` is off.
	 */
	importPolicies: converted(list(word, 'policy names').exactOptional(), {
		text: 'in order, for routes from the peer',
		otherwise: 'internal peers: all; external peers: nothing (RFC 8212)',
		change: imports,
		read: policiesOf,
		show: policyNames,
	}),
	exportPolicies: converted(list(word, 'policy names').exactOptional(), {
		text: 'in order, for routes to the peer',
		otherwise: 'internal peers: all; external peers: nothing (RFC 8212)',
		change: routes,
		read: policiesOf,
		show: policyNames,
	}),
	/**
	 * RFC 8326 §4: the session is about to go down for maintenance; both sides use its routes as
	 * the last resort.
	 */
	gracefulShutdown: option(flag.default(false), {
		text:
			'before maintenance (RFC 8326): routes to and from the peer get `graceful-shutdown` and ' +
			'LOCAL_PREF 0, so that traffic moves away while the session stays',
		change: imports,
	}),
	maxPrefix: converted(maxPrefix.exactOptional(), {
		text: 'limit of prefixes taken from the peer',
		otherwise: 'no limit',
		change: routes,
		read: (file) => file && { limit: file.limit, warnPercent: file.warnPercent, action: file.action },
	}),
	/** `auto`: RFC 4271 §5.1.3 (kept towards iBGP, self towards eBGP). */
	nextHopMode: option(oneOf('auto', 'self', 'keep').default('auto'), {
		text: '`auto`: own address to external peers, unchanged to internal ones',
		change: routes,
	}),
	/**
	 * The NEXT_HOP for `self`, by family; default: the session's local address if the family
	 * matches.
	 */
	nextHopSelf: converted(nextHopSelf.prefault({}), {
		text: 'the own address to announce',
		otherwise: "the session's local address",
		change: routes,
		read: (addresses): Readonly<Partial<Record<Family, string>>> => addresses,
	}),
	allowOwnAs: option(integer(0, 10, 'a number of times').default(0), {
		text: 'how often our AS number may be in a received AS path',
		change: imports,
	}),
	removePrivateAs: option(flag.default(false), {
		text: 'private AS numbers are removed from the AS path towards an external peer',
		change: routes,
	}),
	/** RFC 4271 §6.3; off for route servers. */
	enforceFirstAs: option(flag.default(true), {
		text: "the first AS of an external peer's routes must be its own (RFC 4271, 6.3)",
		change: imports,
	}),
	/** RFC 9234, our role towards an external peer. */
	role: option(oneOf('provider', 'route-server', 'route-server-client', 'customer', 'peer').exactOptional(), {
		text: 'our role towards the peer (RFC 9234), also where it names none',
		otherwise: 'none',
		change: open,
	}),
	/** Reject a peer without a role. */
	strictRole: option(flag.default(false), { text: 'refuse a peer that names no role', change: open }),
	/** IPv4 routes with IPv6 next hops (RFC 8950). */
	extendedNextHop: option(flag.default(false), {
		text: 'IPv4 routes may have IPv6 next hops (RFC 8950)',
		change: open,
	}),
	/** RFC 7911, for every family offered. */
	addPath: converted(addPath.prefault({}), {
		text: 'several paths for one prefix',
		change: open,
		read: ({ receive, send }) => ({ receive, send }),
	}),
	/**
	 * RFC 4724: offered with this restart time; `notification`: RFC 8538. `undefined`: not offered.
	 */
	gracefulRestart: converted(gracefulRestart.prefault({}), {
		text: 'routes survive a restart',
		change: open,
		read: ({ enabled, restartSeconds }) => (enabled ? { restartSeconds, notification: true } : undefined),
	}),

	/** Pause after max-prefix ended the session; `undefined`: down until enabled again. */
	maxPrefixRestartSeconds: derived(
		'maxPrefix',
		next,
		(file: z.output<typeof maxPrefix> | undefined) => file?.restartSeconds,
	),
	/** Paths per prefix to send if add-path was negotiated: 0 for all. */
	addPathLimit: derived('addPath', routes, ({ limit }: z.output<typeof addPath>) => limit),
	/** Time to wait for End-of-RIB after a graceful restart, in seconds. */
	staleSeconds: derived('gracefulRestart', routes, (file: z.output<typeof gracefulRestart>) => file.staleSeconds),
	/**
	 * RFC 9494: the stale time offered for our own routes, and use of the peer's; 0: not offered.
	 */
	longLivedStaleSeconds: derived(
		'gracefulRestart',
		open,
		(file: z.output<typeof gracefulRestart>) => file.longLivedStaleSeconds,
	),

	ebgpRequiresPolicy: internal(true, imports, ({ ebgpRequiresPolicy }) => ebgpRequiresPolicy),
	/** The identifier in our OPEN to this peer; `undefined`: the speaker's. */
	localRouterId: internal(undefined as number | undefined, open),
	/** Time limit of one attempt: with MD5 or GTSM a refusal is silent. */
	connectTimeoutSeconds: internal(10, next),
	/**
	 * RFC 4271 §8.1.1 DelayOpen: time to wait for the peer's OPEN before ours is sent; 0 for off.
	 */
	delayOpenSeconds: internal(0, next),
	/** The longest pause after a failed session (damping of oscillations, RFC 4271 §8.1.1). */
	idleHoldSeconds: internal(60, next),
	/** RFC 8654. */
	extendedMessage: internal(true, open),
	/** RFC 2918 and 7313. */
	routeRefresh: internal(true, open),
	/** RFC 6793; off only for tests with old speakers. */
	fourOctetAs: internal(true, open),
};
