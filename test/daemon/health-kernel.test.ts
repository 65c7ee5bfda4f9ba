import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { HostCheck } from '../../src/cli/index.ts';
import type { ControlClient, StatusView } from '../../src/control/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;
const note = noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`;

const setting = (path: string) => `/proc/sys/net/${path}`;
const status = (daemon: ControlClient) => daemon.ask('status', {});
const ids = ({ problems }: StatusView) => problems.map(({ id }) => id);

/** GET over the control socket: status code and text. */
async function probe(
	{ socket }: RunningDaemon,
	path: string,
): Promise<{ readonly code: number; readonly text: string }> {
	return new Promise((resolve, reject) => {
		get({ socketPath: socket, path }, (response) => {
			text(response).then((body) => resolve({ code: response.statusCode ?? 0, text: body }), reject);
		}).on('error', reject);
	});
}

/** The interface of a pod; its other end stays in this namespace. */
const addPod = (name: string) => ip(`link add ${name} type veth peer name pod-${name}`);

const bgp = `asNumber: 64512\nrouterId: 10.0.0.1\nlisten: { address: 127.0.0.2, port: 1790 }\noriginate: [ 192.168.1.0/26 ]`;

/** Does the kernel of this machine have the device kind ipip? */
function hasIpip(): boolean {
	try {
		ip('link add probe type ipip local 10.0.1.1 remote 10.0.1.2');
		ip('link del probe');
		return true;
	} catch {
		return false;
	}
}

kernelTest(`forwarding is enabled at the start, and reported when it is disabled later${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeFileSync(setting(path), '0');
	const node = new RunningDaemon();
	node.configure(
		bgp,
		'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never }, { cidr: "fd00:10::/48", ipipMode: Never } ]',
	);
	await node.start(t);
	t.is(readFileSync(setting('ipv4/ip_forward'), 'utf8').trim(), '1');
	t.is(readFileSync(setting('ipv6/conf/all/forwarding'), 'utf8').trim(), '1');
	const well = await node.until('all is well', status, ({ ready }) => ready);
	t.deepEqual(ids(well), []);
	t.deepEqual(await probe(node, '/readyz'), { code: 200, text: 'ok\n' });
	t.is((await node.cli('status', '--check')).code, 0);

	writeFileSync(setting('ipv4/ip_forward'), '0');
	const broken = await node.ask('status');
	t.deepEqual(ids(broken as StatusView), ['ipv4-forwarding']);
	const ready = await probe(node, '/readyz');
	t.is(ready.code, 503);
	t.regex(ready.text, /^ipv4-forwarding net\.ipv4\.ip_forward: net\.ipv4\.ip_forward is 0, and must be 1$/m);
	t.is((await probe(node, '/healthz')).code, 200);
	const checked = await node.cli('status', '--check');
	t.is(checked.code, 1);
	t.regex(checked.stdout, /error ipv4-forwarding net\.ipv4\.ip_forward, since /);
	t.is((await node.cli('status', '--ready')).code, 1);
	t.is((await node.cli('status')).code, 0);
	const metrics = (await probe(node, '/metrics')).text;
	t.regex(metrics, /^bgpmesh_problems\{id="ipv4-forwarding",severity="error"\} 1$/m);
	t.regex(metrics, /^bgpmesh_ready 0$/m);
	const doctor = await node.cli('doctor', '--json');
	t.is(doctor.code, 1);
	t.like(
		(JSON.parse(doctor.stdout) as { checks: { name: string; state: string }[] }).checks.find(
			({ name }) => name === 'net.ipv4.ip_forward',
		),
		{ state: 'wrong', found: '0' },
	);

	writeFileSync(setting('ipv4/ip_forward'), '1');
	t.deepEqual(ids((await node.ask('status')) as StatusView), []);
});

kernelTest(`fib.hostSettings: false writes no kernel setting${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	writeFileSync(setting('ipv4/ip_forward'), '0');
	const node = new RunningDaemon();
	node.configure(bgp, 'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]\nfib: { hostSettings: false }');
	await node.start(t);
	t.deepEqual(ids((await node.ask('status')) as StatusView), ['ipv4-forwarding']);
	t.is(readFileSync(setting('ipv4/ip_forward'), 'utf8').trim(), '0');
});

kernelTest(`settings that cannot be written are named, and the daemon goes on${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	addPod('cali1');
	for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeFileSync(setting(path), '0');
	const node = new RunningDaemon();
	node.configure(
		bgp,
		'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never }, { cidr: "fd00:10::/48", ipipMode: Never } ]',
	);
	const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';
	node.runAs(['unshare', '--mount', 'sh', '-c', readOnly, 'sh'], 0);
	await node.start(t);
	const view = await node.until('the block is installed', status, ({ fib }) => fib.installed === 1);
	t.deepEqual(ids(view), ['ipv4-forwarding', 'ipv6-forwarding', 'pod-gateway-silent']);
	t.regex(ip('route show proto 80'), /^blackhole 192\.168\.1\.0\/26/);
	for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/cali1/proxy_arp']) {
		t.is(readFileSync(setting(path), 'utf8').trim(), '0', path);
		const lines = node.log.split('\n').filter((line) => line.includes(`setting=net/${path} `));
		t.is(lines.length, 1, `once: ${path}`);
		t.regex(lines[0] ?? '', /warn +kernel setting could not be written .*EROFS/);
	}
	// As soon as another program sets them, nothing is wrong any more.
	for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/cali1/proxy_arp'])
		writeFileSync(setting(path), '1');
	t.deepEqual(ids((await node.ask('status')) as StatusView), []);
});

kernelTest(`doctor lists settings and MTU of tunnels and pods, and the table of connections${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	for (const pod of ['cali1', 'cali2', 'cali3']) addPod(pod);
	ip('link add vxlan.calico type vxlan id 4096 dstport 4789 local 10.0.1.1 dev up0');
	ip('link set vxlan.calico up mtu 1450');
	ip('link set up0 mtu 1400');
	for (const [pod, arp, mtu] of [
		['cali1', '1', 1450],
		['cali2', '1', 1500],
		['cali3', '0', 1450],
	] as const) {
		writeFileSync(setting(`ipv4/conf/${pod}/proxy_arp`), arp);
		ip(`link set ${pod} mtu ${mtu}`);
	}
	const node = new RunningDaemon();
	const doctor = async () => {
		const { stdout } = await node.cli('doctor', '--json');
		const { checks } = JSON.parse(stdout) as { readonly checks: readonly HostCheck[] };
		return checks.filter(({ name }) => /proxy_arp|^MTU|conntrack/.test(name));
	};
	const rows = await doctor();
	const tracked = existsSync('/proc/sys/net/netfilter/nf_conntrack_count');
	t.deepEqual(
		rows.map(({ name, state }) => [name, state]),
		[
			['net.ipv4.conf.cali*.proxy_arp', 'ok'],
			['net.ipv4.conf.cali3.proxy_arp', 'wrong'],
			['MTU of vxlan.calico', 'wrong'],
			['MTU of cali*', 'ok'],
			['MTU of cali2', 'wrong'],
			...(tracked ? [['net.netfilter.nf_conntrack_count', 'ok']] : []),
		],
	);
	const [arp, silent, tunnel, , pod] = rows;
	t.is(arp?.found, '1 (2)');
	t.regex(silent?.remedy ?? '', /sysctl -w net\.ipv4\.conf\.cali3\.proxy_arp=1/);
	t.like(tunnel, { found: '1450', wanted: 'at most 1350' });
	t.like(pod, { found: '1500', wanted: 'at most 1450' });
	for (const { breaks, remedy } of rows) t.true(breaks.length > 20 && remedy.length > 20);

	ip('link set vxlan.calico mtu 1350');
	t.is((await doctor()).find(({ name }) => name === 'MTU of vxlan.calico')?.state, 'ok');
});

kernelTest(`the daemon has pods' gateways answer, and reports one that is silenced later${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	addPod('cali1');
	const arp = setting('ipv4/conf/cali1/proxy_arp');
	const node = new RunningDaemon();
	node.configure(bgp, 'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]');
	await node.start(t);
	t.is(readFileSync(arp, 'utf8').trim(), '1');
	writeFileSync(arp, '0');
	const [problem] = ((await node.ask('status')) as StatusView).problems;
	t.like(problem, { id: 'pod-gateway-silent', subject: 'net.ipv4.conf.cali1.proxy_arp' });

	// A later interface of the same name is another one, and set up again.
	await eventually('the problem is in the log', () => / problem .*id=pod-gateway-silent/.test(node.log));
	t.is(readFileSync(arp, 'utf8').trim(), '0', 'written once only');
	ip('link del cali1');
	await eventually('it is solved', () => /problem solved .*id=pod-gateway-silent/.test(node.log));
	addPod('cali1');
	await eventually('the gateway answers', () => readFileSync(arp, 'utf8').trim() === '1');
});

kernelTest(
	`a tunnel device that cannot be created, and the routes through it, are problems, and the daemon is not in sync${note}`,
	async (t) => {
		enterNewNamespace();
		addInterface('up0', ['10.0.1.1/24']);
		// To make a kernel with ipip refuse, the name of the device is used by another kind.
		const refuses = hasIpip();
		if (refuses) ip('link add tunl0 type dummy');
		const [node, other] = [new RunningDaemon(), new RunningDaemon()];
		const peer = (name: string, own: string, address: string) =>
			`peers: [ { name: ${name}, address: ${address}, port: 1790, localAddress: ${own}, asNumber: 64512, connectRetrySeconds: 1 } ]`;
		node.configure(
			`${bgp}\n${peer('other', '127.0.0.2', '127.0.0.3')}`,
			'pools: [ { cidr: 192.168.0.0/16, ipipMode: Always } ]',
		);
		other.configure(
			`asNumber: 64512\nrouterId: 10.0.0.2\nlisten: { address: 127.0.0.3, port: 1790 }\n${peer('node', '127.0.0.3', '127.0.0.2')}\noriginate: [ { prefix: 192.168.2.0/26, nextHop: 10.0.1.9 } ]`,
		);
		await Promise.all([node.start(t), other.start(t)]);
		const view = await node.until('the tunnel is a problem', status, ({ problems }) =>
			problems.some(({ id }) => id === 'tunnel-device'),
		);
		t.false(view.ready);
		t.is(view.problems.find(({ id }) => id === 'tunnel-device')?.subject, 'tunl0');
		if (!refuses) {
			const failed = await node.until('the route is a problem', status, ({ problems }) =>
				problems.some(({ id }) => id === 'route-failed'),
			);
			t.is(failed.problems.find(({ id }) => id === 'route-failed')?.subject, '192.168.2.0/26');
			t.false(failed.fib.inSync);
			const fib = await node.cli('fib');
			t.regex(fib.stdout, /not in sync: the kernel refused 1 route$/m);
			t.notRegex(fib.stdout, /; in sync$/m);
			t.regex((await probe(node, '/metrics')).text, /^bgpmesh_fib_in_sync 0$/m);
		}
		const screen = (await node.cli('status')).stdout;
		t.regex(screen, /error tunnel-device tunl0, since /);
		t.regex(screen, /What to do: Load the module/);
		t.is((await probe(node, '/readyz')).code, 503);
		t.regex(node.log, /error problem .*id=tunnel-device/);
	},
);

kernelTest(`under another user, ambient capabilities suffice for routes and kernel settings${note}`, async (t) => {
	enterNewNamespace();
	addInterface('up0', ['10.0.1.1/24']);
	writeFileSync(setting('ipv4/ip_forward'), '0');
	const node = new RunningDaemon();
	node.configure(bgp, 'pools: [ { cidr: 192.168.0.0/16, ipipMode: Never } ]');
	const capabilities = '+net_admin,+net_bind_service,+net_raw,+chown';
	node.runAs(
		[
			'setpriv',
			'--reuid=65534',
			'--regid=65534',
			'--clear-groups',
			`--inh-caps=${capabilities}`,
			`--ambient-caps=${capabilities}`,
			'--bounding-set=-all,+net_admin,+net_bind_service,+net_raw,+chown',
			'--no-new-privs',
		],
		65534,
	);
	await node.start(t);
	const view = await node.until('the block is installed', status, ({ fib }) => fib.installed === 1);
	t.deepEqual(ids(view), []);
	t.is(readFileSync(setting('ipv4/ip_forward'), 'utf8').trim(), '1');
	t.regex(ip('route show proto 80'), /^blackhole 192\.168\.1\.0\/26/);
	t.regex(execFileSync('ps', ['-o', 'uid=', '-p', String(node.pid)], { encoding: 'utf8' }), /65534/);
});
