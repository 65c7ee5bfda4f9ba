/**
 * Addresses from fixed ranges of one node, in the manner of the CNI plugin `host-local`: in
 * ascending order, with wrap-around. Not assigned: the first two of a range (the network address,
 * and the address of bridges and tunnels), and the last one of an IPv4 range.
 */
import { type Family, type PrefixKey, parsePrefix } from '../core/index.ts';
import { addressCount, addressToOrdinal, ordinalToAddress } from './addresses.ts';

/** Ordinals below this one are not assigned. */
const firstOrdinal = 2;
/** Ordinals beyond this limit are not used. */
const mostOrdinals = 2 ** 24;

/** The reason why a range has no assignable address. */
export function uselessRange(cidr: PrefixKey): string | undefined {
	return endOf(cidr) <= firstOrdinal
		? `${cidr} is too small: its first two addresses and an IPv4 range's last are not given`
		: undefined;
}

/** The ordinal after the last assignable one. */
function endOf(cidr: PrefixKey): number {
	const prefix = parsePrefix(cidr);
	return Math.min(addressCount(prefix) - (prefix.family === 'ipv4' ? 1 : 0), mostOrdinals);
}

/** The node's own address in an assigned range: used by tunnels, and as gateway of a bridge. */
export const rangeGateway = (cidr: PrefixKey): string => ordinalToAddress(cidr, 1);

/**
 * The next free address after `last` (the most recent assignment), with wrap-around; `undefined`:
 * the range is full. Pure.
 */
export function nextAddress(
	cidr: PrefixKey,
	isTaken: (address: string) => boolean,
	last: string | undefined,
): string | undefined {
	const count = endOf(cidr) - firstOrdinal;
	if (count <= 0) return undefined;
	const before = last === undefined ? undefined : addressToOrdinal(cidr, last);
	const next = before === undefined ? 0 : before + 1 - firstOrdinal;
	const start = next >= 0 && next < count ? next : 0;
	for (let step = 0; step < count; step++) {
		const address = ordinalToAddress(cidr, firstOrdinal + ((start + step) % count));
		if (!isTaken(address)) return address;
	}
	return undefined;
}

/** True if this address of a range is assignable. */
export function isGivable(cidr: PrefixKey, address: string): boolean {
	const ordinal = addressToOrdinal(cidr, address);
	return ordinal !== undefined && ordinal >= firstOrdinal && ordinal < endOf(cidr);
}

/** The canonical ranges of a family. The caller has removed ranges that do not parse. */
export const rangesOf = (ranges: readonly PrefixKey[], family: Family): readonly PrefixKey[] =>
	ranges.filter((cidr) => parsePrefix(cidr).family === family);
