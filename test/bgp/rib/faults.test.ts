import test from 'ava';
import { createRib } from '../../../src/bgp/index.ts';
import { Jobs } from '../../../src/bgp/rib/jobs.ts';
import { Settling, type SettlingDependencies } from '../../../src/bgp/rib/settling.ts';
import { prefixKey, silentLogger } from '../../../src/core/index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { RibBench, ribOptions } from '../../support/rib-bench.ts';

const prefix = '10.1.0.0/24';

/** A RIB whose faults are collected. */
function bench() {
	const faults: unknown[] = [];
	return {
		faults,
		bench: new RibBench({}, Math.random, silentLogger, {}, (error) => faults.push(error)),
	};
}

test('a listener of best routes that throws affects neither other listeners nor announcements', (t) => {
	const { bench: rib, faults } = bench();
	const fault = new TypeError('a listener');
	let seen = 0;
	rib.rib.onChanges(() => {
		throw fault;
	});
	rib.rib.onChanges((changes) => {
		seen += changes.length;
	});
	const a = rib.peer('a');
	const b = rib.peer('b');
	a.announce([prefix]);
	rib.run();
	t.deepEqual(faults, [fault]);
	t.is(seen, 1);
	t.deepEqual(b.prefixes, [prefix]);
});

test('a session whose socket throws ends alone; selection and the other sessions continue', (t) => {
	const { bench: rib, faults } = bench();
	const a = rib.peer('a');
	const b = rib.peer('b');
	const c = rib.peer('c');
	rib.run();
	const fault = new Error('the socket');
	b.write = () => {
		throw fault;
	};
	a.announce([prefix]);
	rib.run();
	t.deepEqual(faults, [fault]);
	t.deepEqual(b.failures, [{ code: 6, subcode: 8, data: '', reason: 'internal error, the log has the details' }]);
	t.deepEqual(c.prefixes, [prefix]);
	a.announce(['10.2.0.0/24']);
	rib.run();
	t.deepEqual(c.prefixes, [prefix, '10.2.0.0/24']);
	t.is(faults.length, 1, 'the group no longer serves the session');
});

test('a new session whose first write throws ends alone', (t) => {
	const { bench: rib, faults } = bench();
	const a = rib.peer('a');
	a.announce([prefix]);
	rib.run();
	const b = rib.peer('b');
	b.write = () => {
		throw new Error('the socket');
	};
	rib.run();
	t.is(faults.length, 1);
	t.is(b.failures.length, 1);
	const c = rib.peer('c');
	rib.run();
	t.deepEqual(c.prefixes, [prefix]);
});

test('a fault of a whole group ends the sessions of its members, and later sessions are served', (t) => {
	const { bench: rib, faults } = bench();
	const a = rib.peer('a', { options: { reflectorClient: false } });
	const b = rib.peer('b');
	rib.run();
	let isBroken = true;
	Object.defineProperty(b, 'bufferedBytes', {
		get() {
			if (isBroken) throw new Error('the group');
			return 0;
		},
	});
	a.announce([prefix]);
	rib.run();
	isBroken = false;
	t.true(faults.length > 0);
	t.is(b.failures.length, 1);
	const c = rib.peer('c');
	rib.run();
	t.deepEqual(c.prefixes, [prefix]);
	a.announce(['10.2.0.0/24']);
	rib.run();
	t.deepEqual(c.prefixes, [prefix, '10.2.0.0/24']);
});

test('a failed job ends alone, and a failed selection is repeated after a pause', (t) => {
	const clock = new FakeClock();
	const turns: (() => void)[] = [];
	const faults: string[] = [];
	const onFault = (error: unknown) => faults.push(String(error));
	const jobs = new Jobs(clock, (turn) => turns.push(turn), onFault);
	const run = () => {
		for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
	};
	let steps = 0;
	jobs.add(() => {
		throw new Error('a job');
	});
	jobs.add(() => ++steps < 3);
	run();
	t.deepEqual([faults, steps], [['Error: a job'], 3]);
	let settled = 0;
	// No prefix waits in these tables; the other parts are not reached.
	const tables = { ipv4: { dirtyCount: 0 }, ipv6: { dirtyCount: 0 } };
	const settling = new Settling({
		...({ jobs, clock, onFault, tables, isDeferred: () => false } as unknown as SettlingDependencies),
		settled() {
			if (++settled === 1) throw new Error('selection');
		},
	});
	settling.soon();
	settling.soon();
	run();
	t.deepEqual([faults.length, settled], [2, 1]);
	clock.advance(1000);
	run();
	t.is(settled, 2);
	settling.soon();
	run();
	t.is(settled, 3);
});

test('without a handler a fault propagates to the event loop', (t) => {
	const turns: (() => void)[] = [];
	const clock = new RibBench().clock;
	const rib = createRib(ribOptions, { clock, log: silentLogger, defer: (turn) => void turns.push(turn) });
	rib.onChanges(() => {
		throw new TypeError('a listener');
	});
	rib.originate(prefixKey(prefix));
	t.throws(() => turns.shift()?.(), { instanceOf: TypeError });
});
