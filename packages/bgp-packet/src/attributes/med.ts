import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'MULTI_EXIT_DISC is not 4 bytes');

/** MULTI_EXIT_DISC. RFC 4271 §5.1.4, RFC 7606 §7.4. */
export const med: AttributeCodec<'med', number> = {
	name: 'med',
	code: AttributeCode.med,
	flags: AttributeFlag.optional,
	check: (_bytes, start, end) => (end - start === 4 ? undefined : badLength),
	decode: (reader) => reader.u32(),
	encode: (writer, value) => writer.u32(value),
};
