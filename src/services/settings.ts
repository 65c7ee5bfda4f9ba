import { type Family, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../core/index.ts';
import type { DirectReturn, NodePortAddresses, ServicesSettings } from './model.ts';
import { familyOfAddress } from './resources/addresses.ts';

/**
 * Where node ports answer: at the node's primary addresses (default, as kube-proxy's nftables
 * mode), at all of its addresses, or at those in some ranges. Loopback addresses never answer:
 * translation of them needs `route_localnet`, which opens the host.
 */
export type NodePortOption = 'primary' | 'all' | readonly PrefixKey[];

/** The options of this node's services, as configured. */
export interface ServicesOptions {
	/** `undefined`: local detection off. */
	readonly podRanges: readonly PrefixKey[] | undefined;
	readonly serviceRanges: readonly PrefixKey[];
	readonly masqueradeAll: boolean;
	readonly nodePortAddresses: NodePortOption;
	/** Absent: off. */
	readonly directReturn?: DirectReturn;
}

/**
 * Resolves options with the node's addresses (canonical text, the primary one of each family
 * first).
 */
export function resolveSettings(
	{ nodePortAddresses, ...options }: ServicesOptions,
	nodeAddresses: readonly string[],
): ServicesSettings {
	const of = (family: Family): NodePortAddresses => {
		const own = nodeAddresses.filter((address) => familyOfAddress(address) === family && !isLoopback(address));
		if (nodePortAddresses === 'primary') return { type: 'addresses', addresses: own.slice(0, 1) };
		if (nodePortAddresses === 'all') return { type: 'all-local' };
		const prefixes = nodePortAddresses.map((text) => parsePrefix(text)).filter((prefix) => prefix.family === family);
		if (prefixes.some(({ length }) => length === 0)) return { type: 'all-local' };
		const inside = (address: string) => prefixes.some((prefix) => prefixContains(prefix, parseAddress(address)));
		return { type: 'addresses', addresses: own.filter(inside) };
	};
	return { ...options, nodePortAddresses: { ipv4: of('ipv4'), ipv6: of('ipv6') } };
}

/** In 127.0.0.0/8 or ::1. */
export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
