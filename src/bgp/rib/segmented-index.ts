const segmentCount = 256;
const firstSlots = 128;

/**
 * Open addressing with linear probing, cut into 256 segments by the top bits of the hash so that no single growth takes long.
 * A slot holds an id, 0 for empty. Whoever owns the ids probes the segment's slots itself (equality is its own matter), and
 * knows the hash of an id; what is common is here: insertion, growth at three quarters, and removal by backward shift.
 */
export class SegmentedIndex {
	readonly #segments: Int32Array[] = Array.from({ length: segmentCount }, () => new Int32Array(firstSlots));
	readonly #used = new Uint32Array(segmentCount);
	readonly #hashOf: (id: number) => number;

	/** `hashOf` gives the 32-bit hash of an id that is in the index. */
	constructor(hashOf: (id: number) => number) {
		this.#hashOf = hashOf;
	}

	/** The slots that a hash belongs to: start at `hash & (slots.length - 1)`, go on by one, end at a 0. */
	slots(hash: number): Int32Array {
		// Every value of eight bits has a segment.
		return this.#segments[hash >>> 24] as Int32Array;
	}

	/** Adds an id that is not there yet. */
	add(id: number, hash: number): void {
		const segment = hash >>> 24;
		let slots = this.slots(hash);
		const used = (this.#used[segment] ?? 0) + 1;
		this.#used[segment] = used;
		if (used * 4 > slots.length * 3) {
			// Small segments grow fast: tables are either small or large, and placing ids again costs more than empty slots.
			const larger = new Int32Array(slots.length * (slots.length < 2048 ? 8 : 2));
			for (const other of slots) if (other !== 0) place(larger, other, this.#hashOf(other));
			this.#segments[segment] = larger;
			slots = larger;
		}
		place(slots, id, hash);
	}

	/** Removes an id that is there. */
	remove(id: number, hash: number): void {
		const slots = this.slots(hash);
		const mask = slots.length - 1;
		let hole = hash & mask;
		while (slots[hole] !== id) hole = (hole + 1) & mask;
		this.#used[hash >>> 24] = (this.#used[hash >>> 24] ?? 1) - 1;
		for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
			const other = slots[slot] ?? 0;
			if (other === 0) break;
			const home = this.#hashOf(other) & mask;
			// `other` may move into the hole unless its home lies between the hole and itself, round the end included.
			if (((slot - home) & mask) >= ((slot - hole) & mask)) {
				slots[hole] = other;
				hole = slot;
			}
		}
		slots[hole] = 0;
	}
}

function place(slots: Int32Array, id: number, hash: number): void {
	const mask = slots.length - 1;
	let slot = hash & mask;
	while (slots[slot] !== 0) slot = (slot + 1) & mask;
	slots[slot] = id;
}
