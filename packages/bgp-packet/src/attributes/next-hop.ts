import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

/**
 * Can the IPv4 address at `offset` be a host's? Not one of this network (0.0.0.0/8, RFC 1122
 * §3.2.1.3), class D, class E, or broadcast.
 */
export function isHostIpv4(bytes: Uint8Array, offset: number): boolean {
	const first = bytes[offset] ?? 0;
	return first > 0 && first < 224;
}

const badLength = fault('treat-as-withdraw', 'NEXT_HOP is not 4 bytes');
const badAddress = fault('treat-as-withdraw', 'NEXT_HOP is no host address', UpdateSubcode.invalidNextHop);

/** NEXT_HOP, 4 bytes. RFC 4271 §5.1.3, §6.3, RFC 7606 §7.3. */
export const nextHop: AttributeCodec<'nextHop', Uint8Array> = {
	name: 'nextHop',
	code: AttributeCode.nextHop,
	flags: AttributeFlag.transitive,
	check(bytes, start, end) {
		if (end - start !== 4) return badLength;
		return isHostIpv4(bytes, start) ? undefined : badAddress;
	},
	decode: (reader) => reader.bytes(4),
	encode: (writer, address) => writer.bytes(address),
};
