import { formatPrefix, type PrefixKey, type Random } from '../../core/index.ts';
import { grown } from './columns.ts';
import { PrefixTable } from './prefix-table.ts';

/** IPv4: one column of 32 bits. */
export class Ipv4Table extends PrefixTable {
	override readonly family = 'ipv4';
	override readonly width = 4;
	#address: Int32Array;
	#sought = 0;

	constructor(random: Random, capacity: number) {
		super(random, capacity);
		this.#address = new Int32Array(capacity);
	}

	override find(bytes: Uint8Array, at: number, bits: number): number {
		const address = network(bytes, at, bits);
		const hash = mix(address, bits, this.seed);
		this.#sought = address;
		this.hash = hash;
		const slots = this.index.slots(hash);
		const mask = slots.length - 1;
		for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
			const id = slots[slot] ?? 0;
			if (id === 0 || (slots[slot + 1] === hash && this.#address[id] === address && this.bits[id] === bits)) return id;
		}
	}

	override write(id: number, bytes: Uint8Array, at: number): number {
		const bits = this.bits[id] ?? 0;
		const address = this.#address[id] ?? 0;
		bytes[at++] = bits;
		if (bits > 0) bytes[at++] = address >>> 24;
		if (bits > 8) bytes[at++] = address >>> 16;
		if (bits > 16) bytes[at++] = address >>> 8;
		if (bits > 24) bytes[at++] = address;
		return at;
	}

	override key(id: number): PrefixKey {
		const address = this.#address[id] ?? 0;
		return formatPrefix(Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address), this.bits[id] ?? 0);
	}

	override isMulticast(bytes: Uint8Array, at: number, bits: number): boolean {
		// 224.0.0.0/4 and 240.0.0.0/4.
		return bits >= 4 && (bytes[at] ?? 0) >= 224;
	}

	override isMartian(bytes: Uint8Array, at: number, bits: number): boolean {
		if (bits < 8) return false;
		const first = bytes[at] ?? 0;
		// 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16.
		return first === 0 || first === 127 || (first === 169 && bits >= 16 && bytes[at + 1] === 254);
	}

	protected override hashOf(id: number): number {
		return mix(this.#address[id] ?? 0, this.bits[id] ?? 0, this.seed);
	}

	protected override store(id: number): void {
		this.#address[id] = this.#sought;
	}

	protected override growColumns(capacity: number): void {
		this.#address = grown(this.#address, capacity);
	}
}

/**
 * The network address as a signed number (which V8 stores unboxed); octets beyond the length are
 * ignored.
 */
function network(bytes: Uint8Array, at: number, bits: number): number {
	if (bits === 0) return 0;
	let address = (bytes[at] ?? 0) << 24;
	if (bits > 8) address |= (bytes[at + 1] ?? 0) << 16;
	if (bits > 16) address |= (bytes[at + 2] ?? 0) << 8;
	if (bits > 24) address |= bytes[at + 3] ?? 0;
	return address & (-1 << (32 - bits));
}

/**
 * Eight adjacent prefixes of one length share all but the last three bits of their hash and thus
 * one cache line: prefixes announced together are looked up together, and the tables exceed the
 * caches.
 */
function mix(address: number, bits: number, seed: number): number {
	const own = bits === 0 ? 0 : address >>> (32 - bits);
	let hash = Math.imul((own >>> 3) ^ seed, 0x9e3779b1);
	hash = Math.imul(hash ^ (hash >>> 15) ^ bits, 0x85ebca6b);
	hash ^= (hash >>> 13) ^ seed;
	hash = Math.imul(hash, 0xc2b2ae35);
	return ((hash ^ (hash >>> 16)) & ~7) | (own & 7);
}
