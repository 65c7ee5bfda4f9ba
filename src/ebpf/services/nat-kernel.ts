import { formatAddress } from '../../core/index.ts';
import { type Flow, FlowStatus, type FlowTuple } from '../../linux/index.ts';
import type { ConntrackFlow, ServiceConnections, ServicesDifference, ServicesModel } from '../../services/index.ts';
import type { Attacher } from '../kernel/attach.ts';
import type { BpfMap } from '../kernel/map.ts';
import { LoadedProgram } from '../kernel/program.ts';
import type { FamilyTuple } from '../policy/take-over.ts';
import { SocketLayout, type SocketMaps } from './maps.ts';
import {
	type NatElement,
	NatFlowFlag,
	NatLayout,
	type NatMapName,
	type NatMaps,
	natFrontendElements,
	natPodElements,
} from './nat-maps.ts';
import { compileNatProgram } from './nat-program.ts';
import { natTimeoutSeconds } from './nat-time.ts';

/** An interface to the outside. */
export interface OutsideInterface {
	readonly index: number;
	readonly name: string;
}

export interface InterfaceServicesDependencies {
	readonly maps: NatMaps;
	/** Pools are read from these; `SocketServices` writes them, before and after this. */
	readonly pools: SocketMaps;
	readonly attacher: Attacher;
	readonly masqueradeMark: number;
}

const hooks = ['ingress', 'egress'] as const;
const elementMaps = ['nat_sources', 'nat_frontends'] as const;
const udp = 17;
/** In the place of a frontend's key. */
const podOwner = 'pods';

/** A flow of UDP, with its key in `nat_flows`. */
interface NatFlow extends ConntrackFlow {
	readonly natKey: Uint8Array;
}

/**
 * Node ports, load balancer addresses, external IPs, and cluster IPs for clients outside of the
 * cluster: translated by programs at the interfaces to the outside. Connections are in maps of
 * ours; where the source must be replaced, the packet gets the mark by which the rules of nftables
 * masquerade. What the programs do not know passes to those rules.
 */
export class InterfaceServices {
	readonly #dependencies: InterfaceServicesDependencies;
	#interfaces: readonly OutsideInterface[] = [];
	/** Ids of the elements of each frontend. */
	readonly #elements = new Map<string, readonly string[]>();
	/**
	 * Values by id of the element and by frontend: a node port may stand at the address of another
	 * frontend.
	 */
	readonly #owners = new Map<string, Map<string, Uint8Array>>();

	constructor(dependencies: InterfaceServicesDependencies) {
		this.#dependencies = dependencies;
	}

	/** Where the programs are. */
	get interfaces(): readonly OutsideInterface[] {
		return this.#interfaces;
	}

	/**
	 * Puts the programs at these interfaces and at no others; a program in force is replaced. @throws
	 * SystemCallError, VerifierError, NetlinkError
	 */
	async attach(interfaces: readonly OutsideInterface[]): Promise<void> {
		const { attacher, maps, pools, masqueradeMark } = this.#dependencies;
		const all = new Map([...maps, ...pools]);
		const programs = new Map<(typeof hooks)[number], LoadedProgram>();
		try {
			for (const hook of hooks) {
				const options = { name: `nat_${hook}`, type: 'schedClassifier', maps: all } as const;
				programs.set(hook, LoadedProgram.load(compileNatProgram({ hook, masqueradeMark }), options));
			}
			// Answers are translated before there are connections.
			for (const hook of ['egress', 'ingress'] as const) {
				const program = programs.get(hook);
				if (program === undefined) continue;
				for (const { index, name } of interfaces)
					await attacher.set({ interfaceIndex: index, interfaceName: name, hook }, program);
			}
		} finally {
			for (const program of programs.values()) program.close();
		}
		this.#interfaces = interfaces;
		await attacher.prune(pointsOf(interfaces));
	}

	/** Makes the maps hold this model and nothing else. @throws SystemCallError */
	sync(model: ServicesModel): void {
		this.#elements.clear();
		this.#owners.clear();
		const touched = new Set<string>();
		for (const name of elementMaps) for (const key of this.#map(name).keys()) touched.add(idOf(name, key));
		this.#own(podOwner, natPodElements(model.settings), touched);
		for (const frontend of model.frontends.values())
			this.#own(frontend.key, natFrontendElements(frontend, model), touched);
		this.#write(touched);
	}

	/**
	 * Writes a difference to the model before. @throws SystemCallError; then only `sync` may follow
	 */
	apply({ settings, pools, frontends }: ServicesDifference, model: ServicesModel): void {
		// Node ports follow the settings.
		if (settings !== undefined) {
			this.sync(model);
			return;
		}
		const touched = new Set<string>();
		const changed = new Set(pools.set.map(({ after }) => after.key));
		for (const { key } of frontends.removed) this.#own(key, [], touched);
		const affected = new Set(frontends.set.map(({ after }) => after));
		// The number of backends is part of the frontend.
		for (const frontend of changed.size === 0 ? [] : model.frontends.values()) {
			const { outside } = frontend.actions;
			if (outside.type === 'dnat' && changed.has(outside.pool)) affected.add(frontend);
		}
		for (const frontend of affected) this.#own(frontend.key, natFrontendElements(frontend, model), touched);
		this.#write(touched);
	}

	/**
	 * New connections are left to nftables; those that are translated go on. @throws SystemCallError
	 */
	drain(): void {
		this.#elements.clear();
		this.#owners.clear();
		for (const key of [...this.#map('nat_frontends').keys()]) this.#map('nat_frontends').delete(key);
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

	/** Flows of UDP that are translated here. */
	udpFlows(): readonly ConntrackFlow[] {
		return this.#translated((key) => key[NatLayout.flow.protocol] === udp).map(({ key, value }) => {
			const { address, port } = ends(key, value);
			const flow: NatFlow = {
				...{ protocol: 'udp', natKey: key },
				...{ originalDestination: address('service'), originalPort: port('service') },
				...{ replySource: address('backend'), replyPort: port('backend') },
			};
			return flow;
		});
	}

	/** Connections that have not ended, one by one. */
	connections(): readonly ServiceConnections[] {
		const now = process.hrtime.bigint();
		return this.#translated((key, value) => isLive(key, value, now)).map(({ key, value }) => {
			const { address, port } = ends(key, value);
			return {
				protocol: key[NatLayout.flow.protocol] === udp ? 'udp' : 'tcp',
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
		const map = this.#map('nat_flows');
		return flows.filter((flow) => 'natKey' in flow && map.delete((flow as NatFlow).natKey)).length;
	}

	/**
	 * Takes the programs off all interfaces, those of an earlier process included. @throws
	 * SystemCallError, NetlinkError
	 */
	async detach(): Promise<void> {
		const { attacher } = this.#dependencies;
		for (const point of pointsOf(this.#interfaces)) await attacher.remove(point);
		this.#interfaces = [];
		await attacher.prune([]);
	}

	/** The kernel keeps everything that is pinned. */
	close(): void {
		this.#dependencies.attacher.close();
	}

	/**
	 * The elements of a frontend are these from now on; `touched` gets the ids that may have changed.
	 */
	#own(owner: string, elements: readonly NatElement[], touched: Set<string>): void {
		for (const id of this.#elements.get(owner) ?? []) {
			this.#owners.get(id)?.delete(owner);
			touched.add(id);
		}
		const ids = elements.map(({ map, key, value }) => {
			const id = idOf(map, key);
			const owners = this.#owners.get(id) ?? new Map<string, Uint8Array>();
			this.#owners.set(id, owners.set(owner, value));
			touched.add(id);
			return id;
		});
		if (ids.length === 0) this.#elements.delete(owner);
		else this.#elements.set(owner, ids);
	}

	/** Ranges of sources stand before the frontends that ask for them, and go behind them. */
	#write(touched: ReadonlySet<string>): void {
		const gone: string[] = [];
		for (const map of elementMaps)
			for (const id of touched) {
				if (mapOf(id) !== map) continue;
				const owners = [...(this.#owners.get(id) ?? [])];
				// Frontends with an address are looked up first.
				const [, value] = owners.find(([owner]) => !owner.startsWith('node-port-')) ?? owners[0] ?? [];
				if (value !== undefined) this.#map(map).set(keyOf(id), value);
				else {
					this.#owners.delete(id);
					gone.push(id);
				}
			}
		for (const id of gone.reverse()) this.#map(mapOf(id)).delete(keyOf(id));
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

	#map(name: NatMapName): BpfMap {
		const map = this.#dependencies.maps.get(name);
		if (map === undefined) throw new RangeError(`the map ${name} is missing`);
		return map;
	}
}

const pointsOf = (interfaces: readonly OutsideInterface[]) =>
	interfaces.flatMap(({ index, name }) => hooks.map((hook) => ({ interfaceIndex: index, interfaceName: name, hook })));

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
	const most =
		key[NatLayout.flow.protocol] === udp
			? answered
				? seconds.udpAnswered
				: seconds.udpUnanswered
			: answered
				? seconds.tcpEstablished
				: seconds.tcpUnanswered;
	return now - new DataView(value.buffer, value.byteOffset).getBigUint64(0, true) < BigInt(most) * 1_000_000_000n;
}

const idOf = (map: NatMapName, key: Uint8Array): string => `${map} ${Buffer.from(key).toString('latin1')}`;
// The name is what `idOf` wrote.
const mapOf = (id: string): NatMapName => id.slice(0, id.indexOf(' ')) as NatMapName;
const keyOf = (id: string): Uint8Array => new Uint8Array(Buffer.from(id.slice(id.indexOf(' ') + 1), 'latin1'));
