import type { NotificationMessage } from 'bgp-packet';
import type { Clock, Logger, Random } from '../../core/index.ts';
import type { LocalSide } from '../fsm/open-check.ts';
import type { State } from '../fsm/states.ts';
import type { Negotiated, SessionReceiver } from '../negotiated.ts';
import type { ConnectionSurroundings } from './connection.ts';
import type { MessageCounters } from './counters.ts';
import type { Session } from './session.ts';

/** What all sessions of a speaker share. */
export interface SessionSurroundings extends ConnectionSurroundings {
	readonly clock: Clock;
	readonly random: Random;
}

/** How a session came to Idle. */
export interface SessionOutcome {
	readonly reason: string;
	/** It counts as a failure: the next one waits (RFC 4271 §8.1.1). */
	readonly penalized: boolean;
	/** Of the CEASE that ended it by our own will. */
	readonly ceaseSubcode: number | undefined;
	/** How long it was established; `undefined` if it never was. */
	readonly establishedMs: number | undefined;
}

/** The neighbour, seen from one of its sessions: everything that concerns more than one connection. */
export interface SessionHost {
	readonly kind: 'internal' | 'external';
	readonly log: Logger;
	readonly sent: MessageCounters;
	readonly received: MessageCounters;
	/** Our side as the next OPEN is to say it. */
	localSide(): LocalSide;
	/** Milliseconds until the next attempt to connect; `undefined`: this session never does. */
	connectDelayMs(session: Session): number | undefined;
	/** May it wait for a new connection after it lost its own (RFC 4271 §8.2.2, OpenSent)? */
	waits(session: Session): boolean;
	/** An own connection is up. `false`: it lost against another one already (RFC 4271 §6.8). */
	connected(session: Session): boolean;
	/** An acceptable OPEN arrived. `false`: this connection loses; where it wins, the others are gone. */
	survives(session: Session, negotiated: Negotiated): boolean;
	established(session: Session, negotiated: Negotiated): SessionReceiver;
	changed(session: Session, from: State, to: State): void;
	notified(direction: 'sent' | 'received', message: NotificationMessage): void;
	/** The peer does not know optional parameters: 2/4 in answer to our OPEN (RFC 5492 §3). */
	parametersRefused(): void;
	/** The peer expects another AS number of us: 2/2 in answer to our OPEN. */
	asNumberRefused(): void;
	/** A connection went before an OPEN came; the session goes on without one. */
	interrupted(reason: string): void;
	ended(session: Session, outcome: SessionOutcome): void;
}
