import { execFileSync } from 'node:child_process';
import test from 'ava';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';

const kernelTest = noNamespaces === undefined ? test.serial : test.serial.skip;

const bridge = () =>
	execFileSync('bridge', ['fdb', 'show', 'dev', 'vxlan.calico'], { encoding: 'utf8', env: systemEnvironment() });
const ruleset = () => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8', env: systemEnvironment() });
const lines = (text: string) =>
	text
		.split('\n')
		.map((line) => line.trim().replaceAll(/\s+/g, ' '))
		.filter((line) => line !== '')
		.sort();

kernelTest(
	'VXLAN from the configuration file: device, entries, routes and guard follow it, and a change of the mode',
	async (t) => {
		enterNewNamespace();
		addInterface('eth0', ['10.0.1.2/24', 'fd00:1::2/64']);
		ip('route add default via 10.0.1.1');
		const node = new RunningDaemon();
		const configure = (mode: string, more = '') =>
			node.configure(
				'asNumber: 64512\nrouterId: 10.0.1.2\nlisten: { address: 127.0.0.2, port: 1790 }\noriginate: [ 172.30.1.0/26 ]\ninSyncTimeoutSeconds: 1',
				`pools: [ { cidr: 172.30.0.0/16, ipipMode: Never, vxlanMode: ${mode} }, { cidr: "fd30::/48", ipipMode: Never, vxlanMode: ${mode} } ]
vxlan:
  nodeAddresses: [ 10.0.1.2, "fd00:1::2" ]
  tunnelAddresses: [ 172.30.1.0, "fd30:0:0:1::" ]
  nodes:
    - { name: near, address: 10.0.1.3, tunnelAddress: 172.30.3.0, blocks: [ 172.30.3.0/26 ] }
    - { name: far, address: 10.0.2.2, tunnelAddress: 172.30.2.0, mac: "02:00:00:00:00:02", blocks: [ 172.30.2.0/26 ] }
    - { name: far, address: "fd00:2::2", tunnelAddress: "fd30:0:0:2::", blocks: [ "fd30:0:0:2::/64" ] }
${more}`,
			);
		const routes = () => lines(ip('route show proto 80')).filter((line) => !line.startsWith('blackhole'));
		configure('CrossSubnet');
		await node.start(t);
		await node.until(
			'all planes are installed',
			(daemon) => daemon.ask('planes', {}),
			({ planes }) =>
				planes.length > 0 && planes.every(({ desired, installed, inSync }) => desired === installed && inSync),
		);
		t.deepEqual(routes(), [
			'172.30.2.0/26 via 172.30.2.0 dev vxlan.calico metric 1024 onlink',
			'172.30.3.0/26 via 10.0.1.3 dev eth0 metric 1024',
		]);
		t.deepEqual(lines(ip('-6 route show proto 80')), [
			'fd30:0:0:2::/64 via fd30:0:0:2:: dev vxlan-v6.calico metric 1024 onlink pref medium',
		]);
		t.regex(bridge(), /02:00:00:00:00:02 dst 10\.0\.2\.2 self permanent/);
		t.regex(ip('addr show dev vxlan.calico'), /mtu 1450[\s\S]*inet 172\.30\.1\.0\/32/);
		t.regex(ruleset(), /udp dport 4789 fib daddr type local ip saddr != @vxlan_nodes counter packets 0 bytes 0 drop/);
		t.regex(ruleset(), /elements = \{ 10\.0\.1\.3, 10\.0\.2\.2 \}/);
		t.regex((await node.cli('status')).stdout, /Plane vxlan +8 of 8 installed/);

		// Every packet through the tunnel; then none, by the host's own routes.
		configure('Always');
		t.is((await node.cli('reload')).code, 0);
		t.deepEqual(routes(), [
			'172.30.2.0/26 via 172.30.2.0 dev vxlan.calico metric 1024 onlink',
			'172.30.3.0/26 via 172.30.3.0 dev vxlan.calico metric 1024 onlink',
		]);
		configure('Never');
		t.is((await node.cli('reload')).code, 0);
		t.deepEqual(routes(), [
			'172.30.2.0/26 via 10.0.1.1 dev eth0 metric 1024',
			'172.30.3.0/26 via 10.0.1.3 dev eth0 metric 1024',
		]);
		t.regex(ip('-br link'), /vxlan\.calico/, 'the device stays for a while: other nodes may still send to it');
		t.is((await node.cli('fib', '--diff')).code, 0);
	},
);
