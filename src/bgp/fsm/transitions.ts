import type { Action, Event, State, Step } from './states.ts';

type Row = Readonly<Partial<Record<Event, Step>> & { otherwise: Step }>;

const go = (next: State, ...actions: Action[]): Step => ({ next, do: actions });

/**
 * The session ends: NOTIFICATION, then TCP, then the timer. All other timers end with the state.
 */
const drop = (...actions: Action[]): Step => go('idle', ...actions, 'close-tcp', 'disarm-connect-retry');

const idle: Row = {
	start: go('connect', 'arm-connect-retry', 'connect'),
	'automatic-start': go('connect', 'arm-connect-retry', 'connect'),
	'idle-hold-expired': go('connect', 'arm-connect-retry', 'connect'),
	'start-passive': go('active', 'arm-connect-retry'),
	'automatic-start-passive': go('active', 'arm-connect-retry'),
	otherwise: go('idle'),
};

const connect: Row = {
	...ignoringStarts('connect'),
	stop: drop('disarm-delay-open'),
	'connect-retry-expired': go('connect', 'close-tcp', 'disarm-delay-open', 'arm-connect-retry', 'connect'),
	'delay-open-expired': go('open-sent', 'send-open', 'arm-open-hold'),
	'tcp-up': go('open-sent', 'disarm-connect-retry', 'disarm-delay-open', 'send-open', 'arm-open-hold'),
	'tcp-up-delayed': go('connect', 'disarm-connect-retry', 'arm-delay-open'),
	'tcp-failed': drop(),
	'tcp-failed-delayed': go('active', 'close-tcp', 'disarm-delay-open', 'arm-connect-retry'),
	'open-accepted-delayed': go(
		'open-confirm',
		'disarm-connect-retry',
		'disarm-delay-open',
		'send-open',
		'send-keepalive',
		'arm-hold',
		'arm-keepalive',
	),
	'version-notification': drop('disarm-delay-open'),
	// RFC 4271 §8.2.2: no message was sent yet, so there is no NOTIFICATION
	// (SendNOTIFICATIONwithoutOPEN is off).
	otherwise: drop('disarm-delay-open', 'count-retry'),
};

const active: Row = {
	...ignoringStarts('active'),
	stop: drop('disarm-delay-open'),
	'connect-retry-expired': go('connect', 'arm-connect-retry', 'connect'),
	'delay-open-expired': go('open-sent', 'disarm-connect-retry', 'disarm-delay-open', 'send-open', 'arm-open-hold'),
	'tcp-up': go('open-sent', 'disarm-connect-retry', 'disarm-delay-open', 'send-open', 'arm-open-hold'),
	'tcp-up-delayed': go('active', 'disarm-connect-retry', 'arm-delay-open'),
	'open-accepted-delayed': go(
		'open-confirm',
		'disarm-connect-retry',
		'disarm-delay-open',
		'send-open',
		'send-keepalive',
		'arm-hold',
		'arm-keepalive',
	),
	'version-notification': drop('disarm-delay-open'),
	otherwise: drop('disarm-delay-open', 'count-retry'),
};

const openSent: Row = {
	...ignoringStarts('open-sent'),
	stop: drop('send-cease'),
	'automatic-stop': drop('send-cease', 'count-retry'),
	'hold-expired': drop('send-hold-expired', 'count-retry'),
	'tcp-failed': go('active', 'close-tcp', 'arm-connect-retry'),
	'open-accepted': go('open-confirm', 'disarm-connect-retry', 'send-keepalive', 'arm-hold', 'arm-keepalive'),
	'header-rejected': drop('send-rejection', 'count-retry'),
	'open-rejected': drop('send-rejection', 'count-retry'),
	'collision-lost': drop('send-collision', 'count-retry'),
	'version-notification': drop(),
	// RFC 4271 §6.4 overrides §8.2.2: a NOTIFICATION is never answered by a NOTIFICATION.
	notification: drop('count-retry'),
	otherwise: drop('send-fsm-error', 'count-retry'),
};

const openConfirm: Row = {
	...ignoringStarts('open-confirm'),
	stop: drop('send-cease'),
	'automatic-stop': drop('send-cease', 'count-retry'),
	'hold-expired': drop('send-hold-expired', 'count-retry'),
	'keepalive-expired': go('open-confirm', 'send-keepalive', 'arm-keepalive'),
	'tcp-failed': drop('count-retry'),
	'header-rejected': drop('send-rejection', 'count-retry'),
	'open-rejected': drop('send-rejection', 'count-retry'),
	'update-rejected': drop('send-fsm-error', 'count-retry'),
	'collision-lost': drop('send-collision', 'count-retry'),
	'version-notification': drop(),
	notification: drop('count-retry'),
	keepalive: go('established', 'restart-hold', 'establish'),
	otherwise: drop('send-fsm-error', 'count-retry'),
};

const established: Row = {
	...ignoringStarts('established'),
	stop: drop('send-cease'),
	'automatic-stop': drop('send-cease', 'count-retry'),
	'hold-expired': drop('send-hold-expired', 'count-retry'),
	'send-hold-expired': drop('send-send-hold-expired', 'count-retry'),
	'keepalive-expired': go('established', 'send-keepalive', 'arm-keepalive'),
	'tcp-failed': drop('count-retry'),
	'header-rejected': drop('send-rejection', 'count-retry'),
	'open-rejected': drop('send-rejection', 'count-retry'),
	'update-rejected': drop('send-rejection', 'count-retry'),
	'collision-lost': drop('send-collision', 'count-retry'),
	'version-notification': drop('count-retry'),
	notification: drop('count-retry'),
	keepalive: go('established', 'restart-hold'),
	update: go('established', 'restart-hold'),
	refresh: go('established'),
	otherwise: drop('send-fsm-error', 'count-retry'),
};

const table: Readonly<Record<State, Row>> = {
	idle: idle,
	connect: connect,
	active: active,
	'open-sent': openSent,
	'open-confirm': openConfirm,
	established: established,
};

/** RFC 4271 §8.2.2 as a function: no sockets, no timers, no logging. */
export function transition(state: State, event: Event): Step {
	const row = table[state];
	return row[event] ?? row.otherwise;
}

/** Start events take effect only in Idle; all other states ignore them. */
function ignoringStarts(state: State): Partial<Record<Event, Step>> {
	const stay = go(state);
	return {
		start: stay,
		'automatic-start': stay,
		'start-passive': stay,
		'automatic-start-passive': stay,
		'idle-hold-expired': stay,
	};
}
