/**
 * The address to forward packets to, from a next hop of 4, 16 or 32 octets: the first address, or
 * the link-local one if the global one is zero, as some speakers send it (RFC 2545 §3).
 */
export function forwardingAddress(nextHop: Uint8Array): Uint8Array {
	const first = nextHop.subarray(0, 16);
	return nextHop.length === 32 && first.every((byte) => byte === 0) ? nextHop.subarray(16) : first;
}
