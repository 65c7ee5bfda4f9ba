import test, { type ExecutionContext } from 'ava';
import { formatAddress, parseAddress, prefixKey } from '../../src/core/index.ts';
import { encapsulation, type InterfaceAddress, type TunnelPool } from '../../src/encapsulation/index.ts';
import { IpipMesh, type IpipOptions } from '../../src/ipip/index.ts';
import type { Link } from '../../src/linux/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeLinkKernel } from '../fakes/link-kernel.ts';
import { recordingLogger } from '../fakes/log.ts';

const pool: TunnelPool = { cidr: prefixKey('192.168.0.0/16'), ipipMode: 'CrossSubnet', natOutgoing: true };
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
const onEth0 = (text: string) =>
	({ family: 'ipv4', address: parseAddress(text).bytes, length: 24, interfaceIndex: 2, scope: 0 }) as const;

function setUp(t: ExecutionContext, options: IpipOptions = {}) {
	const links = new FakeLinkKernel();
	links.set([eth0], [onEth0('10.0.1.2')]);
	const clock = new FakeClock();
	const log = recordingLogger();
	let interfaces: readonly InterfaceAddress[] = [];
	const mesh = new IpipMesh(options, {
		links,
		clock,
		log,
		onInterfaces: (given) => {
			interfaces = given;
		},
	});
	t.teardown(() => mesh.stop());
	const device = async () => {
		const found = (await links.links()).find(({ name }) => name === 'tunl0');
		const addresses = (await links.addresses()).filter(({ interfaceIndex }) => interfaceIndex === found?.index);
		return (
			found && {
				up: found.up,
				mtuBytes: found.mtuBytes,
				addresses: addresses.map(({ address, length }) => `${formatAddress(address)}/${length}`),
			}
		);
	};
	const pass = async (ms: number) => {
		clock.advance(ms);
		await mesh.whenIdle();
	};
	const decide = (nextHop: string) =>
		encapsulation({ interfaces, pools: [pool], tunnelDevice: 'tunl0' })(prefixKey('192.168.5.0/26'), nextHop);
	return { mesh, links, clock, log, device, pass, decide };
}

test('the tunnel device is created, set up and given its address', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('a correct device is not changed', async (t) => {
	const { mesh, links, pass } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	const { changes } = links;
	await pass(60_000);
	await mesh.setPools([pool]);
	t.is(links.changes, changes);
});

test('without a pool with a tunnel no device is created', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setPools([{ ...pool, ipipMode: 'Never' }]);
	await mesh.start();
	t.is(await device(), undefined);
});

test('a device that another program uses is left unchanged, and set up once it is free', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setLeftAlone(true);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	t.is(await device(), undefined);
	await mesh.setLeftAlone(false);
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('a device that another program changes is corrected after the event', async (t) => {
	const { mesh, links, device, pass } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	links.set([eth0], [onEth0('10.0.1.2')]);
	await pass(50);
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('a configured MTU precedes the detected one', async (t) => {
	const { mesh, device } = setUp(t, { mtuBytes: 1300 });
	await mesh.setPools([pool]);
	await mesh.start();
	t.is((await device())?.mtuBytes, 1300);
});

test('own addresses are published at the start, and again when they change', async (t) => {
	const { mesh, links, pass, decide } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.start();
	t.deepEqual(decide('10.0.1.3'), { type: 'direct', device: 'eth0' });
	t.deepEqual(decide('10.0.2.3'), { type: 'ipip', device: 'tunl0' });
	links.set([eth0], [onEth0('10.0.2.2')]);
	await pass(50);
	t.deepEqual(decide('10.0.1.3'), { type: 'ipip', device: 'tunl0' });
	t.deepEqual(decide('10.0.2.3'), { type: 'direct', device: 'eth0' });
});

test('a kernel without ipip is reported once, and checked again', async (t) => {
	const { mesh, links, log, pass, device } = setUp(t);
	links.refusal = new Error('EOPNOTSUPP');
	await mesh.setPools([pool]);
	await mesh.start();
	await pass(60_000);
	t.is(log.lines.filter(({ level }) => level === 'error').length, 1);
	links.refusal = undefined;
	await pass(60_000);
	t.true((await device())?.up);
});

test('stopping leaves the device, and starts no further work', async (t) => {
	const { mesh, device, clock } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	await mesh.whenIdle();
	await mesh.stop();
	t.is(clock.pendingCount, 0);
	t.true((await device())?.up);
});

test('interfaces that change faster than they can be read are read again a second later, without an error', async (t) => {
	const { mesh, links, log, device, pass } = setUp(t);
	links.interrupted = 3;
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	t.is(links.changes, 0);
	await pass(1000);
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'error'),
		[],
	);
});

test('a changed MTU is set in place; without one it follows the interfaces again', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.start();
	await mesh.setPools([pool]);
	t.is((await device())?.mtuBytes, 1480);
	await mesh.setMtu(1380);
	t.is((await device())?.mtuBytes, 1380);
	await mesh.setMtu(undefined);
	t.is((await device())?.mtuBytes, 1480);
});
