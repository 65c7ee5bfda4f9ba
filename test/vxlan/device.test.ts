import test from 'ava';
import { parseAddress } from '../../src/core/index.ts';
import type { Link, LinkAddress, VxlanChange } from '../../src/linux/index.ts';
import {
	deviceSteps,
	diffEntries,
	macOf,
	macText,
	parseMac,
	type RemoteEnd,
	remoteEntries,
	type VxlanDevice,
	type VxlanStep,
} from '../../src/vxlan/index.ts';

const bytes = (text: string) => parseAddress(text).bytes;
const mac = macOf('node-a', 'ipv4');
const wanted: VxlanDevice = {
	name: 'vxlan.calico',
	family: 'ipv4',
	vni: 4096,
	port: 4789,
	mtuBytes: 1450,
	local: { nodeAddress: '10.0.1.2', tunnelAddress: '192.168.1.0', mac },
};
const eth0: Link = {
	index: 2,
	name: 'eth0',
	mtuBytes: 1500,
	up: true,
	running: true,
	loopback: false,
	kind: undefined,
	master: undefined,
};
const vxlan = {
	id: 4096,
	port: 4789,
	local: bytes('10.0.1.2'),
	parentIndex: 2,
	learning: false,
	unusual: false,
};
const right: Link = {
	...eth0,
	index: 7,
	name: 'vxlan.calico',
	mtuBytes: 1450,
	kind: 'vxlan',
	mac,
	vxlan,
};
const at = (interfaceIndex: number, text: string, length: number): LinkAddress => ({
	family: text.includes(':') ? 'ipv6' : 'ipv4',
	address: bytes(text),
	length,
	interfaceIndex,
	scope: 0,
});
const addresses = [at(2, '10.0.1.2', 24), at(7, '192.168.1.0', 32)];
const kinds = (steps: readonly VxlanStep[]) => steps.map(({ type }) => type);

test("the MAC address equals Calico's", (t) => {
	t.is(macText(macOf('node-a', 'ipv4')), '66:07:02:c1:cc:60');
	t.is(macText(macOf('node-a', 'ipv6')), '66:d4:d5:51:3d:42');
	t.deepEqual(parseMac('66:07:02:c1:cc:60'), macOf('node-a', 'ipv4'));
	t.is(parseMac('66:07:02:c1:cc'), undefined);
});

test('a correct device needs no step', (t) => t.deepEqual(deviceSteps(wanted, [eth0, right], addresses), []));

test('a missing device is created on the interface with the node address', (t) => {
	const [step, ...more] = deviceSteps(wanted, [eth0], addresses);
	t.deepEqual(more, []);
	t.like(step, {
		type: 'create',
		device: { name: 'vxlan.calico', id: 4096, port: 4789, parentIndex: 2, learning: false, mtuBytes: 1450 },
	});
});

test('without the node address on any interface no step is taken', (t) => {
	t.deepEqual(deviceSteps(wanted, [eth0], []), [{ type: 'wait', why: 'no interface has the node address 10.0.1.2' }]);
});

const unlike: readonly { readonly title: string; readonly link: Partial<Link> }[] = [
	{ title: 'kind', link: { kind: 'dummy' } },
	{ title: 'VNI', link: { vxlan: { ...vxlan, id: 1 } } },
	{ title: 'port', link: { vxlan: { ...vxlan, port: 8472 } } },
	{ title: 'family', link: { vxlan: { ...vxlan, local: bytes('fd00::1') } } },
	{ title: 'flow-based mode', link: { vxlan: { ...vxlan, unusual: true } } },
];
for (const { title, link } of unlike)
	test(`a device with another ${title} is created anew`, (t) =>
		t.deepEqual(kinds(deviceSteps(wanted, [eth0, { ...right, ...link }], addresses)), ['remove', 'create']));

const changes: readonly {
	readonly title: string;
	readonly link: Partial<Link>;
	readonly change: Omit<VxlanChange, 'index'>;
	readonly mayWait?: boolean;
}[] = [
	{
		title: 'local address that the node still has',
		link: { vxlan: { ...vxlan, local: bytes('10.0.1.9') } },
		change: { local: bytes('10.0.1.2') },
		mayWait: true,
	},
	{
		title: 'local address that is gone',
		link: { vxlan: { ...vxlan, local: bytes('10.0.1.8') } },
		change: { local: bytes('10.0.1.2') },
	},
	{ title: 'interface below', link: { vxlan: { ...vxlan, parentIndex: 3 } }, change: { parentIndex: 2 } },
	{ title: 'learning', link: { vxlan: { ...vxlan, learning: true } }, change: { learning: false } },
	{ title: 'MAC address', link: { mac: macOf('node-b', 'ipv4') }, change: { mac } },
	{
		title: 'local address and interface below',
		link: { vxlan: { ...vxlan, local: bytes('10.0.1.9'), parentIndex: 3 } },
		change: { local: bytes('10.0.1.2'), parentIndex: 2 },
	},
];
for (const { title, link, change, mayWait = false } of changes)
	test(`a device with another ${title} is changed in place`, (t) => {
		const [step, ...more] = deviceSteps(wanted, [eth0, { ...right, ...link }], [...addresses, at(2, '10.0.1.9', 24)]);
		t.deepEqual(more, []);
		t.like(step, { type: 'change', mayWait });
		if (step?.type === 'change') t.deepEqual(step.change, { index: 7, ...change });
	});

test('MTU, state and address are corrected in place; the new address is added before the old one is removed', (t) => {
	const there = [addresses[0] ?? at(2, '10.0.1.2', 24), at(7, '192.168.9.0', 32)];
	const steps = deviceSteps(wanted, [eth0, { ...right, mtuBytes: 1500, up: false }], there);
	t.deepEqual(kinds(steps), ['set', 'address', 'address']);
	t.deepEqual(
		steps.flatMap((step) => (step.type === 'address' ? [step.verb] : [])),
		['add', 'remove'],
	);
});

test('a device that is down is set up, and nothing else is written', (t) => {
	t.deepEqual(deviceSteps(wanted, [eth0, { ...right, up: false }], addresses), [{ type: 'set', index: 7, up: true }]);
});

test('the link-local address that the kernel gives the device of IPv6 stays', (t) => {
	const local = { nodeAddress: 'fd00:1::2', tunnelAddress: 'fd20::1', mac };
	const six: VxlanDevice = { ...wanted, name: 'vxlan-v6.calico', family: 'ipv6', mtuBytes: 1430, local };
	const link: Link = {
		...right,
		...{ name: 'vxlan-v6.calico', mtuBytes: 1430 },
		vxlan: { ...vxlan, local: bytes('fd00:1::2') },
	};
	const linkLocal = { ...at(7, 'fe80::64d4:d5ff:fe51:3d42', 64), scope: 253 };
	const present = [at(2, 'fd00:1::2', 64), at(7, 'fd20::1', 128), linkLocal];
	t.deepEqual(deviceSteps(six, [eth0, link], present), []);
});

test('an unknown tunnel address leaves the addresses of the device', (t) => {
	const local = { ...wanted.local, tunnelAddress: undefined };
	t.deepEqual(deviceSteps({ ...wanted, local }, [eth0, right], addresses), []);
});

const remote = (node: string, host: number): RemoteEnd => ({
	node,
	family: 'ipv4',
	nodeAddress: `10.0.2.${host}`,
	tunnelAddress: `192.168.${host}.0`,
	mac: macOf(node, 'ipv4'),
});

test('a change of one node changes only its two entries', (t) => {
	const many = Array.from({ length: 100 }, (_, index) => remote(`node-${index}`, index + 1));
	const before = remoteEntries(many, 'ipv4', 7);
	t.is(before.size, 200);
	const moved = many.map((each) => (each.node === 'node-5' ? { ...each, nodeAddress: '10.0.3.5' } : each));
	const changes = diffEntries(remoteEntries(moved, 'ipv4', 7), before);
	t.deepEqual(
		changes.map(({ verb, key }) => [verb, key]),
		[['set', `fdb ${macText(macOf('node-5', 'ipv4'))}`]],
	);
	const without = many.filter(({ node }) => node !== 'node-5');
	t.deepEqual(
		diffEntries(remoteEntries(without, 'ipv4', 7), before).map(({ verb, key }) => [verb, key]),
		[
			['remove', `fdb ${macText(macOf('node-5', 'ipv4'))}`],
			['remove', 'neigh 192.168.6.0'],
		],
	);
});

test('another MAC address of a node changes its neighbour entry in place, and its forwarding entry', (t) => {
	const before = remoteEntries([remote('b', 2)], 'ipv4', 7);
	const after = remoteEntries([{ ...remote('b', 2), mac }], 'ipv4', 7);
	t.deepEqual(
		diffEntries(after, before).map(({ verb, key, neighbour }) => [verb, key, macText(neighbour.mac)]),
		[
			['set', `fdb ${macText(mac)}`, macText(mac)],
			['set', 'neigh 192.168.2.0', macText(mac)],
			['remove', `fdb ${macText(macOf('b', 'ipv4'))}`, macText(macOf('b', 'ipv4'))],
		],
	);
});

test('a node of both families has entries of each on the device of that family alone', (t) => {
	const four = remote('b', 2);
	const six: RemoteEnd = {
		...{ node: 'b', family: 'ipv6', nodeAddress: 'fd00:1::3', tunnelAddress: 'fd20::3' },
		mac: macOf('b', 'ipv6'),
	};
	for (const [family, keys, tables] of [
		['ipv4', [`fdb ${macText(four.mac)}`, 'neigh 192.168.2.0'], ['forwarding', 'ipv4']],
		['ipv6', [`fdb ${macText(six.mac)}`, 'neigh fd20::3'], ['forwarding', 'ipv6']],
	] as const) {
		const entries = remoteEntries([four, six], family, 7);
		t.deepEqual([...entries.keys()], [...keys]);
		t.deepEqual(
			[...entries.values()].map(({ table }) => table),
			[...tables],
		);
	}
});

test('of two nodes with one MAC address the first by name counts, in any order', (t) => {
	const twins = [
		{ ...remote('b', 2), mac },
		{ ...remote('a', 3), mac },
	];
	for (const order of [twins, [...twins].reverse()]) {
		const entries = remoteEntries(order, 'ipv4', 7);
		t.deepEqual([...entries.keys()], [`fdb ${macText(mac)}`, 'neigh 192.168.3.0']);
	}
});
