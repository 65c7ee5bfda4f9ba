import { isDeepStrictEqual } from 'node:util';
import type { PeerChange } from '../speaker/api.ts';
import type { PeerOptions } from './options.ts';

type Effect = 'live' | 'routes' | 'reset';

const open = { effect: 'reset', why: 'it is said in OPEN, once per session' } as const;
const transport = { effect: 'reset', why: 'it is a property of the TCP connection' } as const;
const next = { effect: 'live', why: 'it counts from the next connection or pause on' } as const;
const routes = { effect: 'routes', why: 'routes are evaluated again' } as const;

/** What a change of each option does to a running session. A new option must be listed here. */
const effects: Readonly<Record<keyof PeerOptions, { readonly effect: Effect; readonly why: string }>> = {
	name: { effect: 'reset', why: 'it is another peer' },
	address: { effect: 'reset', why: 'it is another peer' },
	asNumber: open,
	localAsNumber: open,
	dualAs: open,
	localRouterId: open,
	families: open,
	holdTimeSeconds: open,
	gracefulRestart: open,
	longLivedStaleSeconds: open,
	addPath: open,
	extendedNextHop: open,
	extendedMessage: open,
	routeRefresh: open,
	fourOctetAs: open,
	role: open,
	strictRole: open,
	localAddress: transport,
	device: transport,
	ttlSecurityHops: transport,
	multihopTtl: transport,
	md5Key: { effect: 'live', why: 'the key of the connection is changed; the peer has the hold time to follow' },
	enabled: { effect: 'live', why: 'the session is started or stopped' },
	description: { effect: 'live', why: 'it is for people' },
	port: next,
	passive: next,
	connectRetrySeconds: next,
	connectTimeoutSeconds: next,
	delayOpenSeconds: next,
	idleHoldSeconds: next,
	sendHoldSeconds: next,
	maxPrefixRestartSeconds: next,
	reflectorClient: routes,
	clusterId: routes,
	routeServerClient: routes,
	importPolicies: routes,
	exportPolicies: routes,
	ebgpRequiresPolicy: routes,
	gracefulShutdown: routes,
	nextHopMode: routes,
	nextHopSelf: routes,
	allowOwnAs: routes,
	removePrivateAs: routes,
	replaceOwnAs: routes,
	noPrependInbound: routes,
	enforceFirstAs: routes,
	maxPrefix: routes,
	addPathLimit: routes,
	staleSeconds: routes,
};

const strength: Readonly<Record<PeerChange['effect'], number>> = { none: 0, live: 1, routes: 2, reset: 3 };

/** What going from one set of options to another means for the peer's session, field by field. Pure. */
export function describePeerChange(before: PeerOptions, after: PeerOptions): PeerChange {
	// The table has exactly the keys of the options.
	const keys = Object.keys(effects) as (keyof PeerOptions)[];
	const fields = keys.filter((field) => !isDeepStrictEqual(before[field], after[field])).map((field) => ({ field, ...effects[field] }));
	const effect = fields.reduce<PeerChange['effect']>((strongest, field) => (strength[field.effect] > strength[strongest] ? field.effect : strongest), 'none');
	return { peer: after.name, effect, fields };
}
