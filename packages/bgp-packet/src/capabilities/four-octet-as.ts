import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** The speaker's real AS number. RFC 6793 §3. */
export interface FourOctetAsCapability {
	readonly type: 'four-octet-as';
	readonly asNumber: number;
}

/** RFC 6793 §3. */
export const fourOctetAs: CapabilityCodec<'four-octet-as', FourOctetAsCapability> = {
	type: 'four-octet-as',
	code: CapabilityCode.fourOctetAs,
	decode: (reader) => ({ type: 'four-octet-as', asNumber: reader.u32() }),
	encode: (writer, { asNumber }) => writer.u32(asNumber),
};
