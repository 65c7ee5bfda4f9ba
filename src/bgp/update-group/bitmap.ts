import { grown } from '../table/columns.ts';

/** A set of small ids. */
export class Bitmap {
	#words = new Uint32Array(32);
	#count = 0;
	/** No bit is set in words before this one. */
	#first = 0;

	get count(): number {
		return this.#count;
	}

	add(id: number): void {
		const word = id >>> 5;
		if (word >= this.#words.length) {
			let capacity = this.#words.length * 2;
			while (capacity <= word) capacity *= 2;
			this.#words = grown(this.#words, capacity);
		}
		const old = this.#words[word] ?? 0;
		const bit = 1 << (id & 31);
		if ((old & bit) !== 0) return;
		this.#words[word] = old | bit;
		this.#count++;
		if (word < this.#first) this.#first = word;
	}

	/** Removes and returns the lowest id, 0 if empty. */
	takeFirst(): number {
		if (this.#count === 0) return 0;
		while (this.#words[this.#first] === 0) this.#first++;
		const word = this.#words[this.#first] ?? 0;
		const lowest = word & -word;
		this.#words[this.#first] = word & ~lowest;
		this.#count--;
		return this.#first * 32 + (31 - Math.clz32(lowest));
	}
}
