import { endianness } from 'node:os';
import { headerLength } from './constants.ts';

/** netlink uses the machine's byte order. */
export const littleEndian = endianness() === 'LE';

/** Lengths of messages and attributes are padded to this. */
const alignment = 4;

/** The next multiple of four. */
export const aligned = (length: number): number => (length + alignment - 1) & ~(alignment - 1);

/**
 * Packs netlink messages one after the other into one buffer, which grows as needed and is used
 * again after `clear`.
 */
export class MessageWriter {
	#bytes: Uint8Array<ArrayBuffer>;
	#view: DataView;
	#halves: Uint16Array;
	#words: Uint32Array;
	#length = 0;
	#messageStart = 0;

	constructor(capacity = 65536) {
		this.#bytes = new Uint8Array(aligned(capacity));
		this.#view = new DataView(this.#bytes.buffer);
		this.#halves = new Uint16Array(this.#bytes.buffer);
		this.#words = new Uint32Array(this.#bytes.buffer);
	}

	/**
	 * Reserves a whole message of a multiple of four bytes, counted as written; returns its offset.
	 * For hot paths, which fill it through `octets`, `halves` and `words`, views of the buffer in
	 * the machine's order: a route takes a fifth of the time of single calls.
	 */
	claim(length: number): number {
		this.#reserve(length);
		const start = this.#length;
		this.#length += length;
		return start;
	}

	get octets(): Uint8Array {
		return this.#bytes;
	}

	get halves(): Uint16Array {
		return this.#halves;
	}

	get words(): Uint32Array {
		return this.#words;
	}

	/** The packed messages: a view, valid until the next write. */
	get bytes(): Uint8Array {
		return this.#bytes.subarray(0, this.#length);
	}

	get length(): number {
		return this.#length;
	}

	clear(): void {
		this.#length = 0;
	}

	/** Begins a message; `end` sets its length. */
	begin(type: number, flags: number, sequence: number): void {
		this.#messageStart = this.#length;
		this.u32(0);
		this.u16(type);
		this.u16(flags);
		this.u32(sequence);
		this.u32(0);
	}

	end(): void {
		this.#view.setUint32(this.#messageStart, this.#length - this.#messageStart, littleEndian);
		this.#pad();
	}

	u8(value: number): void {
		this.#reserve(1);
		this.#view.setUint8(this.#length, value);
		this.#length += 1;
	}

	u16(value: number): void {
		this.#reserve(2);
		this.#view.setUint16(this.#length, value, littleEndian);
		this.#length += 2;
	}

	u32(value: number): void {
		this.#reserve(4);
		this.#view.setUint32(this.#length, value, littleEndian);
		this.#length += 4;
	}

	raw(bytes: Uint8Array): void {
		this.#reserve(bytes.length);
		this.#bytes.set(bytes, this.#length);
		this.#length += bytes.length;
	}

	attribute(type: number, value: Uint8Array): void {
		this.u16(4 + value.length);
		this.u16(type);
		this.raw(value);
		this.#pad();
	}

	attributeU32(type: number, value: number): void {
		this.u16(8);
		this.u16(type);
		this.u32(value);
	}

	/** A number in network byte order, as netfilter has it. */
	attributeBe32(type: number, value: number): void {
		this.u16(8);
		this.u16(type);
		this.#reserve(4);
		this.#view.setUint32(this.#length, value, false);
		this.#length += 4;
	}

	/** A 64-bit number in network byte order. */
	attributeBe64(type: number, value: bigint): void {
		this.u16(12);
		this.u16(type);
		this.#reserve(8);
		this.#view.setBigUint64(this.#length, value, false);
		this.#length += 8;
	}

	/** A text with the zero byte that ends it. */
	attributeText(type: number, text: string): void {
		this.attribute(type, Buffer.from(`${text}\0`));
	}

	/** An attribute that holds attributes, written by `body`. */
	nested(type: number, body: () => void): void {
		const start = this.#length;
		this.u16(0);
		this.u16(type);
		body();
		this.#view.setUint16(start, this.#length - start, littleEndian);
	}

	#pad(): void {
		const missing = aligned(this.#length) - this.#length;
		this.#reserve(missing);
		this.#bytes.fill(0, this.#length, this.#length + missing);
		this.#length += missing;
	}

	#reserve(count: number): void {
		const needed = this.#length + count;
		if (needed <= this.#bytes.length) return;
		const grown = new Uint8Array(aligned(Math.max(needed, this.#bytes.length * 2, headerLength)));
		grown.set(this.#bytes);
		this.#bytes = grown;
		this.#view = new DataView(grown.buffer);
		this.#halves = new Uint16Array(grown.buffer);
		this.#words = new Uint32Array(grown.buffer);
	}
}
