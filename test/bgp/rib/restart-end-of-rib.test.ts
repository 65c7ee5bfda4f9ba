import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

const restartable = { family: 'ipv4', gracefulRestart: { forwarding: true } } as const;

test('[C202] after our restart End-of-RIB follows the selected routes', (t) => {
	const bench = new RibBench({ localAsNumber: 64512, routerId: 1, clusterId: 1, localAddresses: [] });
	bench.rib.expectPeers(['first', 'second'], 60, true);
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	const first = bench.peer('first', { families: [restartable] });
	bench.run();
	t.deepEqual([first.held.size, first.endOfRibs.length], [0, 0]);
	first.endOfRib('ipv4');
	const second = bench.peer('second', { families: [restartable] });
	bench.run();
	t.deepEqual([first.endOfRibs.length, second.endOfRibs.length], [0, 0]);
	second.endOfRib('ipv4');
	bench.run();
	t.deepEqual([first.held.size, second.held.size], [1, 1]);
	t.deepEqual([first.endOfRibs.length, second.endOfRibs.length], [1, 1]);
});

test('selection after our restart does not wait for peers that restart as well', (t) => {
	const bench = new RibBench({ localAsNumber: 64512, routerId: 1, clusterId: 1, localAddresses: [] });
	bench.rib.expectPeers(['steady', 'first', 'second'], 60, true);
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	const restarting = { families: [restartable], negotiated: { peerRestarting: true } };
	const first = bench.peer('first', restarting);
	const steady = bench.peer('steady', { families: [restartable] });
	steady.endOfRib('ipv4');
	bench.run();
	t.deepEqual([first.held.size, first.endOfRibs.length], [0, 0], 'the second peer has no session yet');
	const second = bench.peer('second', restarting);
	bench.run();
	t.deepEqual([first.held.size, second.held.size, steady.held.size], [1, 1, 1]);
	t.deepEqual([first.endOfRibs.length, second.endOfRibs.length, steady.endOfRibs.length], [1, 1, 1]);
	// Their routes have not arrived: none is swept before.
	t.false(bench.rib.inSync);
	t.deepEqual([...bench.rib.waitingFor].sort(), ['first', 'second']);
	first.endOfRib('ipv4');
	second.endOfRib('ipv4');
	t.true(bench.rib.inSync);
});

test('selection after our restart does not wait for a peer without graceful restart', (t) => {
	const bench = new RibBench({ localAsNumber: 64512, routerId: 1, clusterId: 1, localAddresses: [] });
	bench.rib.expectPeers(['plain'], 60, true);
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	const plain = bench.peer('plain', { families: [{ family: 'ipv4' }] });
	bench.run();
	t.is(plain.held.size, 1);
	t.false(bench.rib.inSync);
});
