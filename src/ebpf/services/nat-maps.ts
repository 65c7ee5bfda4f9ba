import { createHash } from 'node:crypto';
import { parsePrefix } from '../../core/index.ts';
import type { Frontend, FrontendAction, Pool, PoolKey, ServicesModel } from '../../services/index.ts';
import { natPurpose } from '../kernel/attach.ts';
import { BpfMap, type MapDefinition } from '../kernel/map.ts';
import type { Pins } from '../kernel/pins.ts';
import { endpointBytes, poolId } from './maps.ts';

/**
 * Maps of the translation at the outside interfaces; pools are in `svc_backends` and `svc_members`.
 */
export type NatMapName =
	| 'nat_frontends'
	| 'nat_sources'
	| 'nat_flows'
	| 'nat_reverse'
	| 'nat_affinity'
	| 'nat_fragments';

/** Those of direct server return; they exist only with it. */
export type NatDirectMapName = 'nat_nodes' | 'nat_arrivals' | 'nat_direct';

export interface NatMapSizes {
	/** Addresses and ports that are translated. */
	readonly frontends: number;
	/** Prefixes of pods and of `loadBalancerSourceRanges`. */
	readonly sources: number;
	/** Connections; clients with affinity. */
	readonly flows: number;
}

export const defaultNatMapSizes: NatMapSizes = { frontends: 65_536, sources: 65_536, flows: 262_144 };

/** Offsets in keys and values, in bytes. Endpoints: `SocketLayout.endpoint`. */
export const NatLayout = {
	/**
	 * Pool 8, number of backends 4, seconds of affinity 4 (0: none), flags 4, zeros 4, set of source
	 * ranges 8.
	 */
	frontend: { bytes: 32, count: 8, affinity: 12, flags: 16, ranges: 24 },
	/** Length of the prefix 4, set 8, address 16 (IPv4: 4, then zeros). */
	source: { bytes: 28, set: 4, address: 12 },
	/** Addresses 16 + 16, ports 2 + 2 as in the packet, protocol, family, zeros 2. */
	flow: { bytes: 40, source: 0, destination: 16, sourcePort: 32, destinationPort: 34, protocol: 36, family: 37 },
	/** Last packet 8 (nanoseconds since boot), flags 4, zeros 4, backend 24. */
	flowValue: { bytes: 40, flags: 8, backend: 16 },
	/** Pool 8, address of the client 16. */
	client: { bytes: 24, address: 8 },
	/** Time of the last connection 8, backend 24. */
	affinity: { bytes: 32, backend: 8 },
	/** New address 16, time of the first fragment 8. The key is that of policy's fragments. */
	fragmentValue: { bytes: 24, time: 16 },
	/** MAC address 6, zeros 2; all zeros: this node. The key is an endpoint of a pool. */
	node: { bytes: 8 },
	/** As `flowValue`, then a node; the backend is that for which the node was chosen. */
	directValue: { bytes: 48, flags: 8, backend: 16, node: 40 },
} as const;

/** Bits of `frontend.flags`. */
export const NatFrontendFlag = { masquerade: 1, drop: 2, ranged: 4, direct: 8 } as const;

/**
 * Bits of `flowValue.flags`. `left`: nftables translates the connection, since another one has the
 * same ends.
 */
export const NatFlowFlag = {
	answered: 1,
	finOfClient: 2,
	finOfBackend: 4,
	reset: 8,
	left: 16,
	masquerade: 32,
	/** The packets come from another node, untranslated. */
	arrived: 64,
} as const;

/** In the place of a set of source ranges: the prefixes of pods. */
export const podSources = 0n;

export type NatMaps = ReadonlyMap<NatMapName | NatDirectMapName, BpfMap>;

export const natMapDefinitions = ({
	frontends,
	sources,
	flows,
}: NatMapSizes = defaultNatMapSizes): Readonly<Record<NatMapName, MapDefinition>> => {
	const { frontend, source, flow, flowValue, client, affinity, fragmentValue } = NatLayout;
	const lru = (name: NatMapName, keyBytes: number, valueBytes: number, entries = flows): MapDefinition => ({
		...{ name, type: 'lruHash', keyBytes, valueBytes, entries },
	});
	return {
		nat_frontends: {
			...{ name: 'nat_frontends', type: 'hash', keyBytes: 24, valueBytes: frontend.bytes, entries: frontends },
			onDemand: true,
		},
		nat_sources: { name: 'nat_sources', type: 'lpmTrie', keyBytes: source.bytes, valueBytes: 4, entries: sources },
		nat_flows: lru('nat_flows', flow.bytes, flowValue.bytes),
		nat_reverse: lru('nat_reverse', flow.bytes, 24),
		nat_affinity: lru('nat_affinity', client.bytes, affinity.bytes),
		nat_fragments: lru('nat_fragments', 44, fragmentValue.bytes, 4096),
	};
};

/** The maps of direct server return. */
export const natDirectMapDefinitions = ({
	frontends,
	flows,
}: NatMapSizes = defaultNatMapSizes): Readonly<Record<NatDirectMapName, MapDefinition>> => {
	const { frontend, node, flow, directValue } = NatLayout;
	const hash = (name: NatDirectMapName, valueBytes: number, entries: number): MapDefinition => ({
		...{ name, type: 'hash', keyBytes: 24, valueBytes, entries, onDemand: true },
	});
	return {
		nat_nodes: hash('nat_nodes', node.bytes, frontends * 4),
		nat_arrivals: hash('nat_arrivals', frontend.bytes, frontends),
		nat_direct: {
			...{ name: 'nat_direct', type: 'lruHash', keyBytes: flow.bytes, valueBytes: directValue.bytes, entries: flows },
		},
	};
};

/** The name of a pin: one of these maps, or of a link of the programs that use them. */
export const isNatPin = (name: string): boolean =>
	name in natMapDefinitions() || name in natDirectMapDefinitions() || name.startsWith(natPurpose.pinPrefix);

/**
 * New maps, or pinned ones; `direct`: with those of direct server return. @throws MapMismatchError,
 * SystemCallError
 */
export function openNatMaps(pins: Pins | undefined, sizes?: NatMapSizes, direct = false): NatMaps {
	const maps = new Map<NatMapName | NatDirectMapName, BpfMap>();
	const definitions = { ...natMapDefinitions(sizes), ...(direct ? natDirectMapDefinitions(sizes) : {}) };
	try {
		// `Object.entries` forgets the type of the keys.
		for (const [name, definition] of Object.entries(definitions))
			maps.set(name as NatMapName | NatDirectMapName, pins?.map(definition).map ?? BpfMap.create(definition));
	} catch (error) {
		for (const map of maps.values()) map.close();
		throw error;
	}
	return maps;
}

/** The names of the maps of direct server return. */
export const natDirectMapNames = ['nat_nodes', 'nat_arrivals', 'nat_direct'] as const satisfies NatDirectMapName[];

/** An element of a map. */
export interface NatElement {
	readonly map: 'nat_frontends' | 'nat_sources' | 'nat_nodes' | 'nat_arrivals';
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

/** The 64 bits that stand for the source ranges of a frontend; never those of the pods. */
const rangesId = (key: string): bigint => createHash('sha256').update(`ranges ${key}`).digest().readBigUInt64LE() | 1n;

/** Key of a prefix in a set. */
export function sourceKey(set: bigint, prefix: string): Uint8Array {
	const { bytes, length, family } = parsePrefix(prefix, 'clear');
	const key = new Uint8Array(NatLayout.source.bytes);
	const view = new DataView(key.buffer);
	view.setUint32(0, 64 + length, true);
	view.setBigUint64(NatLayout.source.set, natSet(set, family === 'ipv4' ? 4 : 6), true);
	key.set(bytes, NatLayout.source.address);
	return key;
}

/** Families share no set: the two highest bits tell them apart. */
export const natSet = (set: bigint, family: 4 | 6): bigint => (set & ~(3n << 62n)) | ((family === 4 ? 1n : 2n) << 62n);

const one = (): Uint8Array => Uint8Array.of(1, 0, 0, 0);

/**
 * Elements of one frontend for packets from outside: none where nftables acts (rejections, SCTP,
 * node ports at all addresses). Pure.
 */
export function natFrontendElements(
	frontend: Frontend,
	model: Pick<ServicesModel, 'pools' | 'settings'>,
): NatElement[] {
	const { protocol, port, family } = frontend;
	if (protocol === 'sctp') return [];
	const value = frontendValue(frontend, frontend.actions.outside, model.pools);
	const isDirect = model.settings.directReturn !== undefined && frontend.type !== 'cluster-ip';
	if (isDirect && value !== undefined) setDirect(value);
	if (value === undefined) return [];
	const answers = model.settings.nodePortAddresses[family];
	const addresses =
		frontend.type !== 'node-port' ? [frontend.address] : answers.type === 'addresses' ? answers.addresses : [];
	const elements: NatElement[] = addresses.map((address) => ({
		...{ map: 'nat_frontends', key: endpointBytes(address, port, protocol), value },
	}));
	if (frontend.type === 'node-port') return elements;
	for (const range of frontend.sourceRanges ?? [])
		elements.push({ map: 'nat_sources', key: sourceKey(rangesId(frontend.key), range), value: one() });
	return elements;
}

/** Connections that are masqueraded may go to the node of their backend untranslated. */
function setDirect(value: Uint8Array): void {
	const view = new DataView(value.buffer);
	const flags = view.getUint32(NatLayout.frontend.flags, true);
	if ((flags & NatFrontendFlag.masquerade) !== 0)
		view.setUint32(NatLayout.frontend.flags, flags | NatFrontendFlag.direct, true);
}

/**
 * What a frontend does with a packet from outside; `undefined`: nftables acts. Pure.
 */
export function frontendValue(
	frontend: Frontend,
	action: FrontendAction,
	pools: ReadonlyMap<PoolKey, Pool>,
): Uint8Array | undefined {
	if (action.type === 'reject') return undefined;
	const pool = action.type === 'dnat' ? pools.get(action.pool) : undefined;
	if (action.type === 'dnat' && pool === undefined) return undefined;
	const isRanged = frontend.type !== 'node-port' && frontend.sourceRanges !== undefined;
	const value = new Uint8Array(NatLayout.frontend.bytes);
	const view = new DataView(value.buffer);
	const { count, affinity, flags, ranges } = NatLayout.frontend;
	if (pool !== undefined) view.setBigUint64(0, poolId(pool.key), true);
	view.setUint32(count, pool?.backends.length ?? 0, true);
	view.setUint32(affinity, pool?.affinityTimeoutSeconds ?? 0, true);
	const bits =
		(action.type === 'dnat' && action.masquerade ? NatFrontendFlag.masquerade : 0) |
		(action.type === 'drop' ? NatFrontendFlag.drop : 0) |
		(isRanged ? NatFrontendFlag.ranged : 0);
	view.setUint32(flags, bits, true);
	if (isRanged) view.setBigUint64(ranges, natSet(rangesId(frontend.key), frontend.family === 'ipv4' ? 4 : 6), true);
	return value;
}

/** The prefixes of pods, whose packets are left to nftables. Pure. */
export const natPodElements = ({ podRanges }: ServicesModel['settings']): NatElement[] =>
	(podRanges ?? []).map((range) => ({ map: 'nat_sources', key: sourceKey(podSources, range), value: one() }));
