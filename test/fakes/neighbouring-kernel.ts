import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute } from '../../src/fib/index.ts';

/** Routes of others as a test has them; what is read is what is there when the reading ends. */
export class FakeNeighbouringKernel implements NeighbouringKernel {
	routes: NeighbouringRoute[] = [];
	reads = 0;
	closed = false;
	/** Set, `list` throws it. */
	broken: Error | undefined;
	/** Set, a reading ends when the test says so. */
	held: { readonly snapshot: readonly NeighbouringRoute[]; readonly release: () => void } | undefined;
	holding = false;
	#onEvent: ((event: NeighbouringEvent) => void) | undefined;

	async list(): Promise<readonly NeighbouringRoute[]> {
		this.reads++;
		if (this.broken !== undefined) throw this.broken;
		const snapshot = [...this.routes];
		if (this.holding) await new Promise<void>((release) => (this.held = { snapshot, release }));
		return snapshot;
	}

	watch(onEvent: (event: NeighbouringEvent) => void): void {
		this.#onEvent = onEvent;
	}

	close(): void {
		this.closed = true;
	}

	/** A route comes, and is told. */
	add(route: NeighbouringRoute): void {
		this.routes.push(route);
		this.tell({ type: 'route', change: 'added', route });
	}

	/** A route goes, and is told. */
	remove(route: NeighbouringRoute): void {
		this.routes = this.routes.filter((other) => other !== route);
		this.tell({ type: 'route', change: 'removed', route });
	}

	tell(event: NeighbouringEvent): void {
		this.#onEvent?.(event);
	}
}
