import { createHash } from 'node:crypto';
import { parseAddress } from '../../core/index.ts';
import {
	type AddressFrontend,
	type Frontend,
	type Pool,
	type PoolKey,
	serviceProtocolNumber,
} from '../../services/index.ts';
import { BpfMap, type MapDefinition } from '../kernel/map.ts';
import type { Pins } from '../kernel/pins.ts';

export interface SocketMapSizes {
	readonly frontends: number;
	/** Of all pools. */
	readonly backends: number;
	/** Connections, flows of UDP and clients with affinity, each. */
	readonly sockets: number;
}

export const defaultSocketMapSizes: SocketMapSizes = { frontends: 65_536, backends: 262_144, sockets: 65_536 };

export type SocketMapName =
	| 'svc_frontends'
	| 'svc_backends'
	| 'svc_members'
	| 'svc_reverse'
	| 'svc_flows'
	| 'svc_affinity';

/**
 * Offsets in keys and values, in bytes; programs and this process agree on them here. Addresses: 16
 * bytes, IPv4 in the first 4.
 */
export const SocketLayout = {
	/** Address 16, port 2 (as in the packet), protocol, family, zeros 4. */
	endpoint: { bytes: 24, port: 16, protocol: 18, family: 19 },
	/** Pool 8, number of backends 4, seconds of affinity 4 (0: none), origins 4, zeros 4. */
	frontend: { bytes: 24, count: 8, affinity: 12, origins: 16 },
	/** Pool 8, index 4, zeros 4. */
	backend: { bytes: 16, index: 8 },
	/** Pool or cookie 8, then an endpoint. */
	scoped: { bytes: 32, endpoint: 8 },
	/** Time of the last connection 8 (nanoseconds since boot), then an endpoint. */
	affinity: { bytes: 32, endpoint: 8 },
} as const;

/** Bits of `frontend.origins`: whose sockets are translated. */
export const SocketOrigin = { pod: 1, node: 2 } as const;

export const socketMapDefinitions = ({
	frontends,
	backends,
	sockets,
}: SocketMapSizes = defaultSocketMapSizes): Readonly<Record<SocketMapName, MapDefinition>> => {
	const { endpoint, frontend, backend, scoped, affinity } = SocketLayout;
	const map = (
		name: SocketMapName,
		type: MapDefinition['type'],
		keyBytes: number,
		valueBytes: number,
		entries: number,
	): MapDefinition => ({
		...{ name, type, keyBytes, valueBytes, entries },
		...(type === 'hash' ? { onDemand: true } : {}),
	});
	return {
		svc_frontends: map('svc_frontends', 'hash', endpoint.bytes, frontend.bytes, frontends),
		svc_backends: map('svc_backends', 'hash', backend.bytes, endpoint.bytes, backends),
		svc_members: map('svc_members', 'hash', scoped.bytes, 4, backends),
		svc_reverse: map('svc_reverse', 'lruHash', scoped.bytes, endpoint.bytes, sockets),
		svc_flows: map('svc_flows', 'lruHash', scoped.bytes, endpoint.bytes, sockets),
		svc_affinity: map('svc_affinity', 'lruHash', backend.bytes, affinity.bytes, sockets),
	};
};

export type SocketMaps = ReadonlyMap<SocketMapName, BpfMap>;

/** New maps, or pinned ones. @throws MapMismatchError, SystemCallError */
export function openSocketMaps(pins: Pins | undefined, sizes?: SocketMapSizes): SocketMaps {
	const maps = new Map<SocketMapName, BpfMap>();
	try {
		// `Object.entries` forgets the type of the keys.
		for (const [name, definition] of Object.entries(socketMapDefinitions(sizes)))
			maps.set(name as SocketMapName, pins?.map(definition).map ?? BpfMap.create(definition));
	} catch (error) {
		for (const map of maps.values()) map.close();
		throw error;
	}
	return maps;
}

/** An element of a map. */
export interface MapElement {
	readonly map: 'svc_frontends' | 'svc_backends' | 'svc_members';
	readonly key: Uint8Array;
	readonly value: Uint8Array;
}

/** The 64 bits that stand for a pool: of a hash of its key, so that a restart finds them. */
export const poolId = (key: PoolKey): bigint => createHash('sha256').update(key).digest().readBigUInt64LE();

/** `SocketLayout.endpoint`. */
export function endpointBytes(address: string, port: number, protocol: Pool['protocol']): Uint8Array {
	const { family, bytes } = parseAddress(address);
	const { bytes: length, port: portAt, protocol: protocolAt, family: familyAt } = SocketLayout.endpoint;
	const result = new Uint8Array(length);
	result.set(bytes, 0);
	new DataView(result.buffer).setUint16(portAt, port, false);
	result[protocolAt] = serviceProtocolNumber[protocol];
	result[familyAt] = family === 'ipv4' ? 4 : 6;
	return result;
}

/** Backends by number, and each as a member, by which remembered backends are checked. Pure. */
export function poolElements({ key, protocol, backends }: Pool): MapElement[] {
	const id = poolId(key);
	return backends.flatMap(({ address, port }, index): MapElement[] => {
		const endpoint = endpointBytes(address, port, protocol);
		const numbered = new Uint8Array(SocketLayout.backend.bytes);
		const view = new DataView(numbered.buffer);
		view.setBigUint64(0, id, true);
		view.setUint32(SocketLayout.backend.index, index, true);
		const member = new Uint8Array(SocketLayout.scoped.bytes);
		new DataView(member.buffer).setBigUint64(0, id, true);
		member.set(endpoint, SocketLayout.scoped.endpoint);
		return [
			{ map: 'svc_backends', key: numbered, value: endpoint },
			{ map: 'svc_members', key: member, value: Uint8Array.of(1, 0, 0, 0) },
		];
	});
}

/** The key of a frontend; `undefined`: it is left to nftables. Pure. */
export function frontendBytes(frontend: Frontend): Uint8Array | undefined {
	if (frontend.type !== 'cluster-ip' || frontend.protocol === 'sctp') return undefined;
	return endpointBytes(frontend.address, frontend.port, frontend.protocol);
}

/**
 * A cluster IP of TCP or UDP whose connections need no masquerade; sockets of others are left to
 * nftables. Pure.
 */
export function frontendElement(frontend: Frontend, pools: ReadonlyMap<PoolKey, Pool>): MapElement | undefined {
	const bytes = frontendBytes(frontend);
	if (bytes === undefined) return undefined;
	const { pod, node } = frontend.actions;
	const poolOf = (action: AddressFrontend['actions']['pod']) => (action.type === 'dnat' ? action.pool : undefined);
	const key = (pod.type === 'dnat' && !pod.masquerade ? pod.pool : undefined) ?? poolOf(node);
	const pool = key === undefined ? undefined : pools.get(key);
	if (key === undefined || pool === undefined) return undefined;
	const origins =
		(pod.type === 'dnat' && !pod.masquerade ? SocketOrigin.pod : 0) | (poolOf(node) === key ? SocketOrigin.node : 0);
	const value = new Uint8Array(SocketLayout.frontend.bytes);
	const view = new DataView(value.buffer);
	view.setBigUint64(0, poolId(key), true);
	view.setUint32(SocketLayout.frontend.count, pool.backends.length, true);
	view.setUint32(SocketLayout.frontend.affinity, pool.affinityTimeoutSeconds ?? 0, true);
	view.setUint32(SocketLayout.frontend.origins, origins, true);
	return { map: 'svc_frontends', key: bytes, value };
}
