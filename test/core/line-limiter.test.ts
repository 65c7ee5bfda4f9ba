import test from 'ava';
import { LineLimiter } from '../../src/core/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { recordingLogger } from '../fakes/log.ts';

const limits = { windowMs: 60_000, lines: 3, total: 10, subjects: 4, named: 2 };

function bench() {
	const clock = new FakeClock();
	const log = recordingLogger();
	return { clock, log, limiter: new LineLimiter(clock, limits) };
}

test('of a flood about one subject a few lines are written, and the number of the others a minute later', (t) => {
	const { clock, log, limiter } = bench();
	for (let time = 0; time < 50; time++) limiter.limit(log.child({ peer: 'a' }), 'a').info('session ended', { time });
	limiter.limit(log, 'b').child({ deep: true }).warn('other');
	t.is(log.lines.length, 4);
	t.like(log.lines[3], { message: 'other', fields: { deep: true } });
	clock.advance(limits.windowMs);
	t.like(log.lines[4], {
		level: 'warn',
		message: 'log lines suppressed',
		fields: { peer: 'a', about: 'a', suppressed: 47, windowSeconds: 60 },
	});
	t.is(log.lines.length, 5);
	limiter.limit(log, 'a').info('session ended');
	t.is(log.lines.length, 6, 'the next minute begins anew');
});

test('many subjects share one bound, and the end of the minute names only some of them', (t) => {
	const { clock, log, limiter } = bench();
	for (let subject = 0; subject < 1000; subject++)
		for (let line = 0; line < 5; line++) limiter.limit(log, `peer ${subject}`).error('no');
	t.is(log.lines.length, limits.total);
	clock.advance(limits.windowMs);
	const summaries = log.lines.slice(limits.total);
	t.is(summaries.length, limits.named + 1);
	t.is(
		summaries.reduce((sum, { fields }) => sum + Number(fields['suppressed']), 0),
		5000 - limits.total,
	);
});

test('debug lines are not limited', (t) => {
	const { log, limiter } = bench();
	for (let time = 0; time < 50; time++) limiter.limit(log, 'a').debug('state');
	t.is(log.lines.length, 50);
});
