import { Afi, Safi } from '../constants.ts';
import type { FamilyCodec } from './codec.ts';
import { ipv4Unicast } from './ipv4-unicast.ts';
import { ipv6Unicast } from './ipv6-unicast.ts';

/** IPv4 routes for multicast reverse-path checks; on the wire as unicast. RFC 4760 §6. */
export const ipv4Multicast: FamilyCodec = { ...ipv4Unicast, afi: Afi.ipv4, safi: Safi.multicast };

/** IPv6 routes for multicast reverse-path checks; on the wire as unicast. RFC 4760 §6. */
export const ipv6Multicast: FamilyCodec = { ...ipv6Unicast, afi: Afi.ipv6, safi: Safi.multicast };
