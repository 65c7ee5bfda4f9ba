import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { HostFelix } from '../../src/node/host-felix.ts';
import { FakeClock } from '../fakes/clock.ts';

test('Felix on the host is found at the start and followed every minute', async (t) => {
	const clock = new FakeClock();
	let answer: Promise<boolean> = Promise.resolve(true);
	let changes = 0;
	const felix = new HostFelix({
		...{ clock, log: silentLogger },
		felixRunsOnHost: () => answer,
		changed: () => {
			changes++;
		},
	});
	const nextLook = async () => {
		clock.advance(60_000);
		await new Promise(setImmediate);
	};

	await felix.start();
	t.true(felix.runs);
	t.is(changes, 1);

	// Processes that cannot be read leave the result as it is.
	answer = Promise.reject(new Error('EACCES'));
	await nextLook();
	t.true(felix.runs);

	answer = Promise.resolve(false);
	await nextLook();
	t.false(felix.runs);
	t.is(changes, 2);

	felix.stop();
	answer = Promise.resolve(true);
	await nextLook();
	t.false(felix.runs);
});
