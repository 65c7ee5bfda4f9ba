import test from 'ava';
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
	t.deepEqual(bench.rib.statistics(), { prefixes: { ipv4: 0, ipv6: 0 }, paths: { ipv4: 0, ipv6: 0 }, attributeSets: 0, updateGroups: 2, dirty: 0 });
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

test('who joins late is sent the table, then End-of-RIB', (t) => {
	const bench = new RibBench();
	const a = bench.peer('a');
	a.announce(['10.1.0.0/24']);
	bench.rib.originate('192.168.1.0/26' as never);
	bench.run();
	const late = bench.peer('late');
	bench.run();
	t.deepEqual(late.prefixes, ['10.1.0.0/24', '192.168.1.0/26']);
	t.deepEqual([...late.endOfRibs].sort(), ['ipv4', 'ipv6']);
	t.deepEqual(late.held.get('192.168.1.0/26'), { origin: 'igp', asPath: [], nextHop: Uint8Array.of(10, 0, 0, 1), localPref: 100 });
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
