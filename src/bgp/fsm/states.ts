/** States of one connection's machine. RFC 4271 §8.2.2. */
export const states = ['idle', 'connect', 'active', 'open-sent', 'open-confirm', 'established'] as const;
export type State = (typeof states)[number];

/**
 * Events with their numbers in RFC 4271 §8.1 (29: RFC 9687 §3). Where what happens depends on DelayOpen, the shell says so by the
 * event: `-delayed` where the session attribute DelayOpen is set (16, 17) or its timer runs (18, 20). ROUTE-REFRESH has no number.
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
 * What the shell does for a step, in order. `send-*` writes a message; `close-tcp` closes what there is after what was written.
 * Leaving Established tells the RIB; that is the shell's own duty and no action.
 */
export type Action =
	| 'connect'
	| 'close-tcp'
	| 'arm-connect-retry'
	| 'disarm-connect-retry'
	| 'arm-delay-open'
	| 'disarm-delay-open'
	/** The large value of RFC 4271 §8.2.2: the peer's OPEN must come within it. */
	| 'arm-open-hold'
	/** The negotiated hold time; nothing where that is 0. */
	| 'arm-hold'
	| 'restart-hold'
	/** Jittered; nothing where the hold time is 0. */
	| 'arm-keepalive'
	| 'send-open'
	| 'send-keepalive'
	/** The NOTIFICATION that the rejected message deserves. */
	| 'send-rejection'
	| 'send-hold-expired'
	| 'send-send-hold-expired'
	/** 5/1 to 5/3 by state (RFC 6608 §3). */
	| 'send-fsm-error'
	/** CEASE with the subcode of whoever stopped it. */
	| 'send-cease'
	| 'send-collision'
	| 'establish'
	| 'process-update'
	| 'process-refresh'
	/** ConnectRetryCounter. */
	| 'zero-retries'
	| 'count-retry';

/** One row's answer to an event. */
export interface Step {
	readonly next: State;
	readonly do: readonly Action[];
}
