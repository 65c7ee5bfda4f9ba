import { isDeepStrictEqual } from 'node:util';
import type { Clock, DataPlane, Family, PlaneView, PrefixKey, Timer } from '../core/index.ts';
import { encapsulation, type InterfaceAddress, type TunnelAddresses, type TunnelPool } from '../encapsulation/index.ts';
import type { Fib, Territory } from '../fib/index.ts';

/**
 * The inputs of routes besides the best routes of the RIB, which arrive as differences
 * (`Fib.apply`).
 */
export interface RoutesState {
	readonly territory: Territory;
	/** This node's own blocks. */
	readonly origins: readonly PrefixKey[];
	readonly pools: readonly TunnelPool[];
	/** VXLAN tunnel addresses of the other nodes, by node address. */
	readonly vxlanTunnels: ReadonlyMap<string, TunnelAddresses>;
	/**
	 * Routes derived from block affinities: prefix and node address; `undefined`: not known yet.
	 */
	readonly datastore: ReadonlyMap<PrefixKey, string> | undefined;
	/**
	 * Metrics of ordinary routes to local workloads: a lower one means that a workload has moved
	 * here.
	 */
	readonly normalMetrics: Readonly<Record<Family, number>>;
}

export interface RoutesPlaneDependencies {
	readonly fib: Fib;
	readonly tunnelDevice: string;
	/** Resolves when the devices and entries that routes use are present, or were refused. */
	readonly tunnelsReady: () => Promise<void>;
	readonly clock: Clock;
}

/** The source of routes derived from block affinities. */
export const datastoreSource = 'datastore';

/**
 * Time for which routes keep their old encapsulation after a change of the pool's mode: every node
 * must have the new device before another one sends through it. The old device and the guard stay
 * longer than that.
 */
const modeChangeDelayMs = 3000;

/** The kernel's routes as a data plane. */
export class RoutesPlane implements DataPlane<RoutesState> {
	readonly name = 'routes';
	readonly #dependencies: RoutesPlaneDependencies;
	readonly #fib: Fib;
	#interfaces: readonly InterfaceAddress[] = [];
	/** The pools and tunnels in force. */
	#current: Pick<RoutesState, 'pools' | 'vxlanTunnels'> & { readonly datastoreKnown: boolean } = {
		pools: [],
		vxlanTunnels: new Map(),
		datastoreKnown: false,
	};
	#turn: Promise<void> = Promise.resolve();
	#latest: RoutesState | undefined;
	#delay: { readonly timer: Timer; readonly end: () => void } | undefined;
	#stopped = false;

	constructor(dependencies: RoutesPlaneDependencies) {
		this.#dependencies = dependencies;
		this.#fib = dependencies.fib;
	}

	/** This node's addresses have changed. */
	setInterfaces(interfaces: readonly InterfaceAddress[]): void {
		this.#interfaces = interfaces;
		this.#encapsulate();
	}

	/**
	 * Tunnels first, then the routes through them; of states that arrive meanwhile the last one is
	 * applied.
	 */
	apply(state: RoutesState): void {
		this.#latest = state;
		void this.#fib.setTerritory(state.territory);
		this.#fib.setOrigins(state.origins);
		this.#fib.setNormalMetrics(state.normalMetrics);
		this.#turn = this.#turn.then(() => this.#follow()).catch(() => undefined);
	}

	async #follow(): Promise<void> {
		const { tunnelsReady } = this.#dependencies;
		if (this.#latest === undefined || this.#stopped) return;
		await tunnelsReady();
		if (this.#latest !== undefined && changesMode(this.#current.pools, this.#latest.pools))
			await this.#wait(modeChangeDelayMs);
		const state = this.#latest;
		this.#latest = undefined;
		if (state === undefined || this.#stopped) return;
		const { pools, vxlanTunnels, datastore } = state;
		const before = this.#current;
		this.#current = { pools, vxlanTunnels, datastoreKnown: datastore !== undefined };
		if (!isDeepStrictEqual(before, this.#current)) this.#encapsulate();
		if (datastore === undefined) return;
		this.#fib.setDatastoreRoutes(datastore);
		this.#fib.setInSync(datastoreSource);
	}

	#encapsulate(): void {
		const { tunnelDevice } = this.#dependencies;
		this.#fib.setEncapsulate(encapsulation({ interfaces: this.#interfaces, tunnelDevice, ...this.#current }));
	}

	#wait(delayMs: number): Promise<void> {
		return new Promise((resolve) => {
			const timer = this.#dependencies.clock.after(delayMs, resolve);
			this.#delay = { timer, end: resolve };
		});
	}

	inSync(source: string): void {
		this.#fib.setInSync(source);
	}

	async view(): Promise<PlaneView> {
		const { enabled, inSync, waitingFor, refusal } = this.#fib.summary();
		const { counts, differing, failed } = await this.#fib.overview();
		return {
			name: this.name,
			enabled,
			inSync,
			waitingFor,
			desired: counts.installed + counts.missing + counts.failed,
			installed: counts.installed,
			differences: differing.flatMap(({ prefix, state }) =>
				state === 'installed' || state === 'skipped' ? [] : [{ subject: prefix, state }],
			),
			failures: [
				...(refusal === undefined ? [] : [{ subject: 'all routes', reason: refusal.reason }]),
				...failed.map(({ prefix, reason }) => ({ subject: prefix, reason: reason ?? '' })),
			],
		};
	}

	async whenIdle(): Promise<void> {
		await this.#turn;
		await this.#fib.whenIdle();
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		this.#delay?.timer.cancel();
		this.#delay?.end();
		await this.#turn;
		await this.#fib.stop();
	}
}

/** Has an existing pool another tunnel now? Pure. */
function changesMode(before: readonly TunnelPool[], after: readonly TunnelPool[]): boolean {
	const modes = new Map(before.map(({ cidr, ipipMode, vxlanMode = 'Never' }) => [cidr, `${ipipMode} ${vxlanMode}`]));
	return after.some(({ cidr, ipipMode, vxlanMode = 'Never' }) => {
		const was = modes.get(cidr);
		return was !== undefined && was !== `${ipipMode} ${vxlanMode}`;
	});
}
