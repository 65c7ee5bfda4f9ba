import { Afi, Safi } from '../constants.ts';
import type { FamilyCodec } from './codec.ts';

/**
 * IPv4 unicast: its next hop is IPv4, or IPv6 (global, or global and link-local) where RFC 8950 §3
 * was negotiated.
 */
export const ipv4Unicast: FamilyCodec = {
	family: 'ipv4',
	afi: Afi.ipv4,
	safi: Safi.unicast,
	addressBits: 32,
	acceptsNextHop: (length, extended) => length === 4 || (extended && (length === 16 || length === 32)),
};
