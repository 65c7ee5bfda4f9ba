import { z } from 'zod';
import { expects, key, keyInfo, showDefault } from './keys.ts';
import {
	address,
	asNumber,
	flag,
	holdTimeSeconds,
	integer,
	ipv4Address,
	ipv6Address,
	list,
	oneOf,
	path,
	port,
	prefix,
	routerId,
	sentence,
	word,
} from './scalars.ts';

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
		enabled: key(flag.default(true), 'announce graceful restart (RFC 4724, RFC 8538), and hold the routes of a peer that restarts', 'reset'),
		restartSeconds: key(integer(1, 4095, 'seconds').default(120), 'how long the peer is asked to wait for our return', 'reset'),
		staleSeconds: key(integer(1, 86_400, 'seconds').default(360), "how long a restarted peer's routes are held until its End-of-RIB", 'routes'),
		longLivedStaleSeconds: key(integer(0, 0xff_ffff, 'seconds').default(0), 'long-lived graceful restart (RFC 9494); 0: off', 'reset'),
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

/** What a peer, a group and a range have in common. */
export const sessionShape = {
	description: key(sentence.exactOptional(), 'for people', 'live'),
	enabled: key(flag.default(true), '`false`: configured, but no session is made; one that is up ends', 'live'),
	port: key(port.default(179), 'TCP port of the peer, for the next attempt to connect', 'live'),
	localAddress: key(address.exactOptional(), 'source address of the session', 'reset', "the kernel's choice"),
	device: key(word.exactOptional(), 'network device of the session; needed for a link-local address', 'reset', "the kernel's choice"),
	localAsNumber: key(
		asNumber.exactOptional(),
		'our AS number towards this peer (RFC 7705); with an external peer it is put in front of the AS path of what comes from there, and in front of `bgp.asNumber` in what goes there',
		'reset',
		'`bgp.asNumber`',
	),
	dualAs: key(
		flag.default(false),
		'with `localAsNumber` and an external peer: where it refuses that number the next attempt is made with `bgp.asNumber`, and so on in turn',
		'reset',
	),
	noPrependInbound: key(
		flag.default(false),
		'with `localAsNumber`: it is not put in front of what comes from the peer (RFC 7705, "No Prepend Inbound")',
		'routes',
	),
	replaceOwnAs: key(
		flag.default(false),
		'with `localAsNumber`: that number stands in the AS path in place of `bgp.asNumber`, not in front of it (RFC 7705, "Replace Old AS")',
		'routes',
	),
	passive: key(flag.default(false), 'wait for the peer to connect', 'live'),
	families: key(list(oneOf('ipv4', 'ipv6'), 'address families: ipv4, ipv6').default(['ipv4', 'ipv6']), 'unicast address families of the session', 'reset'),
	holdTimeSeconds: key(holdTimeSeconds.default(90), 'proposed hold time; keepalives follow at a third; 0: none', 'reset'),
	sendHoldSeconds: key(
		integer(0, 65535, 'seconds').exactOptional(),
		'how long a peer may take nothing of what we send before the session ends (RFC 9687); 0: for ever; from the next session on',
		'live',
		'480, or twice the hold time if that is more',
	),
	connectRetrySeconds: key(integer(1, 65535, 'seconds').default(30), 'the longest pause between attempts to connect; the first ones come sooner', 'live'),
	multihopTtl: key(integer(1, 255, 'a number of hops').exactOptional(), 'TTL towards an external peer more than a hop away', 'reset', '1 to external peers'),
	ttlSecurityHops: key(
		integer(1, 254, 'a number of hops').exactOptional(),
		'accept packets from at most so many hops away (GTSM, RFC 5082); not together with `multihopTtl`',
		'reset',
		'off',
	),
	passwordFile: key(
		path.exactOptional(),
		'file with the TCP MD5 key (RFC 2385), its last line end aside; a changed key is taken over at the next reload without a reset',
		'live',
		'no key',
	),
	reflectorClient: key(flag.default(false), 'the peer is a client of this route reflector (RFC 4456)', 'routes'),
	clusterId: key(routerId.exactOptional(), 'the cluster that the client is in (RFC 4456, 7)', 'routes', '`bgp.clusterId`'),
	routeServerClient: key(flag.default(false), 'routes go to and from the peer with AS path and next hop untouched', 'routes'),
	importPolicies: key(
		list(word, 'policy names').exactOptional(),
		'in order, for routes from the peer',
		'routes',
		'internal peers: all; external peers: nothing (RFC 8212)',
	),
	exportPolicies: key(
		list(word, 'policy names').exactOptional(),
		'in order, for routes to the peer',
		'routes',
		'internal peers: all; external peers: nothing (RFC 8212)',
	),
	gracefulShutdown: key(
		flag.default(false),
		'before maintenance (RFC 8326): routes to and from the peer get `graceful-shutdown` and LOCAL_PREF 0, so that traffic moves away while the session stays',
		'routes',
	),
	maxPrefix: key(maxPrefix.exactOptional(), 'limit of prefixes taken from the peer', 'routes', 'no limit'),
	nextHopMode: key(oneOf('auto', 'self', 'keep').default('auto'), '`auto`: own address to external peers, unchanged to internal ones', 'routes'),
	nextHopSelf: key(nextHopSelf.prefault({}), 'the own address to announce', 'routes', "the session's local address"),
	allowOwnAs: key(integer(0, 10, 'a number of times').default(0), 'how often our AS number may be in a received AS path', 'routes'),
	removePrivateAs: key(flag.default(false), 'private AS numbers are removed from the AS path towards an external peer', 'routes'),
	enforceFirstAs: key(flag.default(true), "the first AS of an external peer's routes must be its own (RFC 4271, 6.3)", 'routes'),
	role: key(
		oneOf('provider', 'route-server', 'route-server-client', 'customer', 'peer').exactOptional(),
		'our role towards the peer (RFC 9234), also where it names none',
		'reset',
		'none',
	),
	strictRole: key(flag.default(false), 'refuse a peer that names no role', 'reset'),
	extendedNextHop: key(flag.default(false), 'IPv4 routes may have IPv6 next hops (RFC 8950)', 'reset'),
	addPath: key(addPath.prefault({}), 'several paths for one prefix', 'reset'),
	gracefulRestart: key(gracefulRestart.prefault({}), 'routes survive a restart', 'reset'),
};

type Shape = typeof sessionShape;
type WithoutDefaults = {
	[K in keyof Shape]: Shape[K] extends z.ZodDefault<infer T> ? z.ZodOptional<T> : Shape[K] extends z.ZodPrefault<infer T> ? z.ZodOptional<T> : Shape[K];
};

/** The same keys without their defaults: a peer's own values, laid over those of its group, are completed at the end. */
function withoutDefaults(shape: Shape): WithoutDefaults {
	const entries = Object.entries(shape).map(([name, schema]) => {
		const info = keyInfo(schema);
		if (info === undefined || !(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)) return [name, schema];
		return [name, key(schema.def.innerType.optional(), info.description, info.effect, info.defaultText ?? showDefault(schema))];
	});
	// The table's type is computed from the same rule as its values.
	return Object.fromEntries(entries) as WithoutDefaults;
}

const partialShape = withoutDefaults(sessionShape);
const groupName = key(word.exactOptional(), 'name of a group in `bgp.groups`, whose values hold where there are none here', 'reset', 'none');

/** Values that several peers share. */
export const groupSchema = expects(
	z.strictObject({ asNumber: key(asNumber.exactOptional(), 'AS number of the peers', 'reset'), ...partialShape }),
	'a group such as { asNumber: 64512, reflectorClient: true }',
);
/** A neighbour as the file has it. */
export const peerSchema = expects(
	z.strictObject({
		name: key(word.exactOptional(), 'unique; commands and logs use it', 'reset', 'its address'),
		address: key(address, 'where the peer is', 'reset'),
		asNumber: key(asNumber.exactOptional(), 'AS number of the peer; here or in its group', 'reset', "the group's"),
		group: groupName,
		...partialShape,
	}),
	'a peer such as { address: 10.0.1.1, asNumber: 64512 }',
);
/** Neighbours that are accepted from a prefix and never connected to. */
export const peerRangeSchema = expects(
	z.strictObject({
		name: key(word.exactOptional(), 'unique', 'reset', 'its prefix'),
		prefix: key(prefix, 'where such peers are', 'reset'),
		asNumber: key(asNumber.exactOptional(), 'AS number of the peers; here or in its group', 'reset', "the group's"),
		limit: key(integer(1, 100_000, 'a number of sessions').default(10_000), 'sessions accepted at the same time', 'live'),
		group: groupName,
		...partialShape,
	}),
	'a range such as { prefix: 10.0.0.0/16, asNumber: 64512 }',
);
/** A session's values, complete. */
export const sessionSchema = z.strictObject(sessionShape);

export type SessionConfig = z.output<typeof sessionSchema>;
