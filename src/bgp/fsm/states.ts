/** States of the FSM of one connection. RFC 4271 §8.2.2. */
export const states = ['idle', 'connect', 'active', 'open-sent', 'open-confirm', 'established'] as const;
export type State = (typeof states)[number];

/**
 * Events with their numbers in RFC 4271 §8.1 (29: RFC 9687 §3). If the transition depends on
 * DelayOpen, the session chooses the event: `-delayed` if the session attribute DelayOpen is set
 * (16, 17) or its timer runs (18, 20). ROUTE-REFRESH has no number.
 */
export const eventNumbers = {
	start: 1,
	stop: 2,
	'automatic-start': 3,
	'start-passive': 4,
	'automatic-start-passive': 5,
	'automatic-stop': 8,
	'connect-retry-expired': 9,
	'hold-expired': 10,
	'keepalive-expired': 11,
	'delay-open-expired': 12,
	'idle-hold-expired': 13,
	'tcp-up': 16,
	'tcp-up-delayed': 17,
	'tcp-failed': 18,
	'tcp-failed-delayed': 18,
	'open-accepted': 19,
	'open-accepted-delayed': 20,
	'header-rejected': 21,
	'open-rejected': 22,
	'collision-lost': 23,
	'version-notification': 24,
	notification: 25,
	keepalive: 26,
	update: 27,
	'update-rejected': 28,
	'send-hold-expired': 29,
	refresh: 0,
} as const;
export type Event = keyof typeof eventNumbers;

/**
 * The actions of a step, executed by the session in order. `send-*` writes a message; `close-tcp`
 * closes the connection after pending writes. Not actions: the session processes messages after the
 * table's step, and informs the RIB at the end of Established.
 */
export type Action =
	| 'connect'
	| 'close-tcp'
	| 'arm-connect-retry'
	| 'disarm-connect-retry'
	| 'arm-delay-open'
	| 'disarm-delay-open'
	/** The large value of RFC 4271 §8.2.2: time limit for the peer's OPEN. */
	| 'arm-open-hold'
	/** The negotiated hold time; no timer if it is 0. */
	| 'arm-hold'
	| 'restart-hold'
	/** Jittered; no timer if the hold time is 0. */
	| 'arm-keepalive'
	| 'send-open'
	| 'send-keepalive'
	/** The NOTIFICATION for the rejected message. */
	| 'send-rejection'
	| 'send-hold-expired'
	| 'send-send-hold-expired'
	/** 5/1 to 5/3 by state (RFC 6608 §3). */
	| 'send-fsm-error'
	/** CEASE with the subcode of the stop. */
	| 'send-cease'
	| 'send-collision'
	| 'establish'
	/** Increments ConnectRetryCounter; the peer resets it at a start. */
	| 'count-retry';

/** The response of one row to an event. */
export interface Step {
	readonly next: State;
	readonly do: readonly Action[];
}
