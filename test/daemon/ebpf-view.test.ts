import test from 'ava';
import { hostViews } from '../../src/daemon/policy/ebpf-view.ts';

test('host endpoints: by programs with early ones named, by nftables, and without an interface', (t) => {
	const kernel = {
		hostInterfaces: new Map([
			['eth0', 'uplink'],
			['eth1', 'storage'],
		]),
		earlyPrograms: new Map([
			['eth0', ['host_raw_in', 'host_pre']],
			['eth1', []],
		]),
	};
	t.deepEqual(hostViews(kernel, new Map([['every', 'it is for "*"']]), ['uplink', 'storage', 'every', 'gone']), [
		{ endpoint: 'uplink', interface: 'eth0', early: ['host_raw_in', 'host_pre'] },
		{ endpoint: 'storage', interface: 'eth1' },
		{ endpoint: 'every', leftFor: 'it is for "*"' },
		{ endpoint: 'gone', leftFor: 'no interface of it is one where programs may judge' },
	]);
});
