import type { Frontend, Pool, ServicesDifference, ServicesModel } from '../../services/index.ts';
import type { Attacher, AttachPoint } from '../kernel/attach.ts';
import type { BpfMap } from '../kernel/map.ts';
import { LoadedProgram } from '../kernel/program.ts';
import type { SocketMaps } from './maps.ts';
import { NatConnections } from './nat-connections.ts';
import { type DirectNodes, natArrivalElements, natNodeElements, natOptOutElements } from './nat-direct.ts';
import {
	type NatDirectMapName,
	type NatElement,
	type NatMapName,
	type NatMaps,
	natFrontendElements,
	natPodElements,
} from './nat-maps.ts';
import { compileNatProgram, type NatProgramOptions } from './nat-program.ts';

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
const elementMaps = ['nat_sources', 'nat_nodes', 'nat_frontends', 'nat_arrivals'] as const;
type AnyMapName = NatMapName | NatDirectMapName;
/** In the place of a frontend's key. */
const podOwner = 'pods';
const optOutOwner = 'opt-outs';
const arrivalOwner = (key: string): string => `arrival ${key}`;
const poolOwner = (key: string): string => `pool ${key}`;

/**
 * Node ports, load balancer addresses, external IPs, and cluster IPs for clients outside of the
 * cluster: translated by programs at the interfaces to the outside. Connections are in maps of
 * ours; where the source must be replaced, the packet gets the mark by which the rules of nftables
 * masquerade. What the programs do not know passes to those rules.
 */
export class InterfaceServices {
	readonly #dependencies: InterfaceServicesDependencies;
	#interfaces: readonly OutsideInterface[] = [];
	#device: OutsideInterface | undefined;
	#nodes: DirectNodes = new Map();
	#model: ServicesModel | undefined;
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
	 * Puts the programs at these interfaces and at no others; a program in force is replaced.
	 * `device`: to other nodes, for direct server return; the maps must have those of it. @throws
	 * SystemCallError, VerifierError, NetlinkError
	 */
	async attach(interfaces: readonly OutsideInterface[], device?: OutsideInterface): Promise<void> {
		const { attacher, maps, pools, masqueradeMark } = this.#dependencies;
		const all = new Map([...maps, ...pools]);
		const programs = new Map<(typeof hooks)[number] | 'arrivals', LoadedProgram>();
		const load = (name: (typeof hooks)[number] | 'arrivals', options: Omit<NatProgramOptions, 'masqueradeMark'>) => {
			const program = compileNatProgram({ ...options, masqueradeMark });
			programs.set(name, LoadedProgram.load(program, { name: `nat_${name}`, type: 'schedClassifier', maps: all }));
		};
		const send = device === undefined ? {} : { direct: { type: 'send', device: device.index } as const };
		try {
			load('ingress', { hook: 'ingress', ...send });
			load('egress', { hook: 'egress' });
			if (device !== undefined) load('arrivals', { hook: 'ingress', direct: { type: 'arrivals' } });
			const arrivals = programs.get('arrivals');
			if (device !== undefined && arrivals !== undefined)
				await attacher.set({ interfaceIndex: device.index, interfaceName: device.name, hook: 'ingress' }, arrivals);
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
		this.#device = device;
		await attacher.prune(pointsOf(interfaces, device));
	}

	/**
	 * The nodes that take untranslated packets, by direct server return. @throws SystemCallError;
	 * then only `sync` may follow
	 */
	followNodes(nodes: DirectNodes): void {
		this.#nodes = nodes;
		const model = this.#model;
		if (model === undefined) return;
		const touched = new Set<string>();
		for (const pool of model.pools.values()) this.#ownPool(pool, model, touched);
		this.#write(touched);
	}

	/** Makes the maps hold this model and nothing else. @throws SystemCallError */
	sync(model: ServicesModel): void {
		this.#elements.clear();
		this.#owners.clear();
		this.#model = model;
		const touched = new Set<string>();
		for (const name of elementMaps)
			if (this.#has(name)) for (const key of this.#map(name).keys()) touched.add(idOf(name, key));
		this.#own(podOwner, natPodElements(model.settings), touched);
		if (this.#has('nat_nodes')) this.#own(optOutOwner, natOptOutElements(model.settings), touched);
		for (const pool of model.pools.values()) this.#ownPool(pool, model, touched);
		for (const frontend of model.frontends.values()) this.#ownFrontend(frontend, model, touched);
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
		this.#model = model;
		const touched = new Set<string>();
		const changed = new Set(pools.set.map(({ after }) => after.key));
		for (const { key } of frontends.removed)
			for (const owner of [key, arrivalOwner(key)]) this.#own(owner, [], touched);
		for (const { key } of pools.removed) this.#own(poolOwner(key), [], touched);
		for (const { after } of pools.set) this.#ownPool(after, model, touched);
		const affected = new Set(frontends.set.map(({ after }) => after));
		// The number of backends is part of the frontend.
		for (const frontend of changed.size === 0 ? [] : model.frontends.values()) {
			const { outside } = frontend.actions;
			const { directPool } = frontend;
			if (outside.type === 'dnat' && changed.has(outside.pool)) affected.add(frontend);
			if (directPool !== undefined && changed.has(directPool)) affected.add(frontend);
		}
		for (const frontend of affected) this.#ownFrontend(frontend, model, touched);
		this.#write(touched);
	}

	#ownFrontend(frontend: Frontend, model: ServicesModel, touched: Set<string>): void {
		this.#own(frontend.key, natFrontendElements(frontend, model), touched);
		if (this.#has('nat_arrivals'))
			this.#own(arrivalOwner(frontend.key), natArrivalElements(frontend, model.pools), touched);
	}

	#ownPool(pool: Pool, { settings }: ServicesModel, touched: Set<string>): void {
		if (!this.#has('nat_nodes')) return;
		const elements = settings.directReturn === undefined ? [] : natNodeElements(pool, this.#nodes);
		this.#own(poolOwner(pool.key), elements, touched);
	}

	/**
	 * New connections are left to nftables; those that are translated go on. Other nodes may not know
	 * yet: what they send here is translated until `endArrivals`. @throws SystemCallError
	 */
	drain(): void {
		this.#elements.clear();
		this.#owners.clear();
		this.#model = undefined;
		this.#clear('nat_frontends');
	}

	/** Behind `drain`: what other nodes begin here is dropped. @throws SystemCallError */
	endArrivals(): void {
		if (this.#model === undefined && this.#has('nat_arrivals')) this.#clear('nat_arrivals');
	}

	#clear(name: AnyMapName): void {
		const map = this.#map(name);
		for (const key of [...map.keys()]) map.delete(key);
	}

	/** Connections that are open in the maps. */
	get flows(): NatConnections {
		return new NatConnections(this.#dependencies.maps, this.#model, this.#nodes);
	}

	/**
	 * Takes the programs off all interfaces, those of an earlier process included. @throws
	 * SystemCallError, NetlinkError
	 */
	async detach(): Promise<void> {
		const { attacher } = this.#dependencies;
		for (const point of pointsOf(this.#interfaces, this.#device)) await attacher.remove(point);
		this.#interfaces = [];
		this.#device = undefined;
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

	/** The maps of direct server return may not be there. */
	#has(name: AnyMapName): boolean {
		return this.#dependencies.maps.has(name);
	}

	#map(name: AnyMapName): BpfMap {
		const map = this.#dependencies.maps.get(name);
		if (map === undefined) throw new RangeError(`the map ${name} is missing`);
		return map;
	}
}

const pointsOf = (interfaces: readonly OutsideInterface[], device: OutsideInterface | undefined): AttachPoint[] => [
	...interfaces.flatMap(({ index, name }) =>
		hooks.map((hook) => ({ interfaceIndex: index, interfaceName: name, hook })),
	),
	...(device === undefined
		? []
		: [{ interfaceIndex: device.index, interfaceName: device.name, hook: 'ingress' as const }]),
];

const idOf = (map: NatElement['map'], key: Uint8Array): string => `${map} ${Buffer.from(key).toString('latin1')}`;
// The name is what `idOf` wrote.
const mapOf = (id: string): NatElement['map'] => id.slice(0, id.indexOf(' ')) as NatElement['map'];
const keyOf = (id: string): Uint8Array => new Uint8Array(Buffer.from(id.slice(id.indexOf(' ') + 1), 'latin1'));
