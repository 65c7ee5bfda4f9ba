import type { Logger } from '../../core/index.ts';
import {
	InterfaceServices,
	isNatPin,
	loadProbe,
	type NatMaps,
	natPurpose,
	type OutsideInterface,
	openAttacher,
	openNatMaps,
	type Pins,
	type SocketMaps,
} from '../../ebpf/index.ts';
import type { Flow, Link, LinkAddress, LinkKernel } from '../../linux/index.ts';
import { Mark } from '../../nftables/index.ts';
import type { ConntrackFlow, ServiceConnections, ServicesDifference, ServicesModel } from '../../services/index.ts';

/**
 * Kinds of interfaces that lead to no client outside: tunnels of ours and of others, and places for
 * addresses.
 */
const insideKinds: ReadonlySet<string | undefined> = new Set([
	...['ipip', 'ip6tnl', 'sit', 'gre', 'vxlan', 'geneve', 'wireguard', 'dummy', 'tun', 'nlmon', 'ifb'],
]);
const globalScope = 0;

/**
 * The interfaces that clients outside of the cluster come by: those with an Ethernet header that
 * have an address which other hosts reach; or those of these names. Pure.
 */
export function outsideInterfaces(
	links: readonly Link[],
	addresses: readonly LinkAddress[],
	names: readonly string[] | undefined,
): OutsideInterface[] {
	const reachable = new Set(
		addresses.filter(({ scope }) => scope === globalScope).map(({ interfaceIndex }) => interfaceIndex),
	);
	return links
		.filter(({ index, name, up, loopback, kind, mac }) => {
			if (loopback || mac?.length !== 6) return false;
			return names === undefined ? up && !insideKinds.has(kind) && reachable.has(index) : names.includes(name);
		})
		.map(({ index, name }) => ({ index, name }));
}

export interface OutsideServicesDependencies {
	readonly pins: Pins;
	/** Empty: `start` is not called. */
	readonly pools: SocketMaps;
	readonly links: LinkKernel;
	/** Names of interfaces; `undefined`: found by their addresses. */
	readonly names: readonly string[] | undefined;
	/** The connections that the kernel tracks: nftables goes on to translate them. */
	readonly flows: () => Promise<readonly Flow[]>;
	readonly log: Logger;
}

/**
 * Services from outside by programs: follows the interfaces, and leaves new connections to nftables
 * where policy needs that.
 */
export class OutsideServices {
	readonly #dependencies: OutsideServicesDependencies;
	readonly #services: InterfaceServices;
	readonly maps: NatMaps;
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
		this.maps = openNatMaps(pins);
		const probe = loadProbe();
		const attacher = openAttacher({ pins, purpose: natPurpose }, probe);
		probe.close();
		this.#services = new InterfaceServices({
			...{ maps: this.maps, pools, attacher },
			masqueradeMark: Mark.masquerade,
		});
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
		this.#dependencies.links.watch(() => {
			if (this.#isQueued) return;
			this.#isQueued = true;
			this.#turn = this.#turn
				.then(() => {
					this.#isQueued = false;
					return this.#follow();
				})
				.catch((error: unknown) =>
					this.#dependencies.log.warn('services from outside: interfaces not followed', { reason: String(error) }),
				);
		});
	}

	/** @throws SystemCallError */
	sync(model: ServicesModel): void {
		this.#model = model;
		if (this.#isAllowed) this.#services.sync(model);
	}

	/** @throws SystemCallError; then only `sync` may follow */
	apply(difference: ServicesDifference, model: ServicesModel): void {
		this.#model = model;
		if (this.#isAllowed) this.#services.apply(difference, model);
	}

	/**
	 * Rules that judge before translation need the address of the service: nftables translates while
	 * there are such, and until the policy is known. `endpoint`: one with such rules. @throws
	 * SystemCallError
	 */
	follow(endpoint: string | undefined): void {
		const isAllowed = endpoint === undefined;
		if (endpoint !== undefined && endpoint !== this.#leftFor) {
			this.#services.drain();
			this.#dependencies.log.info('new connections from outside by nftables: its rules judge before translation', {
				endpoint,
			});
		}
		this.#leftFor = endpoint;
		if (isAllowed === this.#isAllowed) return;
		this.#isAllowed = isAllowed;
		if (isAllowed && this.#model !== undefined) this.#services.sync(this.#model);
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
		this.#dependencies.links.close();
		this.#services.close();
		for (const map of this.maps.values()) map.close();
	}

	/**
	 * New connections are those of nftables from now on; the programs stay for the others, also for
	 * those of an earlier process without `start`. @throws SystemCallError
	 */
	drain(): void {
		this.#ended = true;
		this.#services.drain();
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
		const { links, names, log } = this.#dependencies;
		const found = outsideInterfaces(await links.links(), await links.addresses(), names);
		const text = found.map(({ index, name }) => `${name} ${index}`).join();
		if (text === this.#attached) return;
		await this.#services.attach(found);
		this.#attached = text;
		log.info('services from outside by eBPF programs', { interfaces: found.map(({ name }) => name) });
	}
}
