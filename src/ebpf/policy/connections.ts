import { type Family, formatAddress } from '../../core/index.ts';
import { FlowStatus, type FlowTuple, type NewFlow } from '../../linux/index.ts';
import { evaluate, type NodePolicy, type Packet, type WorkloadEndpoint } from '../../policy/index.ts';
import type { BpfMap } from '../kernel/map.ts';
import { Flag, timeoutSeconds } from './connection.ts';
import { Layout, type PolicyMaps } from './maps.ts';

/** An element of the map of connections. */
interface Connection {
	/** Index of the interface. */
	readonly endpoint: number;
	readonly family: Family;
	/** As the side that opened it sends. */
	readonly tuple: FlowTuple;
	/** Nanoseconds since boot. */
	readonly lastPacket: bigint;
	/** Bits of `Flag`. */
	readonly flags: number;
}

const [icmp, icmp6, tcp, udp] = [1, 58, 6, 17] as const;

/** See `Layout.connection` and `Layout.connectionValue`. Pure. */
function readConnection(key: Uint8Array, value: Uint8Array): Connection {
	const at = Layout.connection;
	const view = new DataView(key.buffer, key.byteOffset);
	const values = new DataView(value.buffer, value.byteOffset);
	const family = key[at.family] === 4 ? 'ipv4' : 'ipv6';
	const bytes = family === 'ipv4' ? 4 : 16;
	const protocol = key[at.protocol] ?? 0;
	const isIcmp = protocol === icmp || protocol === icmp6;
	const sourcePort = view.getUint16(at.sourcePort, false);
	return {
		...{ endpoint: view.getUint32(0, true), family },
		tuple: {
			source: key.slice(at.source, at.source + bytes),
			destination: key.slice(at.destination, at.destination + bytes),
			protocol,
			sourcePort: isIcmp ? 0 : sourcePort,
			destinationPort: isIcmp ? 0 : view.getUint16(at.destinationPort, false),
			// Written by the program as a number of the machine.
			...(isIcmp ? { icmp: { id: sourcePort, type: view.getUint16(at.destinationPort, true), code: 0 } } : {}),
		},
		lastPacket: values.getBigUint64(0, true),
		flags: values.getUint32(Layout.connectionValue.flags, true),
	};
}

/**
 * Does the policy deny the connection at the pod whose interface keeps it? What the host itself
 * sends to its pods is not judged. `own`: addresses of the host. Pure.
 */
export function isConnectionDenied(
	{ family, tuple }: Pick<Connection, 'family' | 'tuple'>,
	{ addresses, egress, ingress }: Pick<WorkloadEndpoint, 'addresses' | 'egress' | 'ingress'>,
	policy: NodePolicy,
	own: ReadonlySet<string>,
): boolean {
	const packet: Packet = {
		source: { family, bytes: tuple.source },
		destination: { family, bytes: tuple.destination },
		protocol: tuple.protocol,
		sourcePort: tuple.sourcePort,
		destinationPort: tuple.destinationPort,
		...(tuple.icmp === undefined ? {} : { icmp: { type: tuple.icmp.type, code: tuple.icmp.code } }),
	};
	const source = formatAddress(tuple.source);
	if (addresses.includes(source)) return evaluate(egress, packet, policy).action === 'deny';
	if (!addresses.includes(formatAddress(tuple.destination)) || own.has(source)) return false;
	return evaluate(ingress, packet, policy).action === 'deny';
}

/** Has it neither ended nor been silent for too long? Pure. */
function isLive({ tuple: { protocol }, flags, lastPacket }: Connection, now: bigint): boolean {
	const bothFins = Flag.finOfOpener | Flag.finOfResponder;
	if ((flags & (Flag.reset | Flag.cut)) !== 0 || (flags & bothFins) === bothFins) return false;
	const answered = (flags & Flag.answered) !== 0;
	const { tcpEstablished, tcpUnanswered, otherAnswered, otherUnanswered } = timeoutSeconds;
	const [long, short] = protocol === tcp ? [tcpEstablished, tcpUnanswered] : [otherAnswered, otherUnanswered];
	return now - lastPacket < BigInt(answered ? long : short) * 1_000_000_000n;
}

/**
 * Connections of TCP and UDP between two of these addresses, each once, in the form of the kernel's
 * own table. Pure.
 */
function flowsBetween(connections: Iterable<Connection>, addresses: ReadonlySet<string>, now: bigint): NewFlow[] {
	const flows = new Map<string, NewFlow>();
	for (const connection of connections) {
		const { family, tuple, flags } = connection;
		const { source, destination, protocol, sourcePort, destinationPort } = tuple;
		if ((protocol !== tcp && protocol !== udp) || !isLive(connection, now)) continue;
		const [from, to] = [formatAddress(source), formatAddress(destination)];
		if (!addresses.has(from) || !addresses.has(to)) continue;
		flows.set(`${protocol} ${from} ${sourcePort} ${to} ${destinationPort}`, {
			...{ family, original: tuple, status: (flags & Flag.answered) === 0 ? 0 : FlowStatus.seenReply },
			reply: {
				...{ source: destination, destination: source, protocol },
				...{ sourcePort: destinationPort, destinationPort: sourcePort },
			},
		});
	}
	return [...flows.values()];
}

/** Connections that changed their state. */
interface CutCounts {
	readonly cut: number;
	readonly restored: number;
}

interface AttachedPod {
	readonly interfaceIndex: number;
	readonly addresses: readonly string[];
}

/** A program that has read the flags writes them back: a bit that was lost is set again. */
const mostTries = 3;

/** The map of connections, for the pods whose interfaces have programs. */
export class PodConnections {
	readonly #map: BpfMap | undefined;
	/** By key. */
	readonly #attached: ReadonlyMap<string, AttachedPod>;

	constructor(maps: PolicyMaps, attached: ReadonlyMap<string, AttachedPod>) {
		this.#map = maps.get('connections');
		this.#attached = attached;
	}

	/**
	 * Those between pods with these addresses, which the kernel may not track. @throws
	 * SystemCallError
	 */
	between(addresses: ReadonlySet<string>): NewFlow[] {
		const elements = [...(this.#map?.slices() ?? [])].flat();
		const connections = elements.map(([key, value]) => readConnection(key, value));
		return flowsBetween(connections, addresses, process.hrtime.bigint());
	}

	/**
	 * Ends connections that the policy denies by now: their packets are dropped in both directions.
	 * Where a policy allows one again, its entry goes, so that its next packet is judged anew. `own`:
	 * addresses of the host. @throws SystemCallError
	 */
	async cut(policy: NodePolicy, own: ReadonlySet<string>): Promise<CutCounts> {
		const map = this.#map;
		if (map === undefined) return { cut: 0, restored: 0 };
		// The state may be live: a pod is looked up as it is then, with policies that exist then.
		const pods = new Map([...this.#attached].map(([key, { interfaceIndex }]) => [interfaceIndex, key]));
		const cut: Uint8Array[] = [];
		let restored = 0;
		for (const slice of map.slices()) {
			for (const [key, value] of slice) {
				const connection = readConnection(key, value);
				const workload = policy.workloads.get(pods.get(connection.endpoint) ?? '');
				if (workload === undefined || (connection.flags & Flag.translated) !== 0) continue;
				const isCut = (connection.flags & Flag.cut) !== 0;
				if (isConnectionDenied(connection, workload, policy, own)) {
					if (!isCut) cut.push(key);
				} else if (isCut && map.delete(key)) restored++;
			}
			await new Promise((resolve) => setImmediate(resolve));
		}
		// The programs have gone meanwhile.
		if (map.fd < 0) return { cut: 0, restored: 0 };
		for (let tries = 0; tries < mostTries; tries++) for (const key of cut) markCut(map, key);
		return { cut: cut.length, restored };
	}
}

function markCut(map: BpfMap, key: Uint8Array): void {
	const value = map.get(key);
	if (value === undefined) return;
	const view = new DataView(value.buffer);
	const flags = view.getUint32(Layout.connectionValue.flags, true);
	if ((flags & Flag.cut) !== 0) return;
	view.setUint32(Layout.connectionValue.flags, flags | Flag.cut, true);
	map.replace(key, value);
}
