import { readU32 } from './reader.ts';
import type { Writer } from './writer.ts';

/** One prefix as the wire carries it: 4 or 16 address bytes, host bits zero. RFC 4271 §4.3. */
export interface Nlri {
	readonly family: 'ipv4' | 'ipv6';
	/** 4 or 16 bytes. */
	readonly bytes: Uint8Array;
	/** 0 to 32 or 0 to 128. */
	readonly length: number;
	/** Present where the family has path identifiers. RFC 7911 §3. */
	readonly pathId?: number;
}

/**
 * How many prefixes `[start, end)` holds, or -1 if one is too long or cut off. RFC 7606 §5.3.
 * Allocates nothing.
 */
export function validateNlri(
	bytes: Uint8Array,
	start: number,
	end: number,
	addressBits: 32 | 128,
	addPath: boolean,
): number {
	let count = 0;
	let offset = start;
	while (offset < end) {
		if (addPath) offset += 4;
		if (offset >= end) return -1;
		const length = bytes[offset] ?? 0;
		if (length > addressBits) return -1;
		offset += 1 + ((length + 7) >> 3);
		count++;
	}
	return offset === end ? count : -1;
}

/**
 * The prefixes of `[start, end)`, which `validateNlri` has accepted. Bits beyond a prefix's length
 * are cleared.
 */
export function decodeNlri(
	bytes: Uint8Array,
	start: number,
	end: number,
	family: 'ipv4' | 'ipv6',
	addPath: boolean,
): Nlri[] {
	const prefixes: Nlri[] = [];
	const addressLength = family === 'ipv4' ? 4 : 16;
	let offset = start;
	while (offset < end) {
		const pathId = addPath ? readU32(bytes, offset) : undefined;
		if (addPath) offset += 4;
		const length = bytes[offset++] ?? 0;
		const used = (length + 7) >> 3;
		const address = new Uint8Array(addressLength);
		address.set(bytes.subarray(offset, offset + used));
		clearTrailingBits(address, length);
		prefixes.push(
			pathId === undefined ? { family, bytes: address, length } : { family, bytes: address, length, pathId },
		);
		offset += used;
	}
	return prefixes;
}

/** Writes prefixes; with `addPath` one without a path identifier gets 0. */
export function encodeNlri(writer: Writer, prefixes: readonly Nlri[], addPath: boolean): void {
	for (const { bytes, length, pathId } of prefixes) {
		if (addPath) writer.u32(pathId ?? 0);
		writer.u8(length);
		const used = bytes.slice(0, (length + 7) >> 3);
		clearTrailingBits(used, length);
		writer.bytes(used);
	}
}

/** RFC 4271 §4.3: the value of trailing bits is irrelevant. */
function clearTrailingBits(address: Uint8Array, length: number): void {
	const last = length >> 3;
	if ((length & 7) !== 0) address[last] = (address[last] ?? 0) & (0xff00 >> (length & 7));
}

/**
 * Steps through prefixes without making objects; one cursor serves any number of messages. The
 * bytes must have passed `validateNlri`.
 */
export class NlriCursor {
	/** Path identifier, 0 without add-path. */
	pathId = 0;
	/** Prefix length in bits. */
	length = 0;
	/** The address in 32-bit words, unsigned, host bits cleared; IPv4 uses the first alone. */
	word0 = 0;
	word1 = 0;
	word2 = 0;
	word3 = 0;
	#bytes: Uint8Array = new Uint8Array(0);
	#offset = 0;
	#end = 0;
	#addPath = false;

	/** Starts over at `[start, end)`. */
	reset(bytes: Uint8Array, start: number, end: number, addPath: boolean): void {
		this.#bytes = bytes;
		this.#offset = start;
		this.#end = end;
		this.#addPath = addPath;
	}

	/** Moves to the next IPv4 prefix; `false` at the end. */
	nextIpv4(): boolean {
		if (this.#offset >= this.#end) return false;
		this.#head();
		this.word0 = this.#word(0);
		this.#offset += (this.length + 7) >> 3;
		return true;
	}

	/** Moves to the next IPv6 prefix; `false` at the end. */
	nextIpv6(): boolean {
		if (this.#offset >= this.#end) return false;
		this.#head();
		this.word0 = this.#word(0);
		this.word1 = this.#word(1);
		this.word2 = this.#word(2);
		this.word3 = this.#word(3);
		this.#offset += (this.length + 7) >> 3;
		return true;
	}

	#head(): void {
		if (this.#addPath) {
			this.pathId = readU32(this.#bytes, this.#offset);
			this.#offset += 4;
		} else this.pathId = 0;
		this.length = this.#bytes[this.#offset++] ?? 0;
	}

	/** Word `index` of the address, bits beyond the length cleared. */
	#word(index: number): number {
		const bits = this.length - index * 32;
		if (bits <= 0) return 0;
		const at = this.#offset + index * 4;
		const bytes = this.#bytes;
		// Bytes beyond the prefix belong to the next one; the mask clears them.
		const word =
			((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
		return bits >= 32 ? word >>> 0 : (word & (-1 << (32 - bits))) >>> 0;
	}
}

/**
 * Is it a group's prefix, which unicast routing has no use for (RFC 4271 §6.3: to be ignored)?
 * 224.0.0.0/4, ff00::/8 and inside.
 */
export function isMulticast({ family, bytes, length }: Nlri): boolean {
	const first = bytes[0] ?? 0;
	return family === 'ipv4' ? length >= 4 && first >> 4 === 0xe : length >= 8 && first === 0xff;
}
