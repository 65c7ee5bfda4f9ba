import type { BestRoute, Encapsulate, FibRefusal, FibView, PrefixKey, RouteChange } from '../core/index.ts';
import { type DesiredInputs, type Wanted, wantedRoute } from './desired.ts';
import { file, isTwin } from './diff.ts';
import { Failures, tellRefusals } from './failures.ts';
import type { KernelEvent, KernelRoute } from './kernel.ts';
import type { OwnRoutes } from './next-hops/own-route.ts';
import { type FibDependencies, type FibOptions, type FibStats, fibDefaults } from './options.ts';
import { Others, type Territory } from './others.ts';
import { reconcile, record } from './reconcile.ts';
import { othersFirst, slices } from './slices.ts';
import { type StaticRoute, Statics } from './statics.ts';
import { afterEvents, Timers } from './timers.ts';
import { TunnelEnds } from './tunnel-ends.ts';
import { viewRoutes } from './view.ts';
import { Ways } from './ways.ts';

/** Keeps our routes in the kernel as they should be. Changes are collected and carried out in the background. */
export class Fib {
	readonly #options: FibOptions & typeof fibDefaults;
	readonly #dependencies: FibDependencies;
	readonly #best = new Map<PrefixKey, BestRoute>();
	/** Made anew when origins or encapsulation change, not for every prefix. */
	#inputs: DesiredInputs;
	/** Ours in the kernel, by prefix; `undefined` until it was read. */
	#actual: Map<PrefixKey, readonly KernelRoute[]> | undefined;
	readonly #ways = new Ways();
	readonly #statics = new Statics();
	/** Who else programs our routes; while somebody does, nothing is written. */
	readonly #others: Others;
	readonly #waiting = new Set<string>();
	/** Until all are in sync: prefixes that some source has spoken of in this life, so that their removal is meant. */
	readonly #told = new Set<PrefixKey>();
	#dirty = new Set<PrefixKey>();
	readonly #failures: Failures;
	readonly #tunnelEnds: TunnelEnds;
	readonly #counters = { applied: 0, refused: 0, audits: 0 };
	#auditWanted = true;
	#foreignWanted = true;
	#auditFailures = 0;
	/** How long the last pass with an audit took. */
	#auditPassMs = 0;
	#listing = false;
	#running: Promise<void> | undefined;
	#started = false;
	#stopped = false;
	readonly #timers: Timers<'audit' | 'event' | 'retry'>;

	constructor(options: FibOptions, dependencies: FibDependencies) {
		this.#options = { ...fibDefaults, ...options };
		this.#dependencies = dependencies;
		this.#inputs = {
			best: this.#best,
			origins: new Set(),
			statics: this.#statics.wanted,
			encapsulate: dependencies.encapsulate,
			resolve: (nextHop) => this.#ways.to(nextHop),
			metric: this.#options.metric,
		};
		this.#timers = new Timers(dependencies.clock);
		this.#failures = new Failures(this.#options.retry, dependencies.random);
		this.#tunnelEnds = new TunnelEnds(dependencies.onTunnelEnds);
		this.#others = new Others(this.#options.besideOthers, dependencies.log, dependencies.onRefusal);
	}

	/** Reads the kernel, begins to watch it and to write. Resolves after the first pass, however it went. */
	async start(): Promise<void> {
		if (!this.#dependencies.kernel.enabled) return;
		this.#started = true;
		this.#dependencies.kernel.watch((event) => (event.type === 'own-route' ? this.#onOwnRoute(event.change, event.route) : this.#onEvent(event)));
		this.#armAudit();
		this.#kick();
		await this.whenIdle();
	}

	/** Stops writing and watching. The routes stay, so that packets flow until the next start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#timers.stop();
		await this.#running;
		this.#dependencies.kernel.close();
	}

	/** Takes over changes of best routes; the last one for a prefix counts. */
	apply(changes: readonly RouteChange[]): void {
		for (const change of changes) {
			const prefix = change.type === 'install' ? change.route.prefix : change.prefix;
			if (change.type === 'install') this.#best.set(prefix, change.route);
			else this.#best.delete(prefix);
			this.#touch(prefix);
		}
		this.#kick();
	}

	/** This node's own blocks, all of them. */
	setOrigins(prefixes: Iterable<PrefixKey>): void {
		const { origins: before } = this.#inputs;
		const origins = new Set(prefixes);
		this.#inputs = { ...this.#inputs, origins };
		for (const prefix of [...before, ...origins]) if (before.has(prefix) !== origins.has(prefix)) this.#touch(prefix);
		this.#kick();
	}

	/** Routes to have whatever neighbours say, all of them; each in place of a best route of its prefix. Resolves when they stand, or were refused. */
	async setStatics(routes: Iterable<StaticRoute>): Promise<void> {
		const changed = this.#statics.set(routes);
		if (changed.length === 0) return;
		this.#inputs = { ...this.#inputs, statics: this.#statics.wanted };
		for (const prefix of changed) this.#touch(prefix);
		this.#foreignWanted = true;
		this.#kick();
		if (this.#started) await this.whenIdle();
	}

	/** How packets leave from now on: pools or own addresses have changed. */
	setEncapsulate(encapsulate: Encapsulate): void {
		this.#inputs = { ...this.#inputs, encapsulate };
		for (const prefix of this.#best.keys()) this.#dirty.add(prefix);
		this.#kick();
	}

	/** What is ours to program. Before `start` the kernel is read once, so that others are seen before anything is written. */
	async setTerritory(territory: Territory): Promise<void> {
		const { changed, released } = this.#others.setTerritory(territory);
		if (!changed) return;
		if (released) this.#auditWanted = true;
		if (!this.#started) await this.#learnForeign().catch(() => undefined);
		this.#foreignWanted = true;
		this.#kick();
	}

	/** Why nothing is written: somebody else programs the same routes. */
	get refusal(): FibRefusal | undefined {
		return this.#others.refusal;
	}

	/** Nothing is swept before each of these has said that it is in sync. */
	waitFor(sources: Iterable<string>): void {
		for (const source of sources) this.#waiting.add(source);
	}

	/** A source has told all that it knows. */
	setInSync(source: string): void {
		if (!this.#waiting.delete(source) || this.#waiting.size > 0) return;
		this.#dependencies.log.info('fib in sync', { routes: this.#best.size, blocks: this.#inputs.origins.size });
		this.#told.clear();
		this.#tunnelEnds.inherit([]);
		for (const prefix of this.#actual?.keys() ?? []) this.#dirty.add(prefix);
		this.#kick();
	}

	get inSync(): boolean {
		return this.#waiting.size === 0;
	}

	/** Resolves when nothing is under way; what failed may be waiting for its next attempt. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	/** Numbers for metrics; cheap, however many routes there are. */
	stats(): FibStats {
		return { ...this.#counters, prefixes: this.#actual?.size ?? 0, failing: this.#failures.size, dirty: this.#dirty.size, inSync: this.inSync };
	}

	/** Static routes that do not do what they are for, in words. */
	staticProblems(): readonly string[] {
		return this.#statics.problems((prefix) => this.#failures.reason(prefix));
	}

	/** Our routes, as next hops may lie behind them. */
	get ownRoutes(): OwnRoutes {
		return { actual: this.#actual ?? new Map(), best: this.#best, statics: this.#statics.held, held: !this.inSync };
	}

	/** What should be in the kernel and what is, by prefix. */
	view(): FibView {
		const { kernel } = this.#dependencies;
		const remarks = (prefix: PrefixKey) => ({ failure: this.#failures.reason(prefix), note: this.#statics.note(prefix) });
		const routes = kernel.enabled ? viewRoutes(this.#inputs, this.#actual ?? new Map(), remarks) : [];
		const { refusal } = this;
		return {
			enabled: kernel.enabled,
			inSync: this.inSync,
			waitingFor: [...this.#waiting],
			routeProtocol: this.#options.routeProtocol,
			routes,
			...(refusal === undefined ? {} : { refusal }),
		};
	}

	#touch(prefix: PrefixKey): void {
		this.#dirty.add(prefix);
		if (!this.inSync) this.#told.add(prefix);
	}

	#onEvent(event: Exclude<KernelEvent, { type: 'own-route' }>): void {
		// Of the routes of others only who resolves next hops by them needs to know, and whoever looks out for others.
		if (event.type === 'foreign-route' && !this.#ways.used && this.#inputs.statics.size === 0 && !this.#others.concerns(event)) return;
		this.#foreignWanted = true;
		if (event.type !== 'foreign-route') this.#auditWanted = true;
		if (!this.#timers.isArmed('event')) this.#timers.arm('event', afterEvents(this.#auditPassMs), () => this.#kick());
	}

	#onOwnRoute(change: 'added' | 'removed', route: KernelRoute): void {
		const { prefix } = route;
		// A list that is being read may be from before or after this.
		if (this.#listing) this.#auditWanted = true;
		const actual = this.#actual?.get(prefix) ?? [];
		const known = actual.find((other) => isTwin(other, route));
		// An echo of what is known already tells nothing.
		if (this.#actual === undefined || (change === 'added') === (known !== undefined)) return;
		record(this.#actual, change === 'added' ? { type: 'add', route } : { type: 'remove', route: known ?? route });
		this.#dependencies.log.warn('somebody else changed a route of ours', { prefix, change });
		this.#dirty.add(prefix);
		this.#kick();
	}

	/** Begins a run, unless one is under way. Before `start`, which a kernel that is not touched never gets past, what is told is only kept. */
	#kick(): void {
		if (this.#running !== undefined || this.#stopped || !this.#started) return;
		this.#running = this.#runAll().finally(() => {
			this.#running = undefined;
			this.#armRetry();
			// Something may have been asked after the last look.
			if (this.#auditFailures === 0 && this.#hasWork()) this.#kick();
		});
	}

	#hasWork(): boolean {
		return this.#auditWanted || this.#foreignWanted || this.#dirty.size > 0;
	}

	async #runAll(): Promise<void> {
		// What is told in one turn is carried out together.
		await new Promise((resolve) => setImmediate(resolve));
		while (!this.#stopped && this.#hasWork()) {
			try {
				const startedAtMs = this.#dependencies.clock.monotonicMs();
				const withAudit = this.#auditWanted;
				await this.#run();
				if (withAudit) this.#auditPassMs = this.#dependencies.clock.monotonicMs() - startedAtMs;
				this.#auditFailures = 0;
			} catch (error) {
				this.#auditFailures++;
				this.#auditWanted = true;
				this.#foreignWanted = true;
				this.#dependencies.log.warn('the kernel could not be read or written', { error: error instanceof Error ? error.message : String(error) });
				return;
			}
		}
	}

	async #run(): Promise<void> {
		const { kernel, log, clock } = this.#dependencies;
		if (this.#foreignWanted || this.#actual === undefined) await this.#learnForeign();
		if (this.#auditWanted || this.#actual === undefined) await this.#audit();
		const actual = this.#actual ?? new Map<PrefixKey, readonly KernelRoute[]>();
		const dirty = this.#dirty;
		this.#dirty = new Set();
		if (this.refusal !== undefined) {
			// The audit that follows its end finds all of them again.
			this.#failures.clear();
			return;
		}
		try {
			const { applied, failures } = await reconcile(
				dirty,
				{ wanted: (prefix) => this.#wanted(prefix), actual, maySweep: (prefix) => this.inSync || this.#told.has(prefix) },
				kernel,
			);
			this.#counters.applied += applied;
			this.#counters.refused += failures.length;
			const news = this.#failures.update(dirty, failures, clock.monotonicMs());
			tellRefusals(news, log, (prefix) => this.#statics.wanted.get(prefix)?.reason);
			if (applied > 0) log.debug('fib changed', { applied, failed: failures.length });
			const staticsMoved = this.#statics.look(actual, this.#options.metric, this.#options.routeProtocol);
			if (staticsMoved) this.#foreignWanted = true;
			this.#tunnelEnds.tell();
			if (dirty.size > 0) this.#dependencies.onRoutes?.(staticsMoved);
		} catch (error) {
			for (const prefix of dirty) this.#dirty.add(prefix);
			throw error;
		}
	}

	#wanted(prefix: PrefixKey): KernelRoute | undefined {
		const wanted: Wanted | undefined = wantedRoute(prefix, this.#inputs);
		this.#tunnelEnds.set(prefix, wanted?.type === 'route' ? wanted.tunnelEnd : undefined);
		return wanted?.type === 'route' ? wanted.route : undefined;
	}

	/** Reads our routes; everything that is there or wanted is looked at again. */
	async #audit(): Promise<void> {
		const first = this.#actual === undefined;
		this.#auditWanted = false;
		this.#counters.audits++;
		const actual = new Map<PrefixKey, KernelRoute[]>();
		this.#listing = true;
		try {
			for (const slice of slices(await this.#dependencies.kernel.list())) {
				for (const route of slice) file(actual, route);
				await othersFirst();
			}
			this.#actual = actual;
		} finally {
			this.#listing = false;
		}
		if (first && !this.inSync) this.#tunnelEnds.inherit(actual.values());
		for (const prefixes of [actual.keys(), this.#best.keys(), this.#inputs.origins, this.#inputs.statics.keys()])
			for (const prefix of prefixes) this.#dirty.add(prefix);
	}

	async #learnForeign(): Promise<void> {
		this.#foreignWanted = false;
		const foreign = await this.#dependencies.kernel.listForeign();
		if (this.#others.look(foreign)) this.#auditWanted = true;
		for (const { prefix, text, reason } of this.#statics.meet(foreign, this.#options.metric))
			this.#dependencies.log.warn('a static route is not alone', { prefix, wantedBy: reason, what: text });
		const moved = this.#ways.learn([...foreign, ...this.#statics.held]);
		if (moved.size === 0) return;
		for (const { prefix, nextHop } of this.#best.values()) if (nextHop !== undefined && moved.has(nextHop)) this.#dirty.add(prefix);
	}

	#armAudit(): void {
		this.#timers.arm('audit', this.#options.auditSeconds * 1000, () => {
			this.#auditWanted = true;
			this.#foreignWanted = true;
			this.#armAudit();
			this.#kick();
		});
	}

	/** After a refusal our picture of the kernel may be wrong: read it before the next attempt. */
	#armRetry(): void {
		if (this.#stopped) return;
		if (this.#auditFailures > 0) {
			const { firstMs, mostMs } = this.#options.retry;
			this.#timers.arm('retry', Math.min(mostMs, firstMs * 2 ** Math.min(this.#auditFailures, 20)), () => this.#kick());
			return;
		}
		const dueInMs = this.#failures.dueInMs(this.#dependencies.clock.monotonicMs());
		if (dueInMs === undefined) return;
		this.#timers.arm('retry', dueInMs, () => {
			this.#auditWanted = true;
			this.#kick();
		});
	}
}
