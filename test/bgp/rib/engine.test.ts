import test from 'ava';
import type { Policy } from '../../../src/bgp/index.ts';
import { prefixKey } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

test('a route of one client goes to the others, with ORIGINATOR_ID and CLUSTER_LIST', (t) => {
	const bench = new RibBench();
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	a.announce(['10.1.0.0/24', '10.1.1.0/24'], { communities: [65000 * 65536 + 1] });
	bench.run();
	t.deepEqual(a.prefixes, []);
	t.deepEqual(b.prefixes, ['10.1.0.0/24', '10.1.1.0/24']);
	t.deepEqual(c.prefixes, b.prefixes);
	t.deepEqual(b.held.get('10.1.0.0/24'), {
		origin: 'igp',
		asPath: [],
		nextHop: Uint8Array.of(10, 0, 1, 1),
		localPref: 100,
		communities: [65000 * 65536 + 1],
		originatorId: 0x0a000101,
		clusterList: [0x0a000001],
	});
	a.withdraw(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.1.0/24']);
	a.end();
	bench.run();
	t.deepEqual(b.prefixes, []);
	t.deepEqual(bench.rib.statistics(), {
		prefixes: { ipv4: 0, ipv6: 0 },
		paths: { ipv4: 0, ipv6: 0 },
		attributeSets: 0,
		attributeMemory: { heldBytes: 0, residentBytes: 2 ** 16 },
		updateGroups: 2,
		dirty: 0,
	});
});

test('IPv6 routes are reflected like IPv4 ones', (t) => {
	const bench = new RibBench();
	const [a, b] = [bench.peer('a'), bench.peer('b')];
	a.announce(['2001:db8:1::/48', '2001:db8:2::/64']);
	bench.run();
	t.deepEqual(b.prefixes, ['2001:db8:1::/48', '2001:db8:2::/64']);
	t.is(b.held.get('2001:db8:2::/64')?.nextHop?.at(-1), 1);
	a.withdraw(['2001:db8:1::/48']);
	bench.run();
	t.deepEqual(b.prefixes, ['2001:db8:2::/64']);
});

test('a peer that joins late receives the table, then End-of-RIB', (t) => {
	const bench = new RibBench();
	const a = bench.peer('a');
	a.announce(['10.1.0.0/24']);
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	bench.run();
	const late = bench.peer('late');
	bench.run();
	t.deepEqual(late.prefixes, ['10.1.0.0/24', '192.168.1.0/26']);
	t.deepEqual([...late.endOfRibs].sort(), ['ipv4', 'ipv6']);
	t.deepEqual(late.held.get('192.168.1.0/26'), {
		origin: 'igp',
		asPath: [],
		nextHop: Uint8Array.of(10, 0, 0, 1),
		localPref: 100,
	});
});

test('the best path moves between peers', (t) => {
	const bench = new RibBench();
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	a.announce(['10.1.0.0/24'], { localPref: 100 });
	bench.run();
	b.announce(['10.1.0.0/24'], { localPref: 200 });
	bench.run();
	t.is(a.held.get('10.1.0.0/24')?.localPref, 200);
	t.is(b.held.size, 0);
	t.is(c.held.get('10.1.0.0/24')?.localPref, 200);
	b.end();
	bench.run();
	t.is(a.held.size, 0);
	t.is(c.held.get('10.1.0.0/24')?.localPref, 100);
});

test('[C149] a route with an unreachable next hop is not eligible, until it becomes reachable', (t) => {
	const bench = new RibBench();
	bench.costs.set('10.0.9.1', undefined);
	const [a, b] = [bench.peer('a'), bench.peer('b')];
	a.announce(['10.1.0.0/24', '10.2.0.0/24'], { nextHop: Uint8Array.of(10, 0, 9, 1) });
	bench.run();
	t.deepEqual(b.prefixes, []);
	t.is(bench.rib.routes({ received: 'a' })[0]?.ineligible, 'NEXT_HOP is unreachable');
	bench.costs.set('10.0.9.1', 5);
	bench.rib.nextHopsChanged();
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24', '10.2.0.0/24']);
	bench.costs.set('10.0.9.1', undefined);
	bench.rib.nextHopsChanged();
	bench.run();
	t.deepEqual(b.prefixes, []);
});

test('[C156] of equal routes the one with the nearest next hop is best, also when that changes', (t) => {
	const bench = new RibBench();
	bench.costs.set('10.0.9.1', 10);
	bench.costs.set('10.0.9.2', 20);
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	b.announce(['10.1.0.0/24'], { nextHop: Uint8Array.of(10, 0, 9, 2) });
	a.announce(['10.1.0.0/24'], { nextHop: Uint8Array.of(10, 0, 9, 1) });
	bench.run();
	t.is(c.held.get('10.1.0.0/24')?.nextHop?.at(-1), 1);
	t.is(bench.rib.explain(prefixKey('10.1.0.0/24')).paths[1]?.lostAt?.step, 'igp-cost');
	bench.costs.set('10.0.9.1', 30);
	bench.rib.nextHopsChanged();
	bench.run();
	t.is(c.held.get('10.1.0.0/24')?.nextHop?.at(-1), 2);
});

test('tables grow while routes, sets and paths arrive', (t) => {
	const bench = new RibBench();
	const peers = Array.from({ length: 5 }, (_, index) => bench.peer(`peer-${index}`));
	const prefixes = Array.from({ length: 300 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
	for (const [index, peer] of peers.entries())
		for (const [med, prefix] of prefixes.entries()) peer.announce([prefix], { med: med + index });
	bench.run();
	// All equal but for the MED, and from one neighbouring AS: the first peer's routes are best.
	t.is(peers[0]?.held.size, 0);
	t.is(peers[4]?.held.size, 300);
	t.deepEqual(bench.rib.counts('peer-0')[0], {
		family: 'ipv4',
		received: 300,
		accepted: 300,
		best: 300,
		stale: 0,
		advertised: 0,
	});
	t.deepEqual(bench.rib.counts('peer-1')[0], {
		family: 'ipv4',
		received: 300,
		accepted: 300,
		best: 0,
		stale: 0,
		advertised: 300,
	});
	t.is(bench.rib.statistics().paths.ipv4, 1500);
	for (const peer of peers) peer.end();
	bench.run();
	t.is(bench.rib.statistics().attributeSets, 0);
});

test('a speaker that starts or stops reflecting, or changes its cluster ID, updates its clients, and refuses loops by the new ID', (t) => {
	const bench = new RibBench({ clusterId: undefined });
	const plain = { options: { reflectorClient: false } };
	const [a, b] = [bench.peer('a', plain), bench.peer('b', plain)];
	a.announce(['10.1.0.0/24']);
	a.announce(['10.2.0.0/24'], { originatorId: 0x0a000909, clusterList: [0x0a000063] });
	bench.run();
	t.deepEqual(b.prefixes, []);
	const identity = { localAsNumber: bench.options.localAsNumber, routerId: bench.options.routerId };
	const reflect = (clusterId: number | undefined) => {
		bench.rib.setIdentity({ ...identity, clusterId });
		for (const peer of [a, b])
			bench.rib.reconfigure(peer.name, { ...peer.options, reflectorClient: clusterId !== undefined });
		bench.run();
	};
	reflect(0x0a000062);
	t.deepEqual(b.held.get('10.1.0.0/24')?.clusterList, [0x0a000062]);
	t.deepEqual(b.held.get('10.2.0.0/24')?.clusterList, [0x0a000062, 0x0a000063]);
	const messages = b.withdrawals;
	reflect(0x0a000063);
	t.deepEqual(b.held.get('10.1.0.0/24')?.clusterList, [0x0a000063]);
	t.is(b.withdrawals, messages + 1);
	t.deepEqual(b.prefixes, ['10.1.0.0/24']);
	t.is(
		bench.rib.routes({ received: 'a', prefix: prefixKey('10.2.0.0/24') })[0]?.ineligible,
		'own cluster in CLUSTER_LIST',
	);
	t.is(bench.rib.counts('a')[0]?.accepted, 1);
	reflect(0x0a000064);
	t.deepEqual(b.prefixes, ['10.1.0.0/24', '10.2.0.0/24']);
	t.is(bench.rib.counts('a')[0]?.accepted, 2);
	reflect(undefined);
	t.deepEqual(b.prefixes, []);
	t.deepEqual([a.failures, b.failures], [[], []]);
});

test('loops are evaluated again for routes changed by import policy', (t) => {
	const bench = new RibBench();
	const marks: Policy = {
		name: 'marks',
		terms: [{ name: 'all', match: {}, action: 'accept', operations: [{ type: 'add-community', value: '65000:1' }] }],
		otherwise: 'accept',
	};
	const [a, b] = [bench.peer('a', { options: { importPolicies: [marks] } }), bench.peer('b')];
	a.announce(['10.1.0.0/24'], { asPath: [{ type: 'sequence', asNumbers: [64999] }] });
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24']);
	const { routerId, clusterId } = bench.options;
	bench.rib.setIdentity({ localAsNumber: 64999, routerId, clusterId });
	bench.run();
	t.deepEqual(b.prefixes, []);
	bench.rib.setIdentity({ localAsNumber: 64512, routerId, clusterId });
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24']);
});
