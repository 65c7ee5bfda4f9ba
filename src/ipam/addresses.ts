import {
	type Address,
	familyOf,
	formatAddress,
	formatPrefix,
	type Prefix,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
	prefixCovers,
} from '../core/index.ts';

/**
 * The number of addresses in a prefix. A block has at most 4096; the count of a pool may exceed
 * 2^53 and then serves as infinity.
 */
export function addressCount(prefix: Prefix): number {
	return 2 ** (prefix.bytes.length * 8 - prefix.length);
}

/** `base` plus `offset`, in a new array; wraps at the end of the family. */
export function addToAddress(base: Uint8Array, offset: bigint): Uint8Array {
	const bytes = new Uint8Array(base);
	let carry = offset;
	for (let index = bytes.length - 1; index >= 0 && carry > 0n; index--) {
		carry += BigInt(bytes[index] ?? 0);
		bytes[index] = Number(carry & 0xffn);
		carry >>= 8n;
	}
	return bytes;
}

/** The address with an ordinal of a block, in canonical form. */
export function ordinalToAddress(cidr: PrefixKey, ordinal: number): string {
	return formatAddress(addToAddress(parsePrefix(cidr).bytes, BigInt(ordinal)));
}

/** The ordinal of an address in a block; `undefined` if the address is outside. */
export function addressToOrdinal(cidr: PrefixKey, address: string): number | undefined {
	const block = parsePrefix(cidr);
	const wanted = parseAddress(address);
	if (!prefixContains(block, wanted)) return undefined;
	let ordinal = 0;
	for (const [index, byte] of wanted.bytes.entries()) ordinal = ordinal * 256 + (byte - (block.bytes[index] ?? 0));
	return ordinal;
}

/** The block of size `blockSize` that contains an address. */
export function blockOf(address: string, blockSize: number): PrefixKey {
	const { bytes } = parseAddress(address);
	const { bytes: network, length } = parsePrefix(`${formatAddress(bytes)}/${blockSize}`, 'clear');
	return formatPrefix(network, length);
}

/**
 * True for an address that an interface with the block's prefix length can not use as a peer. IPv4:
 * network and broadcast address; IPv6: the first one, the Subnet-Router anycast address (RFC 4291
 * §2.6.1).
 */
export function isBlockEdge(cidr: PrefixKey, ordinal: number): boolean {
	return (
		ordinal === 0 || (!cidr.includes(':') && ordinal === 2 ** (32 - Number(cidr.slice(cidr.indexOf('/') + 1))) - 1)
	);
}

/** Addresses that are never assigned automatically. Calico IPReservation. */
export class Reservations {
	readonly #prefixes: readonly Prefix[];
	readonly #cidrs: readonly PrefixKey[];
	readonly #blockEdges: boolean;

	/** `block-edges`: also reserves the edges of each block. */
	constructor(cidrs: readonly PrefixKey[], and?: 'block-edges') {
		this.#cidrs = cidrs;
		this.#prefixes = cidrs.map((cidr) => parsePrefix(cidr));
		this.#blockEdges = and === 'block-edges';
	}

	/** Returns these reservations extended by `cidrs`. */
	and(cidrs: readonly PrefixKey[]): Reservations {
		return cidrs.length === 0
			? this
			: new Reservations([...this.#cidrs, ...cidrs], this.#blockEdges ? 'block-edges' : undefined);
	}

	holdsAddress(address: Address): boolean {
		return this.#prefixes.some((prefix) => prefixContains(prefix, address));
	}

	/** The largest reserved prefix that covers `cidr`; `undefined` if there is none. */
	holderOf(cidr: PrefixKey): Prefix | undefined {
		const wanted = parsePrefix(cidr);
		const holders = this.#prefixes.filter((prefix) => prefixCovers(prefix, wanted));
		return holders.reduce<Prefix | undefined>(
			(widest, prefix) => (widest === undefined || prefix.length < widest.length ? prefix : widest),
			undefined,
		);
	}

	/** True if at least one address of `cidr` is reserved. */
	holdsSome(cidr: PrefixKey): boolean {
		const wanted = parsePrefix(cidr);
		return (
			this.#blockEdges || this.#prefixes.some((prefix) => prefixCovers(prefix, wanted) || prefixCovers(wanted, prefix))
		);
	}

	holdsOrdinal(cidr: PrefixKey, ordinal: number): boolean {
		if (this.#blockEdges && isBlockEdge(cidr, ordinal)) return true;
		if (this.#prefixes.length === 0) return false;
		const bytes = addToAddress(parsePrefix(cidr).bytes, BigInt(ordinal));
		return this.holdsAddress({ family: familyOf(bytes), bytes });
	}
}

/** The empty set of reservations. */
export const noReservations = new Reservations([]);
