import test from 'ava';
import { OwnRestart } from '../../../src/bgp/speaker/own-restart.ts';
import { FakeClock } from '../../fakes/clock.ts';

test('the R bit is set from the start until the tables are complete', (t) => {
	const restart = new OwnRestart({ restarting: true, forwardingPreserved: true }, new FakeClock());
	t.deepEqual(restart.options, { restarting: true, forwardingPreserved: true });
	restart.complete();
	t.deepEqual(restart.options, { restarting: false, forwardingPreserved: true });
});

test('without the routes of an earlier process the F bit is clear until the tables are complete', (t) => {
	const restart = new OwnRestart({ restarting: true, forwardingPreserved: true }, new FakeClock());
	restart.setForwardingPreserved(false);
	t.deepEqual(restart.options, { restarting: true, forwardingPreserved: false });
	restart.complete();
	t.deepEqual(restart.options, { restarting: false, forwardingPreserved: true });
});

test('an administrative restart sets R and F for two minutes from the last one', (t) => {
	const clock = new FakeClock();
	const restart = new OwnRestart({ restarting: false, forwardingPreserved: false }, clock);
	t.deepEqual(restart.options, { restarting: false, forwardingPreserved: false });
	restart.bridge();
	clock.advance(60_000);
	restart.bridge();
	clock.advance(119_999);
	t.deepEqual(restart.options, { restarting: true, forwardingPreserved: true });
	clock.advance(1);
	t.deepEqual(restart.options, { restarting: false, forwardingPreserved: false });
	restart.bridge();
	restart.stop();
	t.is(clock.pendingCount, 0);
});
