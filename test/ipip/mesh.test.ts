import test, { type ExecutionContext } from 'ava';
import { type Encapsulate, formatAddress, parseAddress, prefixKey } from '../../src/core/index.ts';
import { IpipMesh, type IpipOptions, NftablesMissingError, type TunnelPool } from '../../src/ipip/index.ts';
import type { Link } from '../../src/linux/index.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeLinkKernel } from '../fakes/link-kernel.ts';
import { recordingLogger } from '../fakes/log.ts';

const pool: TunnelPool = { cidr: prefixKey('192.168.0.0/16'), ipipMode: 'CrossSubnet', natOutgoing: true };
const eth0: Link = { index: 2, name: 'eth0', mtuBytes: 1500, up: true, running: true, loopback: false, kind: undefined, master: undefined };
const onEth0 = (text: string) => ({ family: 'ipv4', address: parseAddress(text).bytes, length: 24, interfaceIndex: 2, scope: 0 }) as const;

function setUp(t: ExecutionContext, options: IpipOptions = {}) {
	const links = new FakeLinkKernel();
	links.set([eth0], [onEth0('10.0.1.2')]);
	const clock = new FakeClock();
	const log = recordingLogger();
	const rules: string[] = [];
	const nft = { missing: false };
	let encapsulate: Encapsulate | undefined;
	const mesh = new IpipMesh(options, {
		links,
		clock,
		random: () => 0.5,
		log,
		loadRules: async (text) => {
			if (nft.missing) throw new NftablesMissingError('the command nft is not installed');
			rules.push(text);
		},
		onEncapsulate: (given) => {
			encapsulate = given;
		},
	});
	t.teardown(() => mesh.stop());
	const device = async () => {
		const found = (await links.links()).find(({ name }) => name === 'tunl0');
		const addresses = (await links.addresses()).filter(({ interfaceIndex }) => interfaceIndex === found?.index);
		return found && { up: found.up, mtuBytes: found.mtuBytes, addresses: addresses.map(({ address, length }) => `${formatAddress(address)}/${length}`) };
	};
	const pass = async (ms: number) => {
		clock.advance(ms);
		await mesh.whenIdle();
	};
	const decide = (nextHop: string) => encapsulate?.(prefixKey('192.168.5.0/26'), nextHop);
	return { mesh, links, clock, log, rules, nft, device, pass, decide };
}

test('the tunnel device is made, set up and given its address', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('what is right is not touched', async (t) => {
	const { mesh, links, pass } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	const { changes } = links;
	await pass(60_000);
	await mesh.setPools([pool]);
	t.is(links.changes, changes);
});

test('without a pool that tunnels no device is made', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setPools([{ ...pool, ipipMode: 'Never' }]);
	await mesh.start();
	t.is(await device(), undefined);
});

test('a device that somebody else uses is left alone, and set up once it is free', async (t) => {
	const { mesh, device } = setUp(t);
	await mesh.setLeftAlone(true);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	t.is(await device(), undefined);
	await mesh.setLeftAlone(false);
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('a device that somebody spoils is set right after the event', async (t) => {
	const { mesh, links, device, pass } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	links.set([eth0], [onEth0('10.0.1.2')]);
	await pass(50);
	t.deepEqual(await device(), { up: true, mtuBytes: 1480, addresses: ['192.168.1.0/32'] });
});

test('an MTU that is asked for beats the one that is found', async (t) => {
	const { mesh, device } = setUp(t, { mtuBytes: 1300 });
	await mesh.setPools([pool]);
	await mesh.start();
	t.is((await device())?.mtuBytes, 1300);
});

test('how packets leave is told at the start, and again when own addresses change', async (t) => {
	const { mesh, links, pass, decide } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.start();
	t.deepEqual(decide('10.0.1.3'), { type: 'direct', device: 'eth0' });
	t.deepEqual(decide('10.0.2.3'), { type: 'tunnel', device: 'tunl0' });
	links.set([eth0], [onEth0('10.0.2.2')]);
	await pass(50);
	t.deepEqual(decide('10.0.1.3'), { type: 'tunnel', device: 'tunl0' });
	t.deepEqual(decide('10.0.2.3'), { type: 'direct', device: 'eth0' });
});

test('a kernel without ipip is told of once, and asked again', async (t) => {
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

test('the guard lets in the ends of our tunnels alone', async (t) => {
	const { mesh, rules } = setUp(t);
	await mesh.start();
	mesh.setTunnelEnds(new Set(['10.0.2.3', '10.0.2.2']));
	await mesh.whenIdle();
	t.regex(rules.at(-1) ?? '', /elements = \{ 10\.0\.2\.2, 10\.0\.2\.3 \}/);
	t.regex(rules.at(-1) ?? '', /ip protocol 4 ip saddr != @nodes counter drop/);
});

test('without guard a former guard is removed, and none is made', async (t) => {
	const { mesh, rules } = setUp(t, { guard: false });
	await mesh.start();
	mesh.setTunnelEnds(new Set(['10.0.2.3']));
	await mesh.whenIdle();
	t.deepEqual(rules, ['add table ip bgpmesh_guard\ndelete table ip bgpmesh_guard\n']);
});

test('of many changes of the guard while one loads only the last is loaded', async (t) => {
	const { mesh, rules } = setUp(t);
	for (let host = 1; host <= 100; host++) mesh.setTunnelEnds(new Set([`10.0.2.${host}`]));
	await mesh.whenIdle();
	t.is(rules.length, 2);
	t.regex(rules[1] ?? '', /10\.0\.2\.100/);
});

test('without nftables it says so once, goes on, and succeeds when it is there', async (t) => {
	const { mesh, nft, rules, log, pass } = setUp(t);
	nft.missing = true;
	mesh.setTunnelEnds(new Set(['10.0.2.3']));
	await mesh.whenIdle();
	await pass(60_000);
	mesh.setTunnelEnds(new Set(['10.0.2.4']));
	await mesh.whenIdle();
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
		[{ rules: 'guard', reason: 'the command nft is not installed' }],
	);
	nft.missing = false;
	await pass(60_000);
	t.regex(rules.at(-1) ?? '', /10\.0\.2\.4/);
});

test('without nftables and without need of it nothing is said', async (t) => {
	const { mesh, nft, log } = setUp(t, { guard: false });
	nft.missing = true;
	await mesh.setPools([{ ...pool, natOutgoing: false }]);
	await mesh.start();
	await mesh.whenIdle();
	t.deepEqual(
		log.lines.filter(({ level }) => level === 'warn'),
		[],
	);
	await mesh.setPools([pool]);
	await mesh.whenIdle();
	t.is(log.lines.filter(({ level }) => level === 'warn').length, 1);
});

test('stopping leaves device and rules, and sets off nothing more', async (t) => {
	const { mesh, device, clock, rules } = setUp(t);
	await mesh.setPools([pool]);
	await mesh.setTunnelAddresses(['192.168.1.0']);
	await mesh.start();
	await mesh.whenIdle();
	const before = rules.length;
	await mesh.stop();
	t.is(clock.pendingCount, 0);
	t.is(rules.length, before);
	t.true((await device())?.up);
});

test('interfaces that change faster than they can be read are read again a second later; nothing is wrong', async (t) => {
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
