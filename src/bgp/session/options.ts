import { canonicalAddress, type Family } from '../../core/index.ts';
import type { Role } from '../negotiated.ts';
import type { RibPeerOptions } from '../rib/types.ts';

/**
 * What the operator wants of one neighbour: the session's settings beside those of its routes (`RibPeerOptions`).
 * Every field is there, so that two values can be compared field by field; `peerOptions` fills in the defaults.
 */
export interface PeerOptions extends RibPeerOptions {
	/** Unique among the speaker's peers; what people, logs and metrics call it. */
	readonly name: string;
	/** Canonical text of the neighbour's address: connections come from here and go there. */
	readonly address: string;
	/** The port to connect to. */
	readonly port: number;
	readonly asNumber: number;
	/** Ours towards this peer (RFC 7705); `undefined`: the speaker's. */
	readonly localAsNumber: number | undefined;
	/** Where an external peer refuses `localAsNumber` (2/2), the next OPEN has the speaker's, and so on in turn. */
	readonly dualAs: boolean;
	/** The identifier in our OPEN to this peer; `undefined`: the speaker's. */
	readonly localRouterId: number | undefined;
	readonly description: string | undefined;
	/** `false`: configured, and kept down until `enable`. */
	readonly enabled: boolean;
	/** Never connects, only accepts. */
	readonly passive: boolean;
	/** The address to connect from, canonical text; `undefined`: what the kernel chooses. */
	readonly localAddress: string | undefined;
	/** The network device to connect through (SO_BINDTODEVICE); needed for link-local addresses. */
	readonly device: string | undefined;
	/** Families to offer (RFC 4760 §8). */
	readonly families: readonly Family[];

	/** Offered in OPEN; 0 for neither keepalives nor a hold timer. */
	readonly holdTimeSeconds: number;
	/** The longest pause between attempts to connect; the first ones come sooner, see `retryDelayMs`. */
	readonly connectRetrySeconds: number;
	/** How long one attempt may take: with MD5 or GTSM a refusal is silent. */
	readonly connectTimeoutSeconds: number;
	/** RFC 4271 §8.1.1 DelayOpen: wait so long for the peer's OPEN before sending ours; 0 for off. */
	readonly delayOpenSeconds: number;
	/** The longest pause after a session failed (damping of oscillations, RFC 4271 §8.1.1). */
	readonly idleHoldSeconds: number;
	/** RFC 9687; `undefined`: the larger of 480 and twice the hold time; 0 for off. */
	readonly sendHoldSeconds: number | undefined;
	/** After max-prefix ended the session: `undefined`: down until enabled again. */
	readonly maxPrefixRestartSeconds: number | undefined;

	/** TCP MD5 key (RFC 2385), 1 to 80 bytes; `readMd5Key` reads one from a file. Changed live without a reset. */
	readonly md5Key: string | undefined;
	/** GTSM (RFC 5082): the neighbour is at most so many hops away; `undefined` for off. */
	readonly ttlSecurityHops: number | undefined;
	/** The TTL of our packets to an external peer that is not on our subnet; `undefined`: 1 to an external, the kernel's default to an internal peer. */
	readonly multihopTtl: number | undefined;

	/** RFC 4724: offered with this restart time; `notification`: RFC 8538. `undefined`: not offered. */
	readonly gracefulRestart: { readonly restartSeconds: number; readonly notification: boolean } | undefined;
	/** RFC 9494: the stale time we offer for our own routes, and use of the peer's; 0: not offered. */
	readonly longLivedStaleSeconds: number;
	/** RFC 7911, for every family offered. */
	readonly addPath: { readonly receive: boolean; readonly send: boolean };
	/** IPv4 routes with IPv6 next hops (RFC 8950). */
	readonly extendedNextHop: boolean;
	/** RFC 8654. */
	readonly extendedMessage: boolean;
	/** RFC 2918 and 7313. */
	readonly routeRefresh: boolean;
	/** RFC 6793; off only to test old speakers. */
	readonly fourOctetAs: boolean;
	/** RFC 9234, ours towards an external peer. */
	readonly role: Role | undefined;
	/** Refuse a peer that names no role. */
	readonly strictRole: boolean;
}

/** Dynamic neighbours: accepted from a range, never connected to, gone when their session ends. */
export interface PeerRangeOptions {
	readonly name: string;
	/** Canonical prefix text. */
	readonly prefix: string;
	/** At most so many sessions at a time. */
	readonly limit: number;
	/** Everything but what the neighbour itself brings. */
	readonly peer: PeerTemplate;
}

/** Settings shared by the neighbours of a range. */
export type PeerTemplate = Omit<PeerOptions, 'name' | 'address' | 'passive' | 'port' | 'enabled'>;

/** What `PeerOptions` is where nothing is said. */
export const peerDefaults: Omit<PeerOptions, 'name' | 'address' | 'asNumber'> = {
	port: 179,
	localAsNumber: undefined,
	dualAs: false,
	localRouterId: undefined,
	description: undefined,
	enabled: true,
	passive: false,
	localAddress: undefined,
	device: undefined,
	families: ['ipv4', 'ipv6'],
	holdTimeSeconds: 90,
	connectRetrySeconds: 30,
	connectTimeoutSeconds: 10,
	delayOpenSeconds: 0,
	idleHoldSeconds: 60,
	sendHoldSeconds: undefined,
	maxPrefixRestartSeconds: undefined,
	md5Key: undefined,
	ttlSecurityHops: undefined,
	multihopTtl: undefined,
	gracefulRestart: { restartSeconds: 120, notification: true },
	longLivedStaleSeconds: 0,
	addPath: { receive: false, send: false },
	extendedNextHop: false,
	extendedMessage: true,
	routeRefresh: true,
	fourOctetAs: true,
	role: undefined,
	strictRole: false,
	reflectorClient: false,
	clusterId: undefined,
	routeServerClient: false,
	importPolicies: undefined,
	exportPolicies: undefined,
	ebgpRequiresPolicy: true,
	gracefulShutdown: false,
	nextHopMode: 'auto',
	nextHopSelf: {},
	allowOwnAs: 0,
	removePrivateAs: false,
	replaceOwnAs: false,
	noPrependInbound: false,
	enforceFirstAs: true,
	maxPrefix: undefined,
	addPathLimit: 0,
	staleSeconds: 360,
};

/** A complete `PeerOptions` from what matters; the name is the address unless given. @throws AddressError */
export function peerOptions(given: Partial<PeerOptions> & Pick<PeerOptions, 'address' | 'asNumber'>): PeerOptions {
	const address = canonicalAddress(given.address);
	return { ...peerDefaults, name: address, ...given, address };
}
