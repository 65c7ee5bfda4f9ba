import { Afi, Safi } from '../constants.ts';
import type { FamilyCodec } from './codec.ts';

/** IPv6 unicast: its next hop is global, or global and link-local. RFC 2545 §3. */
export const ipv6Unicast: FamilyCodec = {
	family: 'ipv6',
	afi: Afi.ipv6,
	safi: Safi.unicast,
	addressBits: 128,
	acceptsNextHop: (length) => length === 16 || length === 32,
};
