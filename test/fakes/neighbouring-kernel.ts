import type { NeighbouringEvent, NeighbouringKernel, NeighbouringRoute, NeighbouringWay } from '../../src/fib/index.ts';

/** Foreign routes as a test sets them; a read returns the routes present at its end. */
export class FakeNeighbouringKernel implements NeighbouringKernel {
	routes: NeighbouringRoute[] = [];
	/** States of interfaces by name. */
	readonly devices = new Map<string, NeighbouringWay['state']>();
	reads = 0;
	closed = false;
	/** If set, `list` throws it. */
	broken: Error | undefined;
	/** If set, the test ends each read. */
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

	deviceState(device: string): NeighbouringWay['state'] | undefined {
		return this.devices.get(device);
	}

	close(): void {
		this.closed = true;
	}

	/** Adds a route, with its event. */
	add(route: NeighbouringRoute): void {
		this.routes.push(route);
		this.tell({ type: 'route', change: 'added', route });
	}

	/** Removes a route, with its event. */
	remove(route: NeighbouringRoute): void {
		this.routes = this.routes.filter((other) => other !== route);
		this.tell({ type: 'route', change: 'removed', route });
	}

	tell(event: NeighbouringEvent): void {
		this.#onEvent?.(event);
	}
}
