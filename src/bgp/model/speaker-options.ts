import type { Clock, Logger, Random } from '../../core/index.ts';
import type { PeerOptions, PeerRangeOptions } from './peer-options.ts';
import type { Rib } from './rib.ts';

/** An address and port to accept connections at; `::` takes IPv4 as well. */
export interface ListenAddress {
	readonly address: string;
	readonly port: number;
}

/** The identity of a speaker towards its neighbours. */
export interface SpeakerIdentity {
	readonly asNumber: number;
	/** As an unsigned 32-bit number. */
	readonly routerId: number;
	/** Present: this speaker reflects (RFC 4456). */
	readonly clusterId: number | undefined;
}

/** The speaker's own settings at its start. */
export interface SpeakerOptions extends SpeakerIdentity {
	/** Empty: only connects. */
	readonly listen: readonly ListenAddress[];
	readonly peers: readonly PeerOptions[];
	readonly ranges: readonly PeerRangeOptions[];
	readonly gracefulRestart: RestartOptions;
}

/** RFC 4724 §4.1, from the view of the restarting speaker. */
export interface RestartOptions {
	/**
	 * This process continues an earlier one whose routes the neighbours still have: R bit in the
	 * first OPENs.
	 */
	readonly restarting: boolean;
	/**
	 * Forwarding continued since the last session: F bit. True if the FIB survives the process, and
	 * for a speaker that runs.
	 */
	readonly forwardingPreserved: boolean;
}

/** External functions of a speaker. */
export interface SpeakerDependencies {
	readonly rib: Rib;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
	/** Called with an unexpected exception of a connection; only that connection ends. */
	readonly onFault?: (error: unknown) => void;
}

/**
 * How a speaker stops. `silent`: for a restart that neighbours bridge (RFC 4724): TCP is closed
 * without a NOTIFICATION.
 */
export interface StopOptions {
	readonly graceful: boolean;
	/** RFC 9003 text for CEASE 6/2. */
	readonly reason: string;
}

/** An event of a session, for observers. */
export interface SessionEvent {
	readonly type:
		| 'state'
		| 'established'
		| 'ended'
		| 'notification-sent'
		| 'notification-received'
		| 'peer-added'
		| 'peer-removed';
	readonly peer: string;
	/** ISO 8601. */
	readonly at: string;
	readonly state: string;
	readonly reason?: string;
}
