import type { NotificationMessage } from 'bgp-packet';
import type { Clock, Logger, Random } from '../../core/index.ts';
import type { LocalSide } from '../fsm/open-check.ts';
import type { State } from '../fsm/states.ts';
import type { Negotiated, SessionReceiver } from '../model/negotiated.ts';
import type { ConnectionDependencies } from './connection.ts';
import type { MessageCounters } from './counters.ts';
import type { InterfaceAddresses } from './interface-addresses.ts';
import type { Session } from './session.ts';

/** Shared state of all sessions of a speaker. */
export interface SessionDependencies extends ConnectionDependencies {
	readonly clock: Clock;
	readonly random: Random;
	readonly interfaces: InterfaceAddresses;
}

/** How a session ended in Idle. */
export interface SessionOutcome {
	readonly reason: string;
	/** Counts as a failure: the next session is delayed (RFC 4271 §8.1.1). */
	readonly penalized: boolean;
	/** Subcode of the CEASE, if this side ended the session. */
	readonly ceaseSubcode: number | undefined;
	/** Duration of Established; `undefined` if it was never reached. */
	readonly establishedMs: number | undefined;
}

/**
 * The neighbour from the view of one of its sessions: all decisions that concern more than one
 * connection.
 */
export interface SessionHost {
	readonly kind: 'internal' | 'external';
	readonly log: Logger;
	readonly sent: MessageCounters;
	readonly received: MessageCounters;
	/** Our side for the next OPEN. */
	localSide(): LocalSide;
	/** Milliseconds until the next connection attempt; `undefined`: this session never connects. */
	connectDelayMs(session: Session): number | undefined;
	/**
	 * True if the session may wait for a new connection after the loss of its own (RFC 4271 §8.2.2,
	 * OpenSent).
	 */
	waits(session: Session): boolean;
	/**
	 * An outgoing connection is established: ends other connections that lose against it (RFC 4271
	 * §6.8). `false`: this connection loses.
	 */
	resolveOnConnect(session: Session): boolean;
	/**
	 * A valid OPEN was received: ends the connections that lose against this one. `false`: this one
	 * loses.
	 */
	resolveCollision(session: Session, negotiated: Negotiated): boolean;
	established(session: Session, negotiated: Negotiated): SessionReceiver;
	changed(session: Session, from: State, to: State): void;
	notified(direction: 'sent' | 'received', message: NotificationMessage): void;
	/** The peer rejects optional parameters: 2/4 in response to our OPEN (RFC 5492 §3). */
	parametersRefused(): void;
	/** The peer expects another AS number: 2/2 in response to our OPEN. */
	asNumberRefused(): void;
	/** A connection was lost before an OPEN arrived; the session continues without one. */
	interrupted(reason: string): void;
	ended(session: Session, outcome: SessionOutcome): void;
}
