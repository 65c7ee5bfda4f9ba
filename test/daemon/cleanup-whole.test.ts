import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { CleanedPlane } from '../../src/cli/index.ts';
import { podInterfaceName } from '../../src/core/index.ts';
import { Assembler, BpfMap, fp, imm, LoadedProgram, r0, r1, TcxAttacher } from '../../src/ebpf/index.ts';
import { coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { mountBpffs } from '../support/bpffs.ts';
import { run as runCommand } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { KubeNode } from '../support/kube-node.ts';
import { addInterface, enterRouting, ip, noNamespaces } from '../support/namespace.ts';
import { networkPolicies, networkPolicy } from '../support/policy-node.ts';

const missing = noNamespaces ?? noBpf;
const kernelTest = missing === undefined ? test.serial : test.serial.skip;
const note = missing === undefined ? '' : ` (skipped: ${missing})`;

const run = (command: string, ...words: string[]): string =>
	execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: systemEnvironment() });
const words = (line: string): void => {
	const [command = '', ...rest] = line.split(' ');
	run(command, ...rest);
};
/** Empty where this machine lacks the command. */
const optional = (line: string): string => {
	try {
		const [command = '', ...rest] = line.split(' ');
		return run(command, ...rest);
	} catch {
		return '';
	}
};

/** Objects of other programs, of every kind that this project has objects of, and near to them. */
const foreign: readonly string[] = [
	// Routes: of BIRD, with our number in another table or of other types.
	'ip route add 10.201.0.0/26 via 10.80.0.9 proto bird',
	'ip route add 10.203.0.0/26 via 10.80.0.9 proto 80 metric 1024 table 7',
	'ip route add throw 10.204.0.0/26 proto 80 metric 1024',
	'ip route add prohibit 10.205.0.0/26 proto 80 metric 1024',
	'ip -6 route add prohibit fd99:8::/122 proto 80',
	'ip route add unreachable 10.206.0.0/26 proto static',
	'ip route add blackhole 10.207.0.0/26 proto static metric 1024',
	'ip route add 10.208.0.0/26 nexthop via 10.80.0.9 nexthop via 10.80.0.10',
	'ip rule add pref 99 from 10.203.0.0/16 lookup 7',
	'ip -6 rule add pref 99 from fd99::/64 lookup 7',
	// Next hop objects: one with a number of our range, and a route that uses it.
	'ip nexthop add id 7 via 10.80.0.9 dev eth0 proto static',
	'ip nexthop add id 191299590 via 10.80.0.10 dev eth0 proto static',
	'ip route add 10.209.0.0/26 nhid 191299590 proto static',
	// Tunnels, entries and neighbours.
	'ip link add flannel.1 address 02:00:00:00:00:07 type vxlan id 1 dstport 8472 local 10.80.0.1 dev eth0',
	'ip link add vx9 address 02:00:00:00:00:08 type vxlan id 9 dstport 4789 local 10.80.0.1 dev eth0 nolearning',
	'ip link set flannel.1 up',
	'ip link set vx9 up',
	'bridge fdb append 66:00:00:00:00:01 dev flannel.1 dst 10.80.0.9',
	'bridge fdb append 66:00:00:00:00:02 dev vx9 dst 10.80.0.9',
	'ip neigh add 10.80.0.77 lladdr 02:00:00:00:00:09 dev eth0 nud permanent',
	'ip neigh add 10.210.0.1 lladdr 66:00:00:00:00:02 dev vx9 nud permanent',
	'ip link add br0 address 02:00:00:00:00:0a type bridge',
	// Rules.
	'nft add table inet firewall',
	'nft add chain inet firewall input { type filter hook input priority 0 ; policy accept ; }',
	'nft add rule inet firewall input udp dport 4789 accept',
	'nft add table ip bgpmeshed',
	// A classifier at a hook that programs of ours use, too.
	'tc qdisc add dev eth0 clsact',
];
/** Routes in the form of Felix, with the number that routes of ours have, too. */
const felix: readonly string[] = [
	'ip route add 10.202.0.0/26 via 10.80.0.9 dev eth0 proto 80 onlink',
	'ip -6 route add fd99:7::/122 via fd80::9 dev eth0 proto 80 onlink',
];
/** What not every machine has the command or the module for. */
const foreignIfThere: readonly string[] = [
	'ipset create theirs hash:ip',
	'ipset add theirs 10.80.0.9',
	'iptables -N THEIRS',
	'iptables -A INPUT -j THEIRS',
	'iptables -A THEIRS -s 10.80.0.9 -j ACCEPT',
	'ip xfrm policy add src 10.211.0.0/24 dst 10.212.0.0/24 dir out priority 5',
	'ip link add tun9 type ipip local 10.80.0.1 remote 10.80.0.9',
];

/** Everything in this namespace that one of these commands shows, without counters and ages. */
const dumpWith = (bpffs: string): string =>
	[
		'ip route show table all',
		'ip -6 route show table all',
		'ip rule',
		'ip -6 rule',
		'ip nexthop',
		'ip -d link',
		'ip addr',
		'ip neigh show nud permanent',
		'ip -6 neigh show nud permanent',
		'bridge fdb',
		'nft list ruleset',
		'ipset save',
		'ip xfrm policy',
		'tc qdisc',
		'tc filter show dev eth0 ingress',
		'tc filter show dev eth0 egress',
		'bpftool net show',
		// Programs of ours are pinned.
		`find ${bpffs}`,
	]
		.map((line) => `# ${line}\n${optional(line)}`)
		.join('\n')
		// Router advertisements and neighbour discovery of the pairs' far ends.
		.replace(/ expires \S+/g, '')
		.replace(/counter packets \d+ bytes \d+/g, 'counter');

/** So many that their routes use next hop objects. */
const nodes = 80;
const far = Array.from({ length: nodes }, (_, index) => ({
	address: `10.80.1.${index + 1}`,
	tunnel: `10.77.${index + 1}.0`,
	block: `10.77.${index + 1}.0/26`,
}));
const listed = [
	...far.map(
		({ address, tunnel, block }, index) =>
			`{ name: far-${index}, address: ${address}, tunnelAddress: ${tunnel}, blocks: [ ${block} ] }`,
	),
	'{ name: far-v6, address: "fd80::9", tunnelAddress: "fd77:1::", blocks: [ "fd77:1::/122" ] }',
].join(', ');

/**
 * A program of another owner at the egress of an interface until the test ends; the result counts
 * the packets that it has seen.
 */
async function foreignProgram(t: ExecutionContext, interfaceName: string): Promise<() => number> {
	const map = BpfMap.create({ name: 'seen', type: 'array', keyBytes: 4, valueBytes: 8, entries: 1 });
	const counts = new Assembler().store('w', fp, -8, imm(0)).lookup('seen', -8);
	counts.when(r0, '!=', imm(0), () => counts.mov(r1, imm(1)).atomicAdd(r0, 0, r1));
	const program = LoadedProgram.load(counts.mov(r0, imm(-1)).exit().assemble(), {
		...{ name: 'theirs', type: 'schedClassifier', maps: new Map([['seen', map]]) },
	});
	const attacher = new TcxAttacher();
	t.teardown(() => {
		attacher.close();
		program.close();
		map.close();
	});
	const interfaceIndex = Number(/^(\d+):/.exec(ip(`-o link show ${interfaceName}`))?.[1]);
	await attacher.set({ interfaceIndex, interfaceName, hook: 'egress' }, program);
	return () => new DataView(map.get(new Uint8Array(4))?.buffer ?? new ArrayBuffer(8)).getUint32(0, true);
}

for (const [dataplane, table] of [
	['nftables', 254],
	['ebpf', 100],
] as const)
	kernelTest(
		`cleanup after a daemon with tunnels, policy, services by ${dataplane} and routes in table ${table} leaves the namespace as before${note}`,
		async (t) => {
			enterRouting();
			// Set by the daemon, too, and not taken back: it gives interfaces further addresses.
			writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
			writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0');
			addInterface('eth0', ['10.80.0.1/23', 'fd80::1/64']);
			const pod = podInterfaceName('default', 'web');
			words(`ip link add ${pod} type veth peer name pod-end`);
			words(`ip link set ${pod} up`);
			for (const line of foreign) words(line);
			run('tc', ...'filter add dev eth0 ingress bpf bytecode'.split(' '), '1,6 0 0 4294967295,');
			for (const line of foreignIfThere) optional(line);
			const passed = dataplane === 'ebpf' ? await foreignProgram(t, 'eth0') : undefined;
			const bpffs = mountBpffs(t);
			const pins = join(bpffs, 'bgpmesh');
			const dump = () => dumpWith(bpffs);
			const before = dump();

			const node = new KubeNode('node-a');
			await node.start(t, {
				address: '10.80.0.1/23',
				bgp: '{ asNumber: 64512, listen: { address: 127.0.0.2, port: 1790 }, inSyncTimeoutSeconds: 1, originate: [ { prefix: 10.77.0.0/26 } ] }',
				rest: [
					'pools:',
					'  - { cidr: 10.77.0.0/16, vxlanMode: Always, ipipMode: Never, natOutgoing: true }',
					'  - { cidr: "fd77::/16", vxlanMode: Always, ipipMode: Never, natOutgoing: true }',
					`vxlan: { nodeAddresses: [ 10.80.0.1, "fd80::1" ], tunnelAddresses: [ 10.77.0.0, "fd77::" ], nodes: [ ${listed} ] }`,
					`fib: { besideOthers: true, table: ${table} }`,
					'networkPolicy: { enforce: true, besideOthers: true }',
					'services: { proxy: true, besideOthers: true, healthPort: 0, podRanges: [ 10.77.0.0/16 ] }',
					`dataplane: ${dataplane}`,
					`ebpf: { pinDirectory: ${pins}, interfaces: [ eth0 ] }`,
				].join('\n'),
			});
			const { client, daemon } = node;
			await client.create(
				coreKinds.services,
				{
					apiVersion: 'v1',
					kind: 'Service',
					metadata: { name: 'web', namespace: 'default' },
					spec: { type: 'NodePort', clusterIP: '10.96.0.10', ports: [{ port: 80, protocol: 'TCP', nodePort: 30080 }] },
				},
				'default',
			);
			await client.create(
				coreKinds.pods,
				{
					apiVersion: 'v1',
					kind: 'Pod',
					metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
					spec: { nodeName: 'node-a', containers: [{ name: 'c', image: 'x' }] },
				},
				'default',
			);
			await client.patch(
				coreKinds.pods,
				'web',
				{ status: { phase: 'Running', podIP: '10.77.0.5', podIPs: [{ ip: '10.77.0.5' }] } },
				'application/merge-patch+json',
				{ namespace: 'default', subresource: 'status' },
			);
			await client.create(
				networkPolicies,
				networkPolicy('closed', { podSelector: {}, policyTypes: ['Ingress'] }),
				'default',
			);
			const ours: readonly (readonly [string, RegExp])[] = [
				['routes over next hop objects', /10\.77\.80\.0\/26 nhid \d+ .*dev vxlan\.calico .*proto 80/],
				['the own block', /blackhole 10\.77\.0\.0\/26 .*proto 80/],
				['a route of IPv6', /fd77:1::\/122 .*dev vxlan-v6\.calico .*proto 80/],
				['entries', /dev vxlan\.calico dst 10\.80\.1\.80 /],
				['guard', /table \w+ bgpmesh_guard/],
				['masquerading', /table \w+ bgpmesh_nat/],
				['services', /table \w+ bgpmesh_services/],
				dataplane === 'nftables'
					? ['policy', new RegExp(`table inet bgpmesh_policy[\\s\\S]*${pod}`)]
					: ['programs', /bgpmesh\/.*link_/],
			];
			const isMissing = () => {
				const now = dump();
				return ours.filter(([, pattern]) => !pattern.test(now)).map(([what]) => what);
			};
			await eventually('everything of ours is there', () => isMissing().length === 0, 90).catch((error: unknown) => {
				throw new Error(`${String(error)}; missing: ${isMissing().join(', ')}\n${dump()}\n${daemon.log.slice(-4000)}`);
			});
			const during = dump();

			daemon.signal('SIGTERM');
			await daemon.ended();
			const cleanUp = async (...more: string[]) => {
				const { code, stdout, stderr } = await runCommand('bgpmesh.js', [
					...['cleanup', '--json', '--config', daemon.configFile, '--socket', '/nowhere/sock', ...more],
				]);
				t.is(code, 0, stderr);
				const { planes } = JSON.parse(stdout) as { readonly planes: readonly CleanedPlane[] };
				return planes;
			};
			// In a cluster without Felix on the node the daemon would sweep them.
			for (const line of felix) words(line);
			const left = dump();
			t.not(left, before, 'a daemon that ends leaves its objects');
			const planned = await cleanUp('--dry-run');
			t.is(dump(), left, 'a dry run changes nothing');
			t.deepEqual(await cleanUp(), planned, 'what a dry run lists is what is removed');
			for (const line of felix) words(line.replace(' add ', ' del '));
			t.is(dump(), before);
			t.false(existsSync(pins));
			if (passed !== undefined) {
				const seen = passed();
				// The request for its MAC address leaves, an answer does not come.
				optional('ping -c 1 -W 1 10.80.0.44');
				t.true(passed() > seen, 'the program of another owner still sees packets');
			}
			t.true(during.includes('throw 10.204.0.0/26'), 'the daemon left the foreign routes, too');
			t.deepEqual(
				(await cleanUp()).flatMap(({ removed }) => removed),
				[],
			);
		},
	);
