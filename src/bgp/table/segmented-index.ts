const segmentCount = 256;
const firstSlots = 128;

/**
 * A hash table with open addressing and linear probing, divided into 256 segments by the top bits
 * of the hash, so that each growth is short. A slot is two numbers: an id, 0 for empty, and its
 * hash. Hence probing, shifting and growing do not access the owner's columns, which exceed the
 * caches. The owner probes a segment's slots itself, because it defines equality. This class has
 * the common part: insertion, growth at three quarters, and removal by backward shift.
 */
export class SegmentedIndex {
	readonly #segments: Int32Array[] = Array.from({ length: segmentCount }, () => new Int32Array(firstSlots * 2));
	readonly #used = new Uint32Array(segmentCount);

	/**
	 * The slots for a hash (a signed 32-bit number): start at `(hash << 1) & (slots.length - 1)`,
	 * advance by two, end at an id of 0.
	 */
	slots(hash: number): Int32Array {
		// Every value of eight bits has a segment.
		return this.#segments[hash >>> 24] as Int32Array;
	}

	/** Adds an absent id. */
	add(id: number, hash: number): void {
		const segment = hash >>> 24;
		let slots = this.slots(hash);
		const used = (this.#used[segment] ?? 0) + 1;
		this.#used[segment] = used;
		if (used * 8 > slots.length * 3) {
			// Small segments grow fast: tables are either small or large, and rehashing costs more
			// than empty slots.
			const larger = new Int32Array(slots.length * (slots.length < 4096 ? 8 : 2));
			for (let at = 0; at < slots.length; at += 2)
				if (slots[at] !== 0) place(larger, slots[at] ?? 0, slots[at + 1] ?? 0);
			this.#segments[segment] = larger;
			slots = larger;
		}
		place(slots, id, hash);
	}

	/** Removes a present id. */
	remove(id: number, hash: number): void {
		const slots = this.slots(hash);
		const mask = slots.length - 1;
		let hole = (hash << 1) & mask;
		while (slots[hole] !== id) hole = (hole + 2) & mask;
		this.#used[hash >>> 24] = (this.#used[hash >>> 24] ?? 1) - 1;
		for (let at = (hole + 2) & mask; ; at = (at + 2) & mask) {
			const other = slots[at] ?? 0;
			if (other === 0) break;
			const otherHash = slots[at + 1] ?? 0;
			const home = (otherHash << 1) & mask;
			// `other` may move into the hole unless its home is between the hole and itself, with
			// wrap-around.
			if (((at - home) & mask) >= ((at - hole) & mask)) {
				slots[hole] = other;
				slots[hole + 1] = otherHash;
				hole = at;
			}
		}
		slots[hole] = 0;
	}
}

function place(slots: Int32Array, id: number, hash: number): void {
	const mask = slots.length - 1;
	let at = (hash << 1) & mask;
	while (slots[at] !== 0) at = (at + 2) & mask;
	slots[at] = id;
	slots[at + 1] = hash;
}
