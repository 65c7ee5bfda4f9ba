import test from 'ava';
import fc from 'fast-check';
import type { Policy, PolicyTerm } from '../../../src/bgp/index.ts';
import { prefixKey } from '../../../src/core/index.ts';
import { acceptAll, RibBench } from '../../support/rib-bench.ts';

const prefix = prefixKey('10.1.0.0/24');
const inside: PolicyTerm = {
	name: 'no-tens',
	match: { prefixes: [{ prefix: prefixKey('10.0.0.0/8'), operator: 'in' }] },
	action: 'reject',
	operations: [],
};
const noTens: Policy = { name: 'edge', terms: [inside], otherwise: 'accept' };

test('for a path rejected by import policy, explain and routes name policy and term', (t) => {
	const bench = new RibBench();
	const a = bench.peer('a', { options: { importPolicies: [noTens] } });
	a.announce(['10.1.0.0/24', '172.16.0.0/24']);
	bench.run();
	const text = 'rejected by import policy edge, term no-tens';
	t.like(bench.rib.explain(prefix).paths[0], {
		ineligible: text,
		importedBy: { policy: 'edge', term: 'no-tens', action: 'reject' },
	});
	t.is(bench.rib.routes({ prefix })[0]?.ineligible, text);
	t.like(bench.rib.explain(prefixKey('172.16.0.0/24')).paths[0]?.importedBy, { term: 'otherwise', action: 'accept' });
	t.is(bench.rib.explain(prefix).announced, undefined, 'there is no best route');
});

test('explain lists the peers that receive the best route, and the reason for each other peer', (t) => {
	const bench = new RibBench();
	const a = bench.peer('a');
	bench.peer('b');
	bench.peer('c', { options: { exportPolicies: [noTens] } });
	bench.peer('d', { options: { reflectorClient: false } });
	bench.peer('e', { negotiated: { kind: 'external' } });
	a.announce(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(bench.rib.explain(prefix).announced, {
		to: ['b', 'd'],
		withheld: [
			{ reason: 'the best path is its own (split horizon)', peers: ['a'] },
			{ reason: 'rejected by export policy edge, term no-tens', peers: ['c'] },
			{ reason: 'no export policy for an external peer (RFC 8212)', peers: ['e'] },
		],
	});
});

test('explain names the reason why a route of this node reaches no peer: family, length, next hop of the policy', (t) => {
	const bench = new RibBench();
	const setsNextHop: Policy = {
		name: 'hop',
		terms: [
			{
				name: 'six',
				match: {},
				action: 'accept',
				operations: [{ type: 'set-next-hop', value: '2001:db8::1' }],
			},
		],
		otherwise: 'accept',
	};
	bench.peer('four', { families: [{ family: 'ipv4' }] });
	bench.peer('hop', { options: { exportPolicies: [setsNextHop] }, families: [{ family: 'ipv4' }] });
	const six = prefixKey('2001:db8:9::/48');
	bench.rib.originate(six, { nextHop: '2001:db8::9' });
	bench.rib.originate(prefix);
	bench.run();
	t.deepEqual(bench.rib.explain(six).announced, {
		to: [],
		withheld: [{ reason: 'ipv6 is not negotiated with the peer', peers: ['four', 'hop'] }],
	});
	t.deepEqual(bench.rib.explain(prefix).announced, {
		to: ['four'],
		withheld: [{ reason: 'export policy gives it a next hop that the peer does not accept', peers: ['hop'] }],
	});
	const long = prefixKey('10.77.0.0/24');
	const communities = Array.from({ length: 1020 }, (_, index) => `64512:${index}`);
	bench.rib.originate(long, { communities });
	bench.run();
	const withheld = bench.rib.explain(long).announced?.withheld.find(({ peers }) => peers.includes('four'));
	t.is(withheld?.reason, 'its attributes do not fit into a message');
});

test('the prefixes that contain an address are listed most specific first, unusable ones included', (t) => {
	const bench = new RibBench();
	bench.costs.set('10.0.9.9', undefined);
	const a = bench.peer('a');
	a.announce(['10.0.0.0/8', '10.1.0.0/16', '11.0.0.0/8']);
	a.announce(['10.1.0.0/24'], { nextHop: Uint8Array.of(10, 0, 9, 9) });
	bench.run();
	t.deepEqual(
		bench.rib.covering('10.1.0.7'),
		['10.1.0.0/24', '10.1.0.0/16', '10.0.0.0/8'].map((text) => prefixKey(text)),
	);
	t.is(bench.rib.explain(prefix).paths[0]?.ineligible, 'NEXT_HOP is unreachable');
	t.deepEqual(bench.rib.covering('12.0.0.1'), []);
});

const term = fc.record({
	name: fc.constantFrom('x', 'y', 'z'),
	match: fc.oneof(
		fc.constant({}),
		fc.record({
			prefixes: fc.constantFrom(
				[{ prefix: prefixKey('10.0.0.0/8'), operator: 'in' as const }],
				[{ prefix: prefixKey('10.1.0.0/24'), operator: 'equal' as const }],
				[{ prefix: prefixKey('11.0.0.0/8'), operator: 'in' as const }],
			),
		}),
		fc.record({ source: fc.constantFrom('internal' as const, 'external' as const, 'local' as const) }),
	),
	action: fc.constantFrom('accept' as const, 'reject' as const, 'continue' as const),
	operations: fc.constant([]),
});
const policy = fc.record({
	name: fc.constantFrom('p', 'q'),
	terms: fc.array(term, { maxLength: 4 }),
	otherwise: fc.constantFrom('accept' as const, 'reject' as const, 'next' as const),
});

test('the policy results in explain equal the applied ones, for any policies', (t) => {
	fc.assert(
		fc.property(fc.array(policy, { minLength: 1, maxLength: 3 }), (policies) => {
			const bench = new RibBench();
			const a = bench.peer('a', { options: { importPolicies: policies } });
			const b = bench.peer('b', { options: { exportPolicies: policies } });
			const c = bench.peer('c', { options: { exportPolicies: [acceptAll] } });
			a.announce(['10.1.0.0/24']);
			bench.rib.originate(prefixKey('11.1.0.0/24'));
			bench.run();
			const imported = bench.rib.explain(prefix);
			t.is(imported.paths[0]?.importedBy?.action === 'accept', c.held.has('10.1.0.0/24'));
			const { announced } = bench.rib.explain(prefixKey('11.1.0.0/24'));
			t.is(announced?.to.includes('b'), b.held.has('11.1.0.0/24'));
			for (const { reason } of announced?.withheld ?? []) t.not(reason, 'not sent yet');
		}),
		{ numRuns: 200 },
	);
});
