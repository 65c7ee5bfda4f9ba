import test from 'ava';
import fc from 'fast-check';
import { AttributePool } from '../../../src/bgp/table/attribute-pool.ts';
import { Candidates, decisionSteps, selectBest } from '../../../src/bgp/table/decision.ts';
import { NextHops } from '../../../src/bgp/table/next-hops.ts';
import { prefixKey } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

const prefix = '10.1.0.0/24';
const key = prefixKey(prefix);
const path = (...asNumbers: number[]) => [{ type: 'sequence' as const, asNumbers }];

/**
 * Two routes that differ in one step; the second peer's is better, though the first would win every
 * later step.
 */
const rows = [
	{ step: 'local-pref', worse: { localPref: 100 }, better: { localPref: 101, asPath: path(1, 2, 3) } },
	{ step: 'as-path-length', worse: { asPath: path(1, 2) }, better: { asPath: path(1), origin: 'incomplete' } },
	{
		step: 'as-path-length',
		worse: { asPath: path(1, 2) },
		better: { asPath: [{ type: 'set', asNumbers: [3, 4, 5] }], origin: 'incomplete' },
	},
	{ step: 'origin', worse: { origin: 'egp' }, better: { origin: 'igp', med: 9 } },
	{ step: 'med', worse: { asPath: path(1), med: 2 }, better: { asPath: path(1), med: 1 } },
	{ step: 'med', worse: { asPath: path(1), med: 1 }, better: { asPath: path(1) } },
	{ step: 'router-id', worse: { originatorId: 9 }, better: { originatorId: 8, clusterList: [1, 2, 3] } },
	{
		step: 'cluster-list-length',
		worse: { originatorId: 8, clusterList: [5, 6] },
		better: { originatorId: 8, clusterList: [5] },
	},
] as const;

for (const [index, { step, worse, better }] of rows.entries()) {
	test(`${step} decides, and is named as the criterion (${index + 1})`, (t) => {
		const bench = new RibBench();
		const [first, second, reader] = [bench.peer('first'), bench.peer('second'), bench.peer('reader')];
		first.announce([prefix], worse);
		second.announce([prefix], better);
		bench.run();
		t.is(bench.rib.routes({ prefix: key }).find(({ best }) => best)?.peer, 'second');
		t.true(reader.held.has(prefix));
		const { paths } = bench.rib.explain(key);
		t.is(paths[0]?.peer, 'second');
		t.is(paths[1]?.lostAt?.step, step);
	});
}

test('a MED of another neighbouring AS is not compared', (t) => {
	const bench = new RibBench();
	const [first, second] = [bench.peer('first'), bench.peer('second')];
	first.announce([prefix], { asPath: path(1), med: 200 });
	second.announce([prefix], { asPath: path(2), med: 1 });
	bench.run();
	t.is(bench.rib.explain(key).paths[1]?.lostAt?.step, 'router-id');
	t.is(bench.rib.explain(key).paths[0]?.peer, 'first');
});

test('of equal routes the lower peer address decides', (t) => {
	const bench = new RibBench();
	const [second, first] = [
		bench.peer('a', { negotiated: { peerRouterId: 7, peerAddress: Uint8Array.of(10, 9, 9, 9) } }),
		bench.peer('b', { negotiated: { peerRouterId: 7, peerAddress: Uint8Array.of(9, 255, 9, 9) } }),
	];
	second.announce([prefix]);
	first.announce([prefix]);
	bench.run();
	t.is(bench.rib.explain(key).paths[0]?.peer, 'b');
	t.is(bench.rib.explain(key).paths[1]?.lostAt?.step, 'peer-address');
});

const someSets = fc.array(
	fc.record({
		localPref: fc.constantFrom(100, 100, 100, 200),
		asPathLength: fc.constantFrom(1, 1, 2),
		neighborAs: fc.constantFrom(1, 2, 3),
		med: fc.constantFrom(0, 1, 2),
		external: fc.constantFrom(0, 1),
		routerId: fc.constantFrom(1, 2, 3),
		peer: fc.integer({ min: 1, max: 9 }),
	}),
	{ minLength: 2, maxLength: 6 },
);

test('[C154][C165] the best path does not depend on the order of arrival', (t) => {
	fc.assert(
		fc.property(someSets, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (sets, numbers) => {
			const pool = new AttributePool(() => 0.5, 16);
			const nextHops = new NextHops(() => 0);
			const steps = decisionSteps(pool, nextHops, (left, right) => left - right);
			for (const [index, set] of sets.entries()) {
				pool.localPref[index + 1] = set.localPref;
				pool.asPathLength[index + 1] = set.asPathLength;
				pool.neighborAs[index + 1] = set.neighborAs;
				pool.med[index + 1] = set.med;
				pool.flags[index + 1] = set.external;
				pool.routerId[index + 1] = set.routerId;
				pool.peer[index + 1] = set.peer;
			}
			const best = (order: readonly number[]) => {
				const candidates = new Candidates();
				// Paths of one peer differ in their identifiers.
				for (const id of order) candidates.add(id, id);
				return candidates.attributes[selectBest(steps, candidates)];
			};
			const ids = sets.map((_, index) => index + 1);
			const shuffled = ids
				.map((id) => ({ id, at: numbers.next().value ?? 0 }))
				.sort((left, right) => left.at - right.at)
				.map(({ id }) => id);
			t.is(best(shuffled), best(ids));
		}),
		{ numRuns: 1000 },
	);
});
