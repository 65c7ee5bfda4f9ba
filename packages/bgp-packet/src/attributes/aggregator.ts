import { AttributeCode, AttributeFlag, asTrans } from '../constants.ts';
import { readU16, readU32 } from '../reader.ts';
import { type AttributeCodec, fault } from './codec.ts';

/** Who aggregated the route. */
export interface Aggregator {
	readonly asNumber: number;
	/** Its BGP identifier, unsigned. */
	readonly routerId: number;
}

const badLength = fault('attribute-discard', 'AGGREGATOR is not 6 or 8 bytes, as the session has it');
const zero = fault('attribute-discard', 'AS 0 in AGGREGATOR');

/** AGGREGATOR. RFC 4271 §5.1.7, RFC 6793 §4, RFC 7606 §7.7, RFC 7607 §2. */
export const aggregator: AttributeCodec<'aggregator', Aggregator> = {
	name: 'aggregator',
	code: AttributeCode.aggregator,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	// RFC 7606 §3 (f).
	flagsRemedy: 'attribute-discard',
	check(bytes, start, end, { fourOctetAs }) {
		if (end - start !== (fourOctetAs ? 8 : 6)) return badLength;
		return (fourOctetAs ? readU32(bytes, start) : readU16(bytes, start)) === 0 ? zero : undefined;
	},
	decode: (reader, { fourOctetAs }) => ({
		asNumber: fourOctetAs ? reader.u32() : reader.u16(),
		routerId: reader.u32(),
	}),
	encode(writer, { asNumber, routerId }, { fourOctetAs }) {
		if (fourOctetAs) writer.u32(asNumber);
		else writer.u16(asNumber > 0xffff ? asTrans : asNumber);
		writer.u32(routerId);
	},
};

const badAs4 = fault('attribute-discard', 'AS4_AGGREGATOR is not 8 bytes, or has AS 0');
const fromNewSpeaker = fault('attribute-discard', 'AS4_AGGREGATOR from a speaker of 4-octet AS numbers');

/**
 * AS4_AGGREGATOR, merged into `aggregator` on decoding and made from it on encoding. RFC 6793 §3,
 * §6.
 */
export const as4Aggregator: AttributeCodec<'as4Aggregator', Aggregator> = {
	name: 'as4Aggregator',
	code: AttributeCode.as4Aggregator,
	flags: AttributeFlag.optional | AttributeFlag.transitive,
	// RFC 6793 §4.1.
	refused: { sender: 'four-octet-as', fault: fromNewSpeaker },
	check: (bytes, start, end) => (end - start !== 8 || readU32(bytes, start) === 0 ? badAs4 : undefined),
	decode: (reader) => ({ asNumber: reader.u32(), routerId: reader.u32() }),
	encode(writer, { asNumber, routerId }) {
		writer.u32(asNumber);
		writer.u32(routerId);
	},
};
