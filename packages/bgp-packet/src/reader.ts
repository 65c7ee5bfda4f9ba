import type { PacketError } from './errors.ts';

/** The 16-bit number at `offset`; the caller has checked that it is there. */
export function readU16(bytes: Uint8Array, offset: number): number {
	return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

/** The 32-bit number at `offset`, unsigned; the caller has checked that it is there. */
export function readU32(bytes: Uint8Array, offset: number): number {
	return (
		(((bytes[offset] ?? 0) << 24) |
			((bytes[offset + 1] ?? 0) << 16) |
			((bytes[offset + 2] ?? 0) << 8) |
			(bytes[offset + 3] ?? 0)) >>>
		0
	);
}

/**
 * Reads numbers in network order from `[start, end)`. Reading past the end throws what `underrun`
 * makes.
 */
export class Reader {
	readonly #bytes: Uint8Array;
	readonly #end: number;
	readonly #underrun: () => PacketError;
	#offset: number;

	constructor(bytes: Uint8Array, start: number, end: number, underrun: () => PacketError) {
		this.#bytes = bytes;
		this.#offset = start;
		this.#end = end;
		this.#underrun = underrun;
	}

	/** Bytes not read yet. */
	get remaining(): number {
		return this.#end - this.#offset;
	}

	u8(): number {
		return this.#bytes[this.#take(1)] ?? 0;
	}

	u16(): number {
		return readU16(this.#bytes, this.#take(2));
	}

	u24(): number {
		const high = this.u8();
		return (high << 16) | this.u16();
	}

	u32(): number {
		return readU32(this.#bytes, this.#take(4));
	}

	/** A copy of the next `length` bytes, all that remain if not given. */
	bytes(length: number = this.remaining): Uint8Array {
		const start = this.#take(length);
		return new Uint8Array(this.#bytes.subarray(start, start + length));
	}

	/** A reader of the next `length` bytes, which this one skips. */
	sub(length: number, underrun: () => PacketError = this.#underrun): Reader {
		const start = this.#take(length);
		return new Reader(this.#bytes, start, start + length, underrun);
	}

	/** The next byte, not consumed; `undefined` at the end. */
	peek(): number | undefined {
		return this.remaining > 0 ? this.#bytes[this.#offset] : undefined;
	}

	#take(length: number): number {
		const offset = this.#offset;
		if (length > this.#end - offset) throw this.#underrun();
		this.#offset = offset + length;
		return offset;
	}
}
