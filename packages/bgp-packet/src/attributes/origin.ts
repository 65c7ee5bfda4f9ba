import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

/** RFC 4271 §5.1.1, in the order of their values. */
const origins = ['igp', 'egp', 'incomplete'] as const;

/** Where the route comes from, as its originator reports. */
export type Origin = (typeof origins)[number];

const badLength = fault('treat-as-withdraw', 'ORIGIN is not 1 byte');
const badValue = fault('treat-as-withdraw', 'ORIGIN above 2', UpdateSubcode.invalidOrigin);

/** ORIGIN. RFC 4271 §4.3 (a), RFC 7606 §7.1. */
export const origin: AttributeCodec<'origin', Origin> = {
	name: 'origin',
	code: AttributeCode.origin,
	flags: AttributeFlag.transitive,
	check(bytes, start, end) {
		if (end - start !== 1) return badLength;
		return (bytes[start] ?? 0) > 2 ? badValue : undefined;
	},
	decode: (reader) => origins[reader.u8()] ?? 'incomplete',
	encode: (writer, value) => writer.u8(origins.indexOf(value)),
};
