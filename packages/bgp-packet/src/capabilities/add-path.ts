import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** RFC 7911 §4, in the order of their values from 1. */
const modes = ['receive', 'send', 'both'] as const;

/** One family with path identifiers. */
export interface AddPathFamily {
	readonly afi: number;
	readonly safi: number;
	/** What the speaker of the OPEN is able to do. */
	readonly mode: (typeof modes)[number];
}

/** RFC 7911 §4. Of several entries for a family the last one counts. */
export interface AddPathCapability {
	readonly type: 'add-path';
	readonly families: readonly AddPathFamily[];
}

/** RFC 7911 §4. An entry with another mode is ignored. */
export const addPath: CapabilityCodec<'add-path', AddPathCapability> = {
	type: 'add-path',
	code: CapabilityCode.addPath,
	decode(reader) {
		const families: AddPathFamily[] = [];
		while (reader.remaining > 0) {
			const afi = reader.u16();
			const safi = reader.u8();
			const mode = modes[reader.u8() - 1];
			if (mode !== undefined) families.push({ afi, safi, mode });
		}
		return { type: 'add-path', families };
	},
	encode(writer, { families }) {
		for (const { afi, safi, mode } of families) {
			writer.u16(afi);
			writer.u8(safi);
			writer.u8(modes.indexOf(mode) + 1);
		}
	},
};
