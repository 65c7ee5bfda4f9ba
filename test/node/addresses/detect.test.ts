import test from 'ava';
import { type DetectionInput, detect, type LinkAddress } from '../../../src/node/addresses/detect.ts';

const link = (device: string, index: number, text: string): LinkAddress => {
	const [address = '', length] = text.split('/');
	return { device, index, address, length: Number(length), family: address.includes(':') ? 'ipv6' : 'ipv4' };
};
const links = [
	link('lo', 1, '127.0.0.1/8'),
	link('lo', 1, '::1/128'),
	link('eth0', 2, '10.0.1.2/24'),
	link('eth0', 2, 'fd00::2/64'),
	link('eth0', 2, 'fe80::2/64'),
	link('eth1', 3, '192.168.5.2/24'),
	link('eth1', 3, '192.168.5.100/32'),
	link('docker0', 4, '172.17.0.1/16'),
	link('veth0', 5, '10.9.9.9/24'),
	link('eth2', 6, '169.254.7.7/16'),
];
const present = (text: string) => ({ address: text.split('/')[0] ?? '', length: Number(text.split('/')[1]) });
const of = (given: Partial<DetectionInput>) => {
	const detection = detect({
		family: 'ipv4',
		method: 'auto',
		links,
		internalAddresses: [],
		present: undefined,
		presentIsLocal: false,
		reached: undefined,
		taken: new Map(),
		...given,
	});
	return detection.type === 'set' ? `set ${detection.address.address}/${detection.address.length}` : detection.type;
};

const rows: readonly [title: string, given: Partial<DetectionInput>, result: string][] = [
	['auto takes InternalIP', { internalAddresses: ['fd00::2', '10.0.1.2'] }, 'set 10.0.1.2/24'],
	['auto takes the first-found address without an InternalIP', {}, 'set 192.168.5.2/24'],
	['auto takes an IPv6 address on a host with IPv4 only if the Node has one', { family: 'ipv6' }, 'keep'],
	['auto takes the IPv6 InternalIP', { family: 'ipv6', internalAddresses: ['10.0.1.2', 'fd00::2'] }, 'set fd00::2/64'],
	[
		'auto takes IPv6 on an IPv6-only host',
		{ family: 'ipv6', links: links.filter(({ family }) => family === 'ipv6') },
		'set fd00::2/64',
	],
	['auto keeps an address of this host', { present: present('10.0.1.2/24'), presentIsLocal: true }, 'keep'],
	['auto keeps an address in 127.0.0.0/8', { present: present('127.9.9.9/32'), presentIsLocal: true }, 'keep'],
	[
		'auto replaces an address that is on no interface',
		{ present: present('10.0.1.33/24'), internalAddresses: ['10.0.1.2'] },
		'set 10.0.1.2/24',
	],
	['none keeps any address', { method: 'none', present: present('10.0.1.33/24') }, 'keep'],
	[
		'first-found searches by interface index, and skips excluded links, host routes and link-local addresses',
		{ method: 'first-found' },
		'set 192.168.5.2/24',
	],
	[
		'first-found keeps an address that qualifies',
		{ method: 'first-found', present: present('10.0.1.2/24'), presentIsLocal: true },
		'keep',
	],
	[
		'first-found replaces an address that does not qualify',
		{ method: 'first-found', present: present('10.9.9.9/24'), presentIsLocal: true },
		'set 192.168.5.2/24',
	],
	['interface, unanchored', { method: 'interface=th0$' }, 'set 10.9.9.9/24'],
	['interface, several', { method: 'interface=nothing,^eth0' }, 'set 10.0.1.2/24'],
	['interface applies no exclusion', { method: 'interface=docker.*' }, 'set 172.17.0.1/16'],
	['interface with an invalid expression', { method: 'interface=(' }, 'keep'],
	['skip-interface', { method: 'skip-interface=eth1' }, 'set 10.0.1.2/24'],
	['cidr', { method: 'cidr=10.0.0.0/8' }, 'set 10.9.9.9/24'],
	['cidr, several', { method: 'cidr=172.31.0.0/16,10.0.1.0/24' }, 'set 10.0.1.2/24'],
	['cidr with an invalid prefix', { method: 'cidr=10.0.0.0' }, 'keep'],
	['cidr of the other family', { family: 'ipv6', method: 'cidr=fd00::/8' }, 'set fd00::2/64'],
	['can-reach', { method: 'can-reach=10.0.1.254', reached: '10.0.1.2' }, 'set 10.0.1.2/24'],
	['can-reach without a route', { method: 'can-reach=10.0.1.254' }, 'keep'],
	['kubernetes-internal-ip', { method: 'kubernetes-internal-ip', internalAddresses: ['10.0.1.2'] }, 'set 10.0.1.2/24'],
	[
		'kubernetes-internal-ip that is on no link',
		{ method: 'kubernetes-internal-ip', internalAddresses: ['203.0.113.1'] },
		'keep',
	],
	['an address of another node is skipped', { taken: new Map([['192.168.5.2', 'b']]) }, 'set 10.0.1.2/24'],
	[
		'no address is taken if other nodes have all candidates',
		{ method: 'interface=^eth0', taken: new Map([['10.0.1.2', 'b']]) },
		'keep',
	],
	[
		'two nodes with swapped addresses both clear their address',
		{ method: 'interface=^eth0', present: present('10.0.1.3/24'), taken: new Map([['10.0.1.2', 'b']]) },
		'clear',
	],
	[
		'a node keeps its own address when another node claims it',
		{ present: present('10.0.1.2/24'), presentIsLocal: true, taken: new Map([['10.0.1.2', 'b']]) },
		'keep',
	],
];
for (const [title, given, result] of rows) test(`detection: ${title}`, (t) => t.is(of(given), result));

test('a conflict is reported with both addresses', (t) => {
	const problem = (given: Partial<DetectionInput>) =>
		detect({
			family: 'ipv4',
			method: 'auto',
			links,
			internalAddresses: ['10.0.1.2'],
			present: present('10.0.1.33/24'),
			presentIsLocal: false,
			reached: undefined,
			taken: new Map(),
			...given,
		}).problem;
	t.is(problem({}), 'the Node has IPv4 address 10.0.1.33, which no interface has: it becomes 10.0.1.2 of eth0');
	t.is(problem({ links: [] }), 'the Node has IPv4 address 10.0.1.33, which no interface has, and no other was found');
	t.is(
		problem({ present: present('10.0.1.2/24'), presentIsLocal: true, taken: new Map([['10.0.1.2', 'twin']]) }),
		'10.0.1.2 is the IPv4 address of node twin too',
	);
});
