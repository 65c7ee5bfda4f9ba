import { Afi, encodeMessage, packetContext, routeRefreshMessage, Safi } from 'bgp-packet';
import type { Family } from '../../core/index.ts';

const context = packetContext();

/** The begin or end mark of a refresh. RFC 7313 §4. */
export function refreshMark(family: Family, subtype: 'begin' | 'end'): Uint8Array {
	return encodeMessage(routeRefreshMessage(family === 'ipv4' ? Afi.ipv4 : Afi.ipv6, Safi.unicast, subtype), context);
}
