import { CapabilityCode } from '../constants.ts';
import type { CapabilityCodec } from './codec.ts';

/** One family of a graceful restart. */
export interface GracefulRestartFamily {
	readonly afi: number;
	readonly safi: number;
	/** The F bit: forwarding state was kept. */
	readonly forwarding: boolean;
}

/** RFC 4724 §3, RFC 8538 §2. Without families it promises End-of-RIB alone. */
export interface GracefulRestartCapability {
	readonly type: 'graceful-restart';
	/** The R bit. */
	readonly restarting: boolean;
	/** The N bit. */
	readonly notification: boolean;
	/** 0 to 4095. */
	readonly restartSeconds: number;
	readonly families: readonly GracefulRestartFamily[];
}

/** RFC 4724 §3, RFC 8538 §2. */
export const gracefulRestart: CapabilityCodec<'graceful-restart', GracefulRestartCapability> = {
	type: 'graceful-restart',
	code: CapabilityCode.gracefulRestart,
	decode(reader) {
		const head = reader.u16();
		const families: GracefulRestartFamily[] = [];
		while (reader.remaining > 0)
			families.push({ afi: reader.u16(), safi: reader.u8(), forwarding: (reader.u8() & 0x80) !== 0 });
		return {
			type: 'graceful-restart',
			restarting: (head & 0x8000) !== 0,
			notification: (head & 0x4000) !== 0,
			restartSeconds: head & 0xfff,
			families,
		};
	},
	encode(writer, { restarting, notification, restartSeconds, families }) {
		writer.u16((restarting ? 0x8000 : 0) | (notification ? 0x4000 : 0) | Math.min(restartSeconds, 0xfff));
		for (const { afi, safi, forwarding } of families) {
			writer.u16(afi);
			writer.u8(safi);
			writer.u8(forwarding ? 0x80 : 0);
		}
	},
};
