import test from 'ava';
import { InterfaceAddresses, type InterfaceList } from '../../../src/bgp/session/interface-addresses.ts';
import { formatAddress } from '../../../src/core/index.ts';
import { FakeClock } from '../../fakes/clock.ts';

const row = (address: string, internal = false) => ({ address, internal });

test('interface addresses are found by interface and by address, and read once a second', (t) => {
	const clock = new FakeClock();
	let list: InterfaceList = {
		lo: [row('127.0.0.1', true), row('::1', true)],
		eth0: [row('fe80::1'), row('10.0.0.1'), row('10.0.0.2'), row('2001:db8::1'), row('2001:db8:0:0::2')],
		eth1: [row('fe80::1')],
	};
	let reads = 0;
	const interfaces = new InterfaceAddresses(clock, () => {
		reads++;
		return list;
	});
	t.deepEqual(
		['10.0.0.2', '2001:db8::2', 'fe80::1', '10.0.0.9'].map((address) => interfaces.nameOf(address)),
		['eth0', 'eth0', undefined, undefined],
	);
	const { ipv4, ipv6 } = interfaces.globalOf('eth0');
	t.deepEqual(
		[ipv4, ipv6].map((bytes) => bytes && formatAddress(bytes)),
		['10.0.0.1', '2001:db8::1'],
	);
	t.deepEqual([interfaces.globalOf('eth1'), interfaces.globalOf('lo')], [{}, {}]);
	t.is(reads, 1);
	list = { eth2: [row('10.0.0.9')] };
	clock.advance(1000);
	t.is(interfaces.nameOf('10.0.0.9'), 'eth2');
	t.is(reads, 2);
});
