import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const badLength = fault('treat-as-withdraw', 'LOCAL_PREF is not 4 bytes');
const fromOutside = fault('attribute-discard', 'LOCAL_PREF from an external neighbor');

/** LOCAL_PREF. RFC 4271 §5.1.5, RFC 7606 §7.5. */
export const localPref: AttributeCodec<'localPref', number> = {
	name: 'localPref',
	code: AttributeCode.localPref,
	flags: AttributeFlag.transitive,
	refused: { sender: 'external', fault: fromOutside },
	check: (_bytes, start, end) => (end - start === 4 ? undefined : badLength),
	decode: (reader) => reader.u32(),
	encode: (writer, value) => writer.u32(value),
};
