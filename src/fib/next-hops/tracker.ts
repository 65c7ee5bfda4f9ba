import {
	type Address,
	type Clock,
	inSlices,
	LineLimiter,
	type Logger,
	parseAddress,
	parsePrefix,
	prefixContains,
	splitZone,
	type Timer,
} from '../../core/index.ts';
import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute, NeighbouringWay } from './kernel.ts';
import { type OwnRouteLookup, onTheLink, type Resolved, resolveNextHop } from './resolve.ts';
import { type Reach, RouteMap } from './route-map.ts';
import { type Way, wayOf } from './way.ts';

/** Events come in bursts: a route that returns within this time counts as unchanged. */
const settleMs = 100;
/**
 * The pause after a read is this multiple of its duration, so that reads take a tenth of the time
 * at most; bounded by the longest pause.
 */
const pauseReads = 10;
const mostPauseMs = 10_000;
/** Without events, reads take a hundredth of the time at most. */
const pauseAudits = 100;
/** Interval of full reads, which find only changes without events. */
const auditMs = 90_000;
const retryMs = 1000;
/** Maximum number of next hops logged individually; the others are counted. */
const mostLogged = 5;
/** Maximum number of events that are compared with each next hop. */
const mostTouched = 64;

export interface NextHopTrackerDependencies {
	readonly kernel: NeighbouringKernel;
	readonly clock: Clock;
	readonly log: Logger;
}

/** The known state of a next hop. */
interface Known extends Resolved {
	readonly address: Address;
	/** The interface of a link-local address. */
	readonly device: string | undefined;
}

/**
 * Determines which next hops this node reaches, and how, by `resolveNextHop`: for the selection of
 * routes and for the routes in the kernel. A change of a requested next hop is reported. Until the
 * first read of the kernel, every next hop counts as reachable at cost 0, because nothing
 * contradicts it; a failed read changes no result.
 */
export class NextHopTracker {
	readonly #dependencies: NextHopTrackerDependencies;
	readonly #listeners = new Set<(nextHops: ReadonlySet<string>) => void>();
	readonly #deviceListeners = new Set<(device: string, state: NeighbouringWay['state']) => void>();
	#own: OwnRouteLookup | undefined;
	/** `undefined` until the first read of the kernel. */
	#routes: RouteMap | undefined;
	readonly #known = new Map<string, Known>();
	/** Changes since the last evaluation; `everything` includes pending reads of the kernel. */
	#touched: NeighbouringRoute[] = [];
	#everything = false;
	#readWanted = true;
	/** Events during a read: the result may include them or not. */
	#meanwhile: NeighbouringEvent[] | undefined;
	#readMs = 0;
	#running: Promise<void> | undefined;
	#settling: { readonly atMs: number; readonly timer: Timer } | undefined;
	/** Earliest time of the next read. */
	#readFromMs = 0;
	#audit: Timer | undefined;
	#stopped = false;

	constructor(dependencies: NextHopTrackerDependencies) {
		const { clock, log } = dependencies;
		// Routes of neighbours may change reachability as often as they want.
		const lines = new LineLimiter(clock).limit(log, 'next hops');
		this.#dependencies = { ...dependencies, log: lines };
	}

	/** Subscribes to the next hops whose reachability, cost, gateway or device changed. */
	onChanges(listener: (nextHops: ReadonlySet<string>) => void): void {
		this.#listeners.add(listener);
	}

	/** Subscribes to changes of the state of interfaces. */
	onDevices(listener: (device: string, state: NeighbouringWay['state']) => void): void {
		this.#deviceListeners.add(listener);
	}

	/** From now on this node's own routes count, too; until then it has none. */
	setOwnRoutes(own: OwnRouteLookup): void {
		this.#own = own;
	}

	/**
	 * Starts to watch and reads the kernel once; resolves after the read, successful or not.
	 * @throws SystemCallError if watching fails
	 */
	async start(): Promise<void> {
		this.#dependencies.kernel.watch((event) => this.#onEvent(event));
		this.#armAudit();
		await this.#look();
	}

	/** Stops watching; the results stay. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#settling?.timer.cancel();
		this.#audit?.cancel();
		await this.#running;
		this.#dependencies.kernel.close();
	}

	/** Interior cost to a next hop; `undefined`: unreachable. */
	cost(nextHop: string): number | undefined {
		return this.#ask(nextHop)?.cost;
	}

	/** The gateway and interface to a next hop; `undefined`: unreachable. */
	way(nextHop: string): Way | undefined {
		return wayOf(nextHop, this.#ask(nextHop));
	}

	/** The outgoing device to a next hop; `undefined`: unknown. */
	device(nextHop: string): string | undefined {
		return this.#ask(nextHop)?.device;
	}

	/** The next hop is no longer used. */
	forget(nextHop: string): void {
		this.#known.delete(nextHop);
	}

	/**
	 * Our own routes changed: evaluates the results that depend on them or on their absence; if
	 * static routes changed, all results.
	 */
	ownRoutesChanged(staticsMoved = false): void {
		if (staticsMoved) {
			this.#everything = true;
			this.#settle(settleMs);
			return;
		}
		for (const { byOthers } of this.#known.values()) {
			if (byOthers) continue;
			this.#settle(settleMs);
			return;
		}
	}

	/** Resolves when no read is in progress. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	#ask(nextHop: string): Reach | undefined {
		const known = this.#known.get(nextHop);
		if (known !== undefined) return known.reach;
		const { address, interfaceName } = splitZone(nextHop);
		const asked = this.#find(parseAddress(address), interfaceName);
		this.#known.set(nextHop, asked);
		return asked.reach;
	}

	#find(address: Address, device: string | undefined): Known {
		if (this.#routes === undefined) return { address, device, reach: onTheLink, byOthers: true };
		const { kernel } = this.#dependencies;
		const deviceState = (name: string) => kernel.deviceState(name);
		return {
			address,
			device,
			...resolveNextHop(address, device, { routes: this.#routes, deviceState, own: this.#own }),
		};
	}

	#onEvent(event: NeighbouringEvent): void {
		if (this.#meanwhile !== undefined) this.#meanwhile.push(event);
		else this.#take(event);
	}

	#take(event: NeighbouringEvent): void {
		switch (event.type) {
			case 'route':
				this.#touched.push(event.route);
				if (this.#routes?.change(event.change, event.route) !== true) this.#readWanted = true;
				break;
			case 'device':
				for (const listener of this.#deviceListeners) listener(event.device, event.state);
				if (this.#isLinkOfNextHop(event.device)) {
					this.#everything = true;
					this.#settle(0);
				}
				// Interfaces of pods are added and removed while no route uses them.
				if (this.#routes?.mark(event.device, event.state) === false) return;
				// The known effect is evaluated before the next read, which may have to wait.
				this.#everything = true;
				this.#readWanted = true;
				break;
			case 'unknown':
				this.#readWanted = true;
				break;
			default:
				event satisfies never;
		}
		this.#settle(settleMs);
	}

	#isLinkOfNextHop(device: string): boolean {
		for (const known of this.#known.values()) if (known.device === device) return true;
		return false;
	}

	#settle(delayMs: number): void {
		const { clock } = this.#dependencies;
		const atMs = clock.monotonicMs() + delayMs;
		if (this.#stopped || (this.#settling !== undefined && this.#settling.atMs <= atMs)) return;
		this.#settling?.timer.cancel();
		const timer = clock.after(delayMs, () => {
			this.#settling = undefined;
			void this.#look();
		});
		this.#settling = { atMs, timer };
	}

	/** Reads the kernel if needed, and reports changed results. */
	#look(): Promise<void> {
		this.#running ??= this.#readAndTell().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	async #readAndTell(): Promise<void> {
		const { clock } = this.#dependencies;
		if (this.#readWanted && clock.monotonicMs() >= this.#readFromMs) await this.#read();
		if (this.#stopped) return;
		// Known changes are reported at once, even if the read has to wait.
		if (this.#readWanted) this.#settle(Math.max(settleMs, this.#readFromMs - clock.monotonicMs()));
		const touched = this.#touched;
		// In a storm, one evaluation of all next hops is cheaper than a comparison of each with
		// each event.
		const everything = this.#everything || touched.length > mostTouched;
		this.#touched = [];
		this.#everything = false;
		this.#tell(
			everything ? () => true : (address) => touched.some(({ prefix }) => prefixContains(parsePrefix(prefix), address)),
		);
	}

	async #read(): Promise<void> {
		const { kernel, clock, log } = this.#dependencies;
		this.#readWanted = false;
		const startedAtMs = clock.monotonicMs();
		const meanwhile: NeighbouringEvent[] = [];
		this.#meanwhile = meanwhile;
		try {
			const routes = new RouteMap();
			await inSlices(routes.insertSteps(await kernel.list()));
			this.#routes = routes;
			this.#everything = true;
			this.#readMs = clock.monotonicMs() - startedAtMs;
			this.#readFromMs = clock.monotonicMs() + Math.min(mostPauseMs, pauseReads * this.#readMs);
		} catch (error) {
			this.#readWanted = true;
			log.warn('the routes to next hops could not be read', {
				error: error instanceof Error ? error.message : String(error),
			});
			this.#readFromMs = clock.monotonicMs() + retryMs;
		} finally {
			this.#meanwhile = undefined;
		}
		for (const event of meanwhile) this.#take(event);
	}

	#tell(concerns: (address: Address) => boolean): void {
		const { log } = this.#dependencies;
		const changed = new Set<string>();
		const lost: string[] = [];
		const found: string[] = [];
		for (const [nextHop, known] of this.#known) {
			if (known.byOthers && !concerns(known.address)) continue;
			const before = known.reach;
			const after = this.#find(known.address, known.device);
			const now = after.reach;
			this.#known.set(nextHop, after);
			if (isSameReach(before, now)) continue;
			changed.add(nextHop);
			if (now === undefined) lost.push(nextHop);
			else if (before === undefined) found.push(nextHop);
		}
		if (changed.size === 0) return;
		for (const nextHop of lost.slice(0, mostLogged))
			log.warn('a next hop can not be reached any more: routes through it are not used', { nextHop });
		for (const nextHop of found.slice(0, mostLogged)) log.info('a next hop can be reached', { nextHop });
		const more = Math.max(0, lost.length - mostLogged) + Math.max(0, found.length - mostLogged);
		if (more > 0) log.info('more next hops can or can not be reached', { count: more });
		for (const listener of this.#listeners) listener(changed);
	}

	#armAudit(): void {
		this.#audit = this.#dependencies.clock.after(Math.max(auditMs, pauseAudits * this.#readMs), () => {
			this.#readWanted = true;
			this.#armAudit();
			void this.#look();
		});
	}
}

const isSameReach = (left: Reach | undefined, right: Reach | undefined): boolean =>
	left?.cost === right?.cost &&
	left?.device === right?.device &&
	left?.via === right?.via &&
	left?.onlink === right?.onlink;
