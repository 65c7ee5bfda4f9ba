import { setTimeout as pause } from 'node:timers/promises';
import test from 'ava';

import { systemClock } from '../../src/core/index.ts';

test('a timer of more than 25 days does not fire at once', async (t) => {
	const fired: string[] = [];
	const timers = [2 ** 31, 0xff_ffff * 1000].map((delayMs) =>
		systemClock.after(delayMs, () => fired.push(`${delayMs}`)),
	);
	// A Node.js timer with more milliseconds than it supports fires after one.
	systemClock.after(5, () => fired.push('soon'));
	while (fired.length === 0) await pause(5);
	t.deepEqual(fired, ['soon']);
	for (const timer of timers) timer.cancel();
});
