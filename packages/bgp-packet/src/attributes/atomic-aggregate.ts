import { AttributeCode, AttributeFlag } from '../constants.ts';
import { type AttributeCodec, fault } from './codec.ts';

const notEmpty = fault('attribute-discard', 'ATOMIC_AGGREGATE is not empty');

/** ATOMIC_AGGREGATE: there or not. RFC 4271 §5.1.6, RFC 7606 §7.6. */
export const atomicAggregate: AttributeCodec<'atomicAggregate', true> = {
	name: 'atomicAggregate',
	code: AttributeCode.atomicAggregate,
	flags: AttributeFlag.transitive,
	// RFC 7606 §3 (f).
	flagsRemedy: 'attribute-discard',
	check: (_bytes, start, end) => (end === start ? undefined : notEmpty),
	decode: () => true,
	encode: () => {},
};
