import { createHash } from 'node:crypto';
import { type Family, parseAddress, parsePrefix } from '../../core/index.ts';
import { type Direction, type IpSet, parseAddressPort, type SetId } from '../../policy/index.ts';
import { BpfMap, type MapDefinition } from '../kernel/map.ts';
import type { Pins } from '../kernel/pins.ts';

/**
 * The maps that all policy programs of a node share. A set is a part of the key: a change of a
 * member is one element, and no program changes. The version is part of the path of the pins; every
 * change of a key or value needs a new one.
 */
export const policyLayoutVersion = 1;

export interface PolicyMapSizes {
	/** Members of all sets of prefixes. */
	readonly netMembers: number;
	/** Members of all sets of addresses with ports. */
	readonly addressPortMembers: number;
	readonly connections: number;
	/** Datagrams whose fragments are on the way. */
	readonly fragments: number;
	/** Decisions of all policies. */
	readonly counters: number;
	/** A power of 2. */
	readonly eventBytes: number;
	/** Programs with rules of all pods. */
	readonly rulePrograms: number;
	/** Pods, each in two directions. */
	readonly endpoints: number;
	/** Addresses of all pods. */
	readonly sources: number;
}

export const defaultPolicyMapSizes: PolicyMapSizes = {
	netMembers: 262_144,
	addressPortMembers: 65_536,
	connections: 262_144,
	fragments: 4096,
	counters: 32_768,
	eventBytes: 1 << 20,
	rulePrograms: 8192,
	endpoints: 8192,
	sources: 16_384,
};

export type PolicyMapName =
	| 'nets'
	| 'address_ports'
	| 'connections'
	| 'fragments'
	| 'events'
	| 'counters'
	| 'switches'
	| 'rule_programs'
	| 'endpoints'
	| 'sources'
	| 'pods'
	| 'scratch';

/**
 * Which rules of an endpoint: `own` are those of a pod, or of packets that end at the host or start
 * there; `forward` those of packets that pass through it; the others are the early stages of a host
 * endpoint.
 */
export type RulesOf = (typeof allRules)[number];
const allRules = ['own', 'forward', 'untracked', 'pre-dnat'] as const;

/** The number of rules in keys and events. */
export const rulesNumber = (direction: Direction, of: RulesOf): number =>
	(direction === 'ingress' ? 0 : 1) + 2 * allRules.indexOf(of);

/** The rules that a number stands for. */
export const rulesOfNumber = (number: number): { readonly direction: Direction; readonly of: RulesOf } => ({
	direction: (number & 1) === 0 ? 'ingress' : 'egress',
	of: allRules[number >> 1] ?? 'own',
});

/** Indexes of the array `switches`; a value that is not 0 turns something on. */
export const Switch = { flows: 0 } as const;

/**
 * In connections of the host, in place of the index of an interface: the hook that allowed the
 * first packet. `early`: what preDNAT policy did not deny, with addresses before translation.
 */
export const hostConnections = { early: 0xffff_fffd, ingress: 0xffff_fffe, egress: 0xffff_ffff } as const;
/** Bits beside the interface in keys of fragments, of the stages that judge them before. */
export const earlyFragments = { untracked: 0x8000_0000, 'pre-dnat': 0x4000_0000 } as const;

/** Offsets inside of keys and values, in bytes; programs and this process agree on them here. */
export const Layout = {
	/** Length of the prefix 4, set 8, address 16 (IPv4: 4, then zeros). */
	nets: { bytes: 28, set: 4, address: 12 },
	/** Set 8, address 16, protocol 2, port 2. */
	addressPorts: { bytes: 28, address: 8, protocol: 24, port: 26 },
	/**
	 * Endpoint 4, protocol 1, family 1, zeros 2, source 16, destination 16, ports 2 + 2 as in the
	 * packet.
	 */
	connection: { bytes: 44, protocol: 4, family: 5, source: 8, destination: 24, sourcePort: 40, destinationPort: 42 },
	/** Last packet 8 (nanoseconds since boot), flags 4, zeros 4. */
	connectionValue: { bytes: 16, flags: 8 },
	/** Endpoint 4, protocol 1, family 1, zeros 2, source 16, destination 16, identification 4. */
	fragment: { bytes: 44, protocol: 4, family: 5, source: 8, destination: 24, identification: 40 },
	/**
	 * Endpoint 4, rules 4 (see `rulesNumber`); the value: the first program of the rules for IPv4 4,
	 * for IPv6 4.
	 */
	endpoint: { bytes: 8, valueBytes: 8 },
	/** Endpoint 4, family 4, address 16 (IPv4: 4, then zeros). */
	sourceAddress: { bytes: 24, family: 4, address: 8 },
	/** Address 16 (IPv4: 4, then zeros), family 4; the value: the pod's interface. */
	pod: { bytes: 24, family: 16 },
	/**
	 * What a program leaves for the next one of the same packet: program 4, 1 to go on behind a tier
	 * 4, then slots of the frame.
	 */
	scratch: { bytes: 192, program: 0, behind: 4, slots: 8 },
	/**
	 * Nanoseconds since boot 8, endpoint 4, decision 4, action, rules (see `rulesNumber`), family,
	 * protocol 1 each, ports 2 + 2, addresses 16 + 16.
	 */
	event: {
		bytes: 56,
		endpoint: 8,
		decision: 12,
		action: 16,
		rules: 17,
		family: 18,
		protocol: 19,
		sourcePort: 20,
		destinationPort: 22,
		source: 24,
		destination: 40,
	},
} as const;

export const policyMapDefinitions = (
	sizes: PolicyMapSizes = defaultPolicyMapSizes,
): Readonly<Record<PolicyMapName, MapDefinition>> => ({
	nets: { name: 'nets', type: 'lpmTrie', keyBytes: Layout.nets.bytes, valueBytes: 4, entries: sizes.netMembers },
	address_ports: {
		name: 'address_ports',
		type: 'hash',
		keyBytes: Layout.addressPorts.bytes,
		valueBytes: 4,
		entries: sizes.addressPortMembers,
	},
	connections: {
		name: 'connections',
		type: 'lruHash',
		keyBytes: Layout.connection.bytes,
		valueBytes: Layout.connectionValue.bytes,
		entries: sizes.connections,
	},
	fragments: {
		name: 'fragments',
		type: 'lruHash',
		keyBytes: Layout.fragment.bytes,
		valueBytes: 8,
		entries: sizes.fragments,
	},
	counters: { name: 'counters', type: 'hash', keyBytes: 8, valueBytes: 8, entries: sizes.counters },
	rule_programs: {
		name: 'rule_programs',
		type: 'programArray',
		keyBytes: 4,
		valueBytes: 4,
		entries: sizes.rulePrograms,
	},
	endpoints: {
		name: 'endpoints',
		type: 'hash',
		keyBytes: Layout.endpoint.bytes,
		valueBytes: Layout.endpoint.valueBytes,
		entries: sizes.endpoints,
		onDemand: true,
	},
	sources: {
		name: 'sources',
		type: 'hash',
		keyBytes: Layout.sourceAddress.bytes,
		valueBytes: 4,
		entries: sizes.sources,
		onDemand: true,
	},
	pods: {
		...{ name: 'pods', type: 'hash', keyBytes: Layout.pod.bytes, valueBytes: 4, entries: sizes.sources },
		onDemand: true,
	},
	scratch: { name: 'scratch', type: 'perCpuArray', keyBytes: 4, valueBytes: Layout.scratch.bytes, entries: 1 },
	switches: { name: 'switches', type: 'array', keyBytes: 4, valueBytes: 4, entries: 1 },
	events: { name: 'events', type: 'ringBuffer', keyBytes: 0, valueBytes: 0, entries: sizes.eventBytes },
});

export type PolicyMaps = ReadonlyMap<PolicyMapName, BpfMap>;

/** New maps, without pins. @throws SystemCallError */
export const createPolicyMaps = (sizes?: PolicyMapSizes): PolicyMaps =>
	new Map(
		Object.entries(policyMapDefinitions(sizes)).map(([name, definition]) => [
			// `Object.entries` forgets the type of the keys.
			name as PolicyMapName,
			BpfMap.create(definition),
		]),
	);

/** The pinned maps, or new ones that are pinned. @throws MapMismatchError, SystemCallError */
export function openPolicyMaps(pins: Pins, sizes?: PolicyMapSizes): PolicyMaps {
	const maps = new Map<PolicyMapName, BpfMap>();
	try {
		// `Object.entries` forgets the type of the keys.
		for (const [name, definition] of Object.entries(policyMapDefinitions(sizes)))
			maps.set(name as PolicyMapName, pins.map(definition).map);
	} catch (error) {
		for (const map of maps.values()) map.close();
		throw error;
	}
	return maps;
}

/**
 * The 64 bits that stand for a set in keys: of a hash of its id, the lowest one for the family. No
 * table of numbers must survive a restart. 100,000 sets collide with a probability of 10^-9.
 */
export function setKey(id: SetId, family: Family): bigint {
	const hash = createHash('sha256').update(id).digest().readBigUInt64LE();
	return (hash & ~1n) | (family === 'ipv4' ? 0n : 1n);
}

/** Key of a member of a set of type `nets`. */
export function netKey(id: SetId, member: string): Uint8Array {
	const { family, bytes, length } = parsePrefix(member);
	const key = new Uint8Array(Layout.nets.bytes);
	const view = new DataView(key.buffer);
	view.setUint32(0, 64 + length, true);
	view.setBigUint64(Layout.nets.set, setKey(id, family), true);
	key.set(bytes, Layout.nets.address);
	return key;
}

/** Key of a member of a set of type `address-ports`. */
export function addressPortKey(id: SetId, member: string): Uint8Array {
	const { address, protocol, port } = parseAddressPort(member);
	const { family, bytes } = parseAddress(address);
	const key = new Uint8Array(Layout.addressPorts.bytes);
	const view = new DataView(key.buffer);
	view.setBigUint64(0, setKey(id, family), true);
	key.set(bytes, Layout.addressPorts.address);
	view.setUint16(Layout.addressPorts.protocol, protocol, true);
	view.setUint16(Layout.addressPorts.port, port, true);
	return key;
}

const mapOf = (maps: PolicyMaps, type: IpSet['type']): BpfMap => {
	const name = type === 'nets' ? 'nets' : 'address_ports';
	const map = maps.get(name);
	if (map === undefined) throw new RangeError(`the map ${name} is missing`);
	return map;
};

/** Members that join a set, in one batch. @throws MapFullError, SystemCallError */
export function addMembers(
	maps: PolicyMaps,
	{ id, type }: Pick<IpSet, 'id' | 'type'>,
	members: Iterable<string>,
): void {
	const keys = [...members].map((member) => (type === 'nets' ? netKey(id, member) : addressPortKey(id, member)));
	const map = mapOf(maps, type);
	map.setMany(Buffer.concat(keys), new Uint8Array(4 * keys.length).fill(1), keys.length);
}

/** Members that leave a set. @throws SystemCallError */
export function removeMembers(
	maps: PolicyMaps,
	{ id, type }: Pick<IpSet, 'id' | 'type'>,
	members: Iterable<string>,
): void {
	const map = mapOf(maps, type);
	for (const member of members) map.delete(type === 'nets' ? netKey(id, member) : addressPortKey(id, member));
}
