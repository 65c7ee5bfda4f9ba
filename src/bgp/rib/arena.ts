const unitShift = 4;
/** Bits of an offset that count units within a slab. */
const slabShift = 20;
/** A first slab for small tables; a further one is memory only where it is used, and allocating one takes milliseconds. */
const firstSlabUnits = 1 << 14;
const slabUnits = 1 << slabShift;
const mostUnits = 0x1000;

/**
 * Bytes of attribute blocks. Blocks are handed out in units of 16 bytes from slabs of 16 MiB, freed ones are kept in a list per
 * size; nothing moves, so growing copies nothing. An offset counts units.
 */
export class Arena {
	readonly #slabs: Uint8Array[] = [];
	/** Units used of the last slab, and units it has. */
	#used = 0;
	#size = 0;
	/** First free block by size in units, plus one; 0 for none. Its first four bytes hold the next one's. */
	readonly #free = new Uint32Array(mostUnits + 1);

	/** Room for `length` bytes, at most 65535. */
	allocate(length: number): number {
		const units = sizeOf(length);
		const free = this.#free[units] ?? 0;
		if (free !== 0) {
			const slab = this.slab(free - 1);
			const at = this.start(free - 1);
			this.#free[units] = ((slab[at] ?? 0) | ((slab[at + 1] ?? 0) << 8) | ((slab[at + 2] ?? 0) << 16) | ((slab[at + 3] ?? 0) << 24)) >>> 0;
			return free - 1;
		}
		if (this.#used + units > this.#size) {
			this.#size = this.#slabs.length === 0 ? firstSlabUnits : slabUnits;
			this.#slabs.push(new Uint8Array(this.#size << unitShift));
			this.#used = 0;
		}
		const offset = (this.#slabs.length - 1) * slabUnits + this.#used;
		this.#used += units;
		return offset;
	}

	free(offset: number, length: number): void {
		const units = sizeOf(length);
		const slab = this.slab(offset);
		const at = this.start(offset);
		const next = this.#free[units] ?? 0;
		slab[at] = next;
		slab[at + 1] = next >>> 8;
		slab[at + 2] = next >>> 16;
		slab[at + 3] = next >>> 24;
		this.#free[units] = offset + 1;
	}

	/** The slab that holds a block. */
	slab(offset: number): Uint8Array {
		// Every offset that was handed out has a slab.
		return this.#slabs[offset >>> slabShift] as Uint8Array;
	}

	/** Where in its slab a block begins. */
	start(offset: number): number {
		return (offset & (slabUnits - 1)) << unitShift;
	}
}

function sizeOf(length: number): number {
	return length === 0 ? 1 : (length + 15) >>> unitShift;
}
