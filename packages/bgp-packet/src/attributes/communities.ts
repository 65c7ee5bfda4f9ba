import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'COMMUNITIES is no non-empty list of 4 bytes');

/** COMMUNITIES, each an unsigned 32-bit number. RFC 1997, RFC 7606 §7.8. */
export const communities: AttributeCodec<'communities', readonly number[]> = {
	name: 'communities',
	code: AttributeCode.communities,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end > start && (end - start) % 4 === 0 ? undefined : badLength),
	decode: (reader) => Array.from({ length: reader.remaining / 4 }, () => reader.u32()),
	encode(writer, values) {
		for (const value of values) writer.u32(value);
	},
};
