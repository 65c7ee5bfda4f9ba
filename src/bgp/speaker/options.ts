import type { Clock, Logger, Random } from '../../core/index.ts';
import type { Rib } from '../rib/types.ts';
import type { PeerOptions, PeerRangeOptions } from '../session/options.ts';

/** An address and port to accept connections at; `::` takes IPv4 as well. */
export interface ListenAddress {
	readonly address: string;
	readonly port: number;
}

/** Who a speaker is to its neighbours. */
export interface SpeakerIdentity {
	readonly asNumber: number;
	/** As an unsigned 32-bit number. */
	readonly routerId: number;
	/** Present: this speaker reflects (RFC 4456). */
	readonly clusterId: number | undefined;
}

/** The speaker's own settings, as it begins. */
export interface SpeakerOptions extends SpeakerIdentity {
	/** Empty: only connects. */
	readonly listen: readonly ListenAddress[];
	readonly peers: readonly PeerOptions[];
	readonly ranges: readonly PeerRangeOptions[];
	readonly gracefulRestart: RestartOptions;
}

/** RFC 4724 §4.1, seen from the speaker that restarts. */
export interface RestartOptions {
	/** This process continues an earlier one whose routes the neighbours still hold: R bit in the first OPENs. */
	readonly restarting: boolean;
	/** Forwarding went on meanwhile: F bit. True where the FIB survives the process. */
	readonly forwardingPreserved: boolean;
}

/** What a speaker needs from its surroundings. */
export interface SpeakerDependencies {
	readonly rib: Rib;
	readonly log: Logger;
	readonly clock: Clock;
	readonly random: Random;
}

/** How a speaker stops. `silent`: for a restart that neighbours are to bridge (RFC 4724): TCP is closed without a NOTIFICATION. */
export interface StopOptions {
	readonly graceful: boolean;
	/** RFC 9003 text for CEASE 6/2. */
	readonly reason: string;
}

/** What happened to a session, for those who watch. */
export interface SessionEvent {
	readonly type: 'state' | 'established' | 'ended' | 'notification-sent' | 'notification-received' | 'peer-added' | 'peer-removed';
	readonly peer: string;
	/** ISO 8601. */
	readonly at: string;
	readonly state: string;
	readonly reason?: string;
}
