import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** One family of a long-lived graceful restart. */
export interface LongLivedFamily {
	readonly afi: number;
	readonly safi: number;
	/** The F bit: forwarding state was kept. */
	readonly forwarding: boolean;
	/** 0 to 2^24 - 1; 0: none for this family. */
	readonly staleSeconds: number;
}

/** RFC 9494 §3.1. Without a graceful-restart capability beside it, it is to be ignored. */
export interface LongLivedGracefulRestartCapability {
	readonly type: 'long-lived-graceful-restart';
	readonly families: readonly LongLivedFamily[];
}

/** RFC 9494 §3.1. */
export const longLivedGracefulRestart: CapabilityCodec<
	'long-lived-graceful-restart',
	LongLivedGracefulRestartCapability
> = {
	type: 'long-lived-graceful-restart',
	code: CapabilityCode.longLivedGracefulRestart,
	decode(reader) {
		const families: LongLivedFamily[] = [];
		while (reader.remaining > 0) {
			families.push({
				afi: reader.u16(),
				safi: reader.u8(),
				forwarding: (reader.u8() & 0x80) !== 0,
				staleSeconds: reader.u24(),
			});
		}
		return { type: 'long-lived-graceful-restart', families };
	},
	encode(writer, { families }) {
		for (const { afi, safi, forwarding, staleSeconds } of families) {
			writer.u16(afi);
			writer.u8(safi);
			writer.u8(forwarding ? 0x80 : 0);
			writer.u24(Math.min(staleSeconds, 0xffffff));
		}
	},
};
