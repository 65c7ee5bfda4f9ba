/** An address family whose routes are prefixes that this package understands. */
export interface FamilyCodec {
	readonly family: 'ipv4' | 'ipv6';
	readonly afi: number;
	readonly safi: number;
	readonly addressBits: 32 | 128;
	/** May a next hop in MP_REACH_NLRI have so many bytes? `extended`: RFC 8950 was negotiated. */
	readonly acceptsNextHop: (lengthBytes: number, extended: boolean) => boolean;
}
