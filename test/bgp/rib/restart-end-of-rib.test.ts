import test from 'ava';
import { prefixKey } from '../../../src/core/index.ts';
import { RibBench } from '../../support/rib-bench.ts';

test('[C202] after a restart of ours End-of-RIB comes behind what was selected, not before', (t) => {
	const bench = new RibBench({ localAsNumber: 64512, routerId: 1, clusterId: 1, localAddresses: [] });
	bench.rib.expectPeers(['first', 'second'], 60, true);
	bench.rib.originate(prefixKey('192.168.1.0/26'));
	const first = bench.peer('first', { families: [{ family: 'ipv4' }] });
	bench.run();
	t.deepEqual([first.held.size, first.endOfRibs.length], [0, 0]);
	first.endOfRib('ipv4');
	const second = bench.peer('second', { families: [{ family: 'ipv4' }] });
	bench.run();
	t.deepEqual([first.endOfRibs.length, second.endOfRibs.length], [0, 0]);
	second.endOfRib('ipv4');
	bench.run();
	t.deepEqual([first.held.size, second.held.size], [1, 1]);
	t.deepEqual([first.endOfRibs.length, second.endOfRibs.length], [1, 1]);
});
