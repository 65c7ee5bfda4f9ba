/** Seeded random numbers, so that every finding is reproducible. */
export class Dice {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0 || 1;
	}

	/** [0, 1). */
	next(): number {
		// mulberry32
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let value = this.#state;
		value = Math.imul(value ^ (value >>> 15), value | 1);
		value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
		return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
	}

	below(count: number): number {
		return Math.floor(this.next() * count);
	}

	pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
		const found = from[this.below(from.length)];
		if (found === undefined) throw new RangeError('nothing to pick from');
		return found;
	}

	chance(share: number): boolean {
		return this.next() < share;
	}
}

/** The budget of a run. */
export type Budget = { readonly inputs: number } | { readonly seconds: number };

/** Counts inputs until the budget is used up. */
export class Meter {
	inputs = 0;
	readonly #budget: Budget;
	readonly #startMs = performance.now();

	constructor(budget: Budget) {
		this.#budget = budget;
	}

	/** May another input be tried? */
	next(): boolean {
		const goesOn =
			'inputs' in this.#budget
				? this.inputs < this.#budget.inputs
				: performance.now() - this.#startMs < this.#budget.seconds * 1000;
		if (goesOn) this.inputs++;
		return goesOn;
	}
}

/** The findings of a target. */
export interface FuzzReport {
	readonly target: string;
	readonly inputs: number;
	/** By kind: status classes, accepted and refused objects. */
	readonly counts: Readonly<Record<string, number>>;
	/** Each with its input. */
	readonly failures: readonly string[];
}
