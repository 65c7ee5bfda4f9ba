import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** Routes of this family may be exchanged. RFC 4760 §8. */
export interface MultiprotocolCapability {
	readonly type: 'multiprotocol';
	readonly afi: number;
	readonly safi: number;
}

/** RFC 4760 §8: AFI, a reserved octet that is ignored, SAFI. */
export const multiprotocol: CapabilityCodec<'multiprotocol', MultiprotocolCapability> = {
	type: 'multiprotocol',
	code: CapabilityCode.multiprotocol,
	decode(reader) {
		const afi = reader.u16();
		reader.u8();
		return { type: 'multiprotocol', afi, safi: reader.u8() };
	},
	encode(writer, { afi, safi }) {
		writer.u16(afi);
		writer.u8(0);
		writer.u8(safi);
	},
};
