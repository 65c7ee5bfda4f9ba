import test from 'ava';
import fc from 'fast-check';

import { TimerWheel } from '../../../src/bgp/session/timer-wheel.ts';
import { FakeClock } from '../../fakes/clock.ts';

/** Timers fire up to this late. */
const slotMs = 50;

test('a timer fires once, never early, at most a slot late', (t) => {
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 0, max: 100_000 }), (delay, before) => {
			const clock = new FakeClock();
			clock.advance(before);
			let fired = 0;
			new TimerWheel(clock).timer(() => fired++).arm(delay);
			if (delay > 0) {
				clock.advance(delay - 1);
				t.is(fired, 0);
				clock.advance(1);
			}
			clock.advance(slotMs);
			t.is(fired, 1);
			clock.advance(1_000_000);
			t.is(fired, 1);
		}),
		{ numRuns: 200 },
	);
});

test('re-arming moves the deadline, earlier or later', (t) => {
	const clock = new FakeClock();
	let fired = 0;
	const timer = new TimerWheel(clock).timer(() => fired++);
	timer.arm(1000);
	for (let step = 0; step < 100; step++) {
		clock.advance(900);
		timer.arm(1000);
	}
	t.is(fired, 0);
	timer.arm(100_000);
	timer.arm(200);
	clock.advance(200 + slotMs);
	t.is(fired, 1);
	t.false(timer.armed);
});

test('many timers, armed and moved at any time, each fire within a slot of their last deadline', (t) => {
	const move = fc.record({
		timer: fc.nat(5),
		delay: fc.integer({ min: 1, max: 120_000 }),
		pause: fc.integer({ min: 0, max: 20_000 }),
	});
	fc.assert(
		fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
			const clock = new FakeClock();
			const wheel = new TimerWheel(clock);
			const deadlines: (number | undefined)[] = [];
			const timers = Array.from({ length: 6 }, (_, index) =>
				wheel.timer(() => {
					const deadline = deadlines[index] ?? Number.POSITIVE_INFINITY;
					t.true(
						clock.monotonicMs() >= deadline && clock.monotonicMs() <= deadline + slotMs,
						`${clock.monotonicMs()} for ${deadline}`,
					);
					deadlines[index] = undefined;
				}),
			);
			for (const { timer, delay, pause } of moves) {
				timers[timer]?.arm(delay);
				deadlines[timer] = clock.monotonicMs() + delay;
				clock.advance(pause);
			}
			clock.advance(200_000);
			t.deepEqual(
				deadlines.filter((deadline) => deadline !== undefined),
				[],
			);
		}),
	);
});

test('a disarmed timer does not fire', (t) => {
	const clock = new FakeClock();
	const timer = new TimerWheel(clock).timer(() => t.fail());
	timer.arm(10);
	timer.disarm();
	clock.advance(1000);
	t.is(timer.remainingMs, undefined);
});

test('thousands of timers are one pending call of the clock', (t) => {
	const clock = new FakeClock();
	const wheel = new TimerWheel(clock);
	let fired = 0;
	for (let index = 0; index < 5000; index++) wheel.timer(() => fired++).arm(30_000 + index);
	t.is(clock.pendingCount, 1);
	clock.advance(35_000 + slotMs);
	t.is(fired, 5000);
	t.is(clock.pendingCount, 0);
});

test('a timer may be armed from its own callback', (t) => {
	const clock = new FakeClock();
	let fired = 0;
	const timer = new TimerWheel(clock).timer(() => {
		if (++fired < 10) timer.arm(1000);
	});
	timer.arm(1000);
	clock.advance(20_000);
	t.is(fired, 10);
});

test('timers fire after the machine slept through their time', (t) => {
	const clock = new FakeClock();
	const wheel = new TimerWheel(clock);
	let fired = 0;
	for (const delay of [10, 5000, 50_000, 100_000]) wheel.timer(() => fired++).arm(delay);
	clock.advance(10_000_000);
	t.is(fired, 4);
});
