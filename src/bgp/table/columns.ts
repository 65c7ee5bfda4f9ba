/** A column of numbers, indexed by a small id. */
export type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/**
 * A copy of `column` with room for `capacity` entries; new entries are zero. Zero always means
 * "none" in columns.
 */
export function grown<T extends Column>(column: T, capacity: number): T {
	// TypeScript does not type the constructor of a typed array as that of its own type.
	const larger = new (column.constructor as new (length: number) => T)(capacity);
	larger.set(column);
	return larger;
}

/** A growing stack of numbers, for free ids. */
export class NumberStack {
	#values = new Int32Array(64);
	#size = 0;

	get size(): number {
		return this.#size;
	}

	push(value: number): void {
		if (this.#size === this.#values.length) this.#values = grown(this.#values, this.#size * 2);
		this.#values[this.#size++] = value;
	}

	/** 0 when empty. */
	pop(): number {
		return this.#size === 0 ? 0 : (this.#values[--this.#size] ?? 0);
	}
}

/**
 * A growing first-in first-out ring of numbers. The caller ensures that a number is in it at most
 * once.
 */
export class NumberRing {
	#values = new Int32Array(1024);
	#first = 0;
	#size = 0;

	get size(): number {
		return this.#size;
	}

	push(value: number): void {
		if (this.#size === this.#values.length) this.#double();
		this.#values[(this.#first + this.#size++) & (this.#values.length - 1)] = value;
	}

	/** 0 when empty. */
	shift(): number {
		if (this.#size === 0) return 0;
		const value = this.#values[this.#first] ?? 0;
		this.#first = (this.#first + 1) & (this.#values.length - 1);
		this.#size--;
		return value;
	}

	#double(): void {
		const old = this.#values;
		const values = new Int32Array(old.length * 2);
		values.set(old.subarray(this.#first));
		values.set(old.subarray(0, this.#first), old.length - this.#first);
		this.#values = values;
		this.#first = 0;
	}
}
