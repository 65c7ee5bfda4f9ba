import test from 'ava';
import { type Encapsulation, prefixKey } from '../../src/core/index.ts';
import { encapsulation, type InterfaceAddress, type IpipMode, type TunnelPool } from '../../src/ipip/index.ts';

const interfaces: readonly InterfaceAddress[] = [
	{ device: 'lo', address: '127.0.0.1/8' },
	{ device: 'eth0', address: '10.0.1.2/24' },
	{ device: 'eth0', address: 'fd00:1::2/64' },
	{ device: 'eth1', address: '10.0.0.2/16' },
	{ device: 'eth2', address: '172.16.0.2/32' },
	{ device: 'tunl0', address: '192.168.1.0/16' },
];
const pool = (cidr: string, ipipMode: IpipMode, more: Partial<TunnelPool> = {}): TunnelPool => ({
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
const tunnel: Encapsulation = { type: 'tunnel', device: 'tunl0' };
const direct = (device?: string): Encapsulation => (device === undefined ? { type: 'direct' } : { type: 'direct', device });

const rows: readonly { title: string; prefix: string; nextHop: string; expected: Encapsulation | RegExp }[] = [
	{ title: 'CrossSubnet, a next hop in our subnet: through its interface', prefix: '192.168.2.0/26', nextHop: '10.0.1.3', expected: direct('eth0') },
	{ title: 'CrossSubnet, a next hop in another subnet: the tunnel', prefix: '192.168.2.0/26', nextHop: '10.1.2.2', expected: tunnel },
	{ title: 'of two subnets that contain the next hop the narrower counts', prefix: '192.168.2.0/26', nextHop: '10.0.2.2', expected: direct('eth1') },
	{ title: 'Always: the tunnel also in our subnet', prefix: '192.168.129.0/26', nextHop: '10.0.1.3', expected: tunnel },
	{ title: 'Never: direct in our subnet', prefix: '192.168.193.0/26', nextHop: '10.0.1.3', expected: direct('eth0') },
	{ title: 'Never: wherever the kernel’s routes lead, in another subnet', prefix: '192.168.193.0/26', nextHop: '10.1.2.2', expected: direct() },
	{ title: 'the most specific pool counts', prefix: '192.168.255.255/32', nextHop: '10.1.2.2', expected: direct() },
	{ title: 'a prefix wider than the pool is outside of it', prefix: '192.0.0.0/8', nextHop: '10.1.2.2', expected: direct() },
	{ title: 'outside of all pools: no tunnel', prefix: '0.0.0.0/0', nextHop: '10.0.1.1', expected: direct('eth0') },
	{ title: 'outside of all pools, beyond our subnets: wherever the kernel’s routes lead', prefix: '8.8.8.0/24', nextHop: '10.1.2.2', expected: direct() },
	{ title: 'a pool of somebody else is left alone', prefix: '10.244.1.0/26', nextHop: '10.0.1.3', expected: /VXLAN/ },
	{ title: 'a next hop that is ourselves', prefix: '192.168.2.0/26', nextHop: '10.0.1.2', expected: /this node itself/ },
	{ title: 'the subnet of the tunnel device itself says nothing', prefix: '192.168.2.0/26', nextHop: '192.168.9.9', expected: tunnel },
	{ title: 'an address of full length is in no subnet with anybody', prefix: '192.168.2.0/26', nextHop: '172.16.0.3', expected: tunnel },
	{ title: 'loopback is no subnet', prefix: '192.168.193.0/26', nextHop: '127.0.0.9', expected: direct() },
	{ title: 'IPv6 in our subnet, outside of pools', prefix: 'fd50::/64', nextHop: 'fd00:1::3', expected: direct('eth0') },
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
	t.is(encapsulation({ interfaces, pools, tunnelDevice: 'tunl0' })(prefixKey('192.168.2.0/26'), 'fd07::9').type, 'none');
});
