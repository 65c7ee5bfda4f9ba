import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'EXTENDED COMMUNITIES is no non-empty list of 8 bytes');
const badIpv6Length = fault('treat-as-withdraw', 'IPv6 EXTENDED COMMUNITIES is no non-empty list of 20 bytes');

/** EXTENDED COMMUNITIES, 8 bytes each. RFC 4360 §2, RFC 7606 §7.14. */
export const extendedCommunities: AttributeCodec<'extendedCommunities', readonly Uint8Array[]> = {
	name: 'extendedCommunities',
	code: AttributeCode.extendedCommunities,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end > start && (end - start) % 8 === 0 ? undefined : badLength),
	decode: (reader) => Array.from({ length: reader.remaining / 8 }, () => reader.bytes(8)),
	encode(writer, values) {
		for (const value of values) writer.bytes(value);
	},
};

/** IPv6 EXTENDED COMMUNITIES, 20 bytes each. RFC 5701 §2, RFC 7606 §7.15. */
export const ipv6ExtendedCommunities: AttributeCodec<'ipv6ExtendedCommunities', readonly Uint8Array[]> = {
	name: 'ipv6ExtendedCommunities',
	code: AttributeCode.ipv6ExtendedCommunities,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end > start && (end - start) % 20 === 0 ? undefined : badIpv6Length),
	decode: (reader) => Array.from({ length: reader.remaining / 20 }, () => reader.bytes(20)),
	encode(writer, values) {
		for (const value of values) writer.bytes(value);
	},
};

/** RFC 4360 §2: the bit of an extended community's first byte that keeps it inside its AS. */
export function isTransitive(community: Uint8Array): boolean {
	return ((community[0] ?? 0) & 0x40) === 0;
}
