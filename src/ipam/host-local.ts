/**
 * Addresses from fixed ranges of one node, as the CNI plugin `host-local` gives them: one after the other, round the range.
 * The first two of a range are not given: the network's own, and the one that bridges and tunnels take; nor is an IPv4 range's last.
 */
import { type Family, type PrefixKey, parsePrefix } from '../core/index.ts';
import { addressCount, addressToOrdinal, ordinalToAddress } from './addresses.ts';

/** Before and behind what is given. */
const firstOrdinal = 2;
/** Further into a range no node gets. */
const mostOrdinals = 2 ** 24;

/** Why a range gives nothing at all. */
export function uselessRange(cidr: PrefixKey): string | undefined {
	return endOf(cidr) <= firstOrdinal ? `${cidr} is too small: its first two addresses and an IPv4 range's last are not given` : undefined;
}

/** One behind the last ordinal that is given. */
function endOf(cidr: PrefixKey): number {
	const prefix = parsePrefix(cidr);
	return Math.min(addressCount(prefix) - (prefix.family === 'ipv4' ? 1 : 0), mostOrdinals);
}

/** Of a range that is given out the address of the node itself there: tunnels have it, and a bridge would be its gateway. */
export const rangeGateway = (cidr: PrefixKey): string => ordinalToAddress(cidr, 1);

/** The next free address behind `last` (the one given before), round the range; `undefined`: all are taken. Pure. */
export function nextAddress(cidr: PrefixKey, isTaken: (address: string) => boolean, last: string | undefined): string | undefined {
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

/** May this address of a range be asked for? */
export function isGivable(cidr: PrefixKey, address: string): boolean {
	const ordinal = addressToOrdinal(cidr, address);
	return ordinal !== undefined && ordinal >= firstOrdinal && ordinal < endOf(cidr);
}

/** The ranges of a family, canonical; what does not parse is left out by whoever read them. */
export const rangesOf = (ranges: readonly PrefixKey[], family: Family): readonly PrefixKey[] => ranges.filter((cidr) => parsePrefix(cidr).family === family);
