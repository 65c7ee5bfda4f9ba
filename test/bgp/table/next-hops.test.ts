import test from 'ava';
import { updateMessage } from 'bgp-packet';
import type { Policy } from '../../../src/bgp/index.ts';
import { parseAddress, parsePrefix, prefixKey } from '../../../src/core/index.ts';
import { acceptAll, RibBench } from '../../support/rib-bench.ts';

const hop = (last: number) => ({ nextHop: Uint8Array.of(10, 0, 9, last) });

test('[C149] when a next hop is lost and returns, only the routes through it are withdrawn and announced again', (t) => {
	const bench = new RibBench();
	const [a, b] = [bench.peer('a'), bench.peer('b')];
	a.announce(['10.1.0.0/24', '10.2.0.0/24'], hop(1));
	a.announce(['10.3.0.0/24', '10.4.0.0/24'], hop(2));
	bench.run();
	const before = { announcements: b.announcements, withdrawals: b.withdrawals };
	bench.costs.set('10.0.9.1', undefined);
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	bench.run();
	t.deepEqual(b.prefixes, ['10.3.0.0/24', '10.4.0.0/24']);
	t.deepEqual([b.announcements - before.announcements, b.withdrawals - before.withdrawals], [0, 2]);
	t.is(bench.rib.explain(prefixKey('10.1.0.0/24')).paths[0]?.ineligible, 'NEXT_HOP is unreachable');
	bench.costs.delete('10.0.9.1');
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	bench.run();
	t.is(b.prefixes.length, 4);
	t.deepEqual([b.announcements - before.announcements, b.withdrawals - before.withdrawals], [2, 2]);
});

test('[C149] a route with an unreachable next hop is replaced by a reachable one, and later restored', (t) => {
	const bench = new RibBench();
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	a.announce(['10.1.0.0/24'], { ...hop(1), localPref: 200 });
	b.announce(['10.1.0.0/24'], hop(2));
	bench.run();
	const seen = () => c.held.get('10.1.0.0/24')?.nextHop?.at(-1);
	t.is(seen(), 1);
	bench.costs.set('10.0.9.1', undefined);
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	bench.run();
	t.is(seen(), 2);
	bench.costs.set('10.0.9.1', 7);
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	bench.run();
	t.is(seen(), 1);
	t.is(c.withdrawals, 0);
});

test('next hops that are not reported are not evaluated again', (t) => {
	const bench = new RibBench();
	const [a, b] = [bench.peer('a'), bench.peer('b')];
	a.announce(['10.1.0.0/24'], hop(1));
	bench.run();
	bench.costs.set('10.0.9.1', undefined);
	bench.rib.nextHopsChanged(new Set(['10.0.9.2']));
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24']);
});

test('all prefixes of a lost next hop are updated, even more than fit one step', (t) => {
	const bench = new RibBench();
	const [a, b] = [bench.peer('a'), bench.peer('b')];
	const prefixes = Array.from({ length: 40_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
	for (let at = 0; at < prefixes.length; at += 500) a.announce(prefixes.slice(at, at + 500), hop(1));
	bench.run();
	t.is(b.held.size, 40_000);
	bench.costs.set('10.0.9.1', undefined);
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	bench.run();
	t.is(b.held.size, 0);
});

test('own announcements do not depend on the route to their next hop', (t) => {
	const bench = new RibBench();
	bench.costs.set('10.0.9.9', undefined);
	const b = bench.peer('b');
	bench.rib.originate(prefixKey('192.168.1.0/26'), { nextHop: '10.0.9.9' });
	bench.rib.originate(prefixKey('192.168.2.0/26'));
	bench.run();
	t.deepEqual(b.prefixes, ['192.168.1.0/26', '192.168.2.0/26']);
});

test('next hops of neighbours are published with cost and interface, each once and while a route uses it', (t) => {
	const bench = new RibBench();
	bench.costs.set('10.0.9.1', 5);
	bench.costs.set('10.0.9.2', undefined);
	bench.interfaces.set('10.0.9.1', 'eth0');
	const [a, b] = [
		bench.peer('a'),
		bench.peer('b', { options: { importPolicies: [{ name: 'none', terms: [], otherwise: 'reject' }] } }),
	];
	a.announce(['10.1.0.0/24'], hop(1));
	a.announce(['10.2.0.0/24'], hop(2));
	b.announce(['10.1.0.0/24'], hop(1));
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	bench.run();
	t.deepEqual(bench.rib.nextHops(), [
		{ nextHop: '10.0.9.1', reachable: true, cost: 5, interface: 'eth0' },
		{ nextHop: '10.0.9.2', reachable: false },
	]);
	a.withdraw(['10.2.0.0/24']);
	bench.run();
	t.deepEqual(
		bench.rib.nextHops().map(({ nextHop }) => nextHop),
		['10.0.9.1'],
	);
});

const byInterface = (pattern: string): Policy => ({
	name: 'by-interface',
	terms: [{ match: { interface: pattern }, action: 'reject', operations: [] }],
	otherwise: 'accept',
});

test('import policy refuses by the interface of the next hop, and is evaluated again when that changes', (t) => {
	const bench = new RibBench();
	bench.interfaces.set('10.0.9.1', 'eth0');
	bench.interfaces.set('10.0.9.2', 'wg0');
	const [a, b] = [bench.peer('a', { options: { importPolicies: [byInterface('wg*')] } }), bench.peer('b')];
	a.announce(['10.1.0.0/24'], hop(1));
	a.announce(['10.2.0.0/24'], hop(2));
	a.announce(['10.3.0.0/24'], hop(3));
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24', '10.3.0.0/24'], 'an interface that is not known is no wg');
	t.is(
		bench.rib.explain(prefixKey('10.2.0.0/24')).paths[0]?.ineligible,
		'rejected by import policy by-interface, term 1',
	);
	bench.interfaces.set('10.0.9.1', 'wg1');
	bench.interfaces.set('10.0.9.2', 'eth1');
	bench.rib.nextHopsChanged();
	bench.run();
	t.deepEqual(b.prefixes, ['10.2.0.0/24', '10.3.0.0/24']);
	t.is(b.announcements, 3, 'what stayed was not announced again');
});

test('export policy refuses by the interface of the next hop, and is evaluated again when that changes; routes of this node have none', (t) => {
	const bench = new RibBench();
	bench.interfaces.set('10.0.9.1', 'eth0');
	bench.interfaces.set('10.0.9.2', 'wg0');
	const a = bench.peer('a');
	const [b, other] = [
		bench.peer('b', { options: { exportPolicies: [byInterface('wg*')] } }),
		bench.peer('other', { options: { exportPolicies: [acceptAll] } }),
	];
	a.announce(['10.1.0.0/24'], hop(1));
	a.announce(['10.2.0.0/24'], hop(2));
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	bench.run();
	t.deepEqual(b.prefixes, ['10.1.0.0/24', '192.168.1.0/26']);
	const { messages } = other;
	bench.interfaces.set('10.0.9.1', 'wg1');
	bench.interfaces.set('10.0.9.2', 'eth1');
	bench.rib.nextHopsChanged(new Set(['10.0.9.1', '10.0.9.2']));
	bench.run();
	t.deepEqual(b.prefixes, ['10.2.0.0/24', '192.168.1.0/26']);
	t.is(other.messages, messages, 'who does not ask for interfaces hears nothing');
});

for (const { title, from, ineligible } of [
	{
		title: 'from another host it makes the route ineligible',
		from: {},
		ineligible: 'NEXT_HOP is an address of this node',
	},
	{
		title: 'from a neighbour on this host it is accepted',
		from: { peerAddress: Uint8Array.of(127, 0, 0, 2) },
		ineligible: undefined,
	},
]) {
	test(`[C118] a loopback address as the next hop: ${title}`, (t) => {
		const bench = new RibBench();
		const peer = bench.peer('a', { negotiated: from });
		peer.announce(['10.1.0.0/24'], { nextHop: Uint8Array.of(127, 9, 9, 9) });
		peer.announce(['2001:db8:1::/48'], {
			nextHop: Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0)),
		});
		bench.run();
		t.deepEqual(
			bench.rib.routes({ received: 'a' }).map((route) => route.ineligible),
			[ineligible, ineligible],
		);
	});
}

/** 500 routes, each with a next hop of its own. */
const manyRoutes = (round: number) =>
	Array.from({ length: 500 }, (_, index) => ({
		prefix: `10.${index >> 8}.${index & 0xff}.0/24`,
		nextHop: Uint8Array.of(11, round, index >> 8, index & 0xff),
	}));

test('unused next hops are removed eventually, and used ones are kept', (t) => {
	const bench = new RibBench();
	const [a, b, c] = [bench.peer('a'), bench.peer('b'), bench.peer('c')];
	a.announce(['172.16.0.0/16'], hop(1));
	a.announce(['172.17.0.0/16'], hop(2));
	for (let round = 1; round <= 8; round++) {
		for (const { prefix, nextHop } of manyRoutes(round)) b.announce([prefix], { nextHop });
		bench.run();
	}
	t.true(bench.goneNextHops.length > 2000, `${bench.goneNextHops.length}`);
	t.true(bench.goneNextHops.every((nextHop) => !nextHop.startsWith('10.0.9.') && !nextHop.startsWith('11.8.')));
	t.is(bench.rib.nextHops().length, 502);
	t.deepEqual(c.held.get('10.1.0.0/24')?.nextHop, Uint8Array.of(11, 8, 1, 0));
	// A permanent next hop still reacts to changes, and a returning one is requested anew.
	bench.costs.set('10.0.9.1', undefined);
	bench.costs.set('11.1.1.0', undefined);
	bench.rib.nextHopsChanged(new Set(['10.0.9.1']));
	b.announce(['10.1.0.0/24'], { nextHop: Uint8Array.of(11, 1, 1, 0) });
	bench.run();
	t.deepEqual(
		[c.held.has('172.16.0.0/16'), c.held.has('172.17.0.0/16'), c.held.has('10.1.0.0/24'), c.held.has('10.1.1.0/24')],
		[false, true, false, true],
	);
});

const fe80b = parseAddress('fe80::b').bytes;
const zeros = new Uint8Array(16);
const both = (global: Uint8Array, linkLocal: Uint8Array) => Uint8Array.from([...global, ...linkLocal]);
const announcing = (prefix: string, nextHop: Uint8Array, localPref = 100) => {
	const { family, bytes, length } = parsePrefix(prefix);
	const nlri = [{ family, bytes, length }];
	const afi = family === 'ipv4' ? 1 : 2;
	return updateMessage({
		attributes: {
			origin: 'igp',
			asPath: [],
			localPref,
			mpReach: { afi, safi: 1, nextHop, routes: { type: 'prefixes', nlri } },
		},
	});
};

for (const { title, nextHop } of [
	{ title: 'a link-local next hop', nextHop: fe80b },
	{ title: 'a link-local next hop behind an unspecified address (RFC 2545 §3)', nextHop: both(zeros, fe80b) },
	{ title: 'a link-local next hop that is sent twice', nextHop: both(fe80b, fe80b) },
]) {
	test(`${title} belongs to the interface of its session`, (t) => {
		const bench = new RibBench();
		const installed = new Map<string, string>();
		bench.rib.onChanges((changes) => {
			for (const change of changes)
				if (change.type === 'install')
					installed.set(change.route.prefix, `${change.route.nextHop} ${change.route.nextHopInterface}`);
				else installed.delete(change.prefix);
		});
		const families = [{ family: 'ipv4', extendedNextHop: true } as const, { family: 'ipv6' } as const];
		const left = bench.peer('left', { families, negotiated: { interfaceName: 'eth0' } });
		const right = bench.peer('right', { families, negotiated: { interfaceName: 'eth1' } });
		// Both neighbors have the same link-local address.
		for (const [peer, third] of [
			[left, 1],
			[right, 2],
		] as const) {
			peer.send(announcing(`198.51.${third}.0/24`, nextHop));
			peer.send(announcing(`2001:db8:${third}::/48`, nextHop));
		}
		right.send(announcing('198.51.1.0/24', nextHop, 50));
		bench.run();
		t.deepEqual([...installed].sort(), [
			['198.51.1.0/24', 'fe80::b eth0'],
			['198.51.2.0/24', 'fe80::b eth1'],
			['2001:db8:1::/48', 'fe80::b eth0'],
			['2001:db8:2::/48', 'fe80::b eth1'],
		]);
		// The first link goes down: the path of the other peer becomes best.
		bench.costs.set('fe80::b%eth0', undefined);
		bench.rib.nextHopsChanged(new Set(['fe80::b%eth0']));
		bench.run();
		t.deepEqual([...installed].sort(), [
			['198.51.1.0/24', 'fe80::b eth1'],
			['198.51.2.0/24', 'fe80::b eth1'],
			['2001:db8:2::/48', 'fe80::b eth1'],
		]);
		t.is(bench.rib.explain(prefixKey('198.51.1.0/24')).paths[0]?.nextHop, 'fe80::b');
	});
}
