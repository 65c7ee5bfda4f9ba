import { isDeepStrictEqual } from 'node:util';
import { type JsonObject, textAt } from '../json/index.ts';
import { FrontendClaims } from './compile/claims.ts';
import { sameFrontend, samePool } from './compile/equality.ts';
import { keepNumbers } from './compile/numbers.ts';
import { type CompiledService, compileService, type ServiceNode } from './compile/service.ts';
import type { Replaced, ServicesDifference } from './difference.ts';
import type {
	Backend,
	Frontend,
	FrontendKey,
	HealthCheck,
	Pool,
	PoolKey,
	ServiceKey,
	ServicePortKey,
	ServicesModel,
	ServicesSettings,
} from './model.ts';
import { type EndpointSlice, parseEndpointSlice } from './resources/endpoint-slice.ts';
import { type Ignored, parseService, type ServiceSpec } from './resources/service.ts';

/** What the model is computed for. */
export interface ServicesStateOptions {
	readonly node: ServiceNode;
	readonly settings: ServicesSettings;
	/**
	 * Backend numbers of an earlier process, by pool: a restart then changes no element that is still
	 * right.
	 */
	readonly numbers?: ReadonlyMap<PoolKey, readonly Backend[]>;
}

/** A Service as it stands in the state, for views. */
export interface KnownService {
	readonly spec: ServiceSpec;
	readonly slices: readonly EndpointSlice[];
	readonly compiled: CompiledService;
}

/**
 * Follows Services and EndpointSlices and keeps the model of one node. A change marks the Service
 * that it belongs to; `settle` recomputes the marked ones alone and returns what changed. Input is
 * the objects as the API server has them. No input or output, no clock: the same calls give the
 * same model.
 */
export class ServicesState {
	#node: ServiceNode;
	#settings: ServicesSettings;
	#settingsChanged: boolean;
	readonly #numbers: Map<PoolKey, readonly Backend[]>;
	readonly #specs = new Map<ServiceKey, ServiceSpec>();
	readonly #ignored = new Map<ServiceKey, Ignored>();
	readonly #slices = new Map<string, EndpointSlice>();
	readonly #slicesOf = new Map<ServiceKey, Map<string, EndpointSlice>>();
	/** As of the last `settle`. A Service that has not changed is the same object. */
	readonly #known = new Map<ServiceKey, KnownService>();
	readonly #claims = new FrontendClaims();
	readonly #dirty = new Set<ServiceKey>();
	readonly #pools = new Map<PoolKey, Pool>();
	readonly #frontends = new Map<FrontendKey, Frontend>();
	readonly #clusterIps = new Map<string, number>();
	readonly #clusterIpSet = new Set<string>();
	readonly #healthChecks = new Map<ServiceKey, HealthCheck>();

	constructor({ node, settings, numbers }: ServicesStateOptions) {
		this.#node = node;
		this.#settings = settings;
		this.#settingsChanged = true;
		this.#numbers = new Map(numbers);
	}

	/** A view that follows `settle`; not a copy. */
	get model(): ServicesModel {
		return {
			settings: this.#settings,
			pools: this.#pools,
			frontends: this.#frontends,
			clusterIps: this.#clusterIpSet,
			healthChecks: this.#healthChecks,
		};
	}

	/** The node that the model is for. */
	get node(): ServiceNode {
		return this.#node;
	}

	/** Services without a part in the model, and why. */
	get ignored(): ReadonlyMap<ServiceKey, Ignored> {
		return this.#ignored;
	}

	/** Keys of all Services that have a part in the model as of the last `settle`. */
	get services(): Iterable<ServiceKey> {
		return this.#known.keys();
	}

	/** Addresses and ports that a second Service names: the Services without it, by frontend. */
	get conflicts(): ReadonlyMap<FrontendKey, readonly ServiceKey[]> {
		return this.#claims.conflicts;
	}

	/** One Service as of the last `settle`; the same object until it changes. */
	service(key: ServiceKey): KnownService | undefined {
		return this.#known.get(key);
	}

	/**
	 * `ADDRESS PORT` of the serving endpoints of a UDP service port: what `staleFlows` compares flows
	 * with.
	 */
	servingUdp(servicePort: ServicePortKey): ReadonlySet<string> {
		const service = servicePort.slice(0, servicePort.indexOf(':'));
		return this.#known.get(service)?.compiled.servingUdp.get(servicePort) ?? new Set();
	}

	/** A Service is there or has changed. */
	setService(raw: JsonObject): void {
		const parsed = parseService(raw);
		if (typeof parsed === 'string') {
			const key = keyOf(raw);
			this.removeService(key);
			this.#ignored.set(key, parsed);
			return;
		}
		this.#ignored.delete(parsed.key);
		this.#specs.set(parsed.key, parsed);
		this.#dirty.add(parsed.key);
	}

	/** A Service is gone. */
	removeService(key: ServiceKey): void {
		this.#ignored.delete(key);
		if (this.#specs.delete(key)) this.#dirty.add(key);
	}

	/** An EndpointSlice is there or has changed, maybe to another Service. */
	setSlice(raw: JsonObject): void {
		const slice = parseEndpointSlice(raw);
		const key = slice?.key ?? keyOf(raw);
		if (slice === undefined || this.#slices.get(key)?.service !== slice.service) this.removeSlice(key);
		if (slice === undefined) return;
		this.#slices.set(key, slice);
		const siblings = this.#slicesOf.get(slice.service) ?? new Map<string, EndpointSlice>();
		siblings.set(key, slice);
		this.#slicesOf.set(slice.service, siblings);
		this.#dirty.add(slice.service);
	}

	/** An EndpointSlice is gone, by `NAMESPACE/NAME`. */
	removeSlice(key: string): void {
		const slice = this.#slices.get(key);
		if (slice === undefined) return;
		this.#slices.delete(key);
		const siblings = this.#slicesOf.get(slice.service);
		siblings?.delete(key);
		if (siblings?.size === 0) this.#slicesOf.delete(slice.service);
		this.#dirty.add(slice.service);
	}

	/** Zone or addresses of the node have changed: every Service is computed again. */
	setNode(node: ServiceNode): void {
		if (isDeepStrictEqual(node, this.#node)) return;
		this.#node = node;
		this.#markAll();
	}

	/** Options have changed: every Service is computed again. */
	setSettings(settings: ServicesSettings): void {
		if (isDeepStrictEqual(settings, this.#settings)) return;
		this.#settings = settings;
		this.#settingsChanged = true;
		this.#markAll();
	}

	/** Something waits for `settle`. */
	get isDirty(): boolean {
		return this.#dirty.size > 0 || this.#settingsChanged;
	}

	/** Computes what is marked and returns the change of the model. */
	settle(): ServicesDifference {
		const pools = { set: [] as Replaced<Pool>[], removed: [] as Pool[] };
		const healthChecks = { set: [] as HealthCheck[], removed: [] as HealthCheck[] };
		const clusterIps = new Set<string>();
		const touched = new Set<FrontendKey>();
		const endedUdp: ServicePortKey[] = [];
		for (const key of this.#dirty) {
			const before = this.#known.get(key)?.compiled;
			const known = this.#compile(key);
			const after = known?.compiled;
			if (before === undefined && after === undefined) continue;
			this.#changePools(before?.pools ?? [], after?.pools ?? [], pools);
			this.#claims.replace(
				key,
				this.#specs.get(key)?.createdAt ?? '',
				before?.frontends ?? [],
				after?.frontends ?? [],
				touched,
			);
			for (const [address, by] of [...countOf(before, -1), ...countOf(after, 1)]) {
				this.#clusterIps.set(address, (this.#clusterIps.get(address) ?? 0) + by);
				clusterIps.add(address);
			}
			this.#changeHealthCheck(key, after?.healthCheck, healthChecks);
			endedUdp.push(...endedPorts(before, after));
			if (known === undefined) this.#known.delete(key);
			else this.#known.set(key, known);
		}
		this.#dirty.clear();
		const settings = this.#settingsChanged ? { settings: this.#settings } : {};
		this.#settingsChanged = false;
		return {
			...settings,
			pools,
			frontends: this.#changeFrontends(touched),
			clusterIps: this.#changeClusterIps(clusterIps),
			healthChecks,
			endedUdp,
		};
	}

	#markAll(): void {
		for (const key of this.#specs.keys()) this.#dirty.add(key);
	}

	/** In order of their names, so that the choice between duplicates depends on nothing else. */
	#slicesFor(key: ServiceKey): EndpointSlice[] {
		return [...(this.#slicesOf.get(key)?.values() ?? [])].sort((left, right) => (left.key < right.key ? -1 : 1));
	}

	#compile(key: ServiceKey): KnownService | undefined {
		const spec = this.#specs.get(key);
		if (spec === undefined) return undefined;
		const slices = this.#slicesFor(key);
		return { spec, slices, compiled: compileService(spec, slices, this.#node, this.#settings) };
	}

	#changePools(
		before: readonly Pool[],
		after: readonly Pool[],
		out: { readonly set: Replaced<Pool>[]; readonly removed: Pool[] },
	): void {
		for (const pool of after) {
			const old = this.#pools.get(pool.key);
			const numbered = { ...pool, backends: keepNumbers(old?.backends ?? this.#remembered(pool.key), pool.backends) };
			if (old !== undefined && samePool(old, numbered)) continue;
			this.#pools.set(pool.key, numbered);
			out.set.push(old === undefined ? { after: numbered } : { before: old, after: numbered });
		}
		for (const { key } of before) {
			const old = this.#pools.get(key);
			if (old === undefined || after.some((pool) => pool.key === key)) continue;
			this.#pools.delete(key);
			out.removed.push(old);
		}
	}

	/** Numbers of an earlier process, used once. */
	#remembered(key: PoolKey): readonly Backend[] {
		const numbers = this.#numbers.get(key) ?? [];
		this.#numbers.delete(key);
		return numbers;
	}

	#changeFrontends(touched: ReadonlySet<FrontendKey>): ServicesDifference['frontends'] {
		const set: Replaced<Frontend>[] = [];
		const removed: Frontend[] = [];
		for (const key of touched) {
			const before = this.#frontends.get(key);
			const after = this.#claims.winner(key);
			if (after === undefined) {
				if (before === undefined) continue;
				this.#frontends.delete(key);
				removed.push(before);
			} else if (before === undefined || !sameFrontend(before, after)) {
				this.#frontends.set(key, after);
				set.push(before === undefined ? { after } : { before, after });
			}
		}
		return { set, removed };
	}

	#changeClusterIps(touched: ReadonlySet<string>): ServicesDifference['clusterIps'] {
		const added: string[] = [];
		const removed: string[] = [];
		for (const address of touched) {
			const isLive = (this.#clusterIps.get(address) ?? 0) > 0;
			if (!isLive) this.#clusterIps.delete(address);
			if (isLive === this.#clusterIpSet.has(address)) continue;
			if (isLive) {
				this.#clusterIpSet.add(address);
				added.push(address);
			} else {
				this.#clusterIpSet.delete(address);
				removed.push(address);
			}
		}
		return { added, removed };
	}

	#changeHealthCheck(
		key: ServiceKey,
		after: HealthCheck | undefined,
		out: { readonly set: HealthCheck[]; readonly removed: HealthCheck[] },
	): void {
		const before = this.#healthChecks.get(key);
		if (after === undefined) {
			if (before !== undefined) out.removed.push(before);
			this.#healthChecks.delete(key);
		} else if (before?.port !== after.port || before.localEndpoints !== after.localEndpoints) {
			this.#healthChecks.set(key, after);
			out.set.push(after);
		}
	}
}

const countOf = (compiled: CompiledService | undefined, by: number): [string, number][] =>
	(compiled?.clusterIps ?? []).map((address) => [address, by]);

/** Ports whose serving endpoints before are not all serving after. */
const endedPorts = (before: CompiledService | undefined, after: CompiledService | undefined): ServicePortKey[] =>
	[...(before?.servingUdp ?? [])].flatMap(([servicePort, serving]) => {
		const still = after?.servingUdp.get(servicePort);
		// Without the port itself there is no frontend that a flow could be judged by.
		return still === undefined || [...serving].every((endpoint) => still.has(endpoint)) ? [] : [servicePort];
	});

const keyOf = (raw: JsonObject): string =>
	`${textAt(raw, 'metadata', 'namespace') ?? 'default'}/${textAt(raw, 'metadata', 'name') ?? ''}`;
