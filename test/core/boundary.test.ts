import test from 'ava';
import { Boundary, guardedClock, type LogFields, type Logger } from '../../src/core/index.ts';
import { FakeClock } from '../fakes/clock.ts';

function boundary() {
	const lines: LogFields[] = [];
	const log = { error: (_message: string, fields: LogFields) => lines.push(fields) } as unknown as Logger;
	const clock = new FakeClock();
	return { lines, clock, boundary: new Boundary({ log, clock }) };
}

test('an exception or rejection of a guarded callback is counted and logged, and not passed on', async (t) => {
	const { lines, boundary: guarding } = boundary();
	guarding.guard('kernel', () => {
		throw new TypeError('at once');
	})();
	guarding.guard('cluster', async (text: string) => {
		throw new Error(text);
	})('later');
	await new Promise((resolve) => setImmediate(resolve));
	t.is(guarding.caught.get('kernel'), 1);
	t.is(guarding.caught.get('cluster'), 1);
	t.is(guarding.caught.get('control'), 0);
	t.deepEqual(
		lines.map(({ entry, error }) => [entry, String(error).split('\n')[0]]),
		[
			['kernel', 'TypeError: at once'],
			['cluster', 'Error: later'],
		],
	);
});

test('a flood of one fault is five lines and a count, and other faults are still logged', (t) => {
	const { lines, clock, boundary: guarding } = boundary();
	const fault = new Error('again');
	for (let time = 0; time < 1000; time++) guarding.report('bgp', fault);
	guarding.report('bgp', new Error('another'));
	t.is(guarding.caught.get('bgp'), 1001);
	t.is(lines.length, 6);
	clock.advance(10_000);
	t.is(lines.length, 7);
	t.like(lines[6], { entry: 'bgp', suppressed: 995 });
	guarding.report('bgp', fault);
	t.is(lines.length, 8, 'the next window begins anew');
});

test('an exception of a timer is passed to the handler of the clock', (t) => {
	const clock = new FakeClock();
	const faults: unknown[] = [];
	const guarded = guardedClock(clock, (error) => faults.push(error));
	const fault = new Error('late');
	let fired = false;
	guarded.after(10, () => {
		throw fault;
	});
	guarded.after(10, () => {
		fired = true;
	});
	guarded.after(10, () => t.fail()).cancel();
	clock.advance(10);
	t.deepEqual([faults, fired], [[fault], true]);
	t.is(guarded.monotonicMs(), clock.monotonicMs());
});
