import type { PrefixKey } from '../core/index.ts';
import { file, isTwin } from './diff.ts';
import type { KernelRoute, RouteKernel } from './kernel.ts';
import { record } from './reconcile.ts';
import { othersFirst, slices } from './slices.ts';

/**
 * Our routes in the kernel as far as known: read as a list, then kept by our own operations and by
 * the kernel's events.
 */
export class Actual {
	readonly #kernel: Pick<RouteKernel, 'list'>;
	#routes: Map<PrefixKey, readonly KernelRoute[]> = new Map();
	#isRead = false;
	#isListing = false;

	constructor(kernel: Pick<RouteKernel, 'list'>) {
		this.#kernel = kernel;
	}

	/** By prefix; empty before the first read. `reconcile` records its operations here. */
	get routes(): Map<PrefixKey, readonly KernelRoute[]> {
		return this.#routes;
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
		const routes = new Map<PrefixKey, KernelRoute[]>();
		this.#isListing = true;
		try {
			for (const slice of slices(await this.#kernel.list())) {
				for (const route of slice) file(routes, route);
				await othersFirst();
			}
			this.#routes = routes;
			this.#isRead = true;
		} finally {
			this.#isListing = false;
		}
	}

	/** Another program changed a route of ours. `false`: the event repeats a known state. */
	heard(change: 'added' | 'removed', route: KernelRoute): boolean {
		const known = this.#routes.get(route.prefix)?.find((other) => isTwin(other, route));
		if (!this.#isRead || (change === 'added') === (known !== undefined)) return false;
		record(this.#routes, change === 'added' ? { type: 'add', route } : { type: 'remove', route: known ?? route });
		return true;
	}
}
