import test from 'ava';
import { SetKeeper } from '../../src/ebpf/policy/set-keeper.ts';
import { set } from '../nftables/fixtures.ts';
import { closeMaps, openMaps } from './bench.ts';
import { noBpf } from './support.ts';

if (noBpf !== undefined) console.warn(`SKIPPED: sets of policy in maps: ${noBpf}`);
const kernelTest = noBpf === undefined ? test : test.skip;

const one = set('one', ['10.3.0.1/32', '10.3.0.0/24', 'fd00::1/128']);
const ports = set('ports', ['10.3.0.1,6,80', 'fd00::1,17,53'], 'address-ports');

kernelTest(
	'maps have the members of sets and no others: after a change, a removal, and a start with what is there',
	(t) => {
		const maps = openMaps();
		t.teardown(() => closeMaps(maps));
		const sizes = () => (['nets', 'address_ports'] as const).map((name) => [...(maps.get(name)?.keys() ?? [])].length);
		const first = new SetKeeper(maps);
		first.add(one);
		first.add(ports);
		t.deepEqual(sizes(), [3, 2]);
		first.change({ id: 'one', type: 'nets', added: ['10.3.0.2/32'], removed: ['10.3.0.1/32', 'fd00::1/128'] });
		t.deepEqual(sizes(), [2, 2]);
		first.remove('ports');
		t.false(first.has('ports'));
		t.deepEqual(sizes(), [2, 0]);

		const next = new SetKeeper(maps);
		const { added, removed, sweep } = next.fill([set('one', ['10.3.0.2/32', '10.3.0.3/32']), ports]);
		t.deepEqual([added, removed], [3, 1]);
		t.deepEqual(sizes(), [3, 2], 'what programs still look up stays');
		sweep();
		t.deepEqual(sizes(), [2, 2]);
		next.remove('one');
		t.deepEqual(sizes(), [0, 2]);
	},
);
