import type { Clock, Logger, Random, Timer } from '../../core/index.ts';
import { type Allocator, type IpamStore, type Pool, valuesOf } from '../../ipam/index.ts';
import { type JsonObject, textAt } from '../../json/index.ts';
import { type ApiClient, ApiError, coreKinds, Informer, LeaderLease, type Resource } from '../../kubernetes/index.ts';
import { type AddressRequest, type AssignMode, addressDecision, ingressWith } from '../../services/index.ts';
import { allocationsOf, type LoadBalancerAllocation } from './allocations.ts';

export interface LoadBalancerAddressesDependencies {
	readonly node: string;
	readonly client: ApiClient;
	/** Name of the virtual host `load-balancer`. */
	readonly allocator: Pick<Allocator, 'assign' | 'release' | 'releaseAddress'>;
	readonly store: Pick<IpamStore, 'pools' | 'blocks' | 'readOnlyReason'>;
	/** KubeControllersConfiguration `default`. */
	readonly assignMode: () => Promise<AssignMode>;
	/** The reason why another controller assigns the addresses; `undefined`: none does. */
	readonly otherController: () => Promise<string | undefined>;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

const leaseName = 'bgpmesh-load-balancer-addresses';
const leaseSeconds = 30;
/** Interval of renewing the lease and of a full round, in milliseconds. */
const roundMs = 10_000;
const fullRounds = 30;

/**
 * Assigns addresses of pools with `allowedUses: [LoadBalancer]` to Services, on one node of the
 * cluster at a time: the holder of the lease. An address is released with its Service. Allocations
 * have Calico's form (handle, virtual host, attributes), so that either can take over from the
 * other.
 */
export class LoadBalancerAddresses {
	readonly #dependencies: LoadBalancerAddressesDependencies;
	readonly #lease: LeaderLease;
	readonly #dirty = new Set<string>();
	#services: Informer | undefined;
	#timer: Timer | undefined;
	#turn: Promise<void> = Promise.resolve();
	#rounds = 0;
	#stopped = false;
	#isLeading = false;
	#queued = false;

	constructor(dependencies: LoadBalancerAddressesDependencies) {
		const { client, node, clock } = dependencies;
		this.#dependencies = dependencies;
		this.#lease = new LeaderLease({
			client,
			namespace: 'kube-system',
			name: leaseName,
			identity: node,
			durationSeconds: leaseSeconds,
			clock,
		});
	}

	/** This node assigns the addresses now. */
	get isLeading(): boolean {
		return this.#isLeading;
	}

	/** Runs rounds from now on. Never throws. */
	start(): void {
		this.#queue(() => this.#round());
	}

	/** Stops, and lets the next node start at once. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#timer?.cancel();
		this.#services?.stop();
		await this.#turn;
		if (this.#isLeading) await this.#lease.release().catch(() => undefined);
	}

	/** Tasks run one after another: an address is never assigned twice. */
	#queue(work: () => Promise<void>): void {
		this.#turn = this.#turn.then(work).catch((error: unknown) =>
			this.#dependencies.log.warn('load balancer addresses not given, the next round tries again', {
				error: error instanceof Error ? error.message : String(error),
			}),
		);
	}

	async #round(): Promise<void> {
		if (this.#stopped) return;
		this.#timer = this.#dependencies.clock.after(roundMs * (0.9 + this.#dependencies.random() / 5), () =>
			this.#queue(() => this.#round()),
		);
		this.#isLeading = await this.#mayLead();
		if (!this.#isLeading) {
			this.#services?.stop();
			this.#services = undefined;
			return;
		}
		await this.#follow();
		// Pools are added and removed, and a write may have failed: a full round runs periodically.
		if (this.#rounds++ % fullRounds === 0) {
			for (const key of this.#services?.items.keys() ?? []) this.#dirty.add(key);
			await this.#releaseOrphans();
		}
		await this.#work();
	}

	async #mayLead(): Promise<boolean> {
		const { otherController, store, node } = this.#dependencies;
		if ((await otherController()) !== undefined || (await store.readOnlyReason()) !== undefined) return false;
		// A cluster without such a pool needs no leader, and this node no copy of its Services.
		if (!(await store.pools()).some(isForLoadBalancers) && this.#services === undefined) return false;
		return (await this.#lease.ask()) === node;
	}

	async #follow(): Promise<void> {
		if (this.#services !== undefined) return;
		const { client, clock, random, log } = this.#dependencies;
		const services = new Informer({
			client,
			kind: coreKinds.services,
			clock,
			random,
			log,
			without: 'load balancer addresses',
		});
		this.#services = services;
		this.#rounds = 0;
		services.onChanges((changes) => {
			for (const { resource } of changes) this.#dirty.add(keyOf(resource));
			if (this.#queued) return;
			this.#queued = true;
			this.#queue(async () => {
				this.#queued = false;
				if (this.#isLeading && !this.#stopped) await this.#work();
			});
		});
		services.start();
		// Never before the list is complete: an address would be assigned a second time
		// (projectcalico/calico 12503).
		await services.listed(30_000);
	}

	async #work(): Promise<void> {
		const services = this.#services;
		if (services === undefined || !services.synced) return;
		const mode = await this.#dependencies.assignMode();
		const pools = await this.#dependencies.store.pools();
		for (const key of [...this.#dirty]) {
			this.#dirty.delete(key);
			const resource = services.items.get(key);
			try {
				if (resource === undefined) await this.#releaseOrphans();
				else await this.#settle(resource, mode, pools);
			} catch (error) {
				this.#dirty.add(key);
				this.#dependencies.log.warn('load balancer address of a Service not settled, the next round tries again', {
					service: key,
					error: error instanceof Error ? error.message : String(error),
				});
			}
		}
	}

	async #settle({ raw }: Resource, mode: AssignMode, pools: readonly Pool[]): Promise<void> {
		const { allocator, log } = this.#dependencies;
		const decision = addressDecision(raw, mode);
		switch (decision.type) {
			case 'leave':
				log.warn('load balancer annotations not usable, the Service stays as it is', {
					service: nameOf(raw),
					reason: decision.reason,
				});
				return;
			case 'release': {
				const released = await allocator.release(decision.handleId);
				// Without addresses of ours there is nothing to remove from the status.
				if (released.type !== 'released' || released.addresses.length === 0) return;
				log.info('load balancer addresses released', {
					service: nameOf(raw),
					addresses: released.addresses,
					reason: decision.reason,
				});
				await this.#writeStatus(raw, [], pools);
				return;
			}
			case 'assign':
				if (!pools.some(isForLoadBalancers)) return;
				await this.#writeStatus(raw, await this.#assign(raw, decision.request), pools);
				return;
			default:
				decision satisfies never;
		}
	}

	/** The resulting addresses of the Service, in the order of its families. */
	async #assign(raw: JsonObject, request: AddressRequest): Promise<string[]> {
		const { allocator, clock, log } = this.#dependencies;
		const namespace = textAt(raw, 'metadata', 'namespace') ?? 'default';
		const name = textAt(raw, 'metadata', 'name') ?? '';
		const held = await this.#heldBy(request.handleId);
		for (const address of held) {
			const wanted = request.addresses[address.includes(':') ? 'ipv6' : 'ipv4'];
			if (Object.keys(request.addresses).length === 0 || wanted === address) continue;
			await allocator.releaseAddress(address, { handleId: request.handleId });
			log.info('load balancer address released, the Service requests another', {
				service: `${namespace}/${name}`,
				address,
			});
		}
		const given: string[] = [];
		for (const family of request.families) {
			const wanted = request.addresses[family];
			const result = await allocator.assign({
				handleId: request.handleId,
				attributes: { service: name, namespace, type: 'LoadBalancer', timestamp: goTime(clock.wallMs()) },
				families: [family],
				use: 'LoadBalancer',
				namespace,
				...(wanted === undefined ? {} : { addresses: { [family]: wanted } }),
				...(request.pools[family] === undefined ? {} : { pools: { [family]: request.pools[family] } }),
			});
			if (result.type === 'unavailable') {
				log.warn('no load balancer address for a Service', {
					service: `${namespace}/${name}`,
					family,
					reason: result.reason,
				});
				continue;
			}
			for (const { address, known } of result.addresses) {
				given.push(address);
				if (!known) log.info('load balancer address given', { service: `${namespace}/${name}`, address });
			}
		}
		return given;
	}

	async #heldBy(handleId: string): Promise<string[]> {
		return (await this.#allocations()).filter((held) => held.handleId === handleId).map(({ address }) => address);
	}

	/** Addresses whose Service was deleted, including while no node was leader. */
	async #releaseOrphans(): Promise<void> {
		const { allocator, log } = this.#dependencies;
		const services = this.#services;
		if (services === undefined || !services.synced) return;
		const handles = new Set(
			[...services.items.values()].flatMap(({ raw }) => {
				const decision = addressDecision(raw, 'all-services');
				// Whether it may keep them is decided with the Service itself.
				return decision.type === 'assign'
					? [decision.request.handleId]
					: decision.type === 'release'
						? [decision.handleId]
						: [];
			}),
		);
		const unjudged = new Set(
			[...services.items.values()].flatMap(({ raw }) =>
				addressDecision(raw, 'all-services').type === 'leave' ? [nameOf(raw)] : [],
			),
		);
		const orphans = new Map((await this.#allocations()).map((held) => [held.handleId, held.service]));
		for (const [handleId, service] of orphans) {
			if (handles.has(handleId) || service === undefined || unjudged.has(service)) continue;
			const released = await allocator.release(handleId);
			if (released.type === 'released' && released.addresses.length > 0)
				log.info('load balancer addresses released, their Service is gone', { service, addresses: released.addresses });
		}
	}

	/**
	 * Every address assigned to a load balancer, by handle. `service` absent: its owner is unknown.
	 */
	async #allocations(): Promise<LoadBalancerAllocation[]> {
		return valuesOf(await this.#dependencies.store.blocks.list()).flatMap(allocationsOf);
	}

	async #writeStatus(raw: JsonObject, addresses: readonly string[], pools: readonly Pool[]): Promise<void> {
		const cidrs = pools.filter(isForLoadBalancers).map(({ cidr }) => cidr);
		const ingress = ingressWith(raw, addresses, cidrs);
		if (ingress === undefined) return;
		const { client } = this.#dependencies;
		try {
			await client.patch(
				coreKinds.services,
				textAt(raw, 'metadata', 'name') ?? '',
				{ status: { loadBalancer: { ingress } } },
				'application/merge-patch+json',
				{ namespace: textAt(raw, 'metadata', 'namespace') ?? 'default', subresource: 'status' },
			);
		} catch (error) {
			// Deleted meanwhile: its removal is pending.
			if (!(error instanceof ApiError) || error.code !== 404) throw error;
		}
	}
}

const isForLoadBalancers = ({ allowedUses, disabled, terminating }: Pool): boolean =>
	allowedUses.includes('LoadBalancer') && !disabled && !terminating;

const keyOf = ({ namespace, name }: Resource): string => `${namespace ?? 'default'}/${name}`;
const nameOf = (raw: JsonObject): string =>
	`${textAt(raw, 'metadata', 'namespace') ?? 'default'}/${textAt(raw, 'metadata', 'name') ?? ''}`;

/** The time in Go's format in UTC, as Calico writes it in attributes. */
const goTime = (ms: number): string => `${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
