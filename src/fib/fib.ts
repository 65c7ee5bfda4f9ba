import {
	type Encapsulate,
	type Family,
	type FibRefusal,
	type FibRouteView,
	type FibView,
	inSlices,
	type PrefixKey,
	type RouteChange,
} from '../core/index.ts';
import { Actual } from './actual.ts';
import { type DesiredInputs, type Wanted, wantedRoute } from './desired.ts';
import { withoutProtocol } from './diff.ts';
import { Elevated } from './elevated.ts';
import { Failures } from './failures.ts';
import type { KernelEvent, KernelRoute } from './kernel.ts';
import type { OwnRoutes } from './next-hops/own-route.ts';
import { type FibDependencies, type FibOptions, type FibStats, fibDefaults } from './options.ts';
import { Origins } from './origins.ts';
import { Others, type Territory } from './others.ts';
import { Passes } from './passes.ts';
import { Pending } from './pending.ts';
import { type PrefixState, PrefixTable } from './prefix-table.ts';
import { reconcile } from './reconcile.ts';
import { type StaticRoute, Statics } from './statics.ts';
import { TunnelEnds } from './tunnel-ends.ts';
import { eachPrefix, eachRoute, type FibOverview, overviewOf, type PrefixRemarks, viewPrefix } from './view.ts';
import { prefixesThrough, Ways } from './ways.ts';

/** Keeps our routes in the kernel in their desired state. Changes are applied in the background. */
export class Fib {
	readonly #options: FibOptions & typeof fibDefaults;
	#routeProtocol: number;
	readonly #dependencies: FibDependencies;
	readonly #table = new PrefixTable();
	#inputs: DesiredInputs;
	readonly #actual: Actual;
	readonly #pending = new Pending();
	readonly #passes: Passes;
	readonly #ways: Ways;
	readonly #origins: Origins;
	readonly #statics = new Statics();
	readonly #others: Others;
	readonly #elevated: Elevated;
	readonly #waiting = new Set<string>();
	/** Prefixes that a source has named before all are in sync: their removal is intended. */
	readonly #named = new Set<PrefixKey>();
	readonly #failures: Failures;
	readonly #tunnelEnds: TunnelEnds;
	readonly #counters = { applied: 0, refused: 0, audits: 0 };
	#overview: Promise<FibOverview> | undefined;

	constructor(options: FibOptions, dependencies: FibDependencies) {
		this.#options = { ...fibDefaults, ...options };
		this.#routeProtocol = options.routeProtocol;
		this.#dependencies = dependencies;
		this.#ways = new Ways(dependencies.resolve);
		this.#inputs = {
			origins: new Set(),
			statics: this.#statics.wanted,
			datastore: new Map(),
			encapsulate: dependencies.encapsulate,
			resolve: (nextHop) => this.#ways.to(nextHop),
			metric: this.#options.metric,
			sources: this.#options.sources,
		};
		this.#origins = new Origins({
			take: (origins) => {
				this.#inputs = { ...this.#inputs, origins };
			},
			touch: (prefix) => this.#touch(prefix),
			done: () => this.#passes.request(),
		});
		const { retry, auditSeconds } = this.#options;
		const { kernel, clock, log } = dependencies;
		this.#actual = new Actual(kernel, this.#table);
		this.#failures = new Failures(retry, dependencies);
		this.#passes = new Passes({
			pending: this.#pending,
			pass: () => this.#pass(),
			retryInMs: () => this.#failures.dueInMs(clock.monotonicMs()),
			auditSeconds,
			retry,
			clock,
			log,
		});
		this.#tunnelEnds = new TunnelEnds(dependencies.onTunnelEnds);
		this.#elevated = new Elevated(this.#options.normalMetrics, dependencies.onElevated);
		this.#others = new Others(this.#options.besideOthers, log, dependencies.onRefusal);
	}

	/** Reads the kernel, starts to watch and to write. Resolves after the first pass. */
	async start(): Promise<void> {
		if (!this.#dependencies.kernel.enabled) return;
		this.#dependencies.kernel.watch((event) =>
			event.type === 'own-route' ? this.#onOwnRoute(event.change, event.route) : this.#onEvent(event),
		);
		this.#passes.start();
		await this.whenIdle();
	}

	/** Stops writing and watching. The routes stay: forwarding continues. */
	async stop(): Promise<void> {
		await this.#passes.stop();
		this.#dependencies.kernel.close();
	}

	/** Adds changes of best routes; the last one for a prefix counts. */
	apply(changes: readonly RouteChange[]): void {
		for (const change of changes) {
			const best = change.type === 'install' ? change.route : undefined;
			const state = this.#table.of(change.type === 'install' ? change.route.prefix : change.prefix);
			this.#table.setBest(state, best);
			this.#touchState(state);
		}
		this.#passes.request();
	}

	/** Sets this node's own blocks, as the complete list. */
	setOrigins(prefixes: readonly PrefixKey[]): void {
		this.#origins.set(prefixes);
	}

	/** Sets all static routes; each overrides a best route. Resolves when installed or refused. */
	async setStatics(routes: Iterable<StaticRoute>): Promise<void> {
		const changed = this.#statics.set(routes);
		if (changed.length === 0) return;
		this.#inputs = { ...this.#inputs, statics: this.#statics.wanted };
		for (const prefix of changed) this.#touch(prefix);
		this.#pending.wantForeign();
		this.#passes.request();
		if (this.#passes.isStarted) await this.whenIdle();
	}

	/** Sets all routes derived from block affinities: prefix and node address. */
	setDatastoreRoutes(datastore: ReadonlyMap<PrefixKey, string>): void {
		const { datastore: before } = this.#inputs;
		this.#inputs = { ...this.#inputs, datastore };
		for (const [prefix, nextHop] of datastore) if (before.get(prefix) !== nextHop) this.#touch(prefix);
		for (const prefix of before.keys()) if (!datastore.has(prefix)) this.#touch(prefix);
		this.#passes.request();
	}

	/** The ways to these next hops have changed. */
	nextHopsChanged(nextHops: ReadonlySet<string>): void {
		for (const prefix of prefixesThrough(nextHops, this.#table, this.#inputs)) this.#addPending(prefix);
		this.#passes.request();
	}

	/** Sets the encapsulation after a change of pools or own addresses. */
	setEncapsulate(encapsulate: Encapsulate): void {
		this.#inputs = { ...this.#inputs, encapsulate };
		this.#pending.addAll();
		this.#passes.request();
	}

	/** Sets our territory. Before `start`, reads the kernel once to detect other owners. */
	async setTerritory(territory: Territory): Promise<void> {
		const { changed, released } = this.#others.setTerritory(territory);
		if (!changed) return;
		const { kernel } = this.#dependencies;
		if (territory.ownership !== undefined) {
			kernel.setOwnership(territory.ownership);
			this.#routeProtocol = territory.ownership.protocol;
		}
		if (released) this.#pending.wantAudit();
		if (!this.#passes.isStarted) await this.#learnForeign().catch(() => undefined);
		this.#pending.wantForeign();
		this.#passes.request();
	}

	/** Sets the metrics of ordinary routes to local workloads. */
	setNormalMetrics(metrics: Readonly<Record<Family, number>>): void {
		if (!this.#elevated.setNormal(metrics)) return;
		this.#pending.wantForeign();
		this.#passes.request();
	}

	/** The reason why nothing is written: another program owns the same routes. */
	get refusal(): FibRefusal | undefined {
		return this.#others.refusal;
	}

	/** Sweeping waits until each of these sources is in sync. */
	waitFor(sources: Iterable<string>): void {
		for (const source of sources) this.#waiting.add(source);
	}

	/** Marks a source as complete. */
	setInSync(source: string): void {
		if (!this.#waiting.delete(source) || this.#waiting.size > 0) return;
		this.#dependencies.log.info('fib in sync', { routes: this.#table.bestCount, blocks: this.#inputs.origins.size });
		this.#named.clear();
		this.#tunnelEnds.inherit([]);
		this.#pending.addAll();
		this.#passes.request();
	}

	get inSync(): boolean {
		return this.#waiting.size === 0;
	}

	/** Resolves when no work is in progress; failed routes may wait for their retry. */
	async whenIdle(): Promise<void> {
		while (this.#origins.taking !== undefined || this.#passes.running !== undefined) {
			await this.#origins.taking;
			await this.#passes.running;
		}
	}

	/** Numbers for metrics; cheap for any number of routes. */
	stats(): FibStats {
		return {
			...this.#counters,
			prefixes: this.#table.heldCount,
			failing: this.#failures.size,
			dirty: this.#pending.size(this.#table.bestCount),
			inSync: this.inSync,
		};
	}

	/** Some of the refused routes; `stats` has their number. */
	failed(limit: number): readonly { readonly prefix: PrefixKey; readonly reason: string }[] {
		return this.#failures.first(limit);
	}

	/** Static routes without effect, with the reasons. */
	staticProblems(): readonly string[] {
		return this.#statics.problems((prefix) => this.#failures.reason(prefix));
	}

	/** Our routes, for the resolution of next hops behind them. */
	get ownRoutes(): OwnRoutes {
		return { table: this.#table, statics: this.#statics.held, held: !this.inSync };
	}

	/** Desired and present routes in one list: only for few routes. */
	view(): FibView {
		return { ...this.summary(), routes: [...this.eachRoute()] };
	}

	/** The view without its routes; cheap. */
	summary(): Omit<FibView, 'routes'> {
		const { refusal } = this;
		return {
			enabled: this.#dependencies.kernel.enabled,
			// Complete and without a failure: a table with a refused route is not in sync.
			inSync: this.inSync && this.#failures.size === 0 && refusal === undefined,
			waitingFor: [...this.#waiting],
			routeProtocol: this.#routeProtocol,
			table: this.#dependencies.kernel.table,
			metric: this.#options.metric,
			...(refusal === undefined ? {} : { refusal }),
		};
	}

	/** Desired and present routes, one by one. */
	eachRoute(): Iterable<FibRouteView> {
		if (!this.#dependencies.kernel.enabled) return [];
		return eachRoute(this.#inputs, this.#table, (prefix) => this.#remarks(prefix));
	}

	/** The same for one prefix. */
	routesOf(prefix: PrefixKey): readonly FibRouteView[] {
		if (!this.#dependencies.kernel.enabled) return [];
		return viewPrefix(prefix, this.#inputs, this.#table, this.#remarks(prefix));
	}

	/** Routes by state, counted in slices; concurrent callers share one pass. */
	overview(): Promise<FibOverview> {
		this.#overview ??= inSlices(overviewOf(this.eachRoute())).finally(() => {
			this.#overview = undefined;
		});
		return this.#overview;
	}

	#remarks(prefix: PrefixKey): PrefixRemarks {
		return { failure: this.#failures.reason(prefix), note: this.#statics.note(prefix) };
	}

	#addPending(prefix: PrefixKey): void {
		this.#pending.add(this.#table.of(prefix));
	}

	#touch(prefix: PrefixKey): void {
		this.#touchState(this.#table.of(prefix));
	}

	#touchState(state: PrefixState): void {
		this.#pending.add(state);
		if (!this.inSync) this.#named.add(state.prefix);
	}

	#onEvent(event: Exclude<KernelEvent, { type: 'own-route' }>): void {
		if (
			event.type === 'foreign-route' &&
			!this.#ways.used &&
			this.#inputs.statics.size === 0 &&
			![this.#others, this.#elevated].some((each) => each.concerns(event))
		)
			return;
		this.#pending.wantForeign();
		// A new address removes no routes of ours; a refused route may be possible now.
		const mayHaveLost = event.type !== 'foreign-route' && event.type !== 'address-added';
		if (mayHaveLost || (event.type === 'address-added' && this.#failures.size > 0)) this.#pending.wantAudit();
		this.#passes.requestAfterEvents();
	}

	#onOwnRoute(change: 'added' | 'removed', route: KernelRoute): void {
		// A list in progress may be older or newer than this event.
		if (this.#actual.isListing) this.#pending.wantAudit();
		if (!this.#actual.heard(change, route)) return;
		const { prefix } = route;
		this.#dependencies.log.warn('another program changed a route of ours', { prefix, change });
		this.#addPending(prefix);
		this.#passes.request();
	}

	/** One comparison of all dirty prefixes, after the reads that are due. */
	async #pass(): Promise<void> {
		const { kernel, log, clock } = this.#dependencies;
		if (this.#pending.wantsForeign || !this.#actual.isRead) await this.#learnForeign();
		if (this.#pending.wantsAudit || !this.#actual.isRead) await this.#audit();
		const dirty = await this.#pending.take(() => this.#everyState());
		if (this.refusal !== undefined) {
			// The audit after the end of the refusal finds all of them again.
			this.#failures.clear();
			return;
		}
		try {
			const { applied, failures } = await reconcile(
				dirty,
				{
					table: this.#table,
					wanted: (state) => this.#wanted(state),
					maySweep: (prefix) => this.inSync || this.#named.has(prefix),
					onEmpty: (state) => {
						if (!this.#pending.has(state)) this.#table.release(state);
					},
				},
				kernel,
			);
			this.#counters.applied += applied;
			this.#counters.refused += failures.length;
			const news = this.#failures.update(dirty, failures, clock.monotonicMs());
			this.#failures.tell(news, (prefix) => this.#statics.wanted.get(prefix)?.reason);
			if (applied > 0) log.debug('fib changed', { applied, failed: failures.length });
			const staticsMoved = this.#statics.look(this.#table, this.#options.metric, this.#routeProtocol);
			if (staticsMoved) this.#pending.wantForeign();
			this.#tunnelEnds.tell();
			if (dirty.length > 0) this.#dependencies.onRoutes?.(staticsMoved);
		} catch (error) {
			for (const { prefix } of dirty) this.#addPending(prefix);
			throw error;
		}
	}

	*#everyState(): Generator<PrefixState, void, void> {
		for (const prefix of eachPrefix(this.#inputs, this.#table)) yield this.#table.of(prefix);
	}

	#wanted(state: PrefixState): KernelRoute | undefined {
		const { prefix, best, held } = state;
		const wanted: Wanted | undefined = wantedRoute(prefix, best, this.#inputs);
		// Make before break: the present route works until its new way is known.
		if (wanted?.type === 'skip' && wanted.pending === true && held !== undefined) return withoutProtocol(held);
		this.#tunnelEnds.set(state, wanted?.type === 'route' ? wanted.tunnelEnds : undefined);
		return wanted?.type === 'route' ? wanted.route : undefined;
	}

	/** Reads our routes; marks all present and desired prefixes as dirty. */
	async #audit(): Promise<void> {
		const first = !this.#actual.isRead;
		this.#pending.auditBegins();
		this.#counters.audits++;
		await this.#actual.read();
		if (first && !this.inSync) this.#tunnelEnds.inherit(this.#table.states());
		this.#pending.addAll();
	}

	async #learnForeign(): Promise<void> {
		this.#pending.foreignBegins();
		const foreign = await this.#dependencies.kernel.listForeign();
		if (this.#others.look(foreign)) this.#pending.wantAudit();
		this.#elevated.look(foreign);
		for (const { prefix, text, reason } of this.#statics.meet(foreign, this.#options.metric))
			this.#dependencies.log.warn('a static route is not alone', { prefix, wantedBy: reason, what: text });
		this.nextHopsChanged(this.#ways.learn([...foreign, ...this.#statics.held]));
	}
}
