import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import anyTest, { type ExecutionContext } from 'ava';
import { type Logger, systemClock } from '../../src/core/index.ts';
import { type AttachRequest, openPodKernel, PodInterfaces } from '../../src/pods/index.ts';
import { enterNewNamespace, ip, ipAt, noNamespaces } from '../support/namespace.ts';

const test = noNamespaces === undefined ? anyTest.serial : anyTest.skip;
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

anyTest.before(() => {
	if (noNamespaces !== undefined) return;
	enterNewNamespace();
	writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
	ip('link add uplink mtu 9000 type veth peer name uplink-end mtu 9000');
	ip('link set uplink-end up');
	ip('addr add 10.9.0.1/24 dev uplink');
	ip('link set uplink up');
	ip('route add default via 10.9.0.254');
});

/** A process in its own network namespace: a container. */
async function container(t: ExecutionContext): Promise<{ readonly pid: number; readonly namespace: string }> {
	const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 120'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	t.teardown(() => child.kill('SIGKILL'));
	await new Promise((resolve) => child.stdout.once('data', resolve));
	const { pid = 0 } = child;
	return { pid, namespace: `/proc/${pid}/ns/net` };
}

function interfaces(t: ExecutionContext, overheadBytes = 0): PodInterfaces {
	const kernel = openPodKernel();
	t.teardown(() => kernel.close());
	return new PodInterfaces({ kernel, overheadBytes: () => overheadBytes, clock: systemClock, log: quiet });
}

const pod = { namespace: 'default', name: 'web-0' };
const hostName = 'cali0d7763386da';
const request = (namespace: string, more: Partial<AttachRequest> = {}): AttachRequest => ({
	network: 'pods',
	containerId: 'c1',
	ifname: 'eth0',
	pod,
	namespace,
	addresses: ['192.168.1.1', 'fd00:1::1'],
	mtuBytes: undefined,
	mac: undefined,
	...more,
});
const setting = (path: string) => readFileSync(`/proc/sys/net/${path}`, 'utf8').trim();

test('a pod responds at its addresses, and reaches the node through the gateway', async (t) => {
	const { pid, namespace } = await container(t);
	const pods = interfaces(t, 50);
	const attached = await pods.attach(request(namespace));
	t.teardown(() => pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' }));
	t.is(attached.hostName, hostName);
	t.is(attached.mtuBytes, 8950);
	t.regex(ip(`link show ${hostName}`), /mtu 8950 .*ee:ee:ee:ee:ee:ee/s);
	t.regex(ipAt(pid, 'addr show eth0'), /inet 192\.168\.1\.1\/32/);
	t.regex(ipAt(pid, 'addr show eth0'), /inet6 fd00:1::1\/128/);
	t.regex(ipAt(pid, 'route'), /default via 169\.254\.1\.1 dev eth0/);
	t.regex(ipAt(pid, '-6 route'), /default via fe80::ecee:eeff:feee:eeee dev eth0/);
	t.regex(ip('route'), new RegExp(`192\\.168\\.1\\.1 dev ${hostName} scope link`));
	t.regex(ip('-6 route'), new RegExp(`fd00:1::1 dev ${hostName}`));
	for (const [key, value] of [
		['proxy_arp', '1'],
		['forwarding', '1'],
		['route_localnet', '1'],
	] as const)
		t.is(setting(`ipv4/conf/${hostName}/${key}`), value, key);
	t.is(setting(`ipv6/conf/${hostName}/forwarding`), '1');
	t.notThrows(() => ipAt(pid, 'route get 10.9.0.1'));
	const ping = (from: number, to: string) =>
		new Promise<number | null>((resolve) => {
			const child = spawn('nsenter', ['-t', String(from), '-n', 'ping', '-c', '1', '-W', '3', to], { stdio: 'ignore' });
			child.once('exit', resolve);
		});
	t.is(await ping(pid, '10.9.0.1'), 0, 'the node answers');
	t.is(await ping(process.pid, '192.168.1.1'), 0, 'the pod answers');
	t.is(await ping(process.pid, 'fd00:1::1'), 0, 'the pod answers, IPv6');
	await t.notThrowsAsync(
		pods.check({ network: 'pods', containerId: 'c1', ifname: 'eth0' }, namespace, ['192.168.1.1', 'fd00:1::1']),
	);
});

test('a requested hardware address and MTU are applied; IPv4-only omits IPv6', async (t) => {
	const { pid, namespace } = await container(t);
	const pods = interfaces(t);
	const mac = new Uint8Array([2, 0, 0, 0, 0, 7]);
	const attached = await pods.attach(request(namespace, { addresses: ['192.168.1.2'], mtuBytes: 1400, mac }));
	t.teardown(() => pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' }));
	t.deepEqual([...attached.mac], [...mac]);
	t.regex(ipAt(pid, 'link show eth0'), /mtu 1400 .*02:00:00:00:00:07/s);
	t.is(ipAt(pid, '-6 route show default').trim(), '');
});

const broken: readonly [string, (pid: number) => void, RegExp][] = [
	['the route of the node', () => ip(`route del 192.168.1.3 dev ${hostName}`), /no route to 192\.168\.1\.3/],
	[
		'the address of the pod',
		(pid) => ipAt(pid, 'addr del 192.168.1.3/32 dev eth0'),
		/does not have 192\.168\.1\.3|default route/,
	],
	['the default route of the pod', (pid) => ipAt(pid, 'route del default'), /no default route/],
	['the interface of the node is down', () => ip(`link set ${hostName} down`), /is down/],
	['the interface', () => ip(`link del ${hostName}`), /no interface on the node/],
];
for (const [what, spoil, expected] of broken)
	test(`CHECK detects a missing part: ${what}`, async (t) => {
		const { pid, namespace } = await container(t);
		const pods = interfaces(t);
		await pods.attach(request(namespace, { addresses: ['192.168.1.3'] }));
		t.teardown(() => pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' }));
		const check = () => pods.check({ network: 'pods', containerId: 'c1', ifname: 'eth0' }, namespace, ['192.168.1.3']);
		await t.notThrowsAsync(check);
		spoil(pid);
		await t.throwsAsync(check, { message: expected });
	});

test('a late delete of the old container leaves the new one unchanged', async (t) => {
	const [old, young] = [await container(t), await container(t)];
	const pods = interfaces(t);
	await pods.attach(request(old.namespace));
	await pods.attach(request(young.namespace, { containerId: 'c2', addresses: ['192.168.1.9'] }));
	await pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' });
	t.regex(ip('route'), new RegExp(`192\\.168\\.1\\.9 dev ${hostName}`));
	await pods.detach({ network: 'pods', containerId: 'c2', ifname: 'eth0' });
	t.notRegex(ip('link'), new RegExp(hostName));
	await t.notThrowsAsync(pods.detach({ network: 'pods', containerId: 'c2', ifname: 'eth0' }));
});

test('an address of another pod is refused by its name, and no interface is left', async (t) => {
	const [first, second] = [await container(t), await container(t)];
	const pods = interfaces(t);
	await pods.attach(request(first.namespace));
	t.teardown(() => pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' }));
	const other = request(second.namespace, { containerId: 'c2', pod: { namespace: 'default', name: 'web-1' } });
	const error = await t.throwsAsync(pods.attach(other), {
		message: new RegExp(`192\\.168\\.1\\.1 leads through ${hostName}`),
	});
	t.regex(String((error as { hint?: string }).hint), /container c1/);
	t.is(ip('-br link').match(/^cali/gm)?.length, 1);
	t.notRegex(ipAt(second.pid, 'link'), /eth0/);
});

test('GC removes interfaces without a valid attachment, only of its own network', async (t) => {
	const [first, second, third] = [await container(t), await container(t), await container(t)];
	const pods = interfaces(t);
	const attach = (namespace: string, containerId: string, network: string, address: string) =>
		pods.attach(request(namespace, { network, containerId, pod: undefined, addresses: [address] }));
	await attach(first.namespace, 'aaa', 'pods', '192.168.2.1');
	await attach(second.namespace, 'bbb', 'pods', '192.168.2.2');
	await attach(third.namespace, 'ccc', 'other', '192.168.2.3');
	t.deepEqual(await pods.collect('pods', [{ containerId: 'bbb', ifname: 'eth0' }]), ['caliaaa']);
	t.notRegex(ip('-br link'), /caliaaa/);
	t.regex(ip('-br link'), /calibbb/);
	t.regex(ip('-br link'), /caliccc/);
	await pods.collect('pods', []);
	await pods.collect('other', []);
});

test('a restart restores missing routes and settings', async (t) => {
	const { namespace } = await container(t);
	const pods = interfaces(t);
	await pods.attach(request(namespace));
	t.teardown(() => pods.detach({ network: 'pods', containerId: 'c1', ifname: 'eth0' }));
	ip(`route del 192.168.1.1 dev ${hostName}`);
	writeFileSync(`/proc/sys/net/ipv4/conf/${hostName}/proxy_arp`, '0');
	const found = await interfaces(t).repair();
	t.deepEqual(
		found.map(({ name, owner }) => [name, owner?.containerId]),
		[[hostName, 'c1']],
	);
	t.regex(ip('route'), new RegExp(`192\\.168\\.1\\.1 dev ${hostName}`));
	t.is(setting(`ipv4/conf/${hostName}/proxy_arp`), '1');
});
