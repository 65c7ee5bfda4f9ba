import { type Address, type Clock, isIpv4Mapped, isLinkLocal, type Logger, parseAddress, parsePrefix, prefixContains, type Timer } from '../../core/index.ts';
import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute } from './kernel.ts';
import type { OwnRoute } from './own-route.ts';
import { mostCost, type Reach, RouteMap } from './route-map.ts';

/** Events come in bursts: a route that goes and comes back within this time was never away. */
const settleMs = 100;
/** However large the tables, reading them takes a tenth of the time at most; but after the longest pause it is read. */
const pauseReads = 10;
const mostPauseMs = 10_000;
/** ... and where nothing was told, a hundredth. */
const pauseAudits = 100;
/** Events lead, this only catches what they miss. */
const auditMs = 90_000;
const retryMs = 1000;
/** Next hops told one by one in the log; the rest is a number. */
const mostLogged = 5;

export interface NextHopTrackerDependencies {
	readonly kernel: NeighbouringKernel;
	readonly clock: Clock;
	readonly log: Logger;
	/** The next hops whose reach is another now; their costs and devices are to be asked again. */
	readonly onChange: (nextHops: ReadonlySet<string>) => void;
	/** This node's own most specific route that contains an address. Asked only where the routes of others do not lead there. Default: there is none. */
	readonly ownRouteTo?: (address: Address) => OwnRoute | undefined;
	/** The same of routes that stand whatever BGP says: they count like those of others. */
	readonly staticRouteTo?: (address: Address) => OwnRoute | undefined;
}

/** What is known of a next hop. */
interface Known {
	readonly address: Address;
	readonly reach: Reach | undefined;
	/** It is reached by the routes of others alone; `false`: by one of ours, or not at all. */
	readonly byOthers: boolean;
}

/**
 * Which next hops this node reaches, by the routes of others and by static ones (RFC 4271 §9.1.2.1). A route that BGP itself has put into the kernel counts
 * only where those of others do not lead to the next hop, and only if they lead to its own next hop: one step, and no route holds itself
 * up, or another one that holds it up. Whoever asks for a next hop is told when the answer changes. Until the kernel was read for the
 * first time, every next hop counts as reachable at cost 0: a fresh daemon knows nothing against it; and a kernel that can't be read
 * changes no answer.
 */
export class NextHopTracker {
	readonly #dependencies: NextHopTrackerDependencies;
	/** `undefined` until the kernel was read. */
	#routes: RouteMap | undefined;
	readonly #known = new Map<string, Known>();
	/** What happened since the last look; `everything` also where the kernel has to be read again. */
	#touched: NeighbouringRoute[] = [];
	#everything = false;
	#readWanted = true;
	/** Told while the kernel was being read: it may be in the list, or not. */
	#meanwhile: NeighbouringEvent[] | undefined;
	#readMs = 0;
	#running: Promise<void> | undefined;
	#settling: { readonly atMs: number; readonly timer: Timer } | undefined;
	/** Before this time the kernel is not read again. */
	#readFromMs = 0;
	#audit: Timer | undefined;
	#stopped = false;

	constructor(dependencies: NextHopTrackerDependencies) {
		this.#dependencies = dependencies;
	}

	/** Begins to watch and reads the kernel once; resolves after that, however it went. @throws SystemCallError where it can't be watched */
	async start(): Promise<void> {
		this.#dependencies.kernel.watch((event) => this.#onEvent(event));
		this.#armAudit();
		await this.#look();
	}

	/** Stops watching; the answers stay as they are. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#settling?.timer.cancel();
		this.#audit?.cancel();
		await this.#running;
		this.#dependencies.kernel.close();
	}

	/** Interior cost of the way to a next hop, `undefined` where there is none. */
	cost(nextHop: string): number | undefined {
		return this.#ask(nextHop)?.cost;
	}

	/** The device that packets to a next hop leave through, `undefined` where that is not known. */
	device(nextHop: string): string | undefined {
		return this.#ask(nextHop)?.device;
	}

	/** Nobody needs to be told of this next hop any more. */
	forget(nextHop: string): void {
		this.#known.delete(nextHop);
	}

	/** Answers that follow from our own routes, or from there being none, may be others now; where static ones are others, any. */
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

	/** Resolves when nothing is being read. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	#ask(nextHop: string): Reach | undefined {
		const known = this.#known.get(nextHop);
		if (known !== undefined) return known.reach;
		const asked = this.#find(meaningOf(parseAddress(nextHop)));
		this.#known.set(nextHop, asked);
		return asked.reach;
	}

	#find(address: Address): Known {
		if (this.#routes === undefined || isEverywhere(address)) return { address, reach: near, byOthers: true };
		const { reach, length, byOthers } = this.#findFirst(address, this.#routes);
		if (reach !== undefined) return { address, reach, byOthers };
		return { address, reach: this.#findByOwn(address, length, this.#routes), byOthers: false };
	}

	/** By the routes of others, and by a static one of ours where it is more specific and they lead to its gateway. */
	#findFirst(address: Address, routes: RouteMap): { readonly reach: Reach | undefined; readonly length: number; readonly byOthers: boolean } {
		const found = routes.lookUp(address);
		const fixed = this.#dependencies.staticRouteTo?.(address);
		if (fixed === undefined || fixed.length <= found.length) return { ...found, byOthers: true };
		const gateway = routes.find(parseAddress(fixed.nextHop));
		return { reach: gateway && { ...gateway, cost: Math.min(mostCost, fixed.metric + 1), via: fixed.nextHop }, length: fixed.length, byOthers: false };
	}

	/** `obstacle`: bits of the route of others that leads nowhere, which the kernel obeys unless ours is more specific. */
	#findByOwn(address: Address, obstacle: number, routes: RouteMap): Reach | undefined {
		const own = this.#dependencies.ownRouteTo?.(address);
		if (own === undefined || own.length <= obstacle) return undefined;
		const { reach } = this.#findFirst(parseAddress(own.nextHop), routes);
		return reach && { ...reach, cost: Math.min(mostCost, reach.cost + own.metric + 1) };
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
				// Pods come and go with devices that nothing leads through yet, or any more.
				if (this.#routes?.mark(event.device, event.state) === false) return;
				// What that means is known before the kernel is read, which may have to wait.
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

	/** Reads the kernel if that is needed, and tells which answers are others now. */
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
		// What is known is told at once, also where the rest has to wait.
		if (this.#readWanted) this.#settle(Math.max(settleMs, this.#readFromMs - clock.monotonicMs()));
		const touched = this.#touched;
		const everything = this.#everything;
		this.#touched = [];
		this.#everything = false;
		this.#tell(everything ? () => true : (address) => touched.some(({ prefix }) => prefixContains(parsePrefix(prefix), address)));
	}

	async #read(): Promise<void> {
		const { kernel, clock, log } = this.#dependencies;
		this.#readWanted = false;
		const startedAtMs = clock.monotonicMs();
		const meanwhile: NeighbouringEvent[] = [];
		this.#meanwhile = meanwhile;
		try {
			this.#routes = new RouteMap(await kernel.list());
			this.#everything = true;
			this.#readMs = clock.monotonicMs() - startedAtMs;
			this.#readFromMs = clock.monotonicMs() + Math.min(mostPauseMs, pauseReads * this.#readMs);
		} catch (error) {
			this.#readWanted = true;
			log.warn('the routes to next hops could not be read', { error: error instanceof Error ? error.message : String(error) });
			this.#readFromMs = clock.monotonicMs() + retryMs;
		} finally {
			this.#meanwhile = undefined;
		}
		for (const event of meanwhile) this.#take(event);
	}

	#tell(concerns: (address: Address) => boolean): void {
		const { log, onChange } = this.#dependencies;
		const changed = new Set<string>();
		const lost: string[] = [];
		const found: string[] = [];
		for (const [nextHop, known] of this.#known) {
			if (known.byOthers && !concerns(known.address)) continue;
			const before = known.reach;
			const after = this.#find(known.address);
			const now = after.reach;
			this.#known.set(nextHop, after);
			if (before?.cost === now?.cost && before?.device === now?.device) continue;
			changed.add(nextHop);
			if (now === undefined) lost.push(nextHop);
			else if (before === undefined) found.push(nextHop);
		}
		if (changed.size === 0) return;
		for (const nextHop of lost.slice(0, mostLogged)) log.warn('a next hop can not be reached any more: routes through it are not used', { nextHop });
		for (const nextHop of found.slice(0, mostLogged)) log.info('a next hop can be reached', { nextHop });
		const more = Math.max(0, lost.length - mostLogged) + Math.max(0, found.length - mostLogged);
		if (more > 0) log.info('more next hops can or can not be reached', { count: more });
		onChange(changed);
	}

	#armAudit(): void {
		this.#audit = this.#dependencies.clock.after(Math.max(auditMs, pauseAudits * this.#readMs), () => {
			this.#readWanted = true;
			this.#armAudit();
			void this.#look();
		});
	}
}

const near: Reach = { cost: 0, device: undefined, via: undefined };

/** IPv6 link-local addresses (fe80::/10) mean a neighbour on the session's own link, and none (0.0.0.0, ::) means this node: no route tells more. */
function isEverywhere({ bytes }: Address): boolean {
	return isLinkLocal(bytes) || bytes.every((byte) => byte === 0);
}

/** An IPv4-mapped next hop (RFC 4291 §2.5.5.2) is reached by IPv4. */
function meaningOf(address: Address): Address {
	return isIpv4Mapped(address.bytes) ? { family: 'ipv4', bytes: address.bytes.subarray(12) } : address;
}
