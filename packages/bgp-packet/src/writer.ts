/** Writes numbers in network order into a buffer that grows. */
export class Writer {
	#bytes: Uint8Array;
	#length = 0;

	constructor(capacity = 256) {
		this.#bytes = new Uint8Array(capacity);
	}

	/** Bytes written so far. */
	get length(): number {
		return this.#length;
	}

	u8(value: number): void {
		const offset = this.#grow(1);
		this.#bytes[offset] = value;
	}

	u16(value: number): void {
		const offset = this.#grow(2);
		this.#bytes[offset] = value >>> 8;
		this.#bytes[offset + 1] = value;
	}

	u24(value: number): void {
		this.u8(value >>> 16);
		this.u16(value);
	}

	u32(value: number): void {
		this.u16(value >>> 16);
		this.u16(value);
	}

	bytes(value: Uint8Array): void {
		const offset = this.#grow(value.length);
		this.#bytes.set(value, offset);
	}

	/** Overwrites 2 bytes at `offset`, for a length that is known afterwards. */
	patchU16(offset: number, value: number): void {
		this.#bytes[offset] = value >>> 8;
		this.#bytes[offset + 1] = value;
	}

	/** Overwrites 1 byte at `offset`. */
	patchU8(offset: number, value: number): void {
		this.#bytes[offset] = value;
	}

	/** A copy of what was written. */
	finish(): Uint8Array {
		return this.#bytes.slice(0, this.#length);
	}

	#grow(length: number): number {
		const offset = this.#length;
		this.#length = offset + length;
		if (this.#length > this.#bytes.length) {
			const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
			larger.set(this.#bytes.subarray(0, offset));
			this.#bytes = larger;
		}
		return offset;
	}
}
