import { type PacketContext, packetContext } from 'bgp-packet';

/**
 * Context for stored attribute blocks: 4-octet AS numbers, every attribute allowed, any next hop.
 */
export const storedContext: PacketContext = packetContext({ extendedNextHop: () => true });
