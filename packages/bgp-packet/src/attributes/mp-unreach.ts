import { AttributeCode, AttributeFlag, UpdateSubcode } from '../constants.ts';
import { familyCodec } from '../families/index.ts';
import { encodeNlri, validateNlri } from '../nlri.ts';
import { readU16 } from '../reader.ts';
import { type AttributeCodec, fault } from './codec.ts';
import { decodeRoutes, type FamilyRoutes } from './mp-reach.ts';

/** Withdrawn routes of one family; none of them: End-of-RIB. RFC 4760 §4, RFC 4724 §2. */
export interface MpUnreach {
	readonly afi: number;
	readonly safi: number;
	readonly routes: FamilyRoutes;
}

const reset = (text: string) => fault('session-reset', text, UpdateSubcode.optionalAttributeError);
const tooShort = reset('MP_UNREACH_NLRI is too short');
const badNlri = reset('MP_UNREACH_NLRI with a prefix that is too long or cut off');

/** MP_UNREACH_NLRI. RFC 4760 §4, RFC 7606 §5.3 and §7.12. */
export const mpUnreach: AttributeCodec<'mpUnreach', MpUnreach> = {
	name: 'mpUnreach',
	code: AttributeCode.mpUnreach,
	flags: AttributeFlag.optional,
	check(bytes, start, end, context) {
		if (end - start < 3) return tooShort;
		const afi = readU16(bytes, start);
		const safi = bytes[start + 2] ?? 0;
		const family = familyCodec(afi, safi);
		if (family === undefined) return undefined;
		return validateNlri(bytes, start + 3, end, family.addressBits, context.addPath(afi, safi)) < 0
			? badNlri
			: undefined;
	},
	decode(reader, context) {
		const afi = reader.u16();
		const safi = reader.u8();
		return { afi, safi, routes: decodeRoutes(reader.bytes(), afi, safi, context.addPath(afi, safi)) };
	},
	encode(writer, { afi, safi, routes }, context) {
		writer.u16(afi);
		writer.u8(safi);
		if (routes.type === 'prefixes') encodeNlri(writer, routes.nlri, context.addPath(afi, safi));
		else writer.bytes(routes.bytes);
	},
};
