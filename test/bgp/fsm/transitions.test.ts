import test from 'ava';

import { type Event, eventNumbers, type State, states } from '../../../src/bgp/fsm/states.ts';
import { transition } from '../../../src/bgp/fsm/transitions.ts';

/** State and event before the arrow, the next state and the actions after it. */
const rows: readonly { title: string; state: State; event: Event; next: State; do: string }[] = [
	{
		title: '[C47] Idle starts: timer, TCP, Connect',
		state: 'idle',
		event: 'start',
		next: 'connect',
		do: 'arm-connect-retry connect',
	},
	{
		title: '[C47] Idle starts automatically',
		state: 'idle',
		event: 'automatic-start',
		next: 'connect',
		do: 'arm-connect-retry connect',
	},
	{
		title: '[C64] Idle starts after the pause',
		state: 'idle',
		event: 'idle-hold-expired',
		next: 'connect',
		do: 'arm-connect-retry connect',
	},
	{
		title: '[C48] a passive start listens',
		state: 'idle',
		event: 'start-passive',
		next: 'active',
		do: 'arm-connect-retry',
	},
	{
		title: '[C48] a passive automatic start listens',
		state: 'idle',
		event: 'automatic-start-passive',
		next: 'active',
		do: 'arm-connect-retry',
	},
	{ title: 'Idle ignores a stop', state: 'idle', event: 'stop', next: 'idle', do: '' },
	{
		title: '[C49] Connect sends OPEN when TCP is up',
		state: 'connect',
		event: 'tcp-up',
		next: 'open-sent',
		do: 'disarm-connect-retry disarm-delay-open send-open arm-open-hold',
	},
	{
		title: '[C52] Connect waits with DelayOpen',
		state: 'connect',
		event: 'tcp-up-delayed',
		next: 'connect',
		do: 'disarm-connect-retry arm-delay-open',
	},
	{
		title: '[C50] a failed attempt goes to Idle',
		state: 'connect',
		event: 'tcp-failed',
		next: 'idle',
		do: 'close-tcp disarm-connect-retry',
	},
	{
		title: '[C50] with DelayOpen running it goes to Active',
		state: 'connect',
		event: 'tcp-failed-delayed',
		next: 'active',
		do: 'close-tcp disarm-delay-open arm-connect-retry',
	},
	{
		title: '[C51] Connect retries when its timer expires',
		state: 'connect',
		event: 'connect-retry-expired',
		next: 'connect',
		do: 'close-tcp disarm-delay-open arm-connect-retry connect',
	},
	{
		title: '[C51] Active retries when its timer expires',
		state: 'active',
		event: 'connect-retry-expired',
		next: 'connect',
		do: 'arm-connect-retry connect',
	},
	{
		title: 'Connect sends OPEN when DelayOpen is over',
		state: 'connect',
		event: 'delay-open-expired',
		next: 'open-sent',
		do: 'send-open arm-open-hold',
	},
	{
		title: '[C52] an OPEN while DelayOpen runs is answered with OPEN and KEEPALIVE',
		state: 'connect',
		event: 'open-accepted-delayed',
		next: 'open-confirm',
		do: 'disarm-connect-retry disarm-delay-open send-open send-keepalive arm-hold arm-keepalive',
	},
	{
		title: '[C52] the same in Active',
		state: 'active',
		event: 'open-accepted-delayed',
		next: 'open-confirm',
		do: 'disarm-connect-retry disarm-delay-open send-open send-keepalive arm-hold arm-keepalive',
	},
	{
		title: '[C60] a stop in Connect is silent',
		state: 'connect',
		event: 'stop',
		next: 'idle',
		do: 'disarm-delay-open close-tcp disarm-connect-retry',
	},
	{
		title: '[C60] a stop in Active is silent',
		state: 'active',
		event: 'stop',
		next: 'idle',
		do: 'disarm-delay-open close-tcp disarm-connect-retry',
	},
	{
		title: '[C62] a header error in Connect closes without a NOTIFICATION',
		state: 'connect',
		event: 'header-rejected',
		next: 'idle',
		do: 'disarm-delay-open count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C62] an OPEN error in Active closes without a NOTIFICATION',
		state: 'active',
		event: 'open-rejected',
		next: 'idle',
		do: 'disarm-delay-open count-retry close-tcp disarm-connect-retry',
	},
	{
		title: 'Active accepts TCP',
		state: 'active',
		event: 'tcp-up',
		next: 'open-sent',
		do: 'disarm-connect-retry disarm-delay-open send-open arm-open-hold',
	},
	{
		title: 'Active waits with DelayOpen',
		state: 'active',
		event: 'tcp-up-delayed',
		next: 'active',
		do: 'disarm-connect-retry arm-delay-open',
	},
	{
		title: '[C53] OpenSent confirms a valid OPEN',
		state: 'open-sent',
		event: 'open-accepted',
		next: 'open-confirm',
		do: 'disarm-connect-retry send-keepalive arm-hold arm-keepalive',
	},
	{
		title: '[C54] OpenSent without TCP goes to Active',
		state: 'open-sent',
		event: 'tcp-failed',
		next: 'active',
		do: 'close-tcp arm-connect-retry',
	},
	{
		title: '[C55] the hold timer in OpenSent sends 4/0',
		state: 'open-sent',
		event: 'hold-expired',
		next: 'idle',
		do: 'send-hold-expired count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C60] a stop in OpenSent sends Cease',
		state: 'open-sent',
		event: 'stop',
		next: 'idle',
		do: 'send-cease close-tcp disarm-connect-retry',
	},
	{
		title: 'an automatic stop in OpenSent counts',
		state: 'open-sent',
		event: 'automatic-stop',
		next: 'idle',
		do: 'send-cease count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C8] OpenSent does not answer a NOTIFICATION',
		state: 'open-sent',
		event: 'notification',
		next: 'idle',
		do: 'count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C63] a version error does not count',
		state: 'open-sent',
		event: 'version-notification',
		next: 'idle',
		do: 'close-tcp disarm-connect-retry',
	},
	{
		title: '[C61] a KEEPALIVE in OpenSent is an FSM error',
		state: 'open-sent',
		event: 'keepalive',
		next: 'idle',
		do: 'send-fsm-error count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C61] an UPDATE in OpenSent is an FSM error',
		state: 'open-sent',
		event: 'update',
		next: 'idle',
		do: 'send-fsm-error count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C68] the closed connection of a collision gets a Cease',
		state: 'open-sent',
		event: 'collision-lost',
		next: 'idle',
		do: 'send-collision count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C56] a KEEPALIVE in OpenConfirm establishes',
		state: 'open-confirm',
		event: 'keepalive',
		next: 'established',
		do: 'restart-hold establish',
	},
	{
		title: '[C57] OpenConfirm sends its KEEPALIVEs',
		state: 'open-confirm',
		event: 'keepalive-expired',
		next: 'open-confirm',
		do: 'send-keepalive arm-keepalive',
	},
	{
		title: '[C59] the hold timer in OpenConfirm',
		state: 'open-confirm',
		event: 'hold-expired',
		next: 'idle',
		do: 'send-hold-expired count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C63] a version error in OpenConfirm does not count',
		state: 'open-confirm',
		event: 'version-notification',
		next: 'idle',
		do: 'close-tcp disarm-connect-retry',
	},
	{
		title: 'OpenConfirm loses TCP',
		state: 'open-confirm',
		event: 'tcp-failed',
		next: 'idle',
		do: 'count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C60] a stop in OpenConfirm',
		state: 'open-confirm',
		event: 'stop',
		next: 'idle',
		do: 'send-cease close-tcp disarm-connect-retry',
	},
	{
		title: '[C61] a second OPEN in OpenConfirm',
		state: 'open-confirm',
		event: 'open-accepted',
		next: 'idle',
		do: 'send-fsm-error count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C57] Established sends its KEEPALIVEs',
		state: 'established',
		event: 'keepalive-expired',
		next: 'established',
		do: 'send-keepalive arm-keepalive',
	},
	{
		title: '[C58] a KEEPALIVE restarts the hold timer',
		state: 'established',
		event: 'keepalive',
		next: 'established',
		do: 'restart-hold',
	},
	{
		title: '[C58] an UPDATE restarts the hold timer',
		state: 'established',
		event: 'update',
		next: 'established',
		do: 'restart-hold',
	},
	{
		title: 'a ROUTE-REFRESH is passed on',
		state: 'established',
		event: 'refresh',
		next: 'established',
		do: '',
	},
	{
		title: '[C59] the hold timer in Established',
		state: 'established',
		event: 'hold-expired',
		next: 'idle',
		do: 'send-hold-expired count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C75] the send hold timer in Established',
		state: 'established',
		event: 'send-hold-expired',
		next: 'idle',
		do: 'send-send-hold-expired count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C60] a stop in Established',
		state: 'established',
		event: 'stop',
		next: 'idle',
		do: 'send-cease close-tcp disarm-connect-retry',
	},
	{
		title: '[C8] Established does not answer a NOTIFICATION',
		state: 'established',
		event: 'notification',
		next: 'idle',
		do: 'count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C7] a bad UPDATE in Established',
		state: 'established',
		event: 'update-rejected',
		next: 'idle',
		do: 'send-rejection count-retry close-tcp disarm-connect-retry',
	},
	{
		title: '[C61] a second OPEN in Established',
		state: 'established',
		event: 'open-accepted',
		next: 'idle',
		do: 'send-fsm-error count-retry close-tcp disarm-connect-retry',
	},
	{
		title: 'Established loses TCP',
		state: 'established',
		event: 'tcp-failed',
		next: 'idle',
		do: 'count-retry close-tcp disarm-connect-retry',
	},
];

for (const { title, state, event, next, do: actions } of rows) {
	test(title, (t) =>
		t.deepEqual(transition(state, event), { next, do: actions === '' ? [] : actions.split(' ') } as ReturnType<
			typeof transition
		>),
	);
}

// Object.keys of a table with exactly these keys.
const events = Object.keys(eventNumbers) as Event[];

test('every state handles every event', (t) => {
	for (const state of states)
		for (const event of events) t.true(states.includes(transition(state, event).next), `${state} ${event}`);
});

test('every transition to Idle closes TCP, and only transitions to Idle or Active do so after a message', (t) => {
	for (const state of states) {
		if (state === 'idle') continue;
		for (const event of events) {
			const { next, do: actions } = transition(state, event);
			if (next === 'idle') t.true(actions.includes('close-tcp'), `${state} ${event}`);
			if (actions.includes('close-tcp')) t.true(next !== 'established' && next !== 'open-confirm', `${state} ${event}`);
		}
	}
});

test('in Idle, Connect or Active only steps to OpenSent or OpenConfirm send messages', (t) => {
	for (const state of ['idle', 'connect', 'active'] as const) {
		for (const event of events) {
			const { next, do: actions } = transition(state, event);
			if (next !== 'open-sent' && next !== 'open-confirm')
				t.false(
					actions.some((action) => action.startsWith('send-')),
					`${state} ${event}`,
				);
		}
	}
});

test('starts are ignored once started', (t) => {
	for (const state of states) {
		if (state === 'idle') continue;
		for (const event of ['start', 'automatic-start', 'start-passive', 'automatic-start-passive'] as const) {
			t.deepEqual(transition(state, event), { next: state, do: [] });
		}
	}
});
