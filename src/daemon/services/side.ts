import { isDeepStrictEqual } from 'node:util';
import type { Clock, Logger, PrefixKey, Random } from '../../core/index.ts';
import { arrayAt } from '../../json/index.ts';
import {
	type ApiClient,
	coreKinds,
	Informer,
	type Resource,
	type ResourceKind,
	resourceKey,
	type ServerAddress,
} from '../../kubernetes/index.ts';
import {
	type Announced,
	type Announcement,
	type AnnouncementAttributes,
	type AnnouncementMemo,
	type AnnouncementOptions,
	announcementsOf,
	announcesServices,
	type ConntrackKernel,
	type Frontend,
	type HandoverKernel,
	HealthServers,
	type KnownService,
	pruneEndpointSlice,
	pruneService,
	ServiceAnnouncer,
	type ServiceKernel,
	ServicesPlane,
} from '../../services/index.ts';
import { apiServerService, apiServersOf } from './api-servers.ts';
import { ServiceHandover } from './handover.ts';
import { prefixesIn } from './prefixes.ts';
import type { ServiceFacts } from './state.ts';

export interface ServiceSideDependencies {
	readonly node: string;
	readonly client: ApiClient;
	/** `undefined`: another proxy, or none, programs the Services of this node. */
	readonly kernel: ServiceKernel | undefined;
	/**
	 * Services are followed even without announcements: this node programs them, or may have to
	 * later.
	 */
	readonly isConfigured: boolean;
	readonly conntrack: ConntrackKernel | undefined;
	/** `undefined`: connections that routers move are not handed over. */
	readonly handover: HandoverKernel | undefined;
	readonly originate: (prefix: PrefixKey, attributes: AnnouncementAttributes) => void;
	readonly withdraw: (prefix: PrefixKey) => void;
	/** Announced for another reason. */
	readonly isTaken: (prefix: PrefixKey) => boolean;
	readonly drainMs: () => number;
	/** TCP port of `/healthz`; 0: none. */
	readonly healthPort: number;
	/**
	 * The real addresses of the API servers have changed, and the credentials contain their
	 * Service's address.
	 */
	readonly onApiServers: (addresses: readonly ServerAddress[]) => void;
	/** ServiceCIDR resources have changed: the facts are derived from them. */
	readonly onServiceCidrs: () => void;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

const notOurs = '!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless';
const withoutServices = 'Services in the kernel, and their addresses in BGP';
/** Time after which a plane that waits for the kernel is unhealthy, in milliseconds. */
const patienceMs = 60_000;

/**
 * The Services of a cluster at this node: follows the resources once they are needed, passes them
 * to the plane, announces addresses, and serves health checks.
 */
export class ServiceSide {
	readonly plane: ServicesPlane;
	readonly #dependencies: ServiceSideDependencies;
	readonly #services: Informer;
	readonly #slices: Informer;
	readonly #cidrs: Informer;
	readonly #announcer: ServiceAnnouncer;
	readonly #health: HealthServers;
	readonly #handover: ServiceHandover;
	#facts: ServiceFacts | undefined;
	#memo: AnnouncementMemo = new WeakMap();
	#memoFor: AnnouncementOptions | undefined;
	#following = false;
	#refreshing = false;

	constructor(dependencies: ServiceSideDependencies) {
		const { client, kernel, conntrack, clock, random, log } = dependencies;
		this.#dependencies = dependencies;
		this.plane = new ServicesPlane({
			kernel,
			conntrack,
			clock,
			random,
			log,
			onProgrammed: () => {
				if (this.plane.isProgramming) this.#health.set(this.plane.model?.healthChecks ?? new Map());
				this.#tellApiServers();
				this.#refresh();
			},
		});
		const informer = (kind: ResourceKind, more: Partial<ConstructorParameters<typeof Informer>[0]> = {}) =>
			new Informer({ client, kind, clock, random, log, firstList: 'any', ...more });
		const ours = { labelSelector: notOurs, without: withoutServices };
		this.#services = informer(coreKinds.services, { ...ours, prune: pruneService });
		this.#slices = informer(coreKinds.endpointSlices, { ...ours, prune: pruneEndpointSlice });
		this.#cidrs = informer(coreKinds.serviceCidrs, { mayLack: true, without: 'ranges of cluster IPs' });
		this.#handover = new ServiceHandover(dependencies.handover, {
			node: dependencies.node,
			drainSeconds: () => Math.ceil(dependencies.drainMs() / 1000),
			log,
		});
		this.#announcer = new ServiceAnnouncer({
			originate: dependencies.originate,
			withdraw: dependencies.withdraw,
			isTaken: dependencies.isTaken,
			drainMs: dependencies.drainMs,
			leadMs: () => this.#handover.leadMs,
			wanted: () => this.#wanted(),
			stillServes: (announcement) => this.#stillServes(announcement),
			clock,
			log,
		});
		this.#health = new HealthServers({
			health: () => {
				const since = this.plane.waitingSinceMs;
				const nowMs = clock.wallMs();
				return {
					isHealthy: since === undefined || nowMs - since < patienceMs,
					isNodeLeaving: this.#facts?.isLeaving === true,
					lastUpdatedMs: this.plane.lastProgrammedMs,
					nowMs,
				};
			},
			log,
		});
	}

	/** Ranges of the ServiceCIDR resources. */
	get serviceCidrs(): readonly PrefixKey[] {
		return [...this.#cidrs.items.values()].flatMap(({ raw }) => prefixesIn(arrayAt(raw, 'spec', 'cidrs')));
	}

	/** Announced now, by prefix. */
	get announced(): ReadonlyMap<PrefixKey, Announced> {
		return this.#announcer.announced;
	}

	/** The current state; `undefined` before the first state of the node. */
	get facts(): ServiceFacts | undefined {
		return this.#facts;
	}

	/** This node programs Services. */
	get isProxy(): boolean {
		return this.plane.isProgramming;
	}

	/** The copies of resources, if they are followed. */
	get informers(): readonly Informer[] {
		return this.#following ? [this.#services, this.#slices, this.#cidrs] : [];
	}

	/** Reads the kernel state of an earlier process, and opens the health port. */
	async start(): Promise<void> {
		await this.plane.start();
		if (this.isProxy) await this.#serveHealth();
	}

	/**
	 * Programs Services from now on, replacing any earlier programmer. Resolves when they are
	 * installed, or the first write has failed.
	 */
	async program(
		kernel: ServiceKernel,
		conntrack: ConntrackKernel | undefined,
		handover: HandoverKernel | undefined,
	): Promise<void> {
		if (handover !== undefined) this.#handover.use(handover);
		await this.plane.program(kernel, conntrack);
		this.#health.set(this.plane.model?.healthChecks ?? new Map());
		await this.#serveHealth();
		this.#refresh();
	}

	async #serveHealth(): Promise<void> {
		const { healthPort } = this.#dependencies;
		if (healthPort > 0) await this.#health.servePlane(healthPort);
	}

	/** A new state of the node. The plane itself is applied by the registry of planes. */
	setFacts(facts: ServiceFacts): void {
		this.#facts = facts;
		// Thousands of objects: a cluster that announces none and has another proxy does not need
		// them here.
		if (!this.#following && (this.#dependencies.isConfigured || announcesServices(facts.announcement))) this.#follow();
		this.#refresh();
	}

	/** Stops following and serving; announced and programmed state stays. */
	stop(): void {
		for (const informer of this.informers) informer.stop();
		this.#announcer.stop();
		this.#health.stop();
	}

	#follow(): void {
		this.#following = true;
		const follow = (
			informer: Informer,
			source: 'services' | 'endpoint-slices',
			set: (resource: Resource) => void,
			remove: (key: string) => void,
		) => {
			informer.onChanges((changes) => {
				for (const { type, resource } of changes)
					if (type === 'removed') remove(resourceKey(resource));
					else set(resource);
				this.#refresh();
			});
			informer.onSynced(() => this.plane.inSync(source));
			informer.start();
		};
		follow(
			this.#services,
			'services',
			({ raw }) => this.plane.setService(raw),
			(key) => this.plane.removeService(key),
		);
		follow(
			this.#slices,
			'endpoint-slices',
			({ raw }) => this.plane.setSlice(raw),
			(key) => this.plane.removeSlice(key),
		);
		this.#cidrs.onChanges(() => this.#dependencies.onServiceCidrs());
		this.#cidrs.start();
	}

	#apiServers = '';

	#tellApiServers(): void {
		const { client, onApiServers } = this.#dependencies;
		const service = this.plane.state?.service(apiServerService);
		if (service === undefined) return;
		// A kubeconfig with an address of its own stays in force.
		const { hostname } = new URL(client.server);
		const host = hostname.replace(/^\[|\]$/g, '');
		if (host !== service.spec.clusterIps.ipv4 && host !== service.spec.clusterIps.ipv6) return;
		const addresses = apiServersOf(service.slices);
		const text = JSON.stringify(addresses);
		if (addresses.length === 0 || text === this.#apiServers) return;
		this.#apiServers = text;
		onApiServers(addresses);
	}

	/** Once per turn of the event loop: changes come in batches. */
	#refresh(): void {
		if (this.#refreshing || !this.#following) return;
		this.#refreshing = true;
		this.#dependencies.clock.after(0, () => {
			this.#refreshing = false;
			// Before the first complete list every address would be withdrawn.
			if (!this.#services.synced || !this.#slices.synced || this.#facts === undefined) return;
			if (announcesServices(this.#facts.announcement)) this.#handover.refresh(this.#known(), this.#facts.nodes);
			this.#announcer.refresh();
		});
	}

	*#known(): Generator<KnownService> {
		const { state } = this.plane;
		for (const key of state?.services ?? []) {
			const service = state?.service(key);
			if (service !== undefined) yield service;
		}
	}

	#wanted(): ReadonlyMap<PrefixKey, Announcement> {
		const facts = this.#facts;
		// Most clusters announce none: then a change of one Service costs nothing here.
		if (facts === undefined || !announcesServices(facts.announcement)) return new Map();
		if (!isDeepStrictEqual(facts.announcement, this.#memoFor)) this.#memo = new WeakMap();
		this.#memoFor = facts.announcement;
		return announcementsOf({
			memo: this.#memo,
			node: this.#dependencies.node,
			excluded: facts.excluded,
			options: facts.announcement,
			services: this.#known(),
			isProgrammed: (service) => this.plane.isProgrammed(service),
			isHeld: (prefix) => this.#announcer.isAnnounced(prefix),
		});
	}

	/**
	 * An external packet to the address is still translated here; for a range this is always
	 * possible.
	 */
	#stillServes({ kind, prefix, services }: Announcement): boolean {
		if (kind === 'range') return true;
		const address = prefix.slice(0, prefix.indexOf('/'));
		const { state } = this.plane;
		const answers = (frontend: Frontend): boolean =>
			frontend.type !== 'node-port' && frontend.address === address && frontend.actions.outside.type === 'dnat';
		return services.some((service) => state?.service(service)?.compiled.frontends.some(answers) === true);
	}
}
