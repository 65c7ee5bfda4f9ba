import { inSlices, type PrefixKey, type Steps } from '../core/index.ts';

/** The consumer of the blocks. */
export interface OriginsDependencies {
	/** Sets this node's own blocks. */
	readonly take: (origins: ReadonlySet<PrefixKey>) => void;
	/** The block was added or removed. */
	readonly touch: (prefix: PrefixKey) => void;
	/** Called after all changes were given to `touch`. */
	readonly done: () => void;
}

/**
 * Applies this node's own blocks in slices: there may be hundreds of thousands. A few are applied
 * at once.
 */
export class Origins {
	readonly #dependencies: OriginsDependencies;
	#held: ReadonlySet<PrefixKey> = new Set();
	#next: readonly PrefixKey[] | undefined;
	#taking: Promise<void> | undefined;

	constructor(dependencies: OriginsDependencies) {
		this.#dependencies = dependencies;
	}

	/**
	 * Sets the complete list of blocks. The last call counts, also during the processing of an
	 * earlier one.
	 */
	set(prefixes: readonly PrefixKey[]): void {
		this.#next = prefixes;
		this.#taking ??= inSlices(this.#steps()).finally(() => {
			this.#taking = undefined;
		});
	}

	/** Resolves when all blocks are applied; `undefined`: done. */
	get taking(): Promise<void> | undefined {
		return this.#taking;
	}

	*#steps(): Steps<void> {
		const { take, touch, done } = this.#dependencies;
		for (let next = this.#next; next !== undefined; next = this.#next) {
			const origins = new Set<PrefixKey>();
			for (const prefix of next) {
				origins.add(prefix);
				if (origins.size % 256 === 0) yield;
			}
			if (this.#next === next) this.#next = undefined;
			const before = this.#held;
			this.#held = origins;
			take(origins);
			let seen = 0;
			for (const [these, others] of [
				[before, origins],
				[origins, before],
			] as const)
				for (const prefix of these) {
					if (!others.has(prefix)) touch(prefix);
					if (++seen % 256 === 0) yield;
				}
			done();
		}
	}
}
