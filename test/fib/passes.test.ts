import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { Passes } from '../../src/fib/passes.ts';
import { Pending } from '../../src/fib/pending.ts';
import { PrefixTable } from '../../src/fib/prefix-table.ts';
import { DumpInterruptedError } from '../../src/linux/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

const interrupted = () => new DumpInterruptedError('the table changed during each of 5 dumps');

const state = new PrefixTable().of(prefixKey('10.0.0.0/26'));

interface Options {
	readonly pass?: () => Promise<void>;
	/** Behind the part that takes what is pending. */
	readonly after?: (pending: Pending) => Promise<void>;
	readonly retryInMs?: () => number | undefined;
}

/** Passes that take what is pending; `done` lists what each of them found. */
function passes({ pass, after, retryInMs = () => undefined }: Options = {}) {
	const pending = new Pending();
	const clock = new FakeClock();
	const log = recordingLogger();
	const done: { readonly audit: boolean; readonly prefixes: number }[] = [];
	const runner = new Passes({
		pending,
		retryInMs,
		auditSeconds: 90,
		retry: { firstMs: 200, mostMs: 1000 },
		clock,
		log,
		pass: async () => {
			await pass?.();
			const audit = pending.wantsAudit;
			pending.auditBegins();
			pending.foreignBegins();
			done.push({ audit, prefixes: (await pending.take(() => [])).length });
			await after?.(pending);
		},
	});
	return { pending, clock, log, done, runner };
}

test('before the start changes are only collected; the first pass reads the kernel', async (t) => {
	const { pending, done, runner } = passes();
	pending.add(state);
	runner.request();
	t.is(runner.running, undefined);
	runner.start();
	await runner.running;
	t.deepEqual(done, [{ audit: true, prefixes: 1 }]);
});

test('a change during a pass is in the next one, and passes never overlap', async (t) => {
	let inside = 0;
	const { pending, done, runner } = passes({
		after: async (waiting) => {
			t.is(inside++, 0);
			await new Promise((resolve) => setImmediate(resolve));
			inside--;
			if (done.length === 1) waiting.add(state);
		},
	});
	runner.start();
	runner.request();
	await runner.running;
	t.deepEqual(
		done.map(({ prefixes }) => prefixes),
		[0, 1],
	);
	t.true(pending.isEmpty);
});

test('a pass that fails is repeated with back-off, and reads the kernel again', async (t) => {
	let failures = 2;
	const { clock, log, done, runner } = passes({
		pass: () => (failures-- > 0 ? Promise.reject(new Error('no buffer space')) : Promise.resolve()),
	});
	runner.start();
	await runner.running;
	t.is(log.lines.length, 1);
	clock.advance(399);
	t.is(runner.running, undefined);
	clock.advance(1);
	await runner.running;
	t.is(log.lines.length, 2);
	clock.advance(800);
	await runner.running;
	t.deepEqual(done, [{ audit: true, prefixes: 0 }]);
});

test('a table that changes while it is read is read again soon, without a warning', async (t) => {
	let interruptions = 6;
	const { clock, log, done, runner } = passes({
		pass: () => (interruptions-- > 0 ? Promise.reject(interrupted()) : Promise.resolve()),
	});
	runner.start();
	await runner.running;
	t.deepEqual(done, []);
	for (const delayMs of [400, 800, 1000, 1000, 1000, 1000]) {
		clock.advance(delayMs);
		await runner.running;
	}
	t.deepEqual(done, [{ audit: true, prefixes: 0 }]);
	t.deepEqual(new Set(log.lines.map(({ level }) => level)), new Set(['debug']));
});

test('a table that never stays the same while it is read is a warning', async (t) => {
	const { clock, log, done, runner } = passes({ pass: () => Promise.reject(interrupted()) });
	runner.start();
	for (let pass = 0; pass < 11; pass++) {
		await runner.running;
		clock.advance(1000);
	}
	await runner.running;
	t.deepEqual(done, []);
	t.deepEqual(
		log.lines.map(({ level }) => level),
		[...Array<string>(10).fill('debug'), 'warn', 'warn'],
	);
});

test('a refused route is retried when due, after a read of the kernel', async (t) => {
	let due: number | undefined = 500;
	const { clock, done, runner } = passes({ retryInMs: () => due });
	runner.start();
	await runner.running;
	due = undefined;
	clock.advance(500);
	await runner.running;
	t.deepEqual(
		done.map(({ audit }) => audit),
		[true, true],
	);
});

test('an audit follows every 90 seconds, and none after the end', async (t) => {
	const { clock, done, runner } = passes();
	runner.start();
	await runner.running;
	clock.advance(90_000);
	await runner.running;
	t.is(done.length, 2);
	await runner.stop();
	clock.advance(90_000);
	runner.request();
	t.is(runner.running, undefined);
});

test('a pass follows the first event of the kernel soon, and later events of its burst once', async (t) => {
	const { pending, clock, done, runner } = passes();
	runner.start();
	await runner.running;
	clock.advance(1000);
	const passesAfter = async (ms: number) => {
		clock.advance(ms);
		await runner.running;
		return done.length;
	};
	const event = () => {
		pending.wantForeign();
		runner.requestAfterEvents();
	};
	event();
	t.is(await passesAfter(4), 1);
	t.is(await passesAfter(1), 2, 'routes that went with a link are back');
	for (let count = 0; count < 9; count++) {
		event();
		t.is(await passesAfter(10), 2, 'events that go on do not start passes one after the other');
	}
	t.is(await passesAfter(10), 3);
	event();
	t.is(await passesAfter(99), 3);
	t.is(await passesAfter(1), 4, 'the interval counts from the pass before');
	await runner.stop();
});
