import { type Address, type Clock, type Logger, parseAddress, parsePrefix, prefixContains, type Timer } from '../../core/index.ts';
import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute } from './kernel.ts';
import { type Reach, RouteMap } from './route-map.ts';

/** Events come in bursts: a route that goes and comes back within this time was never away. */
const settleMs = 100;
/** However large the tables, reading them takes a tenth of the time at most. */
const pauseReads = 10;
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
}

/**
 * Which next hops this node reaches, by the routes of others (RFC 4271 §9.1.2.1): what BGP itself has put into the kernel does not
 * count, so no route ever holds itself or another one up. Whoever asks for a next hop is told when the answer changes. Until the
 * kernel was read for the first time, every next hop counts as reachable at cost 0: a fresh daemon knows nothing against it; and
 * a kernel that can't be read changes no answer.
 */
export class NextHopTracker {
	readonly #dependencies: NextHopTrackerDependencies;
	/** `undefined` until the kernel was read. */
	#routes: RouteMap | undefined;
	readonly #known = new Map<string, { readonly address: Address; reach: Reach | undefined }>();
	/** What happened since the last look; `everything` also where the kernel has to be read again. */
	#touched: NeighbouringRoute[] = [];
	#everything = false;
	#readWanted = true;
	/** Told while the kernel was being read: it may be in the list, or not. */
	#meanwhile: NeighbouringEvent[] | undefined;
	#readMs = 0;
	#running: Promise<void> | undefined;
	#settling: Timer | undefined;
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
		this.#settling?.cancel();
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

	/** Resolves when nothing is being read. */
	async whenIdle(): Promise<void> {
		while (this.#running !== undefined) await this.#running;
	}

	#ask(nextHop: string): Reach | undefined {
		const known = this.#known.get(nextHop);
		if (known !== undefined) return known.reach;
		const address = parseAddress(nextHop);
		const reach = this.#find(address);
		this.#known.set(nextHop, { address, reach });
		return reach;
	}

	#find(address: Address): Reach | undefined {
		return this.#routes === undefined ? unread : this.#routes.find(address);
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
				if (this.#routes?.uses(event.device) === false) return;
				this.#readWanted = true;
				break;
			case 'unknown':
				this.#readWanted = true;
				break;
			default:
				event satisfies never;
		}
		this.#settle(Math.max(settleMs, this.#readWanted ? pauseReads * this.#readMs : 0));
	}

	#settle(delayMs: number): void {
		if (this.#settling !== undefined || this.#stopped) return;
		this.#settling = this.#dependencies.clock.after(delayMs, () => {
			this.#settling = undefined;
			void this.#look();
		});
	}

	/** Reads the kernel if that is needed, and tells which answers are others now. */
	#look(): Promise<void> {
		this.#running ??= this.#readAndTell().finally(() => {
			this.#running = undefined;
		});
		return this.#running;
	}

	async #readAndTell(): Promise<void> {
		if (this.#readWanted) await this.#read();
		if (this.#stopped) return;
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
		} catch (error) {
			this.#readWanted = true;
			log.warn('the routes to next hops could not be read', { error: error instanceof Error ? error.message : String(error) });
			this.#settle(retryMs);
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
			if (!concerns(known.address)) continue;
			const before = known.reach;
			const now = this.#find(known.address);
			known.reach = now;
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
		this.#audit = this.#dependencies.clock.after(auditMs, () => {
			this.#readWanted = true;
			this.#armAudit();
			void this.#look();
		});
	}
}

const unread: Reach = { cost: 0, device: undefined, via: undefined };
