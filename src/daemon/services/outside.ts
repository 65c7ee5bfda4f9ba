import type { Clock, Logger, Timer } from '../../core/index.ts';
import {
	type BpfMap,
	type DirectNodes,
	InterfaceServices,
	isNatPin,
	loadProbe,
	type NatMaps,
	natDirectMapNames,
	natPurpose,
	type OutsideInterface,
	openAttacher,
	openNatMaps,
	type Pins,
	type SocketMaps,
} from '../../ebpf/index.ts';
import { type Flow, type LinkKernel, readSetting } from '../../linux/index.ts';
import { Mark } from '../../nftables/index.ts';
import type { ConntrackFlow, ServiceConnections, ServicesDifference, ServicesModel } from '../../services/index.ts';
import { findDevice, outsideInterfaces, permitSources } from './outside-interfaces.ts';
import { QuietWatch } from './quiet.ts';

/** Direct server return as it is asked for. */
export interface DirectWish {
	readonly isOn: boolean;
	/** Nodes that take untranslated packets; the device has their entries. */
	readonly nodes: DirectNodes;
}

/** What direct server return does at this node. */
export interface DirectReport {
	/** Packets of other nodes are taken; `undefined`: not known yet. */
	readonly accepts: boolean | undefined;
	/** Why they are not, in words. */
	readonly reason?: string;
	/** Programs use the device, or are about to; `undefined`: not known yet. */
	readonly usesDevice: boolean | undefined;
}

/**
 * Other nodes learn late that this one takes no packets any more. What they send is taken until
 * none of them has begun a connection for this time, in milliseconds.
 */
export const directQuietMs = 15_000;
/** Between looks at connections that keep the device in use, and at the host's settings. */
const lookMs = 30_000;
const strictFilter = 'net/ipv4/conf/all/rp_filter';

export interface OutsideServicesDependencies {
	readonly pins: Pins;
	/** Empty: `start` is not called. */
	readonly pools: SocketMaps;
	readonly links: LinkKernel;
	/** Names of interfaces; `undefined`: found by their addresses. */
	readonly names: readonly string[] | undefined;
	/** The connections that the kernel tracks: nftables goes on to translate them. */
	readonly flows: () => Promise<readonly Flow[]>;
	/** What `direct` reports has changed. */
	readonly onDirect: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

/**
 * Services from outside by programs: follows the interfaces, and leaves new connections to nftables
 * where policy needs that.
 */
export class OutsideServices {
	readonly #dependencies: OutsideServicesDependencies;
	readonly #services: InterfaceServices;
	/** Those of direct server return come and go with it. */
	readonly #maps: Map<Parameters<NatMaps['get']>[0], BpfMap>;
	#wish: DirectWish = { isOn: false, nodes: new Map() };
	/** A host endpoint of this node: direct server return is off. */
	#host: string | undefined;
	/** To the other nodes, with programs. */
	#device: OutsideInterface | undefined;
	#isStrict = false;
	#sent = false;
	#look: Timer | undefined;
	/** Until other nodes begin no more connections here. */
	readonly #quiet: QuietWatch;
	#model: ServicesModel | undefined;
	/** `true` once a policy is known that lets programs translate. */
	#isAllowed = false;
	/** The host endpoint for whose policy nftables translates. */
	#leftFor: string | undefined;
	#turn: Promise<void> = Promise.resolve();
	#isQueued = false;
	#attached: string | undefined;
	#ended = false;

	/** @throws MapMismatchError, SystemCallError */
	constructor(dependencies: OutsideServicesDependencies) {
		const { pins, pools } = dependencies;
		this.#dependencies = dependencies;
		// Connections of an earlier process may go on.
		this.#maps = new Map(openNatMaps(pins, undefined, pins.names().includes('nat_direct')));
		const probe = loadProbe();
		const attacher = openAttacher({ pins, purpose: natPurpose }, probe);
		probe.close();
		this.#services = new InterfaceServices({
			...{ maps: this.#maps, pools, attacher },
			masqueradeMark: Mark.masquerade,
		});
		const { clock, log } = dependencies;
		this.#quiet = new QuietWatch({
			...{ clock, quietMs: directQuietMs, connections: () => this.arrivals() },
			onError: (error) => log.warn('connections of other nodes not read', { reason: String(error) }),
		});
	}

	get maps(): NatMaps {
		return this.#maps;
	}

	/** Names of the interfaces with programs. */
	get interfaces(): readonly string[] {
		return this.#services.interfaces.map(({ name }) => name);
	}

	/**
	 * The host endpoint whose rules must see addresses before translation: nftables translates new
	 * connections.
	 */
	get leftFor(): string | undefined {
		return this.#leftFor;
	}

	/**
	 * Attaches the programs, and follows the interfaces from now on. @throws SystemCallError,
	 * VerifierError, NetlinkError
	 */
	async start(): Promise<void> {
		this.#services.flows.leave(await this.#dependencies.flows());
		await this.#follow();
		this.#dependencies.links.watch(() => this.#followLater());
		this.#followLater();
	}

	#followLater(): void {
		if (this.#isQueued || this.#ended) return;
		this.#isQueued = true;
		this.#turn = this.#turn
			.then(() => {
				this.#isQueued = false;
				return this.#follow();
			})
			.catch((error: unknown) =>
				this.#dependencies.log.warn('services from outside: interfaces not followed', { reason: String(error) }),
			);
	}

	/**
	 * Direct server return from now on; the device may come later, and stays in use for connections
	 * that are open. @throws SystemCallError
	 */
	followDirect(wish: DirectWish): void {
		const isSame = wish.isOn === this.#wish.isOn;
		this.#wish = wish;
		this.#services.followNodes(wish.nodes);
		if (!isSame) this.#followLater();
		this.#refresh();
	}

	/**
	 * `endpoint`: a host endpoint of this node. Packets that are redirected pass its programs by, and
	 * answers have no question there: direct server return is off. @throws SystemCallError
	 */
	followHosts(endpoint: string | undefined): void {
		if (endpoint === this.#host) return;
		this.#host = endpoint;
		this.#refresh();
		this.#dependencies.onDirect();
	}

	/** What direct server return does here. */
	get direct(): DirectReport {
		const usesDevice = this.#wish.isOn || this.#hasDirect;
		const reason = this.#noDirect();
		if (reason !== undefined) return { accepts: false, reason, usesDevice };
		// The programs of an earlier process, and its announcement, stand meanwhile.
		if (this.#device === undefined || this.#model?.settings.directReturn === undefined || !this.#isAllowed)
			return { accepts: undefined, reason: 'the programs do not stand yet', usesDevice };
		return { accepts: true, usesDevice };
	}

	/** Connections whose packets go to other nodes as they are, and that have not ended. */
	get directConnections(): number {
		return this.#services.flows.directConnections;
	}

	/** Connections whose packets come from other nodes as they are, and that have not ended. */
	get arrivedConnections(): number {
		return this.#services.flows.arrivedConnections;
	}

	/** The connections that other nodes have begun here, by any unique text; ended ones as well. */
	arrivals(): ReadonlySet<string> {
		return this.#services.flows.arrivals();
	}

	/** Other nodes that get packets; `undefined`: what an earlier process wrote is still in force. */
	get directNodes(): readonly string[] | undefined {
		if (!this.#isAllowed || this.#model === undefined) return this.#hasDirect ? undefined : [];
		return this.#sends ? [...this.#wish.nodes.keys()] : [];
	}

	/** There may be connections of direct server return. */
	get hasDirect(): boolean {
		return this.#hasDirect;
	}

	get #hasDirect(): boolean {
		return this.#maps.has('nat_direct');
	}

	/** Why it is off, in words. */
	#noDirect(): string | undefined {
		if (!this.#wish.isOn) return 'services.directServerReturn is false';
		if (this.#ended) return 'nftables translates services from outside';
		if (this.#host !== undefined) return `the host endpoint ${this.#host}`;
		if (this.#leftFor !== undefined) return `the early policy of host endpoint ${this.#leftFor}`;
		return this.#isStrict ? 'net.ipv4.conf.all.rp_filter is 1 (strict), set it to 2 or 0' : undefined;
	}

	get #sends(): boolean {
		return this.#wish.isOn && this.#device !== undefined && this.#host === undefined;
	}

	/** What the programs translate. */
	#modelOf(model: ServicesModel): ServicesModel {
		if (this.#sends || model.settings.directReturn === undefined) return model;
		const { directReturn: _, ...settings } = model.settings;
		return { ...model, settings };
	}

	#refresh(): void {
		if (this.#sends === this.#sent) return;
		this.#sent = this.#sends;
		if (this.#isAllowed && this.#model !== undefined) this.#services.sync(this.#modelOf(this.#model));
	}

	/** @throws SystemCallError */
	sync(model: ServicesModel): void {
		this.#model = model;
		if (this.#isAllowed) this.#services.sync(this.#modelOf(model));
		this.#dependencies.onDirect();
	}

	/** @throws SystemCallError; then only `sync` may follow */
	apply(difference: ServicesDifference, model: ServicesModel): void {
		this.#model = model;
		if (this.#isAllowed) this.#services.apply(difference, this.#modelOf(model));
		if (difference.settings === undefined) return;
		this.#dependencies.onDirect();
		this.#followLater();
	}

	/**
	 * Rules that judge before translation need the address of the service: nftables translates while
	 * there are such, and until the policy is known. `endpoint`: one with such rules. @throws
	 * SystemCallError
	 */
	follow(endpoint: string | undefined): void {
		const isAllowed = endpoint === undefined;
		if (endpoint !== undefined && endpoint !== this.#leftFor) {
			void this.#drain();
			this.#dependencies.log.info('new connections from outside by nftables: its rules judge before translation', {
				endpoint,
			});
		}
		this.#leftFor = endpoint;
		if (isAllowed === this.#isAllowed) return;
		this.#isAllowed = isAllowed;
		if (isAllowed) this.#quiet.cancel();
		if (isAllowed && this.#model !== undefined) this.#services.sync(this.#modelOf(this.#model));
		this.#dependencies.onDirect();
	}

	udpFlows(): readonly ConntrackFlow[] {
		return this.#services.flows.udpFlows();
	}

	remove(flows: readonly ConntrackFlow[]): number {
		return this.#services.flows.remove(flows);
	}

	/** Programs and maps stay in the kernel. */
	close(): void {
		this.#ended = true;
		this.#look?.cancel();
		this.#quiet.cancel();
		this.#dependencies.links.close();
		this.#services.close();
		for (const map of this.#maps.values()) map.close();
	}

	/**
	 * New connections are those of nftables from now on; the programs stay for the others, also for
	 * those of an earlier process without `start`. Resolves once other nodes begin no connections
	 * here any more, not at all if it is closed before. @throws SystemCallError
	 */
	drain(): Promise<void> {
		this.#ended = true;
		this.#look?.cancel();
		return this.#drain();
	}

	#drain(): Promise<void> {
		this.#services.drain();
		if (!this.#hasDirect) return Promise.resolve();
		return new Promise((resolve) =>
			this.#quiet.begin(() => {
				this.#services.endArrivals();
				resolve();
			}),
		);
	}

	/** Connections that the programs translate, as they come in. */
	incoming(): ReturnType<InterfaceServices['flows']['incoming']> {
		return this.#services.flows.incoming();
	}

	/** Connections that the programs translate and that have not ended. */
	connections(): readonly ServiceConnections[] {
		return this.#services.flows.connections();
	}

	/** Takes programs and maps away. @throws SystemCallError, NetlinkError */
	async end(): Promise<void> {
		await this.#turn;
		await this.#services.detach();
		this.close();
		this.#dependencies.pins.removeAll(isNatPin);
	}

	async #follow(): Promise<void> {
		if (this.#ended) return;
		const { names, log } = this.#dependencies;
		const links = await this.#dependencies.links.links();
		const found = outsideInterfaces(links, await this.#dependencies.links.addresses(), names);
		// Maps of a drained state must not be filled again.
		if (this.#ended) return;
		const isDone = this.#isDirectDone();
		if (this.#wish.isOn && !this.#hasDirect) this.#openDirect();
		const device = this.#hasDirect && !isDone ? findDevice(links) : undefined;
		this.#isStrict = readSetting(strictFilter) === '1';
		if (device !== undefined) permitSources(device.name);
		const all = [...found, ...(device === undefined ? [] : [device])];
		const text = all.map(({ index, name }) => `${name} ${index}`).join();
		if (text !== this.#attached) {
			await this.#services.attach(found, device);
			this.#attached = text;
			log.info('services from outside by eBPF programs', { interfaces: all.map(({ name }) => name) });
		}
		if (this.#ended) return;
		this.#device = device;
		this.#refresh();
		if (isDone) this.#closeDirect();
		this.#look?.cancel();
		this.#look = undefined;
		if (this.#hasDirect) this.#look = this.#dependencies.clock.after(lookMs, () => this.#followLater());
		this.#dependencies.onDirect();
	}

	/** It is off, and no connection needs it any more. */
	#isDirectDone(): boolean {
		if (this.#wish.isOn || !this.#hasDirect) return false;
		if (this.#model === undefined || this.#model.settings.directReturn !== undefined) return false;
		return this.directConnections === 0 && this.arrivedConnections === 0;
	}

	#openDirect(): void {
		const { pins } = this.#dependencies;
		for (const [name, map] of openNatMaps(pins, undefined, true)) {
			if (this.#maps.has(name)) map.close();
			else this.#maps.set(name, map);
		}
		if (this.#isAllowed && this.#model !== undefined) this.#services.sync(this.#modelOf(this.#model));
	}

	/** No program uses the maps any more. */
	#closeDirect(): void {
		for (const name of natDirectMapNames) {
			this.#maps.get(name)?.close();
			this.#maps.delete(name);
			this.#dependencies.pins.remove(name);
		}
	}
}
