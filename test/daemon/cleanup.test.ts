import { execFileSync } from 'node:child_process';
import test from 'ava';
import type { CleanedPlane } from '../../src/cli/index.ts';
import { check, libc, systemEnvironment } from '../../src/linux/index.ts';
import { run } from '../support/daemon.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;

const nft = (words: string) => execFileSync('nft', words.split(' '), { encoding: 'utf8', env: systemEnvironment() });

kernelTest('cleanup removes all objects of bgpmesh and no others', async (t) => {
	enterNewNamespace();
	addInterface('eth0', ['10.80.0.1/24', 'fd80::1/64']);
	const theirs = [
		'route add 192.168.9.0/26 via 10.80.0.9 proto bird',
		'route add 192.168.8.0/26 via 10.80.0.9 proto 80 table 7',
		// Felix: the same protocol, no metric.
		'route add 192.168.7.0/26 via 10.80.0.9 dev eth0 proto 80 onlink',
		'-6 route add fd99:7::/122 via fd80::9 dev eth0 proto 80 onlink',
		// Types that are never written, with any protocol number.
		'route add prohibit 192.168.6.0/26 proto 80 metric 1024',
		'route add throw 192.168.5.0/26 proto 81 metric 1024',
		'-6 route add prohibit fd99:8::/122 proto 80',
		'nexthop add id 7 via 10.80.0.9 dev eth0 proto static',
		'link add flannel.1 type vxlan id 1 dstport 8472 local 10.80.0.1 dev eth0',
	];
	for (const words of theirs) ip(words);
	nft('add table ip theirs');
	const state = () =>
		[
			ip('route'),
			ip('-6 route show proto 80'),
			ip('route show table 7'),
			ip('nexthop'),
			ip('-br link'),
			nft('list tables'),
		].join('');
	const before = state();
	for (const words of [
		'route add 192.168.1.0/26 via 10.80.0.9 proto 80 metric 1024',
		'route add blackhole 192.168.2.0/26 proto 80 metric 1024',
		'nexthop add id 191299585 via 10.80.0.8 dev eth0 proto 80',
		'route add 192.168.3.0/26 nhid 191299585 proto 80 metric 1024',
		'link add vxlan.calico type vxlan id 4096 dstport 4789 local 10.80.0.1 dev eth0 nolearning',
		'-6 route add fd99:1::/122 via fd80::9 dev eth0 proto 80',
		'-6 route add blackhole fd99:2::/122 proto 80',
	])
		ip(words);
	for (const table of ['ip bgpmesh_guard', 'ip6 bgpmesh_nat', 'inet bgpmesh_policy']) nft(`add table ${table}`);
	const full = state();
	const call = async (...words: string[]) => {
		const { code, stdout, stderr } = await run('bgpmesh.js', [
			'cleanup',
			'--json',
			'--socket',
			'/nowhere/sock',
			...words,
		]);
		t.is(code, 0, stderr);
		const { planes } = JSON.parse(stdout) as { readonly planes: readonly CleanedPlane[] };
		return Object.fromEntries(planes.map(({ plane, removed }) => [plane, [...removed].sort()]));
	};
	const expected = {
		routes: [
			'192.168.1.0/26 via 10.80.0.9 dev eth0',
			'192.168.3.0/26 via 10.80.0.8 dev eth0',
			'blackhole 192.168.2.0/26',
			'blackhole fd99:2::/122',
			'fd99:1::/122 via fd80::9 dev eth0',
		],
		vxlan: ['device vxlan.calico'],
		ipip: [],
		nftables: ['table inet bgpmesh_policy', 'table ip bgpmesh_guard', 'table ip6 bgpmesh_nat'],
		ebpf: [],
	};
	t.deepEqual(await call('--dry-run'), expected);
	t.is(state(), full, 'a dry run changes nothing');
	t.deepEqual(await call(), expected);
	t.is(state(), before);
	t.deepEqual(await call(), { routes: [], vxlan: [], ipip: [], nftables: [], ebpf: [] });
	// Felix uses the same device.
	ip('link add vxlan.calico type vxlan id 4096 dstport 4789 local 10.80.0.1 dev eth0 nolearning');
	ip('link set vxlan.calico up');
	ip('route add 192.168.6.0/26 via 192.168.6.0 dev vxlan.calico onlink');
	t.deepEqual((await call())['vxlan'], []);
	t.true(ip('route').includes('192.168.6.0/26'));
	ip('route del 192.168.6.0/26');
	t.deepEqual((await call())['vxlan'], ['device vxlan.calico']);
});

kernelTest('cleanup of a namespace without any route finds nothing and succeeds', async (t) => {
	// The kernel creates the main table with the first route, here none: even lo is down.
	check('unshare', libc().unshare(0x40000000));
	const { code, stdout, stderr } = await run('bgpmesh.js', ['cleanup', '--socket', '/nowhere/sock']);
	t.deepEqual(
		{ code, stdout, stderr },
		{ code: 0, stdout: 'There is nothing of bgpmesh in the kernel.\n', stderr: '' },
	);
});
