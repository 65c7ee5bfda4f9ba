import test from 'ava';
import { TimerWheel } from '../../../src/bgp/session/timer-wheel.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { rawSession } from '../../support/raw-session.ts';

const update = Buffer.from(`${'ff'.repeat(16)}00170200000000`, 'hex');

test('an unexpected exception ends only its session, and the next one is accepted', async (t) => {
	const faults: unknown[] = [];
	const session = await rawSession(t, {}, { onFault: (error) => faults.push(error) });
	const fault = new TypeError('a fault in the RIB');
	session.rib.onUpdate = () => {
		throw fault;
	};
	const raw = await session.establish();
	await eventually('the session is established', () => session.state() === 'established');
	raw.sendBytes(update);
	await raw.end();
	t.deepEqual(faults, [fault]);
	session.rib.onUpdate = () => {};
	const again = await session.establish();
	await eventually('the session is established again', () => session.state() === 'established');
	again.sendBytes(update);
	await eventually('an UPDATE arrives', () => session.rib.sessions.at(-1)?.updates.length === 1);
	t.is(faults.length, 1);
});

test('an exception of a timer or of the end of a session ends only that session, which is retried', async (t) => {
	const clock = new FakeClock();
	const faults: string[] = [];
	const session = await rawSession(t, {}, { clock, onFault: (error) => faults.push(String(error)) });
	const raw = await session.establish({ holdTimeSeconds: 9 });
	await eventually('the session is established', () => session.state() === 'established');
	const [recorded] = session.rib.sessions;
	if (recorded === undefined) return t.fail();
	Object.defineProperty(recorded, 'ended', {
		set() {
			throw new TypeError('the RIB');
		},
	});
	clock.advance(9100);
	await eventually('the fault is reported', () => faults.length > 0);
	t.true(faults.every((text) => text === 'TypeError: the RIB'));
	await raw.end();
	await eventually('the session has ended', () => session.state() !== 'established');
	clock.advance(120_000);
	await session.establish();
	return eventually('the session is established again', () => session.state() === 'established');
});

test('an observer of session events that throws is reported, and no session notices', async (t) => {
	const faults: string[] = [];
	const session = await rawSession(t, {}, { onFault: (error) => faults.push(String(error)) });
	session.speaker.onEvent(() => {
		throw new Error('an observer');
	});
	const seen: string[] = [];
	session.speaker.onEvent(({ type }) => seen.push(type));
	await session.establish();
	await eventually('the session is established', () => session.state() === 'established');
	t.true(seen.includes('established'));
	t.true(faults.length > 0);
});

test('a timer that throws does not delay or lose the others', (t) => {
	const clock = new FakeClock();
	const faults: string[] = [];
	const wheel = new TimerWheel(clock, (error) => faults.push(String(error)));
	let fired = 0;
	for (const name of ['a', 'b', 'c'])
		wheel
			.timer(() => {
				fired++;
				if (name === 'b') throw new Error(name);
			})
			.arm(100);
	clock.advance(200);
	t.deepEqual([fired, faults], [3, ['Error: b']]);
	wheel.timer(() => fired++).arm(100);
	clock.advance(200);
	t.is(fired, 4);
});
