/**
 * What both OPENs decided about the bytes of one direction of a session. RFC 7911 §4 and RFC 8950
 * §4 negotiate each direction on its own, so a session has two: one to decode with, one to encode
 * with.
 */
export interface PacketContext {
	/** AS_PATH and AGGREGATOR hold 4-octet AS numbers. RFC 6793 §4.1. */
	readonly fourOctetAs: boolean;
	/** The peer is in another AS. */
	readonly external: boolean;
	/** Messages may have up to 65535 bytes. RFC 8654 §4. */
	readonly extendedMessage: boolean;
	/**
	 * The begin and end marks of a refresh are known, and bad lengths of them are errors. RFC 7313
	 * §5.
	 */
	readonly enhancedRefresh: boolean;
	/** Does a path identifier stand before each prefix of this family? RFC 7911 §3. */
	readonly addPath: (afi: number, safi: number) => boolean;
	/** May routes of this family have an IPv6 next hop besides their own kind? RFC 8950 §3. */
	readonly extendedNextHop: (afi: number, safi: number) => boolean;
}

const never = () => false;

/** A context, by default that of an internal peer with 4-octet AS numbers and nothing else. */
export function packetContext(given: Partial<PacketContext> = {}): PacketContext {
	return {
		fourOctetAs: true,
		external: false,
		extendedMessage: false,
		enhancedRefresh: false,
		addPath: never,
		extendedNextHop: never,
		...given,
	};
}
