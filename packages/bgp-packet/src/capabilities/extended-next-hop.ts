import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** A family whose next hops may be of another kind. */
export interface ExtendedNextHopFamily {
	readonly afi: number;
	/** 2 octets in this capability. */
	readonly safi: number;
	readonly nextHopAfi: number;
}

/** RFC 8950 §4. */
export interface ExtendedNextHopCapability {
	readonly type: 'extended-next-hop';
	readonly families: readonly ExtendedNextHopFamily[];
}

/** RFC 8950 §4. */
export const extendedNextHop: CapabilityCodec<'extended-next-hop', ExtendedNextHopCapability> = {
	type: 'extended-next-hop',
	code: CapabilityCode.extendedNextHop,
	decode(reader) {
		const families: ExtendedNextHopFamily[] = [];
		while (reader.remaining > 0) families.push({ afi: reader.u16(), safi: reader.u16(), nextHopAfi: reader.u16() });
		return { type: 'extended-next-hop', families };
	},
	encode(writer, { families }) {
		for (const { afi, safi, nextHopAfi } of families) {
			writer.u16(afi);
			writer.u16(safi);
			writer.u16(nextHopAfi);
		}
	},
};
