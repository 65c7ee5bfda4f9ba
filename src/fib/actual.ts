import { isTwin } from './diff.ts';
import type { KernelRoute, RouteKernel } from './kernel.ts';
import { noRoutes, type PrefixTable, routesOf } from './prefix-table.ts';
import { record } from './reconcile.ts';
import { othersFirst, slices } from './slices.ts';

/**
 * Keeps our routes in the kernel as far as known in the table: read as a list, then kept by our own
 * operations and by the kernel's events.
 */
export class Actual {
	readonly #kernel: Pick<RouteKernel, 'list'>;
	readonly #table: PrefixTable;
	#reads = 0;
	#isRead = false;
	#isListing = false;

	constructor(kernel: Pick<RouteKernel, 'list'>, table: PrefixTable) {
		this.#kernel = kernel;
		this.#table = table;
	}

	/** True after the first list. */
	get isRead(): boolean {
		return this.#isRead;
	}

	/** True while a list is read: it may be older or newer than an event. */
	get isListing(): boolean {
		return this.#isListing;
	}

	/** Reads all our routes. On a failure the known ones stay. */
	async read(): Promise<void> {
		this.#isListing = true;
		try {
			const routes = await this.#kernel.list();
			const read = ++this.#reads;
			for (const slice of slices(routes)) {
				for (const route of slice) this.#file(route, read);
				await othersFirst();
			}
			for (const slice of slices(this.#table.states())) {
				for (const state of slice) if (state.readIn !== read) this.#table.setRoutes(state, undefined);
				await othersFirst();
			}
			this.#isRead = true;
		} finally {
			this.#isListing = false;
		}
	}

	/** The first listed route of a prefix takes the place of the known ones. */
	#file(route: KernelRoute, read: number): void {
		const state = this.#table.of(route.prefix);
		if (state.readIn !== read || state.held === undefined) this.#table.setRoutes(state, route);
		else this.#table.setRoutes(state, state.held, [...state.further, route]);
		state.readIn = read;
	}

	/** Another program changed a route of ours. `false`: the event repeats a known state. */
	heard(change: 'added' | 'removed', route: KernelRoute): boolean {
		const state = this.#table.get(route.prefix);
		const known = (state === undefined ? noRoutes : routesOf(state)).find((other) => isTwin(other, route));
		if (!this.#isRead || (change === 'added') === (known !== undefined)) return false;
		record(
			this.#table,
			change === 'added'
				? { type: 'add', route, state: this.#table.of(route.prefix) }
				: { type: 'remove', route: known ?? route, state: this.#table.of(route.prefix) },
		);
		return true;
	}
}
