import {
	type Backoff,
	backoffMs,
	type Clock,
	type DataPlane,
	type Logger,
	mostDifferences,
	type PlaneDifference,
	type PlaneFailure,
	type PlaneView,
	type Random,
	type Timer,
} from '../../core/index.ts';
import type { JsonObject } from '../../json/index.ts';
import type { ServiceNode } from '../compile/service.ts';
import { mayLeaveStaleFlows, staleFlows } from '../decide/conntrack.ts';
import { isEmptyDifference, type ServicesDifference } from '../difference.ts';
import type { ServiceKey, ServicesModel, ServicesSettings } from '../model.ts';
import { ServicesState } from '../state.ts';
import type { ConntrackKernel, ServiceKernel } from './kernel.ts';

/** What the plane takes from the state of the node, besides the objects of the cluster. */
export interface ServicesPlaneState {
	readonly node: ServiceNode;
	readonly settings: ServicesSettings;
	/** Canonical text; for flows to node ports. */
	readonly nodeAddresses: readonly string[];
}

export interface ServicesPlaneDependencies {
	/** `undefined`: services are followed and not programmed; another proxy does it. */
	readonly kernel: ServiceKernel | undefined;
	/** `undefined`: flows are never deleted. */
	readonly conntrack: ConntrackKernel | undefined;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
	/** Called after each change that the kernel has, or with no kernel after each change. */
	readonly onProgrammed?: (difference: ServicesDifference) => void;
}

/**
 * Kinds that must be complete before the first write: else every service is rejected for seconds
 * (kubernetes/kubernetes).
 */
const sources = ['services', 'endpoint-slices'] as const;
export type ServiceSource = (typeof sources)[number];

const retryBackoff: Backoff = { firstMs: 200, mostMs: 30_000 };
/** Events of this time are one transaction; those that come during a write are the next one. */
const gatherMs = 1;

/**
 * Services as a data plane: follows the cluster's objects, and keeps the kernel equal to the model
 * of this node.
 */
export class ServicesPlane implements DataPlane<ServicesPlaneState> {
	readonly name = 'services';
	readonly #dependencies: ServicesPlaneDependencies;
	#state: ServicesState | undefined;
	#nodeAddresses: ReadonlySet<string> = new Set();
	readonly #pendingObjects: ((state: ServicesState) => void)[] = [];
	readonly #missing = new Set<ServiceSource>(sources);
	/** Services with a change that the kernel does not have yet. */
	readonly #unprogrammed = new Set<ServiceKey>();
	/** The kernel's content is not known: the next write reads back. */
	#mustSync = true;
	#failure: PlaneFailure | undefined;
	#attempt = 0;
	#timer: Timer | undefined;
	#working: Promise<void> | undefined;
	#stopped = false;
	#lastProgrammedMs: number;
	#waitingSinceMs: number | undefined;
	#transactions = 0;
	#flowsRemoved = 0;

	#kernel: ServiceKernel | undefined;
	#conntrack: ConntrackKernel | undefined;

	constructor(dependencies: ServicesPlaneDependencies) {
		this.#dependencies = dependencies;
		this.#kernel = dependencies.kernel;
		this.#conntrack = dependencies.conntrack;
		this.#lastProgrammedMs = dependencies.clock.wallMs();
	}

	/** The model of this node; `undefined` before the first state of the node. */
	get model(): ServicesModel | undefined {
		return this.#state?.model;
	}

	/** The objects that the model is made from, for views. */
	get state(): ServicesState | undefined {
		return this.#state;
	}

	/** Counters for metrics. */
	get totals(): { readonly transactions: number; readonly flowsRemoved: number } {
		return { transactions: this.#transactions, flowsRemoved: this.#flowsRemoved };
	}

	/**
	 * This plane programs Services from now on; the whole model is written. Resolves when it stands,
	 * or the first write has failed. For a plane that is complete.
	 */
	async program(kernel: ServiceKernel, conntrack: ConntrackKernel | undefined): Promise<void> {
		this.#kernel = kernel;
		this.#conntrack = conntrack;
		this.#mustSync = true;
		await this.whenIdle();
		const round = new Promise<void>((resolve) => this.#waiters.push(resolve));
		this.#schedule(0);
		await round;
	}

	/** Called after the next round of work. */
	readonly #waiters: (() => void)[] = [];

	/** The plane writes to a kernel. */
	get isProgramming(): boolean {
		return this.#kernel !== undefined;
	}

	/** The kernel holds the model, or the last write failed. */
	get isSettled(): boolean {
		return !this.#mustSync && this.#failure === undefined;
	}

	/** Node facts and options. The first call makes the model; `start` must have resolved. */
	apply({ node, settings, nodeAddresses }: ServicesPlaneState): void {
		this.#nodeAddresses = new Set(nodeAddresses);
		if (this.#state === undefined) {
			const state = new ServicesState({ node, settings, numbers: this.#numbers });
			for (const replay of this.#pendingObjects.splice(0)) replay(state);
			this.#state = state;
		} else {
			this.#state.setNode(node);
			this.#state.setSettings(settings);
		}
		this.#schedule(gatherMs);
	}

	#numbers: Awaited<ReturnType<ServiceKernel['numbers']>> = new Map();

	/** Reads the backend numbers of an earlier process. Before the first `apply`; never throws. */
	async start(): Promise<void> {
		try {
			this.#numbers = (await this.#kernel?.numbers()) ?? new Map();
		} catch (error) {
			this.#dependencies.log.warn('backend numbers not read, they are given anew', { error: reasonOf(error) });
		}
	}

	setService(raw: JsonObject): void {
		this.#object((state) => state.setService(raw));
	}

	removeService(key: ServiceKey): void {
		this.#object((state) => state.removeService(key));
	}

	setSlice(raw: JsonObject): void {
		this.#object((state) => state.setSlice(raw));
	}

	removeSlice(key: string): void {
		this.#object((state) => state.removeSlice(key));
	}

	/** A kind is complete: `services` or `endpoint-slices`; other sources have no meaning here. */
	inSync(source: string): void {
		for (const known of sources) if (known === source) this.#missing.delete(known);
		this.#schedule(0);
	}

	/** Others changed what the kernel holds: it is read back and put right. */
	resync(): void {
		this.#mustSync = true;
		this.#schedule(0);
	}

	/**
	 * The kernel has everything of this Service as the cluster has it. Without a kernel of ours:
	 * always.
	 */
	isProgrammed(service: ServiceKey): boolean {
		if (this.#kernel === undefined) return this.#missing.size === 0;
		return !this.#mustSync && !this.#unprogrammed.has(service);
	}

	/** Services and EndpointSlices are complete. */
	get isComplete(): boolean {
		return this.#missing.size === 0;
	}

	/** For `/healthz`: nothing waits, or the wait began not long ago. */
	get waitingSinceMs(): number | undefined {
		return this.#waitingSinceMs;
	}

	/** Milliseconds since 1970 of the last write that succeeded, or of the start. */
	get lastProgrammedMs(): number {
		return this.#lastProgrammedMs;
	}

	view(): PlaneView {
		const desired = this.#state?.model.frontends.size ?? 0;
		const missing = this.#mustSync ? [...(this.#state?.services ?? [])] : [...this.#unprogrammed];
		const isProgramming = this.#kernel !== undefined;
		const absent = isProgramming ? this.#frontendsOf(missing) : 0;
		return {
			name: this.name,
			enabled: isProgramming,
			inSync: this.#missing.size === 0,
			waitingFor: [...this.#missing],
			desired,
			installed: isProgramming ? Math.max(0, desired - absent) : 0,
			differences: isProgramming
				? missing.slice(0, mostDifferences).map(
						(subject): PlaneDifference => ({
							subject,
							state: this.#failure === undefined ? 'missing' : 'failed',
						}),
					)
				: [],
			failures: this.#failure === undefined ? [] : [this.#failure],
		};
	}

	async whenIdle(): Promise<void> {
		while (this.#working !== undefined) await this.#working;
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		this.#timer?.cancel();
		await this.whenIdle();
	}

	#object(change: (state: ServicesState) => void): void {
		if (this.#state === undefined) this.#pendingObjects.push(change);
		else change(this.#state);
		this.#schedule(gatherMs);
	}

	#frontendsOf(services: readonly ServiceKey[]): number {
		const state = this.#state;
		return services.reduce((sum, key) => sum + (state?.service(key)?.compiled.frontends.length ?? 0), 0);
	}

	/** Plans one round of work; what is planned earlier stays. */
	#schedule(delayMs: number): void {
		if (this.#stopped || this.#state === undefined || this.#missing.size > 0) return;
		if (this.#timer !== undefined || this.#working !== undefined) return;
		if (!this.#state.isDirty && !this.#mustSync && this.#unsent.length === 0) return;
		this.#waitingSinceMs ??= this.#dependencies.clock.wallMs();
		this.#timer = this.#dependencies.clock.after(delayMs, () => {
			this.#timer = undefined;
			this.#working = this.#work().finally(() => {
				this.#working = undefined;
				for (const resolve of this.#waiters.splice(0)) resolve();
				this.#schedule(
					this.#failure === undefined ? 0 : backoffMs(retryBackoff, this.#attempt, this.#dependencies.random),
				);
			});
		});
	}

	/** Differences that no write has carried yet. */
	readonly #unsent: ServicesDifference[] = [];

	async #work(): Promise<void> {
		const { log } = this.#dependencies;
		const kernel = this.#kernel;
		const state = this.#state;
		if (state === undefined) return;
		const difference = state.settle();
		for (const service of servicesOf(difference)) this.#unprogrammed.add(service);
		if (!isEmptyDifference(difference)) this.#unsent.push(difference);
		if (kernel === undefined) {
			this.#mustSync = false;
			this.#done();
			return;
		}
		try {
			if (this.#mustSync) {
				const report = await kernel.sync(state.model);
				log.info('services programmed', { frontends: state.model.frontends.size, ...report });
				this.#mustSync = false;
			} else for (const unsent of this.#unsent) await kernel.apply(unsent, state.model);
			this.#transactions++;
			this.#failure = undefined;
			this.#attempt = 0;
		} catch (error) {
			this.#attempt++;
			this.#failure = { subject: kernel.name, reason: reasonOf(error) };
			// What of it the kernel has is not known any more.
			this.#mustSync = true;
			log.error('services not programmed, trying again', { kernel: kernel.name, error: reasonOf(error) });
			return;
		}
		const unsent = this.#done();
		// First the rules, then the flows: a flow that is deleted too early comes back as it was.
		if (unsent.some(mayLeaveStaleFlows)) await this.#removeStaleFlows(state);
	}

	/** The kernel has everything that was sent. */
	#done(): readonly ServicesDifference[] {
		const unsent = this.#unsent.splice(0);
		this.#unprogrammed.clear();
		this.#lastProgrammedMs = this.#dependencies.clock.wallMs();
		this.#waitingSinceMs = undefined;
		for (const difference of unsent) this.#dependencies.onProgrammed?.(difference);
		return unsent;
	}

	async #removeStaleFlows(state: ServicesState): Promise<void> {
		const { log } = this.#dependencies;
		const conntrack = this.#conntrack;
		if (conntrack === undefined) return;
		try {
			const stale = staleFlows(state.model, await conntrack.udpFlows(), {
				serving: (servicePort) => state.servingUdp(servicePort),
				isNodeAddress: (address) => this.#nodeAddresses.has(address),
			});
			if (stale.length === 0) return;
			const removed = await conntrack.remove(stale);
			this.#flowsRemoved += removed;
			log.info('stale UDP flows removed', { flows: removed });
		} catch (error) {
			log.warn('stale UDP flows not removed, the next change tries again', { error: reasonOf(error) });
		}
	}
}

function servicesOf({ frontends, pools }: ServicesDifference): ServiceKey[] {
	return [
		...frontends.set.map(({ after }) => after.service),
		...frontends.removed.map(({ service }) => service),
		...pools.set.map(({ after }) => serviceOfPort(after.servicePort)),
		...pools.removed.map(({ servicePort }) => serviceOfPort(servicePort)),
	];
}

const serviceOfPort = (servicePort: string): ServiceKey => servicePort.slice(0, servicePort.indexOf(':'));

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
