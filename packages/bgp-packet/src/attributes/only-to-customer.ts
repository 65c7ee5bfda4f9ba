import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'OTC is not 4 bytes');

/** Only to Customer: the AS from which the route may go downwards only. RFC 9234 §5. */
export const onlyToCustomer: AttributeCodec<'onlyToCustomer', number> = {
	name: 'onlyToCustomer',
	code: AttributeCode.onlyToCustomer,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	check: (_bytes, start, end) => (end - start === 4 ? undefined : badLength),
	decode: (reader) => reader.u32(),
	encode: (writer, value) => writer.u32(value),
};
