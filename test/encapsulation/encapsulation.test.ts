import test from 'ava';
import { type Encapsulation, prefixKey } from '../../src/core/index.ts';
import {
	encapsulation,
	type InterfaceAddress,
	type TunnelMode,
	type TunnelPool,
} from '../../src/encapsulation/index.ts';

const interfaces: readonly InterfaceAddress[] = [
	{ device: 'lo', address: '127.0.0.1/8' },
	{ device: 'eth0', address: '10.0.1.2/24' },
	{ device: 'eth0', address: 'fd00:1::2/64' },
	{ device: 'eth1', address: '10.0.0.2/16' },
	{ device: 'eth2', address: '172.16.0.2/32' },
	{ device: 'tunl0', address: '192.168.1.0/16' },
];
const pool = (cidr: string, ipipMode: TunnelMode, more: Partial<TunnelPool> = {}): TunnelPool => ({
	cidr: prefixKey(cidr),
	ipipMode,
	natOutgoing: false,
	...more,
});
const pools = [
	pool('192.168.0.0/16', 'CrossSubnet'),
	pool('192.168.128.0/17', 'Always'),
	pool('192.168.192.0/18', 'Never'),
	pool('10.244.0.0/16', 'CrossSubnet', { foreign: 'pool 10.244.0.0/16 is a VXLAN pool' }),
	pool('fd99::/48', 'Always'),
];
const tunnel: Encapsulation = { type: 'ipip', device: 'tunl0' };
const direct = (device?: string): Encapsulation =>
	device === undefined ? { type: 'direct' } : { type: 'direct', device };

const rows: readonly { title: string; prefix: string; nextHop: string; expected: Encapsulation | RegExp }[] = [
	{
		title: 'CrossSubnet, a next hop in a local subnet: through its interface',
		prefix: '192.168.2.0/26',
		nextHop: '10.0.1.3',
		expected: direct('eth0'),
	},
	{
		title: 'CrossSubnet, a next hop in another subnet: the tunnel',
		prefix: '192.168.2.0/26',
		nextHop: '10.1.2.2',
		expected: tunnel,
	},
	{
		title: 'of two subnets that contain the next hop the narrower counts',
		prefix: '192.168.2.0/26',
		nextHop: '10.0.2.2',
		expected: direct('eth1'),
	},
	{
		title: 'Always: the tunnel also in a local subnet',
		prefix: '192.168.129.0/26',
		nextHop: '10.0.1.3',
		expected: tunnel,
	},
	{
		title: 'Never: direct in a local subnet',
		prefix: '192.168.193.0/26',
		nextHop: '10.0.1.3',
		expected: direct('eth0'),
	},
	{
		title: "Never: by the kernel's routes, in another subnet",
		prefix: '192.168.193.0/26',
		nextHop: '10.1.2.2',
		expected: direct(),
	},
	{ title: 'the most specific pool counts', prefix: '192.168.255.255/32', nextHop: '10.1.2.2', expected: direct() },
	{
		title: 'a prefix wider than the pool is outside of it',
		prefix: '192.0.0.0/8',
		nextHop: '10.1.2.2',
		expected: direct(),
	},
	{ title: 'outside of all pools: no tunnel', prefix: '0.0.0.0/0', nextHop: '10.0.1.1', expected: direct('eth0') },
	{
		title: "outside of all pools, beyond the local subnets: by the kernel's routes",
		prefix: '8.8.8.0/24',
		nextHop: '10.1.2.2',
		expected: direct(),
	},
	{
		title: 'a pool of another route owner is left unchanged',
		prefix: '10.244.1.0/26',
		nextHop: '10.0.1.3',
		expected: /VXLAN/,
	},
	{
		title: 'a next hop that is this node',
		prefix: '192.168.2.0/26',
		nextHop: '10.0.1.2',
		expected: /this node itself/,
	},
	{
		title: 'the subnet of the tunnel device itself is ignored',
		prefix: '192.168.2.0/26',
		nextHop: '192.168.9.9',
		expected: tunnel,
	},
	{
		title: 'an address of full length shares no subnet',
		prefix: '192.168.2.0/26',
		nextHop: '172.16.0.3',
		expected: tunnel,
	},
	{ title: 'loopback is no subnet', prefix: '192.168.193.0/26', nextHop: '127.0.0.9', expected: direct() },
	{
		title: 'IPv6 in a local subnet, outside of pools',
		prefix: 'fd50::/64',
		nextHop: 'fd00:1::3',
		expected: direct('eth0'),
	},
	{ title: 'IP in IP carries no IPv6', prefix: 'fd99:0:0:1::/64', nextHop: 'fd00:1::3', expected: /IPv4 alone/ },
];

for (const { title, prefix, nextHop, expected } of rows) {
	test(title, (t) => {
		const found = encapsulation({ interfaces, pools, tunnelDevice: 'tunl0' })(prefixKey(prefix), nextHop);
		if (expected instanceof RegExp) t.regex(found.type === 'none' ? found.reason : JSON.stringify(found), expected);
		else t.deepEqual(found, expected);
	});
}

test('an IPv4 pool over an IPv6 next hop can’t be tunnelled', (t) => {
	t.is(
		encapsulation({ interfaces, pools, tunnelDevice: 'tunl0' })(prefixKey('192.168.2.0/26'), 'fd07::9').type,
		'none',
	);
});

const vxlanTunnels = new Map([
	['10.0.1.3', { ipv4: '172.30.3.0' }],
	['10.1.2.2', { ipv4: '172.30.4.0' }],
	['fd07::9', { ipv6: 'fd30:9::' }],
	['fd00:1::3', { ipv6: 'fd30:3::' }],
]);
const vxlanPools = [
	pool('172.16.0.0/12', 'Never', { vxlanMode: 'CrossSubnet' }),
	pool('172.30.0.0/16', 'Never', { vxlanMode: 'Always' }),
	pool('172.30.128.0/17', 'Always'),
	pool('172.30.192.0/18', 'Never'),
	pool('172.30.224.0/19', 'Always', { vxlanMode: 'CrossSubnet' }),
	pool('fd30::/16', 'Never', { vxlanMode: 'CrossSubnet' }),
	pool('10.200.0.0/16', 'Never', { vxlanMode: 'Always', routesFromDatastore: true }),
];
const vxlan = (via: string, device = 'vxlan.calico'): Encapsulation => ({ type: 'vxlan', device, via });

const vxlanRows: readonly {
	title: string;
	prefix: string;
	nextHop: string;
	source?: 'bgp' | 'datastore';
	expected: Encapsulation | RegExp;
}[] = [
	{
		title: 'VXLAN CrossSubnet, local subnet: direct',
		prefix: '172.20.1.0/26',
		nextHop: '10.0.1.3',
		expected: direct('eth0'),
	},
	{
		title: 'VXLAN CrossSubnet, another subnet: the tunnel address of the next hop',
		prefix: '172.20.1.0/26',
		nextHop: '10.1.2.2',
		expected: vxlan('172.30.4.0'),
	},
	{
		title: 'VXLAN Always: also in a local subnet',
		prefix: '172.30.3.0/26',
		nextHop: '10.0.1.3',
		expected: vxlan('172.30.3.0'),
	},
	{
		title: 'an IPIP pool inside of a VXLAN pool',
		prefix: '172.30.129.0/26',
		nextHop: '10.1.2.2',
		expected: tunnel,
	},
	{
		title: 'a pool without tunnel inside of both',
		prefix: '172.30.193.0/26',
		nextHop: '10.1.2.2',
		expected: direct(),
	},
	{
		title: 'with both modes VXLAN applies',
		prefix: '172.30.225.0/26',
		nextHop: '10.1.2.2',
		expected: vxlan('172.30.4.0'),
	},
	{
		title: 'without a tunnel address of the next hop the route is withheld',
		prefix: '172.20.1.0/26',
		nextHop: '10.1.2.9',
		expected: /VXLAN tunnel address of 10\.1\.2\.9 unknown/,
	},
	{
		title: 'IPv6 has a device and a tunnel address of its own',
		prefix: 'fd30:9::/122',
		nextHop: 'fd07::9',
		expected: vxlan('fd30:9::', 'vxlan-v6.calico'),
	},
	{
		title: 'IPv6 in a local subnet: direct',
		prefix: 'fd30:3::/122',
		nextHop: 'fd00:1::3',
		expected: direct('eth0'),
	},
	{
		title: 'a BGP route in a pool whose routes are derived from block affinities is not written',
		prefix: '10.200.3.0/26',
		nextHop: '10.0.1.3',
		expected: /block affinities/,
	},
	{
		title: 'the route derived from the block affinity is written',
		prefix: '10.200.3.0/26',
		nextHop: '10.0.1.3',
		source: 'datastore',
		expected: vxlan('172.30.3.0'),
	},
];
for (const { title, prefix, nextHop, source, expected } of vxlanRows) {
	test(title, (t) => {
		const decide = encapsulation({ interfaces, pools: vxlanPools, tunnelDevice: 'tunl0', vxlanTunnels });
		const found = decide(prefixKey(prefix), nextHop, source);
		if (expected instanceof RegExp) t.regex(found.type === 'none' ? found.reason : JSON.stringify(found), expected);
		else t.deepEqual(found, expected);
	});
}

test('a next hop that moves to another subnet, and a node with several subnets', (t) => {
	const decide = (...own: string[]) =>
		encapsulation({
			interfaces: own.map((address, index) => ({ device: `eth${index}`, address })),
			pools: vxlanPools,
			tunnelDevice: 'tunl0',
			vxlanTunnels,
		})(prefixKey('172.20.1.0/26'), '10.1.2.2').type;
	t.is(decide('10.0.1.2/24'), 'vxlan');
	t.is(decide('10.1.2.7/24'), 'direct');
	t.is(decide('10.0.1.2/24', '10.1.2.7/24'), 'direct');
	t.is(decide('10.1.2.7/32'), 'vxlan', 'an address of full length shares no subnet');
	t.is(decide('10.1.2.2/24'), 'none', 'the next hop is this node now');
});

test('temporary obstacles are marked as pending, so that an installed route stays', (t) => {
	const decide = (datastoreKnown: boolean) =>
		encapsulation({ interfaces, pools: vxlanPools, tunnelDevice: 'tunl0', vxlanTunnels, datastoreKnown });
	const isPending = (found: Encapsulation) => found.type === 'none' && found.pending === true;
	t.true(isPending(decide(true)(prefixKey('172.20.1.0/26'), '10.1.2.9')), 'a tunnel address');
	t.true(isPending(decide(false)(prefixKey('10.200.3.0/26'), '10.0.1.3')), 'the blocks of the cluster');
	t.false(isPending(decide(true)(prefixKey('10.200.3.0/26'), '10.0.1.3')));
	t.false(isPending(decide(true)(prefixKey('172.20.1.0/26'), '10.0.1.2')));
});
