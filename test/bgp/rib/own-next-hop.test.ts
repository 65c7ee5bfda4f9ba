import test from 'ava';
import { formatAddress, parseAddress, prefixKey } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

const six = prefixKey('2001:db8:1::/64');

test('a route of this node is sent over a session of the other family with the address of the interface', (t) => {
	const bench = new RibBench();
	bench.rib.originate(six);
	const peer = bench.peer('peer', {
		negotiated: { interfaceAddresses: { ipv6: parseAddress('2001:db8::9').bytes } },
	});
	bench.run();
	t.is(formatAddress(peer.held.get(six)?.nextHop ?? new Uint8Array(4)), '2001:db8::9');
	t.deepEqual(bench.rib.withoutNextHop(), []);
});

test('a route of this node without a next hop for a peer is reported, while it has none', (t) => {
	const bench = new RibBench();
	const peer = bench.peer('peer');
	t.deepEqual(bench.rib.withoutNextHop(), []);
	bench.rib.originate(six);
	bench.run();
	t.false(peer.held.has(six));
	t.deepEqual(bench.rib.withoutNextHop(), [{ peer: 'peer', family: 'ipv6' }]);
	bench.rib.withdrawOrigin(six);
	bench.run();
	t.deepEqual(bench.rib.withoutNextHop(), []);
});

test('a session near its prefix limit, or over it, is listed', (t) => {
	const bench = new RibBench();
	const maxPrefix = { limit: 2, warnPercent: 50, action: 'discard' } as const;
	const peer = bench.peer('peer', { options: { maxPrefix } });
	peer.announce(['10.1.0.0/24']);
	bench.run();
	t.deepEqual(bench.rib.nearLimit(), []);
	peer.announce(['10.2.0.0/24']);
	bench.run();
	t.deepEqual(bench.rib.nearLimit(), [{ peer: 'peer', family: 'ipv4', received: 2, limit: 2, action: 'discard' }]);
	peer.end();
	bench.run();
	t.deepEqual(bench.rib.nearLimit(), []);
});
