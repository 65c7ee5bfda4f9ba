import type { BestRoute, PrefixKey } from '../core/index.ts';
import type { KernelRoute } from './kernel.ts';

/**
 * All that is known about one prefix. One lookup finds all of it: for 100,000 routes, a map for
 * each part takes most of the time of a pass.
 */
export interface PrefixState {
	readonly prefix: PrefixKey;
	/** Set by `PrefixTable.setBest`. */
	readonly best: BestRoute | undefined;
	/** Our route in the kernel; set by `PrefixTable.setRoutes`. */
	readonly held: KernelRoute | undefined;
	/** Further routes of ours to the same prefix, with other metrics: rare. */
	readonly further: readonly KernelRoute[];
	/** The remote tunnel addresses of the desired route. */
	tunnelEnds: readonly string[] | undefined;
	/** The last list of `Pending` that contains this prefix. */
	pendingIn: number;
	/** The last read of the kernel's table that contained this prefix. */
	readIn: number;
}

type Writable = { -readonly [Field in keyof PrefixState]: PrefixState[Field] };

/** No routes. */
export const noRoutes: readonly KernelRoute[] = [];

/** Our routes in the kernel to this prefix. */
export function routesOf({ held, further }: Pick<PrefixState, 'held' | 'further'>): readonly KernelRoute[] {
	return held === undefined ? noRoutes : [held, ...further];
}

/** Every prefix with a best route or a route of ours in the kernel. */
export class PrefixTable {
	readonly #states = new Map<PrefixKey, Writable>();
	#best = 0;
	#held = 0;

	/** Number of prefixes with a best route. */
	get bestCount(): number {
		return this.#best;
	}

	/** Number of prefixes with a route of ours in the kernel. */
	get heldCount(): number {
		return this.#held;
	}

	/** `undefined`: nothing is known about the prefix. */
	get(prefix: PrefixKey): PrefixState | undefined {
		return this.#states.get(prefix);
	}

	/** The state of a prefix, empty if nothing was known; an empty one stays until `release`. */
	of(prefix: PrefixKey): PrefixState {
		const known = this.#states.get(prefix);
		if (known !== undefined) return known;
		const state: Writable = {
			prefix,
			best: undefined,
			held: undefined,
			further: noRoutes,
			tunnelEnds: undefined,
			pendingIn: 0,
			readIn: 0,
		};
		this.#states.set(prefix, state);
		return state;
	}

	has(prefix: PrefixKey): boolean {
		return this.#states.has(prefix);
	}

	keys(): Iterable<PrefixKey> {
		return this.#states.keys();
	}

	states(): Iterable<PrefixState> {
		return this.#states.values();
	}

	setBest(state: PrefixState, best: BestRoute | undefined): void {
		if ((state.best === undefined) !== (best === undefined)) this.#best += best === undefined ? -1 : 1;
		(state as Writable).best = best;
	}

	/** Sets our routes in the kernel; `further` without a first one is impossible. */
	setRoutes(state: PrefixState, held: KernelRoute | undefined, further: readonly KernelRoute[] = noRoutes): void {
		if ((state.held === undefined) !== (held === undefined)) this.#held += held === undefined ? -1 : 1;
		(state as Writable).held = held;
		(state as Writable).further = further;
	}

	/** Forgets a prefix about which nothing is known any more. Nothing else refers to its state. */
	release({ prefix, best, held, tunnelEnds }: PrefixState): void {
		if (best === undefined && held === undefined && tunnelEnds === undefined) this.#states.delete(prefix);
	}
}
