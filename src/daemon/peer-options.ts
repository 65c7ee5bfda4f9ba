import { type PeerOptions, type PeerRangeOptions, type Policy, peerDefaults, type RibPeerOptions } from '../bgp/index.ts';
import type { Config, PeerConfig, PeerRangeConfig } from '../config/index.ts';
import { identifierNumber } from './addresses.ts';

/** The MD5 keys by the file they are in. */
export type PasswordKeys = ReadonlyMap<string, string>;

type SessionPart = Omit<PeerConfig, 'name' | 'address'>;

/** A neighbour as the speaker wants it. Pure. */
export function peerOptionsOf(config: Config, peer: PeerConfig, keys: PasswordKeys): PeerOptions {
	return { ...sessionOptions(config, peer, keys), name: peer.name, address: peer.address, port: peer.port, enabled: peer.enabled, passive: peer.passive };
}

/** Dynamic neighbours as the speaker wants them. Pure. */
export function rangeOptionsOf(config: Config, range: PeerRangeConfig, keys: PasswordKeys): PeerRangeOptions {
	return { name: range.name, prefix: range.prefix, limit: range.enabled ? range.limit : 0, peer: sessionOptions(config, range, keys) };
}

function sessionOptions(config: Config, session: SessionPart, keys: PasswordKeys): Omit<PeerOptions, 'name' | 'address' | 'port' | 'enabled' | 'passive'> {
	const { gracefulRestart, addPath, maxPrefix } = session;
	const { name: _name, address: _address, port: _port, enabled: _enabled, passive: _passive, ...defaults } = { name: '', address: '', ...peerDefaults };
	return {
		...defaults,
		...routeOptions(config, session),
		asNumber: session.asNumber,
		localAsNumber: session.localAsNumber,
		dualAs: session.dualAs,
		description: session.description,
		localAddress: session.localAddress,
		device: session.device,
		families: session.families,
		holdTimeSeconds: session.holdTimeSeconds,
		connectRetrySeconds: session.connectRetrySeconds,
		sendHoldSeconds: session.sendHoldSeconds,
		maxPrefixRestartSeconds: maxPrefix?.restartSeconds,
		md5Key: session.passwordFile === undefined ? undefined : keys.get(session.passwordFile),
		ttlSecurityHops: session.ttlSecurityHops,
		multihopTtl: session.multihopTtl,
		gracefulRestart: gracefulRestart.enabled ? { restartSeconds: gracefulRestart.restartSeconds, notification: true } : undefined,
		longLivedStaleSeconds: gracefulRestart.longLivedStaleSeconds,
		addPath: { receive: addPath.receive, send: addPath.send },
		extendedNextHop: session.extendedNextHop,
		role: session.role,
		strictRole: session.strictRole,
	};
}

function routeOptions(config: Config, session: SessionPart): RibPeerOptions {
	const { maxPrefix, nextHopSelf } = session;
	return {
		reflectorClient: session.reflectorClient,
		clusterId: session.clusterId === undefined ? undefined : identifierNumber(session.clusterId),
		routeServerClient: session.routeServerClient,
		importPolicies: policiesOf(config, session.importPolicies),
		exportPolicies: policiesOf(config, session.exportPolicies),
		ebgpRequiresPolicy: config.bgp?.ebgpRequiresPolicy ?? true,
		gracefulShutdown: session.gracefulShutdown,
		nextHopMode: session.nextHopMode,
		nextHopSelf,
		allowOwnAs: session.allowOwnAs,
		removePrivateAs: session.removePrivateAs,
		replaceOwnAs: session.replaceOwnAs,
		noPrependInbound: session.noPrependInbound,
		enforceFirstAs: session.enforceFirstAs,
		maxPrefix: maxPrefix && { limit: maxPrefix.limit, warnPercent: maxPrefix.warnPercent, action: maxPrefix.action },
		addPathLimit: session.addPath.limit,
		staleSeconds: session.gracefulRestart.staleSeconds,
	};
}

/** Names were checked when the file was read. */
function policiesOf({ policies }: Config, names: readonly string[] | undefined): readonly Policy[] | undefined {
	return names?.flatMap((name) => policies[name] ?? []);
}
