import test from 'ava';
import fc from 'fast-check';
import { parseAddress, parsePrefix } from '../../src/core/index.ts';
import { tunnelMtuBytes } from '../../src/encapsulation/index.ts';
import { type DeviceStep, deviceSteps, type WantedDevice } from '../../src/ipip/index.ts';
import type { Link, LinkAddress } from '../../src/linux/index.ts';

const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({
	index,
	name,
	mtuBytes: 1500,
	up: true,
	running: true,
	loopback: false,
	kind: undefined,
	master: undefined,
	...more,
});
const address = (interfaceIndex: number, text: string, scope = 0): LinkAddress => {
	const { family, length } = parsePrefix(text, 'clear');
	return { family, address: parseAddress(text.slice(0, text.indexOf('/'))).bytes, length, interfaceIndex, scope };
};
const wanted: WantedDevice = { name: 'tunl0', mtuBytes: 1480, addresses: ['192.168.1.0'] };
const tunl0 = link(4, 'tunl0', { kind: 'ipip', mtuBytes: 1480 });

const rows: readonly {
	title: string;
	wanted: WantedDevice;
	link: Link | undefined;
	addresses: readonly LinkAddress[];
	steps: readonly DeviceStep[];
}[] = [
	{ title: 'no device: it is created', wanted, link: undefined, addresses: [], steps: [{ type: 'create' }] },
	{ title: 'a correct device', wanted, link: tunl0, addresses: [address(4, '192.168.1.0/32')], steps: [] },
	{
		title: 'a fresh device: up, with its address',
		wanted,
		link: { ...tunl0, up: false },
		addresses: [],
		steps: [
			{ type: 'set', up: true },
			{ type: 'address', verb: 'add', address: '192.168.1.0', length: 32 },
		],
	},
	{
		title: 'another MTU',
		wanted: { ...wanted, mtuBytes: 1380 },
		link: tunl0,
		addresses: [address(4, '192.168.1.0/32')],
		steps: [{ type: 'set', mtuBytes: 1380 }],
	},
	{
		title: 'another address: the new one is added before the old one is removed',
		wanted,
		link: tunl0,
		addresses: [address(4, '192.168.7.0/32')],
		steps: [
			{ type: 'address', verb: 'add', address: '192.168.1.0', length: 32 },
			{ type: 'address', verb: 'remove', address: '192.168.7.0', length: 32 },
		],
	},
	{
		title: 'the address with a wrong length is replaced',
		wanted,
		link: tunl0,
		addresses: [address(4, '192.168.1.0/24')],
		steps: [
			{ type: 'address', verb: 'add', address: '192.168.1.0', length: 32 },
			{ type: 'address', verb: 'remove', address: '192.168.1.0', length: 24 },
		],
	},
	{
		title: 'addresses of other devices, IPv6 and link-local ones are left',
		wanted,
		link: tunl0,
		addresses: [address(4, '192.168.1.0/32'), address(2, '10.0.1.2/24'), address(4, 'fe80::1/64', 253)],
		steps: [],
	},
	{
		title: 'no address known yet: existing ones stay',
		wanted: { ...wanted, addresses: undefined },
		link: tunl0,
		addresses: [address(4, '192.168.7.0/32')],
		steps: [],
	},
];

for (const { title, wanted: want, link: present, addresses, steps } of rows) {
	test(`tunnel device: ${title}`, (t) => t.deepEqual(deviceSteps(want, present, addresses), steps));
}

test('after its steps a device is correct', (t) => {
	const someAddresses = fc.uniqueArray(
		fc.constantFrom('192.168.1.0/32', '192.168.2.0/32', '192.168.1.0/24', '10.0.0.1/8'),
	);
	const someWanted = fc.uniqueArray(fc.constantFrom('192.168.1.0', '192.168.2.0'));
	fc.assert(
		fc.property(
			someAddresses,
			someWanted,
			fc.boolean(),
			fc.constantFrom(1380, 1480),
			(texts, addresses, up, mtuBytes) => {
				let present: Link = { ...tunl0, up, mtuBytes };
				let held = texts.map((text) => address(4, text));
				const want = { ...wanted, addresses };
				for (const step of deviceSteps(want, present, held)) {
					if (step.type === 'set')
						present = { ...present, up: step.up ?? present.up, mtuBytes: step.mtuBytes ?? present.mtuBytes };
					if (step.type !== 'address') continue;
					const changed = address(4, `${step.address}/${step.length}`);
					if (step.verb === 'add') held.push(changed);
					else held = held.filter((other) => JSON.stringify(other) !== JSON.stringify(changed));
				}
				t.deepEqual(deviceSteps(want, present, held), []);
			},
		),
	);
});

const eth = [link(2, 'eth0'), link(3, 'eth1', { mtuBytes: 9000 })];
const ethAddresses = [address(2, '10.0.1.2/24'), address(3, '10.0.2.2/24')];
for (const { title, links, addresses, mtuBytes } of [
	{
		title: 'the smallest of the interfaces between nodes, less 20',
		links: eth,
		addresses: ethAddresses,
		mtuBytes: 1480,
	},
	{
		title: 'one that is down does not count',
		links: [{ ...link(2, 'eth0'), up: false }, link(3, 'eth1', { mtuBytes: 9000 })],
		addresses: ethAddresses,
		mtuBytes: 8980,
	},
	{
		title: 'an interface with an address of its own alone (/32, /128) does not count',
		links: [...eth.slice(1), link(5, 'vip0', { mtuBytes: 1000 }), link(6, 'vip1', { mtuBytes: 1000 })],
		addresses: [...ethAddresses, address(5, '10.5.0.1/32'), address(6, 'fd05::1/128')],
		mtuBytes: 8980,
	},
	{ title: 'one without an address does not count', links: eth, addresses: ethAddresses.slice(1), mtuBytes: 8980 },
	{
		title: 'bridges of containers, pods, tunnels and loopback do not count',
		links: [
			...eth.slice(1),
			link(1, 'lo', { loopback: true, mtuBytes: 100 }),
			link(5, 'docker0', { mtuBytes: 1000 }),
			link(6, 'cali1234', { mtuBytes: 1000 }),
			link(7, 'vpn', { kind: 'wireguard', mtuBytes: 1000 }),
		],
		addresses: [
			...ethAddresses,
			address(1, '127.0.0.1/8'),
			address(5, '172.17.0.1/16'),
			address(6, '10.3.0.1/24'),
			address(7, '10.4.0.1/24'),
		],
		mtuBytes: 8980,
	},
	{ title: "without any interface between nodes the kernel's own", links: [], addresses: [], mtuBytes: 1480 },
]) {
	test(`MTU of the tunnel: ${title}`, (t) => t.is(tunnelMtuBytes(links, addresses), mtuBytes));
}
