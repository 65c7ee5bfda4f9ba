import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'ORIGINATOR_ID is not 4 bytes');
const fromOutside = fault('attribute-discard', 'ORIGINATOR_ID from an external neighbor');

/**
 * ORIGINATOR_ID: the BGP identifier of the route's first speaker in the AS. RFC 4456 §8, RFC 7606
 * §7.9.
 */
export const originatorId: AttributeCodec<'originatorId', number> = {
	name: 'originatorId',
	code: AttributeCode.originatorId,
	flags: AttributeFlag.optional,
	refused: { sender: 'external', fault: fromOutside },
	check: (_bytes, start, end) => (end - start === 4 ? undefined : badLength),
	decode: (reader) => reader.u32(),
	encode: (writer, value) => writer.u32(value),
};
