import { readFileSync } from 'node:fs';
import type { Clock, Logger } from '../../core/index.ts';
import {
	type BpfMap,
	earlyByRules,
	hostsForPrograms,
	isNatPin,
	openSocketMaps,
	Pins,
	policyLayoutVersion,
	type SocketMaps,
	SocketServices,
} from '../../ebpf/index.ts';
import { type Conntrack, networkNamespaceCookie, openNetlinkLinks } from '../../linux/index.ts';
import type { NftablesServices } from '../../nftables/index.ts';
import type { NodePolicy } from '../../policy/index.ts';
import type {
	Backend,
	ConntrackFlow,
	Frontend,
	PoolKey,
	ServiceConnections,
	ServiceCounters,
	ServiceKernel,
	ServicesDifference,
	ServicesModel,
	SyncReport,
} from '../../services/index.ts';
import { type DirectReport, type DirectWish, OutsideServices } from './outside.ts';

/** Where programs at sockets are pinned, and whose sockets they serve. */
export interface SocketDependencies {
	readonly pinDirectory: string;
	/** Absent: the first mount of cgroup2. */
	readonly cgroup?: string | undefined;
	/**
	 * Names of the interfaces to the outside; absent: those with an address that other hosts reach.
	 */
	readonly interfaces?: readonly string[] | undefined;
	readonly conntrack: Pick<Conntrack, 'list'>;
	readonly clock: Clock;
	readonly log: Logger;
}

/** Time between looks at the connections that keep programs in force, in milliseconds. */
const drainMs = 30_000;

/**
 * Services by nftables, and with the eBPF data plane by programs as well: cluster IPs at the
 * sockets, so that policy at the interface of a pod sees the address of the backend, and packets
 * from outside at the interfaces that they come by. The rules stay for all that the programs leave
 * to them.
 */
export class ServicesWithSockets implements ServiceKernel {
	readonly name = 'nftables';
	readonly #rules: NftablesServices;
	#sockets: { readonly services: SocketServices; readonly maps: SocketMaps; readonly close: () => void } | undefined;
	#outside: OutsideServices | undefined;
	/** Programs for connections that began before nftables took over. */
	#draining: OutsideServices | undefined;
	/** Earlier programs and their pins are gone. */
	#ended: Promise<void> = Promise.resolve();
	#model: ServicesModel | undefined;
	#dependencies: SocketDependencies | undefined;

	#host: string | undefined;
	#wish: DirectWish = { isOn: false, nodes: new Map() };
	/** It is known whether programs stand. */
	#isDecided = false;
	#onDirect: () => void = () => {};

	constructor(rules: NftablesServices) {
		this.#rules = rules;
	}

	/** What direct server return does at this node. */
	get direct(): DirectReport {
		if (this.#outside !== undefined) return this.#outside.direct;
		const reason = 'nftables translates services from outside';
		if (this.#draining !== undefined) return { accepts: false, reason, usesDevice: this.#draining.hasDirect };
		return this.#isDecided
			? { accepts: false, reason, usesDevice: false }
			: { accepts: undefined, usesDevice: undefined };
	}

	/** Called when what `direct` reports has changed. */
	watchDirect(listener: () => void): void {
		this.#onDirect = listener;
	}

	/** Direct server return as it is asked for. @throws SystemCallError */
	followDirect(wish: DirectWish): void {
		this.#wish = wish;
		this.#outside?.followDirect(wish);
	}

	/** See `OutsideServices.arrivals`; of earlier programs as well. @throws SystemCallError */
	arrivals(): ReadonlySet<string> {
		return new Set([this.#outside, this.#draining].flatMap((one) => [...(one?.arrivals() ?? [])]));
	}

	/** See `OutsideServices.followHosts`. */
	followHosts(endpoint: string | undefined): void {
		this.#host = endpoint;
		this.#outside?.followHosts(endpoint);
	}

	/** No programs stand, and none of an earlier process. */
	withoutPrograms(): void {
		this.#decided();
	}

	#decided(): void {
		this.#isDecided = true;
		this.#onDirect();
	}

	numbers(): Promise<ReadonlyMap<PoolKey, readonly Backend[]>> {
		return this.#rules.numbers();
	}

	isIntact(): Promise<boolean> {
		return this.#rules.isIntact();
	}

	async sync(model: ServicesModel): Promise<SyncReport> {
		const report = await this.#rules.sync(model);
		this.#model = model;
		this.#sockets?.services.sync(model);
		this.#outside?.sync(model);
		return report;
	}

	async apply(difference: ServicesDifference, model: ServicesModel): Promise<void> {
		await this.#rules.apply(difference, model);
		this.#model = model;
		this.#sockets?.services.apply(difference, model);
		this.#outside?.apply(difference, model);
	}

	async remove(): Promise<void> {
		await this.stop();
		await this.#rules.remove();
	}

	/** Counters of the rules; a connection that a program translates is not among them. */
	get counters(): ServiceCounters {
		return this.#rules;
	}

	/** Maps of all programs of services; `undefined`: there are none. */
	get programMaps(): ReadonlyMap<string, BpfMap> | undefined {
		if (this.#sockets === undefined) return undefined;
		return new Map<string, BpfMap>([...this.#sockets.maps, ...(this.#outside?.maps ?? [])]);
	}

	/** What translates packets from outside; `undefined`: nftables alone. */
	get outside(): OutsideServices | undefined {
		return this.#outside;
	}

	/**
	 * Why packets from outside may meet a translation of nftables, in words; `undefined`: programs
	 * translate all of them that any service does.
	 */
	translationByRules(policy: Pick<NodePolicy, 'hosts' | 'policies'>): string | undefined {
		const fromOutside = [...(this.#model?.frontends.values() ?? [])].filter(
			({ actions }) => actions.outside.type === 'dnat',
		);
		if (fromOutside.length === 0) return undefined;
		if (this.#outside === undefined) return 'nftables translates services from outside';
		if (earlyByRules(policy, hostsForPrograms(policy).left) !== undefined)
			return 'nftables translates services, for a policy before translation';
		if (fromOutside.some(({ protocol }) => protocol === 'sctp')) return 'nftables translates a service of SCTP';
		const everywhere = ({ type, family }: Frontend) =>
			type === 'node-port' && this.#model?.settings.nodePortAddresses[family].type !== 'addresses';
		return fromOutside.some(everywhere) ? 'nftables translates node ports at all addresses' : undefined;
	}

	/** Flows of UDP that programs translate, those of earlier programs included. */
	udpFlows(): readonly ConntrackFlow[] {
		return [this.#outside, this.#draining].flatMap((one) => one?.udpFlows() ?? []);
	}

	/** Connections from outside that programs translate. */
	connections(): readonly ServiceConnections[] {
		return [this.#outside, this.#draining].flatMap((one) => one?.connections() ?? []);
	}

	/** Gives the number of flows that are forgotten. */
	removeFlows(flows: readonly ConntrackFlow[]): number {
		return [this.#outside, this.#draining].reduce((sum, one) => sum + (one?.remove(flows) ?? 0), 0);
	}

	/** See `OutsideServices.follow`. */
	followPolicy(endpoint: string | undefined): void {
		this.#outside?.follow(endpoint);
	}

	/**
	 * Translates by programs from now on; before the first `sync` with what an earlier process left.
	 * Where packets from outside are not possible for programs, nftables goes on with them. @throws
	 * Error with what is missing
	 */
	async start(dependencies: SocketDependencies): Promise<void> {
		this.#startSockets(dependencies);
		const { interfaces, log } = dependencies;
		if (this.#sockets === undefined || this.#outside !== undefined || interfaces?.length === 0) return;
		// The new programs take the place of these, with the same connections and the same device.
		this.#isDecided = false;
		this.#draining?.close();
		this.#draining = undefined;
		await this.#ended;
		let outside: OutsideServices | undefined;
		try {
			outside = this.#openOutside(dependencies, this.#sockets.maps);
			outside.followHosts(this.#host);
			outside.followDirect(this.#wish);
			if (this.#model !== undefined) outside.sync(this.#model);
			this.#outside = outside;
			await outside.start();
			this.#decided();
		} catch (error) {
			this.#outside = undefined;
			log.warn('services from outside stay with nftables', { reason: reasonOf(error) });
			if (outside !== undefined) await this.#leave(outside);
			this.#decided();
		}
	}

	/**
	 * Where an earlier process translated packets from outside by programs, these stay for the
	 * connections that are open.
	 */
	async adopt(dependencies: SocketDependencies): Promise<void> {
		if (this.#outside !== undefined || this.#draining !== undefined) return;
		try {
			if (!new Pins(dependencies.pinDirectory, policyLayoutVersion).names().some(isNatPin)) return;
			await this.#leave(this.#openOutside(dependencies, new Map()));
		} catch (error) {
			dependencies.log.warn('connections from outside by programs end', { reason: reasonOf(error) });
		} finally {
			this.#decided();
		}
	}

	#openOutside(dependencies: SocketDependencies, pools: SocketMaps): OutsideServices {
		const { pinDirectory, interfaces, conntrack, clock, log } = dependencies;
		this.#dependencies = dependencies;
		const links = openNetlinkLinks();
		try {
			return new OutsideServices({
				...{ pins: new Pins(pinDirectory, policyLayoutVersion), pools, links, clock, log },
				names: interfaces,
				onDirect: () => this.#onDirect(),
				flows: async () => [...(await conntrack.list('ipv4')), ...(await conntrack.list('ipv6'))],
			});
		} catch (error) {
			links.close();
			throw error;
		}
	}

	#startSockets({ pinDirectory, cgroup = cgroupMount() }: SocketDependencies): void {
		if (this.#sockets !== undefined) return;
		if (cgroup === undefined) throw new Error('no cgroup2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup');
		const pins = new Pins(pinDirectory, policyLayoutVersion);
		const maps = openSocketMaps(pins);
		const services = new SocketServices({ maps, pins, cgroup, nodeCookie: networkNamespaceCookie() });
		const close = () => {
			services.close();
			for (const map of maps.values()) map.close();
		};
		try {
			if (this.#model !== undefined) services.sync(this.#model);
			services.attach();
		} catch (error) {
			close();
			throw error;
		}
		this.#sockets = { services, maps, close };
	}

	/**
	 * Programs at sockets are forgotten; pins keep them until these are removed. Those at interfaces
	 * go with their pins when the connections that they translate have ended, see `drains`.
	 */
	async stop(): Promise<void> {
		this.#sockets?.close();
		this.#sockets = undefined;
		const outside = this.#outside;
		this.#outside = undefined;
		if (outside !== undefined) await this.#leave(outside);
	}

	/** Programs at interfaces stay in use, with their pins, for connections that began there. */
	get drains(): boolean {
		return this.#draining !== undefined;
	}

	async #leave(outside: OutsideServices): Promise<void> {
		const quiet = outside.drain();
		this.#draining = outside;
		this.#decided();
		// Other nodes send packets until they know.
		if (outside.hasDirect) void quiet.then(() => this.#drain(outside));
		else await this.#drain(outside);
	}

	async #drain(outside: OutsideServices): Promise<void> {
		if (this.#draining !== outside) return;
		if (outside.connections().length + outside.directConnections > 0) {
			this.#dependencies?.clock.after(drainMs, () => void this.#drain(outside));
			return;
		}
		this.#draining = undefined;
		this.#ended = outside
			.end()
			.catch((error: unknown) =>
				this.#dependencies?.log.warn('programs of services from outside not removed', { reason: reasonOf(error) }),
			);
		await this.#ended;
		this.#onDirect();
	}
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Where version 2 of the cgroups is mounted. */
function cgroupMount(): string | undefined {
	const [, mount] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	return mount;
}
