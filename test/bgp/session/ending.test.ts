import test from 'ava';
import { CeaseSubcode, ErrorCode, FsmSubcode, PacketError } from 'bgp-packet';
import { Ending } from '../../../src/bgp/session/ending.ts';

test('a rejected message is both the last NOTIFICATION and the reason', (t) => {
	const ending = new Ending();
	ending.rejected(new PacketError('openMessage', 2, 'AS 65001, expected 65002', { data: Uint8Array.of(1) }));
	t.like(ending.notice('send-rejection', 'open-sent', false), { code: 2, subcode: 2, data: Uint8Array.of(1) });
	t.is(ending.reason, 'AS 65001, expected 65002');
	t.deepEqual(ending.cause, { type: 'notification-sent', code: 2, subcode: 2 });
});

test('a CEASE after which no routes stay is sent as Hard Reset to a peer with the N bit', (t) => {
	const ending = new Ending();
	ending.ceased({ subcode: CeaseSubcode.administrativeShutdown }, 'disabled');
	t.like(ending.notice('send-cease', 'established', false), { code: ErrorCode.cease, subcode: 2 });
	t.like(ending.notice('send-cease', 'established', true), { code: ErrorCode.cease, subcode: 9 });
	t.deepEqual(ending.cause, { type: 'administrative' });
	t.is(ending.outcome(7).ceaseSubcode, CeaseSubcode.administrativeShutdown);
});

test('a silent end sends nothing, and the peer keeps the routes', (t) => {
	const ending = new Ending();
	ending.ceased(undefined, 'restart');
	t.is(ending.notice('send-cease', 'established', true), undefined);
	t.deepEqual(ending.cause, { type: 'tcp-lost' });
});

test('an FSM error names the type of the unexpected message', (t) => {
	const ending = new Ending();
	ending.received(2);
	const notice = ending.notice('send-fsm-error', 'open-sent', false);
	t.like(notice, { code: 5, subcode: FsmSubcode.unexpectedInOpenSent, data: Uint8Array.of(2) });
	t.is(ending.reason, 'message of type 2 in state open-sent');
	t.deepEqual(ending.cause, { type: 'notification-sent', code: 5, subcode: 1 });
});

test('the end of an incoming connection without a message does not count as a failure', (t) => {
	const ending = new Ending();
	ending.attached(true);
	ending.penalize();
	t.false(ending.outcome(undefined).penalized);
	ending.received(1);
	t.true(ending.outcome(undefined).penalized);
	ending.attached(true);
	ending.faulted();
	t.true(ending.outcome(undefined).penalized);
});
