import { formatPrefix, type PrefixKey, type Random } from '../../core/index.ts';
import { grown } from './columns.ts';
import { PrefixTable } from './prefix-table.ts';

/** IPv6: four columns of 32 bits. */
export class Ipv6Table extends PrefixTable {
	override readonly family = 'ipv6';
	override readonly width = 16;
	#first: Int32Array;
	#second: Int32Array;
	#third: Int32Array;
	#fourth: Int32Array;
	readonly #sought = new Int32Array(4);

	constructor(random: Random, capacity: number) {
		super(random, capacity);
		this.#first = new Int32Array(capacity);
		this.#second = new Int32Array(capacity);
		this.#third = new Int32Array(capacity);
		this.#fourth = new Int32Array(capacity);
	}

	override find(bytes: Uint8Array, at: number, bits: number): number {
		const octets = (bits + 7) >>> 3;
		const first = word(bytes, at, octets, bits);
		const second = word(bytes, at + 4, octets - 4, bits - 32);
		const third = word(bytes, at + 8, octets - 8, bits - 64);
		const fourth = word(bytes, at + 12, octets - 12, bits - 96);
		const hash = mix(first, second, third, fourth, bits, this.seed);
		this.#sought[0] = first;
		this.#sought[1] = second;
		this.#sought[2] = third;
		this.#sought[3] = fourth;
		this.hash = hash;
		const slots = this.index.slots(hash);
		const mask = slots.length - 1;
		for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
			const id = slots[slot] ?? 0;
			if (id === 0) return 0;
			if (slots[slot + 1] !== hash) continue;
			if (
				this.#second[id] === second &&
				this.#first[id] === first &&
				this.#third[id] === third &&
				this.#fourth[id] === fourth &&
				this.bits[id] === bits
			) {
				return id;
			}
		}
	}

	override write(id: number, bytes: Uint8Array, at: number): number {
		const bits = this.bits[id] ?? 0;
		const end = at + 1 + ((bits + 7) >>> 3);
		bytes[at++] = bits;
		at = writeWord(this.#first[id] ?? 0, bytes, at, end);
		at = writeWord(this.#second[id] ?? 0, bytes, at, end);
		at = writeWord(this.#third[id] ?? 0, bytes, at, end);
		return writeWord(this.#fourth[id] ?? 0, bytes, at, end);
	}

	override key(id: number): PrefixKey {
		const bytes = new Uint8Array(17);
		this.write(id, bytes, 0);
		return formatPrefix(bytes.subarray(1), this.bits[id] ?? 0);
	}

	override isMulticast(bytes: Uint8Array, at: number, bits: number): boolean {
		// RFC 4291 §2.7.
		return bits >= 8 && bytes[at] === 0xff;
	}

	override isMartian(bytes: Uint8Array, at: number, bits: number): boolean {
		if (bits < 8) return false;
		const first = bytes[at] ?? 0;
		// RFC 4291 §2.5.6 link-local fe80::/10; §2.5.2, 2.5.3, 2.5.5: ::, ::1, IPv4-compatible and
		// -mapped.
		if (first === 0xfe && bits >= 10 && ((bytes[at + 1] ?? 0) & 0xc0) === 0x80) return true;
		if (first !== 0 || bits < 80) return false;
		for (let index = 1; index < 10; index++) if (bytes[at + index] !== 0) return false;
		return true;
	}

	protected override hashOf(id: number): number {
		return mix(
			this.#first[id] ?? 0,
			this.#second[id] ?? 0,
			this.#third[id] ?? 0,
			this.#fourth[id] ?? 0,
			this.bits[id] ?? 0,
			this.seed,
		);
	}

	protected override store(id: number): void {
		this.#first[id] = this.#sought[0] ?? 0;
		this.#second[id] = this.#sought[1] ?? 0;
		this.#third[id] = this.#sought[2] ?? 0;
		this.#fourth[id] = this.#sought[3] ?? 0;
	}

	protected override growColumns(capacity: number): void {
		this.#first = grown(this.#first, capacity);
		this.#second = grown(this.#second, capacity);
		this.#third = grown(this.#third, capacity);
		this.#fourth = grown(this.#fourth, capacity);
	}
}

/**
 * Up to four octets of a prefix as a signed number (which V8 stores unboxed); only the first `bits`
 * count.
 */
function word(bytes: Uint8Array, at: number, octets: number, bits: number): number {
	if (octets <= 0) return 0;
	let value = (bytes[at] ?? 0) << 24;
	if (octets > 1) value |= (bytes[at + 1] ?? 0) << 16;
	if (octets > 2) value |= (bytes[at + 2] ?? 0) << 8;
	if (octets > 3) value |= bytes[at + 3] ?? 0;
	return bits >= 32 ? value : value & (-1 << (32 - bits));
}

function writeWord(value: number, bytes: Uint8Array, at: number, end: number): number {
	if (at < end) bytes[at++] = value >>> 24;
	if (at < end) bytes[at++] = value >>> 16;
	if (at < end) bytes[at++] = value >>> 8;
	if (at < end) bytes[at++] = value;
	return at;
}

/**
 * As for IPv4: eight adjacent prefixes of one length differ only in the last three bits of their
 * hash.
 */
function mix(first: number, second: number, third: number, fourth: number, bits: number, seed: number): number {
	const last = bits > 96 ? fourth : bits > 64 ? third : bits > 32 ? second : first;
	const spare = (128 - bits) & 31;
	const own = bits === 0 ? 0 : last >>> spare;
	const group = ~(7 << spare);
	let hash = Math.imul((bits > 32 ? first : first & group) ^ seed, 0x9e3779b1);
	hash = Math.imul(hash ^ (hash >>> 15) ^ (bits > 64 || bits <= 32 ? second : second & group), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13) ^ (bits > 96 || bits <= 64 ? third : third & group), 0xc2b2ae35);
	hash = Math.imul(hash ^ (hash >>> 16) ^ (bits <= 96 ? fourth : fourth & group), 0x27d4eb2f);
	hash = Math.imul(hash ^ (hash >>> 15) ^ bits ^ seed, 0x85ebca6b);
	return ((hash ^ (hash >>> 16)) & ~7) | (own & 7);
}
