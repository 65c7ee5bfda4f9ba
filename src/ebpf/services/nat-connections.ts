import { formatAddress } from '../../core/index.ts';
import { type Flow, FlowStatus, type FlowTuple } from '../../linux/index.ts';
import {
	addressFrontendKey,
	type Backend,
	type ConntrackFlow,
	nodePortFrontendKey,
	type ServiceConnections,
	type ServicesModel,
} from '../../services/index.ts';
import type { BpfMap } from '../kernel/map.ts';
import type { FamilyTuple } from '../policy/take-over.ts';
import { endpointBytes, SocketLayout } from './maps.ts';
import type { DirectNodes } from './nat-direct.ts';
import { NatFlowFlag, NatLayout, type NatMaps } from './nat-maps.ts';
import { natTimeoutSeconds } from './nat-time.ts';

const udp = 17;

/** A flow of UDP, with its key in `nat_flows`. */
interface NatFlow extends ConntrackFlow {
	readonly natKey: Uint8Array;
	readonly natMap: 'nat_flows' | 'nat_direct';
}

/** The connections in the maps of `InterfaceServices`. */
export class NatConnections {
	readonly #maps: NatMaps;
	readonly #model: ServicesModel | undefined;
	readonly #nodes: DirectNodes;

	constructor(maps: NatMaps, model: ServicesModel | undefined, nodes: DirectNodes) {
		this.#maps = maps;
		this.#model = model;
		this.#nodes = nodes;
	}

	/**
	 * Datagrams of these connections, which the kernel translates, stay with nftables. A packet of
	 * TCP that begins no connection does so by itself.
	 */
	leave(flows: readonly Flow[]): void {
		const value = new Uint8Array(NatLayout.flowValue.bytes);
		const view = new DataView(value.buffer);
		view.setBigUint64(0, process.hrtime.bigint(), true);
		view.setUint32(NatLayout.flowValue.flags, NatFlowFlag.left | NatFlowFlag.answered, true);
		for (const { original, status } of flows)
			if (original.protocol === udp && (status & FlowStatus.destinationNat) !== 0)
				this.#map('nat_flows').set(flowKey(original), value);
	}

	/** Flows of UDP that are translated here, or sent to another node untranslated. */
	udpFlows(): readonly ConntrackFlow[] {
		return [...this.#translatedUdp(), ...this.#directUdp()];
	}

	/** A flow stays with its node while this one has a backend of the pool. */
	#directUdp(): readonly ConntrackFlow[] {
		return this.#direct()
			.filter(({ key }) => isUdp(key))
			.map(({ key, value }) => udpFlow('nat_direct', key, value, this.#sameNode(key, value)));
	}

	/** Of the flow's service and node: the backend that it was begun for, else another one. */
	#sameNode(key: Uint8Array, value: Uint8Array): Backend | undefined {
		const { backend, node } = NatLayout.directValue;
		const { address, port } = ends(key, value);
		const family = key[NatLayout.flow.family] === 4 ? 'ipv4' : 'ipv6';
		const keys = [addressFrontendKey(address('service'), 'udp', port('service'))];
		const frontends = [...keys, nodePortFrontendKey(family, 'udp', port('service'))];
		const frontend = frontends.map((one) => this.#model?.frontends.get(one)).find((one) => one !== undefined);
		const outside = frontend?.actions.outside;
		const pool = outside?.type === 'dnat' ? this.#model?.pools.get(outside.pool) : undefined;
		const mac = Buffer.from(value.subarray(node, node + 6));
		const there = (pool?.backends ?? []).filter(
			(one) => one.node !== undefined && mac.equals(this.#nodes.get(one.node) ?? new Uint8Array()),
		);
		const own = Buffer.from(value.subarray(backend, backend + SocketLayout.endpoint.bytes));
		return there.find((one) => own.equals(endpointBytes(one.address, one.port, 'udp'))) ?? there[0];
	}

	/** Connections that have not ended whose packets go to other nodes untranslated. */
	get directConnections(): number {
		const now = process.hrtime.bigint();
		return this.#direct().filter(({ key, value }) => isLiveDirect(key, value, now)).length;
	}

	/** Connections that have not ended whose packets come from other nodes untranslated. */
	get arrivedConnections(): number {
		const now = process.hrtime.bigint();
		const isArrived = (value: Uint8Array) => (flagsOf(value) & NatFlowFlag.arrived) !== 0;
		return this.#translated((key, value) => isArrived(value) && isLive(key, value, now)).length;
	}

	/** All connections that come from other nodes as they are, by any unique text. */
	arrivals(): ReadonlySet<string> {
		const found = this.#translated((_, value) => (flagsOf(value) & NatFlowFlag.arrived) !== 0);
		return new Set(found.map(({ key }) => Buffer.from(key).toString('latin1')));
	}

	#direct(): readonly { readonly key: Uint8Array; readonly value: Uint8Array }[] {
		// The maps of direct server return may not be there.
		const map = this.#maps.get('nat_direct');
		return [...(map?.keys() ?? [])].flatMap((key) => {
			const value = map?.get(key);
			return value === undefined ? [] : [{ key, value }];
		});
	}

	#translatedUdp(): readonly ConntrackFlow[] {
		return this.#translated(isUdp).map(({ key, value }) => udpFlow('nat_flows', key, value));
	}

	/** Connections that have not ended, one by one. */
	connections(): readonly ServiceConnections[] {
		const now = process.hrtime.bigint();
		return this.#translated((key, value) => isLive(key, value, now)).map(({ key, value }) => {
			const { address, port } = ends(key, value);
			return {
				protocol: isUdp(key) ? 'udp' : 'tcp',
				...{ destination: address('service'), destinationPort: port('service') },
				...{ backend: address('backend'), backendPort: port('backend'), count: 1 },
			};
		});
	}

	/** All connections that are translated here, as they come in. */
	incoming(): FamilyTuple[] {
		return this.#translated(() => true).map(({ key }) => tupleOf(key));
	}

	/** Forgets flows of `udpFlows`: their next packet takes another backend. Gives their number. */
	remove(flows: readonly ConntrackFlow[]): number {
		const isOurs = (flow: ConntrackFlow): flow is NatFlow => 'natKey' in flow;
		return flows.filter((flow) => isOurs(flow) && this.#map(flow.natMap).delete(flow.natKey)).length;
	}

	#translated(
		isWanted: (key: Uint8Array, value: Uint8Array) => boolean,
	): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
		const map = this.#map('nat_flows');
		return [...map.keys()].flatMap((key) => {
			const value = map.get(key);
			const isTranslated = value !== undefined && (flagsOf(value) & NatFlowFlag.left) === 0;
			return isTranslated && isWanted(key, value) ? [{ key, value }] : [];
		});
	}

	#map(name: 'nat_flows' | 'nat_direct'): BpfMap {
		const map = this.#maps.get(name);
		if (map === undefined) throw new RangeError(`the map ${name} is missing`);
		return map;
	}
}

const isUdp = (key: Uint8Array): boolean => key[NatLayout.flow.protocol] === udp;

/** `other`: a backend in the place of the flow's own. */
function udpFlow(natMap: NatFlow['natMap'], natKey: Uint8Array, value: Uint8Array, other?: Backend): NatFlow {
	const { address, port } = ends(natKey, value);
	return {
		...{ protocol: 'udp', natKey, natMap },
		...{ originalDestination: address('service'), originalPort: port('service') },
		...{ replySource: other?.address ?? address('backend'), replyPort: other?.port ?? port('backend') },
	};
}

const flagsOf = (value: Uint8Array): number =>
	new DataView(value.buffer, value.byteOffset).getUint32(NatLayout.flowValue.flags, true);

function flowKey({ source, destination, sourcePort, destinationPort, protocol }: FlowTuple): Uint8Array {
	const at = NatLayout.flow;
	const key = new Uint8Array(at.bytes);
	key.set(source, at.source);
	key.set(destination, at.destination);
	const view = new DataView(key.buffer);
	view.setUint16(at.sourcePort, sourcePort, false);
	view.setUint16(at.destinationPort, destinationPort, false);
	key[at.protocol] = protocol;
	key[at.family] = source.length === 4 ? 4 : 6;
	return key;
}

/** What `flowKey` makes a key of. */
function tupleOf(key: Uint8Array): FamilyTuple {
	const at = NatLayout.flow;
	const family = key[at.family] === 4 ? 'ipv4' : 'ipv6';
	const bytes = family === 'ipv4' ? 4 : 16;
	const view = new DataView(key.buffer, key.byteOffset);
	return {
		family,
		tuple: {
			source: key.slice(at.source, at.source + bytes),
			destination: key.slice(at.destination, at.destination + bytes),
			protocol: key[at.protocol] ?? 0,
			sourcePort: view.getUint16(at.sourcePort, false),
			destinationPort: view.getUint16(at.destinationPort, false),
		},
	};
}

/** Address and port of the service and of the backend of a flow. */
function ends(key: Uint8Array, value: Uint8Array) {
	const { destination, destinationPort, family } = NatLayout.flow;
	const { backend } = NatLayout.flowValue;
	const bytes = key[family] === 4 ? 4 : 16;
	const read = {
		service: { from: key, address: destination, port: destinationPort },
		backend: { from: value, address: backend, port: backend + SocketLayout.endpoint.port },
	} as const;
	return {
		address(end: keyof typeof read): string {
			const { from, address: at } = read[end];
			return formatAddress(from.subarray(at, at + bytes));
		},
		port(end: keyof typeof read): number {
			const { from, port: at } = read[end];
			return new DataView(from.buffer, from.byteOffset).getUint16(at, false);
		},
	};
}

/** Translated by programs, neither finished nor without packets for too long. */
function isLive(key: Uint8Array, value: Uint8Array, now: bigint): boolean {
	const flags = flagsOf(value);
	const both = NatFlowFlag.finOfClient | NatFlowFlag.finOfBackend;
	if ((flags & (NatFlowFlag.left | NatFlowFlag.reset)) !== 0 || (flags & both) === both) return false;
	const answered = (flags & NatFlowFlag.answered) !== 0;
	const seconds = natTimeoutSeconds;
	const most = isUdp(key)
		? answered
			? seconds.udpAnswered
			: seconds.udpUnanswered
		: answered
			? seconds.tcpEstablished
			: seconds.tcpUnanswered;
	return isWithin(value, most, now);
}

/** Only packets of the client pass here. */
function isLiveDirect(key: Uint8Array, value: Uint8Array, now: bigint): boolean {
	const flags = flagsOf(value);
	if ((flags & (NatFlowFlag.reset | NatFlowFlag.finOfClient)) !== 0) return false;
	const seconds = natTimeoutSeconds;
	const isAnswered = (flags & NatFlowFlag.answered) !== 0;
	const most = isUdp(key) ? seconds.udpAnswered : isAnswered ? seconds.tcpEstablished : seconds.tcpUnanswered;
	return isWithin(value, most, now);
}

/** The last packet is less than this many seconds old. */
const isWithin = (value: Uint8Array, seconds: number, now: bigint): boolean =>
	now - new DataView(value.buffer, value.byteOffset).getBigUint64(0, true) < BigInt(seconds) * 1_000_000_000n;
