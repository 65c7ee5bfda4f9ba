import test from 'ava';
import { type LeaseFacts, mayTake, sightOf } from '../../../src/kubernetes/index.ts';

const of = (holder: string, renewTime = '2026-01-01T00:00:00.000000Z', durationSeconds = 10): LeaseFacts => ({
	holder,
	renewTime,
	durationSeconds,
});
const first = sightOf(undefined, of('other'), 1000);

const rows = [
	{ title: 'a lease without a holder', sight: sightOf(undefined, of(''), 1000), nowMs: 1000, may: true },
	{ title: 'the own lease', sight: sightOf(undefined, of('self'), 1000), nowMs: 1000, may: true },
	{
		title: 'a foreign lease at its first observation, at any stated age',
		sight: first,
		nowMs: 1000,
		may: false,
	},
	{
		title: 'a lease unchanged for less than its duration',
		sight: sightOf(first, of('other'), 10_999),
		nowMs: 10_999,
		may: false,
	},
	{
		title: 'a lease unchanged for its duration',
		sight: sightOf(first, of('other'), 11_000),
		nowMs: 11_000,
		may: true,
	},
	{
		title: 'a lease that was renewed in the meantime',
		sight: sightOf(first, of('other', '2026-01-01T00:00:05.000000Z'), 9000),
		nowMs: 11_000,
		may: false,
	},
	{ title: 'a lease that a third holder has now', sight: sightOf(first, of('third'), 9000), nowMs: 11_000, may: false },
];
for (const { title, sight, nowMs, may } of rows)
	test(`${title} ${may ? 'may be taken' : 'is left alone'}`, (t) => t.is(mayTake(sight, 'self', nowMs), may));
