import test from 'ava';
import fc from 'fast-check';

import { connectRetryMs, endsSeries, idleHoldMs, jittered } from '../../../src/bgp/fsm/retry.ts';

const always = (value: number) => () => value;

test('[C65] jitter shortens by at most a quarter', (t) => {
	fc.assert(
		fc.property(fc.double({ min: 0, max: 0.999999, noNaN: true }), (random) => {
			const value = jittered(1000, always(random));
			t.true(value >= 750 && value <= 1000);
		}),
	);
});

test('[C65] pauses between attempts double up to ConnectRetryTime', (t) => {
	const pauses = [1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => connectRetryMs(attempt, 30, always(0)));
	t.deepEqual(pauses, [750, 1500, 3000, 6000, 12000, 22500, 22500, 22500]);
});

test('[C64] each failure in a row doubles the pause in Idle', (t) => {
	t.deepEqual(
		[0, 1, 2, 3, 9, 40].map((failures) => idleHoldMs(failures, 60, always(0))),
		[0, 187.5, 375, 750, 45000, 45000],
	);
});

test('[C64] a session of sufficient duration ends the series', (t) => {
	t.false(endsSeries(59_999, 60));
	t.true(endsSeries(60_000, 60));
	t.false(endsSeries(9_000, 0));
});
