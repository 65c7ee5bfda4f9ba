import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Family, silentLogger, systemClock } from '../../src/core/index.ts';
import { loadByNft, systemEnvironment } from '../../src/linux/index.ts';
import { guardRules } from '../../src/nftables/index.ts';
import {
	macOf,
	openVxlanKernel,
	type RemoteEnd,
	VxlanMesh,
	type VxlanOptions,
	type VxlanState,
} from '../../src/vxlan/index.ts';
import { addInterface, enterNewNamespace, ip, ipAt, noNamespaces } from '../support/namespace.ts';

const missing = noNamespaces ?? noVxlan();
if (missing !== undefined) console.warn(`SKIPPED: VXLAN in the kernel: ${missing}`);
const vxlanTest = missing === undefined ? test.serial : test.skip;

function noVxlan(): string | undefined {
	try {
		execFileSync('unshare', ['-n', 'ip', 'link', 'add', 'probe', 'type', 'vxlan', 'id', '1', 'dstport', '4789'], {
			stdio: 'ignore',
			env: systemEnvironment(),
		});
		return undefined;
	} catch {
		return 'this kernel makes no VXLAN device';
	}
}

const remote = (node: string, family: Family, nodeAddress: string, tunnelAddress: string): RemoteEnd => ({
	node,
	family,
	nodeAddress,
	tunnelAddress,
	mac: macOf(node, family),
});

const stateOf = (node: string, ends: readonly [string, string][], more: Partial<VxlanState> = {}): VxlanState => ({
	vni: 4096,
	port: 4789,
	mtuBytes: {},
	local: Object.fromEntries(
		ends.map(([nodeAddress, tunnelAddress]) => {
			const family: Family = nodeAddress.includes(':') ? 'ipv6' : 'ipv4';
			return [family, { nodeAddress, tunnelAddress, mac: macOf(node, family) }];
		}),
	),
	families: ends.map(([nodeAddress]) => (nodeAddress.includes(':') ? 'ipv6' : 'ipv4')),
	remotes: [],
	leftAlone: false,
	...more,
});

function openMesh(t: ExecutionContext, options: VxlanOptions = {}): VxlanMesh {
	const mesh = new VxlanMesh(options, { kernel: openVxlanKernel(), clock: systemClock, log: silentLogger });
	mesh.start();
	t.teardown(() => mesh.stop());
	return mesh;
}

/** A namespace of its own, and the process that holds it. */
async function otherNamespace(t: ExecutionContext): Promise<number> {
	const child = spawn('unshare', ['-n', 'sleep', '120'], { stdio: 'ignore', env: systemEnvironment() });
	t.teardown(() => child.kill('SIGKILL'));
	await once(child, 'spawn');
	for (;;) {
		const [own, theirs] = [process.pid, child.pid].map((pid) =>
			execFileSync('readlink', [`/proc/${pid}/ns/net`], { encoding: 'utf8' }),
		);
		if (own !== theirs) return child.pid ?? 0;
		await pause(10);
	}
}

const ping = (to: string, ...words: string[]): string => {
	try {
		return execFileSync('ping', ['-n', '-c', '3', '-i', '0.2', '-W', '1', ...words, to], {
			encoding: 'utf8',
			env: systemEnvironment(),
		});
	} catch (error) {
		return String((error as { stdout?: string }).stdout ?? error);
	}
};

vxlanTest('packets of both families pass the tunnel to a node configured by iproute2, at full MTU', async (t) => {
	enterNewNamespace();
	const other = await otherNamespace(t);
	ip('link add eth0 type veth peer name eth1');
	ip(`link set eth1 netns ${other}`);
	for (const address of ['10.80.0.1/24', 'fd80::1/64'])
		ip(`addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`);
	ip('link set eth0 up');
	const there = (words: string) => ipAt(other, words);
	there('link set lo up');
	for (const address of ['10.80.0.2/24', 'fd80::2/64'])
		there(`addr add ${address} dev eth1${address.includes(':') ? ' nodad' : ''}`);
	there('link set eth1 up');

	// The other node as Felix configures it, by iproute2.
	const text = (node: string, family: Family) =>
		Buffer.from(macOf(node, family)).toString('hex').replace(/..\B/g, '$&:');
	const felix = (device: string, local: string, family: Family, mtu: number) => {
		there(
			`link add ${device} address ${text('node-b', family)} mtu ${mtu} type vxlan id 4096 dstport 4789 local ${local} dev eth1 nolearning`,
		);
		there(`link set ${device} up`);
		const [near, tunnel, block] =
			family === 'ipv4' ? ['10.80.0.1', '10.244.1.0', '10.244.1.0/26'] : ['fd80::1', 'fd44:1::', 'fd44:1::/122'];
		execFileSync(
			'nsenter',
			['-t', `${other}`, '-n', 'bridge', 'fdb', 'add', text('node-a', family), 'dev', device, 'dst', near],
			{ env: systemEnvironment() },
		);
		there(`neigh add ${tunnel} lladdr ${text('node-a', family)} dev ${device} nud permanent`);
		there(`route add ${block} via ${tunnel} dev ${device} onlink`);
	};
	felix('vxlan.calico', '10.80.0.2', 'ipv4', 1450);
	felix('vxlan-v6.calico', 'fd80::2', 'ipv6', 1430);
	there('addr add 10.244.2.0/32 dev vxlan.calico');
	there('addr add fd44:2::/128 dev vxlan-v6.calico nodad');
	there('addr add 10.244.2.7/32 dev lo');
	there('addr add fd44:2::7/128 dev lo nodad');

	const mesh = openMesh(t);
	mesh.apply(
		stateOf(
			'node-a',
			[
				['10.80.0.1', '10.244.1.0'],
				['fd80::1', 'fd44:1::'],
			],
			{
				remotes: [remote('node-b', 'ipv4', '10.80.0.2', '10.244.2.0'), remote('node-b', 'ipv6', 'fd80::2', 'fd44:2::')],
			},
		),
	);
	await mesh.whenIdle();
	t.deepEqual(mesh.counts(), { desired: 6, installed: 6, failures: [] });
	const shown = ip('-d link show vxlan.calico');
	t.regex(shown, /mtu 1450/);
	t.regex(shown, /vxlan id 4096 local 10\.80\.0\.1 dev eth0 .*dstport 4789 nolearning/);
	t.regex(ip('-d link show vxlan-v6.calico'), /mtu 1430[\s\S]*local fd80::1 dev eth0 .*dstport 4789 nolearning/);
	ip('route add 10.244.2.0/26 via 10.244.2.0 dev vxlan.calico onlink');
	ip('route add fd44:2::/122 via fd44:2:: dev vxlan-v6.calico onlink');
	await pause(1500);
	t.regex(ping('10.244.2.7'), /3 received/);
	t.regex(ping('fd44:2::7'), /3 received/);
	t.regex(ping('10.244.2.7', '-M', 'do', '-s', '1422'), /3 received/, '1450 bytes pass in one packet');
	t.notRegex(ping('10.244.2.7', '-M', 'do', '-s', '1423'), /3 received/);
	t.regex(ping('fd44:2::7', '-M', 'do', '-s', '1382'), /3 received/, '1430 bytes pass in one packet');

	// The guard accepts VXLAN only from known nodes.
	await loadByNft(guardRules({ ipip: [], vxlan: { port: 4789, nodes: ['10.80.0.9', 'fd80::9'] } }));
	t.regex(ping('10.244.2.7'), / 0 received/);
	t.regex(ping('fd44:2::7'), / 0 received/);
	await loadByNft(guardRules({ ipip: [], vxlan: { port: 4789, nodes: ['10.80.0.2', 'fd80::2'] } }));
	t.regex(ping('10.244.2.7'), /3 received/);
	t.regex(ping('fd44:2::7'), /3 received/);
});

vxlanTest('a device or entry that another program changes is corrected, with its entries', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24']);
	const mesh = openMesh(t);
	const remotes = [
		remote('node-b', 'ipv4', '10.80.0.2', '10.244.2.0'),
		remote('node-c', 'ipv4', '10.80.0.3', '10.244.3.0'),
	];
	const state = stateOf('node-a', [['10.80.0.1', '10.244.1.0']], { remotes });
	mesh.apply(state);
	await mesh.whenIdle();
	const entries = () => ip('neigh show dev vxlan.calico nud permanent').trim().split('\n').sort();
	t.is(entries().length, 2);
	ip('link del vxlan.calico');
	for (let attempt = 0; attempt < 100 && !ip('link').includes('vxlan.calico'); attempt++) await pause(20);
	await mesh.whenIdle();
	t.is(entries().length, 2);
	t.regex(ip('addr show dev vxlan.calico'), /10\.244\.1\.0\/32/);
	// A wrong entry of an earlier process is swept when the entries are read again.
	ip('neigh add 10.244.9.0 lladdr 02:00:00:00:00:09 dev vxlan.calico nud permanent');
	await mesh.stop();
	const next = openMesh(t);
	next.apply({ ...state, remotes: remotes.slice(0, 1) });
	await next.whenIdle();
	t.deepEqual(
		entries().map((line) => line.split(' ')[0]),
		['10.244.2.0'],
	);
	t.deepEqual(next.counts(), { desired: 3, installed: 3, failures: [] });
});

vxlanTest('a live change of MTU, port or VNI corrects the device', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24']);
	const mesh = openMesh(t);
	const remotes = [remote('node-b', 'ipv4', '10.80.0.2', '10.244.2.0')];
	const state = stateOf('node-a', [['10.80.0.1', '10.244.1.0']], { remotes });
	for (const more of [{}, { mtuBytes: { ipv4: 1400 } }, { port: 8472 }, { vni: 5000 }]) {
		mesh.apply({ ...state, ...more });
		await mesh.whenIdle();
		t.deepEqual(mesh.counts().failures, []);
		t.is(mesh.counts().installed, 3);
	}
	t.regex(ip('-d link show vxlan.calico'), /id 5000[\s\S]*dstport 4789/);
});

vxlanTest('a new address, interface or MAC address of the node keeps the device and its entries', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24', '10.80.0.9/24', 'fd80::1/64', 'fd80::9/64']);
	addInterface('eth1', ['10.81.0.1/24', 'fd81::1/64']);
	const mesh = openMesh(t, { moveDelaySeconds: 0.3 });
	const at = (ipv4: string, ipv6: string): VxlanState =>
		stateOf(
			'node-a',
			[
				[ipv4, '10.244.1.0'],
				[ipv6, 'fd44:1::'],
			],
			{
				remotes: [remote('node-b', 'ipv4', '10.80.0.2', '10.244.2.0'), remote('node-b', 'ipv6', 'fd80::2', 'fd44:2::')],
			},
		);
	mesh.apply(at('10.80.0.1', 'fd80::1'));
	await mesh.whenIdle();
	ip('route add 10.244.2.0/26 via 10.244.2.0 dev vxlan.calico onlink');
	const indexes = () => ['vxlan.calico', 'vxlan-v6.calico'].map((name) => ip(`-o link show ${name}`).split(':')[0]);
	const before = indexes();
	const shown = (name: string) => ip(`-d link show ${name}`);
	const until = async (name: string, pattern: RegExp) => {
		for (let attempt = 0; attempt < 150 && !pattern.test(shown(name)); attempt++) await pause(20);
		await mesh.whenIdle();
		t.regex(shown(name), pattern);
	};

	mesh.apply(at('10.80.0.9', 'fd80::9'));
	await mesh.whenIdle();
	t.regex(shown('vxlan.calico'), /local 10\.80\.0\.1 /, 'other nodes do not know the new address yet');
	await until('vxlan.calico', /local 10\.80\.0\.9 dev eth0 /);
	await until('vxlan-v6.calico', /local fd80::9 dev eth0 /);

	// Without the old address there is nothing to wait for.
	mesh.apply(at('10.81.0.1', 'fd81::1'));
	await mesh.whenIdle();
	t.regex(shown('vxlan.calico'), /local 10\.81\.0\.1 dev eth1 /);
	t.regex(shown('vxlan-v6.calico'), /local fd81::1 dev eth1 /);
	ip('link set vxlan.calico address 02:00:00:00:00:01');
	await until(
		'vxlan.calico',
		new RegExp(`link/ether ${Buffer.from(macOf('node-a', 'ipv4')).toString('hex').replace(/..\B/g, '$&:')}`),
	);

	t.deepEqual(indexes(), before, 'no device was made anew');
	t.regex(ip('route show 10.244.2.0/26'), /via 10\.244\.2\.0 dev vxlan\.calico onlink/);
	t.regex(ip('neigh show dev vxlan.calico nud permanent'), /10\.244\.2\.0/);
	t.regex(ip('-6 neigh show dev vxlan-v6.calico nud permanent'), /fd44:2::/);
	t.deepEqual(mesh.counts(), { desired: 6, installed: 6, failures: [] });
});

vxlanTest("a foreign device with the same VNI and port is reported with the kernel's message", async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24']);
	ip('link add flannel.1 type vxlan id 4096 dstport 4789 local 10.80.0.1 dev eth0');
	const mesh = openMesh(t);
	mesh.apply(stateOf('node-a', [['10.80.0.1', '10.244.1.0']]));
	await mesh.whenIdle();
	t.regex(mesh.counts().failures[0]?.reason ?? '', /EEXIST/);
	t.is(mesh.counts().installed, 0);
});

vxlanTest('without a pool the device is removed after a while, and not while another program owns it', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24']);
	const mesh = openMesh(t, { lingerSeconds: 0.2 });
	const state = stateOf('node-a', [['10.80.0.1', '10.244.1.0']]);
	mesh.apply(state);
	await mesh.whenIdle();
	mesh.apply({ ...state, families: [], leftAlone: true });
	await mesh.whenIdle();
	await pause(500);
	t.true(ip('link').includes('vxlan.calico'));
	mesh.apply({ ...state, families: [] });
	await mesh.whenIdle();
	t.true(ip('link').includes('vxlan.calico'), 'other nodes may still send to it');
	for (let attempt = 0; attempt < 150 && ip('link').includes('vxlan.calico'); attempt++) await pause(20);
	t.false(ip('link').includes('vxlan.calico'));
});

vxlanTest('a thousand nodes are written, and a change of one changes only its entries', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24']);
	const mesh = openMesh(t);
	const remotes = Array.from({ length: 1000 }, (_, index) =>
		remote(`node-${index}`, 'ipv4', `10.81.${index >> 8}.${index & 255}`, `10.244.${index >> 8}.${index & 255}`),
	);
	const state = stateOf('node-a', [['10.80.0.1', '10.245.1.0']], { remotes });
	mesh.apply(state);
	await mesh.whenIdle();
	t.deepEqual(mesh.counts(), { desired: 2001, installed: 2001, failures: [] });
	const monitor = spawn('ip', ['monitor', 'neigh'], { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
	t.teardown(() => monitor.kill());
	let told = '';
	monitor.stdout.setEncoding('utf8').on('data', (chunk: string) => {
		told += chunk;
	});
	await pause(300);
	mesh.apply({ ...state, remotes: remotes.filter(({ node }) => node !== 'node-7') });
	await mesh.whenIdle();
	await pause(300);
	const lines = told.trim().split('\n');
	t.true(
		lines.every((line) => / ?10\.(81|244)\.0\.7 /.test(line)),
		told,
	);
	t.true(lines.some((line) => line.includes('10.81.0.7')) && lines.some((line) => line.includes('10.244.0.7')), told);
});
