import type { Policy } from '../bgp/index.ts';
import { zonedAddress } from '../core/index.ts';
import type { FileConfig } from './schema.ts';
import { type SessionConfig, sessionSchema } from './session-schema.ts';

/** A neighbour with all values resolved: its own values over its group's over the defaults. */
export interface PeerConfig extends Readonly<SessionConfig> {
	readonly name: string;
	readonly address: string;
	readonly asNumber: number;
	readonly group: string | undefined;
}

/** Dynamic neighbours, with all values resolved. */
export interface PeerRangeConfig extends Readonly<SessionConfig> {
	readonly name: string;
	readonly prefix: string;
	readonly asNumber: number;
	readonly limit: number;
	readonly group: string | undefined;
}

type FileBgp = NonNullable<FileConfig['bgp']>;

/** The speaker's part of the configuration. */
export interface BgpConfig extends Readonly<Omit<FileBgp, 'groups' | 'peers' | 'peerRanges'>> {
	readonly peers: readonly PeerConfig[];
	readonly peerRanges: readonly PeerRangeConfig[];
}

/** A valid configuration: complete, consistent and frozen. */
export interface Config extends Readonly<Omit<FileConfig, 'bgp' | 'policies'>> {
	readonly bgp: BgpConfig | undefined;
	readonly policies: Readonly<Record<string, Policy>>;
}

/** A contradiction between keys; `path` leads to the key to change. */
export interface Contradiction {
	readonly path: readonly PropertyKey[];
	readonly expected: string;
}

type FilePeer = FileBgp['peers'][number];
type FileRange = FileBgp['peerRanges'][number];

/** Applies groups and names, and finds contradictions between keys. Pure. */
export function resolve(file: FileConfig): {
	readonly config: Config;
	readonly contradictions: readonly Contradiction[];
} {
	const contradictions: Contradiction[] = [];
	const policies = Object.fromEntries(
		Object.entries(file.policies).map(([name, policy]): [string, Policy] => [name, { name, ...policy }]),
	);
	if (file.bgp === undefined && file.datastore.type === 'none')
		contradictions.push({ path: ['bgp'], expected: 'the BGP settings, at least { asNumber: 64512 }' });
	if (file.ipam.mode === 'host-local' && file.datastore.type !== 'kubernetes')
		contradictions.push({
			path: ['ipam', 'mode'],
			expected: 'blocks: with datastore none there is no Node that has podCIDRs',
		});
	const bgp = file.bgp && resolveBgp(file.bgp, contradictions);
	if (file.bgp !== undefined) {
		for (const [name, group] of Object.entries(file.bgp.groups))
			checkSession(group, ['bgp', 'groups', name], policies, contradictions);
		for (const [index, peer] of file.bgp.peers.entries())
			checkSession(peer, ['bgp', 'peers', index], policies, contradictions);
		for (const [index, range] of file.bgp.peerRanges.entries())
			checkSession(range, ['bgp', 'peerRanges', index], policies, contradictions);
	}
	for (const [index, { cidr, ipipMode }] of file.pools.entries()) {
		// ipip carries only IPv4.
		if (cidr.includes(':') && ipipMode !== 'Never')
			contradictions.push({
				path: ['pools', index],
				expected: 'ipipMode: Never for an IPv6 pool: IP-in-IP carries IPv4 alone',
			});
	}
	return { config: deepFreeze({ ...file, bgp, policies }), contradictions };
}

function resolveBgp(file: FileBgp, contradictions: Contradiction[]): BgpConfig {
	const { groups, peers, peerRanges, ...rest } = file;
	const seen = new Map<string, string>();
	const taken = (kind: string, value: string, path: readonly PropertyKey[]) => {
		const key = `${kind} ${value}`;
		const holder = seen.get(key);
		if (holder === undefined) seen.set(key, `${String(path[1])}[${String(path[2])}]`);
		else contradictions.push({ path, expected: `another ${kind}: '${value}' is ${holder}'s` });
		return holder === undefined;
	};
	/** The peer's values over its group's, and the AS number of one of them. */
	const complete = (peer: FilePeer | FileRange, path: readonly PropertyKey[]) => {
		const group = peer.group === undefined || !Object.hasOwn(groups, peer.group) ? undefined : groups[peer.group];
		if (peer.group !== undefined && group === undefined) {
			const names = Object.keys(groups).join(', ');
			contradictions.push({
				path: [...path, 'group'],
				expected: names === '' ? 'a group; bgp.groups has none' : `one of ${names}`,
			});
		}
		const asNumber = peer.asNumber ?? group?.asNumber;
		if (asNumber === undefined && (peer.group === undefined || group !== undefined)) {
			contradictions.push({ path: [...path, 'asNumber'], expected: 'an AS number, here or in the group' });
		}
		const own = Object.fromEntries(
			Object.keys(sessionSchema.shape).flatMap((name) => {
				const value = peer[name as keyof SessionConfig] ?? group?.[name as keyof SessionConfig];
				return value === undefined ? [] : [[name, value]];
			}),
		);
		checkTtl(peer, group, path, contradictions);
		// Validated before; this adds the defaults.
		return { ...sessionSchema.parse(own), asNumber: asNumber ?? 0, group: peer.group };
	};
	const completePeers = peers.map((peer, index): PeerConfig => {
		const path = ['bgp', 'peers', index];
		const session = complete(peer, path);
		// Peers are identified by address and port, a link-local address with its interface.
		const address = zonedAddress(peer.address, session.device);
		const endpoint = session.port === 179 ? address : `${address} port ${session.port}`;
		const name = peer.name ?? address;
		const isFree = taken('address', endpoint, [...path, 'address']);
		if (isFree) taken('name', name, [...path, peer.name === undefined ? 'address' : 'name']);
		return { ...session, name, address: peer.address };
	});
	const completeRanges = peerRanges.map((range, index): PeerRangeConfig => {
		const path = ['bgp', 'peerRanges', index];
		const name = range.name ?? range.prefix;
		taken('name', name, [...path, range.name === undefined ? 'prefix' : 'name']);
		const session = complete(range, path);
		// The AS number that a refused OPEN revealed is lost with its session.
		if (session.dualAs)
			contradictions.push({
				path: [...path, 'dualAs'],
				expected: 'false: a neighbour of a range is not remembered between its attempts',
			});
		return { ...session, name, prefix: range.prefix, limit: range.limit };
	});
	return { ...rest, peers: completePeers, peerRanges: completeRanges };
}

type Ttl = Pick<FilePeer, 'multihopTtl' | 'ttlSecurityHops'>;

/** GTSM sends and expects TTL 255, so a multihop TTL contradicts it. */
function checkTtl(
	peer: Ttl,
	group: Ttl | undefined,
	path: readonly PropertyKey[],
	contradictions: Contradiction[],
): void {
	const multihopTtl = peer.multihopTtl ?? group?.multihopTtl;
	const ttlSecurityHops = peer.ttlSecurityHops ?? group?.ttlSecurityHops;
	if (multihopTtl === undefined || ttlSecurityHops === undefined) return;
	contradictions.push({
		path: [...path, peer.ttlSecurityHops === undefined ? 'multihopTtl' : 'ttlSecurityHops'],
		expected: 'only one of multihopTtl and ttlSecurityHops, group included',
	});
}

type Checked = Pick<FileBgp['groups'][string], 'importPolicies' | 'exportPolicies' | 'families'>;

function checkSession(
	session: Checked,
	path: readonly PropertyKey[],
	policies: Readonly<Record<string, Policy>>,
	contradictions: Contradiction[],
): void {
	for (const direction of ['importPolicies', 'exportPolicies'] as const) {
		for (const [index, name] of (session[direction] ?? []).entries()) {
			if (Object.hasOwn(policies, name)) {
				const otherwise = policies[name]?.otherwise;
				const behind = session[direction]?.[index + 1];
				if (behind === undefined || otherwise === 'next') continue;
				contradictions.push({
					path: [...path, direction, index],
					expected:
						`a policy with \`otherwise: next\`: '${name}' ${otherwise}s what its terms leave, so ` +
						`'${behind}' behind it would never be asked`,
				});
				continue;
			}
			const names = Object.keys(policies).join(', ');
			contradictions.push({
				path: [...path, direction, index],
				expected: names === '' ? 'a policy; `policies` has none' : `a policy: ${names}`,
			});
		}
	}
	if (session.families?.length === 0)
		contradictions.push({ path: [...path, 'families'], expected: 'at least one address family: ipv4, ipv6' });
}

/** Deeply freezes a value. */
export function deepFreeze<T>(value: T): T {
	if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const part of Object.values(value)) deepFreeze(part);
	}
	return value;
}
