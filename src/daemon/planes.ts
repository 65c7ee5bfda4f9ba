import type { DataPlane, Logger, PlaneView } from '../core/index.ts';

interface Registered<State> {
	readonly plane: Pick<DataPlane<never>, 'name' | 'inSync' | 'view' | 'whenIdle' | 'stop'>;
	readonly apply: (state: State) => void;
}

/**
 * The data planes of this node, in the order of their registration. Status, metrics, health and
 * `fib --diff` iterate over them, so a new plane is one call of `register`. `State` is the daemon's
 * state; each plane gets its part of it.
 */
export class PlaneRegistry<State> {
	readonly #planes: Registered<State>[] = [];
	readonly #log: Logger;
	#last: { readonly state: State } | undefined;
	readonly #inSync = new Set<string>();

	constructor(log: Logger) {
		this.#log = log;
	}

	/**
	 * Adds a plane. `select` returns the plane's part of the state; `undefined`: not known yet, the
	 * plane keeps its last state.
	 */
	register<Part>(plane: DataPlane<Part>, select: (state: State) => Part | undefined): void {
		if (this.#planes.some((other) => other.plane.name === plane.name))
			throw new Error(`a plane named ${plane.name} is registered already`);
		const apply = (state: State) => {
			const part = select(state);
			if (part !== undefined) plane.apply(part);
		};
		this.#planes.push({ plane, apply });
		// A plane registered late gets the last state.
		if (this.#last !== undefined) this.#apply({ plane, apply }, this.#last.state);
		for (const source of this.#inSync) plane.inSync(source);
	}

	/**
	 * Passes the state to every plane. A plane that throws against its contract is logged; the
	 * others continue.
	 */
	apply(state: State): void {
		this.#last = { state };
		for (const registered of this.#planes) this.#apply(registered, state);
	}

	/** The last state that was passed on. */
	get state(): State | undefined {
		return this.#last?.state;
	}

	/** A source of desired state is complete. */
	inSync(source: string): void {
		this.#inSync.add(source);
		for (const { plane } of this.#planes) plane.inSync(source);
	}

	views(): Promise<readonly PlaneView[]> {
		return Promise.all(this.#planes.map(({ plane }) => plane.view()));
	}

	/** The views of all planes except one with a long view. */
	viewsBut(name: string): Promise<readonly PlaneView[]> {
		return Promise.all(this.#planes.filter(({ plane }) => plane.name !== name).map(({ plane }) => plane.view()));
	}

	/** Resolves when no plane has work in progress. */
	async whenIdle(): Promise<void> {
		for (const { plane } of this.#planes) await plane.whenIdle();
	}

	/** Stops the planes, the last registered one first; the kernel keeps its state. */
	async stop(): Promise<void> {
		for (const { plane } of [...this.#planes].reverse()) await plane.stop();
	}

	#apply({ plane, apply }: Registered<State>, state: State): void {
		try {
			apply(state);
		} catch (error) {
			this.#log.error('data plane did not take the state', {
				plane: plane.name,
				error: error instanceof Error ? error.message : String(error),
			});
		}
	}
}
