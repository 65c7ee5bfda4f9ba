/**
 * Inside Debian's kernel: the first namespace is a node of ours, the namespace `felix` a node with
 * Calico's Felix, and BIRD 2 for its routes, as on a node of Calico. Prints one line of JSON for each
 * statement. Arguments: the bundle of the daemon, the program of Felix, and `nft` or `legacy`, the kind of
 * iptables for Felix; without nftables our node has no guard of its tunnel.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type AddressGrantsView, ControlClient } from '../../../src/control/index.ts';
import { calicoKinds, coreKinds } from '../../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../../src/linux/index.ts';
import { startEmptyKubeServer } from '../../support/kube-server.ts';
import { ip, ipAt, link } from '../../support/namespace.ts';
import { equal, holds, must, pingDuring, printStatements, run, until } from '../../support/statements.ts';
import { calicoNode, packagedFelix, startFelix } from '../felix.ts';

const [daemonFile = '', felixFile = '', backend = 'nft'] = process.argv.slice(2);
const iptables = `iptables-${backend}`;
const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const felixBlock = '10.50.1.0/26';
const felixTunnel = '10.50.1.0';
const felixPod = '10.50.1.5';
const [felixNode, ourNode] = ['10.8.0.1', '10.8.0.2'] as const;
/** Senders of IP in IP with an address of no node: one on each side, since an own address is no source. */
const [besideUs, besideFelix] = ['10.8.0.98', '10.8.0.99'] as const;
/** Seconds: several refreshes of Felix, which are every 5 s here. */
const quietSeconds = 30;
const refresh = Object.fromEntries(
	['ROUTE', 'INTERFACE', 'IPTABLES', 'IPSETS'].map((what) => [`FELIX_${what}REFRESHINTERVAL`, '5']),
);
/** Without its programs for XDP, Felix tries long to remove them. */
const settings = { ...refresh, FELIX_IPTABLESBACKEND: backend, FELIX_XDPENABLED: 'false' };

const folder = mkdtempSync(join(tmpdir(), 'felix-ipip-'));
const socket = join(folder, 'control.sock');
const control = new ControlClient(socket);
for (const key of ['ip_forward', 'conf/all/rp_filter', 'conf/default/rp_filter'])
	writeFileSync(`/proc/sys/net/ipv4/${key}`, key === 'ip_forward' ? '1' : '0');
ip('netns add felix');
const holder = spawn('ip', ['netns', 'exec', 'felix', 'sleep', '3600'], { stdio: 'ignore', env: systemEnvironment() });
const far = holder.pid ?? 0;
const atFar = ['nsenter', '-t', String(far), '-n'];
/** Runs a command here, or in the namespace of Felix. */
function at(enter: readonly string[], ...words: string[]): Promise<string> {
	const [command = '', ...args] = [...enter, ...words];
	return must(command, ...args);
}
await until('the namespace of Felix', () =>
	execFileSync('ip', ['netns', 'pids', 'felix']).toString().includes(`${far}`),
);
ipAt(far, 'link set lo up');
for (const key of ['conf/all/rp_filter', 'conf/default/rp_filter'])
	await at(atFar, 'sh', '-c', `echo 0 > /proc/sys/net/ipv4/${key}`);
link(far, ['eth1', `${ourNode}/24`], ['eth0', `${felixNode}/24`]);

/** Rules that count packets as they arrive on the wire. */
const counted = {
	ipip: (node: string) => ['-s', node, '-p', '4'],
	stranger: (_node: string, stranger: string) => ['-s', stranger, '-p', '4'],
	bare: () => ['-s', '10.50.0.0/16'],
} as const;
for (const [device, node, stranger, enter] of [
	['eth1', felixNode, besideFelix, []],
	['eth0', ourNode, besideUs, atFar],
] as const)
	for (const [name, match] of Object.entries(counted)) {
		const rule = [
			'-t',
			'raw',
			'-A',
			'PREROUTING',
			'-i',
			device,
			...match(node, stranger),
			'-m',
			'comment',
			'--comment',
			name,
		];
		await at(enter, iptables, ...rule);
	}
async function packets(name: keyof typeof counted, enter: readonly string[]): Promise<number> {
	const table = await at(enter, iptables, '-t', 'raw', '-nvxL', 'PREROUTING');
	const row = table.split('\n').find((line) => line.includes(`/* ${name} */`));
	return Number(/^\s*(\d+)/.exec(row ?? '')?.[1]);
}

/** Every event of routes of this moment and later, in both namespaces. */
function watchRoutes(): { lines(): readonly string[]; stop(): void } {
	let text = '';
	const children = [[], atFar].map((enter) => {
		const [command = '', ...args] = [...enter, 'ip', 'monitor', 'route'];
		const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
		child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
			text += chunk;
		});
		return child;
	});
	return {
		lines: () => text.split('\n').filter((line) => line !== ''),
		stop: () => {
			for (const child of children) child.kill();
		},
	};
}

const { kubeconfig, client } = await startEmptyKubeServer({ teardown: () => undefined }, folder, ourNode);
const createNode = (name: string, annotations: Readonly<Record<string, string>>) =>
	client.create(coreKinds.nodes, calicoNode(name, annotations));
const create = (kind: keyof typeof kinds, apiKind: string, name: string, spec: object) =>
	client.create(kinds[kind], { apiVersion: layout, kind: apiKind, metadata: { name }, spec: { ...spec } });
await createNode('felix', { IPv4Address: `${felixNode}/24`, IPv4IPIPTunnelAddr: felixTunnel });
await createNode('ours', { IPv4Address: `${ourNode}/24` });
const pool = { blockSize: 26, ipipMode: 'Always', vxlanMode: 'Never', nodeSelector: 'all()' };
await create('pools', 'IPPool', 'pods', { ...pool, cidr: '10.50.0.0/16' });
await create('affinities', 'BlockAffinity', 'felix-10-50-1-0-26', {
	...{ cidr: felixBlock, deleted: 'false', node: 'felix', state: 'confirmed' },
});
await create('blocks', 'IPAMBlock', '10-50-1-0-26', {
	...{ affinity: 'host:felix', cidr: felixBlock, deleted: false, strictAffinity: false },
	allocations: Array.from({ length: 64 }, (_, ordinal) => ({ 0: 0, 5: 1 })[ordinal] ?? null),
	attributes: [
		{ handle_id: 'ipip-tunnel-addr-felix', secondary: { node: 'felix', type: 'ipipTunnelAddress' } },
		{ handle_id: 'pods.one', secondary: { node: 'felix', namespace: 'default', pod: 'one' } },
	],
	unallocated: Array.from({ length: 64 }, (_, ordinal) => ordinal).filter((ordinal) => ordinal !== 0 && ordinal !== 5),
});
await create('felixConfigurations', 'FelixConfiguration', 'default', {
	...{ ipipEnabled: true, vxlanEnabled: false, programClusterRoutes: 'Disabled' },
});
await create('bgpConfigurations', 'BGPConfiguration', 'default', { asNumber: 64512, programClusterRoutes: 'Enabled' });
await create('clusterInformations', 'ClusterInformation', 'default', { datastoreReady: true });

/**
 * BIRD 2 as Calico's own one, which has `krt_tunnel` for this: next hops of BGP are resolved in a
 * table where other nodes are behind tunl0.
 */
writeFileSync(
	join(folder, 'bird.conf'),
	`log stderr { warning, error, fatal, bug };
router id ${felixNode};
ipv4 table tunnels;
protocol device { scan time 2; }
protocol static nodes { ipv4 { table tunnels; }; route ${ourNode}/32 via ${ourNode}%tunl0 onlink; }
protocol static blocks { ipv4; route ${felixBlock} blackhole; }
protocol kernel { learn; persist; scan time 2; graceful restart; merge paths on;
  ipv4 { import all; export where source ~ [RTS_BGP, RTS_STATIC]; }; }
protocol bgp ours { local ${felixNode} as 64512; neighbor ${ourNode} as 64512; direct; graceful restart on;
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; gateway recursive; igp table tunnels; next hop self; }; }
`,
);
const bird = spawn(
	'nsenter',
	[...atFar.slice(1), 'bird', '-f', '-c', join(folder, 'bird.conf'), '-s', join(folder, 'bird.ctl')],
	{ stdio: ['ignore', 'ignore', 'inherit'], env: systemEnvironment() },
);

let felix = startFelix(far, 'felix', kubeconfig, settings, felixFile);
writeFileSync(
	join(folder, 'bgpmeshd.yaml'),
	`node: ours\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\ncontrol: { socket: ${socket} }\nlog: { format: text }\n`,
);
let log = '';
function startDaemon(): ChildProcess {
	const child = spawn(process.execPath, [daemonFile, '--config', join(folder, 'bgpmeshd.yaml')], {
		stdio: ['ignore', 'inherit', 'pipe'],
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		log = (log + text).slice(-20_000);
	});
	return child;
}
const isEstablished = async () =>
	(await run('birdc', '-s', join(folder, 'bird.ctl'), 'show', 'protocols', 'ours')).output.includes('Established');
const isConverged = async () => (await isEstablished()) && (await control.ask('fib', {})).inSync;
const routes = () => [ip('route show'), ipAt(far, 'route show')];
const routeOf = (table: string | undefined, prefix: string) =>
	table?.split('\n').find((line) => line.startsWith(`${prefix} `)) ?? '';
/** The members of Felix's set of all hosts, which its guard of the tunnel reads. */
const felixHosts = async () =>
	(await run('nsenter', ...atFar.slice(1), 'ipset', 'list', 'cali40all-hosts-net')).output
		.split('Members:')[1]
		?.trim() ?? '';

let daemon = startDaemon();
let ourPod = '';
let ourBlock = '';
const pingFelix = () => ['ping', '-n', '-i', '0.1', '-W', '5', '-I', ourPod, felixPod];
const pingOurs = () => [...atFar, 'ping', '-n', '-i', '0.1', '-W', '5', '-I', felixPod, ourPod];

/** Pings in both directions while `act` runs, in which no route of the pool is removed. */
async function undisturbed(act: () => Promise<void>): Promise<string> {
	const watch = watchRoutes();
	try {
		let back = { sent: 0, lost: 0 };
		const there = await pingDuring(pingFelix(), async () => {
			back = await pingDuring(pingOurs(), act);
		});
		equal([there.lost, back.lost], [0, 0]);
		equal(
			watch.lines().filter((line) => line.startsWith('Deleted') && line.includes('10.50.')),
			[],
		);
		return `${there.sent} and ${back.sent} pings`;
	} finally {
		watch.stop();
	}
}

/** No event of any route while Felix compares its routes, rules and sets several times. */
async function quiet(): Promise<void> {
	const before = routes();
	const watch = watchRoutes();
	try {
		await pause(quietSeconds * 1000);
		equal(watch.lines(), []);
		equal(routes(), before);
		equal(felix.child.exitCode, null);
	} finally {
		watch.stop();
	}
}

/** Sends 64 KiB over TCP from one pod's address to the other's; the number of bytes that arrived. */
async function tcp(
	from: string,
	to: string,
	serverAt: readonly string[],
	clientAt: readonly string[],
): Promise<number> {
	const server = `require('net').createServer((socket) => { let bytes = 0; socket.on('data', (data) => { bytes += data.length; });
		socket.on('end', () => { console.log(bytes); process.exit(0); }); }).listen(8080, '${to}', () => console.log('up'));`;
	const sender = `const socket = require('net').connect({ host: '${to}', port: 8080, localAddress: '${from}' }, () =>
		socket.end(Buffer.alloc(65536))); socket.on('close', () => process.exit(0)); socket.resume();`;
	const node = (enter: readonly string[], code: string) => {
		const [command = '', ...args] = [...enter, process.execPath, '-e', code];
		return spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
	};
	let text = '';
	const receiver = node(serverAt, server);
	receiver.stdout.setEncoding('utf8').on('data', (chunk: string) => {
		text += chunk;
	});
	try {
		await until('the server listens', () => text.includes('up'));
		node(clientAt, sender);
		await until('the bytes arrive', () => /\d/.test(text));
		return Number(/\d+/.exec(text)?.[0]);
	} finally {
		receiver.kill();
	}
}

/** Pings as a sender that is not the node: IP in IP from another address of the same machine. */
async function pingsOfStranger(enter: readonly string[], from: string, to: string, remote: string): Promise<number> {
	const at = (words: string) => (enter.length === 0 ? ip(words) : ipAt(far, words));
	const stranger = enter.length === 0 ? besideUs : besideFelix;
	if (!at('addr show dev lo').includes(stranger)) {
		at(`addr add ${stranger}/32 dev lo`);
		at(`link add stranger type ipip local ${stranger} remote ${remote}`);
		at('link set stranger up');
	}
	at(`route replace ${to}/32 dev stranger`);
	const [command = '', ...args] = [...enter, 'ping', '-n', '-c', '5', '-i', '0.2', '-W', '3', '-I', from, to];
	const received = Number(/ (\d+) received/.exec((await run(command, ...args)).output)?.[1]);
	at(`route del ${to}/32 dev stranger`);
	return received;
}

await printStatements(
	{
		async 'each kernel has the route to the block of the other node through tunl0'() {
			await until('addresses can be given', async () =>
				control.ask('cniStatus', {}).then(
					({ ready }) => ready,
					() => false,
				),
			);
			const pod = { pod: { namespace: 'default', name: 'two' }, containerId: 'two', ifname: 'eth0', network: 'pods' };
			const request = { ...pod, families: ['ipv4' as const], ipv4Pools: [], ipv6Pools: [], gateways: [] };
			const { addresses } = (await control.ask('cniAdd', { request })) as AddressGrantsView;
			ourPod = addresses[0]?.address ?? '';
			const pattern = /^blackhole (10\.50\.\S+\/26) /m;
			await until('our block', () => pattern.test(ip('route show')));
			ourBlock = pattern.exec(ip('route show'))?.[1] ?? '';
			ip(`addr add ${ourPod}/32 dev lo`);
			ipAt(far, `addr add ${felixPod}/32 dev lo`);
			await until('the session', isEstablished);
			await until('the route of BIRD', () => routeOf(ipAt(far, 'route show'), ourBlock) !== '');
			await until('our route', () => routeOf(ip('route show'), felixBlock) !== '');
			const [here = '', there = ''] = [
				routeOf(ip('route show'), felixBlock),
				routeOf(ipAt(far, 'route show'), ourBlock),
			];
			holds(here, here.includes(`via ${felixNode} dev tunl0 proto 80`));
			holds(there, there.includes(`via ${ourNode} dev tunl0 proto bird`));
			holds(ipAt(far, 'addr show tunl0'), ipAt(far, 'addr show tunl0').includes(`inet ${felixTunnel}/32`));
			return `${here}; ${there}`;
		},
		async 'the set of all hosts of Felix has the address of our node'() {
			await until('the set', async () => (await felixHosts()).includes(ourNode));
			const guard = async () => (await run('nsenter', ...atFar.slice(1), iptables, '-S', 'cali-INPUT')).output;
			const isWhole = (text: string) =>
				/-p (4|ipencap) .*cali40all-hosts-net src .*-j ACCEPT/.test(text) && /-p (4|ipencap) .*-j DROP/.test(text);
			await until('the guard', async () => isWhole(await guard()));
			return (await felixHosts()).replaceAll('\n', ' ');
		},
		async 'pings of both directions are packets of protocol 4 on the wire, and none is without'() {
			const before = [await packets('ipip', atFar), await packets('ipip', [])] as const;
			const seen = await undisturbed(() => pause(3000));
			const arrived = [(await packets('ipip', atFar)) - before[0], (await packets('ipip', [])) - before[1]] as const;
			const pings = Number(/\d+/.exec(seen)?.[0]) + Number(/and (\d+)/.exec(seen)?.[1]);
			holds(`${arrived} packets of ${seen}`, arrived[0] >= pings && arrived[1] >= pings);
			equal([await packets('bare', atFar), await packets('bare', [])], [0, 0]);
			return `${seen}, ${arrived[0]} and ${arrived[1]} packets of protocol 4`;
		},
		async 'TCP carries data from pod to pod in both directions'() {
			equal([await tcp(ourPod, felixPod, atFar, []), await tcp(felixPod, ourPod, [], atFar)], [65_536, 65_536]);
			equal([await packets('bare', atFar), await packets('bare', [])], [0, 0]);
		},
		async 'Felix compares its set with the kernel, and no route changes meanwhile'() {
			await at(atFar, 'ipset', 'del', 'cali40all-hosts-net', ourNode);
			await until('the set is whole again', async () => (await felixHosts()).includes(ourNode));
			await quiet();
			return `${quietSeconds} s`;
		},
		async 'kill -9 of our daemon, and its restart, lose no packet and remove no route'() {
			return await undisturbed(async () => {
				daemon.kill('SIGKILL');
				await until('BIRD has no session', async () => !(await isEstablished()));
				daemon = startDaemon();
				await until('all is in sync again', async () => isConverged().catch(() => false));
			});
		},
		async 'kill -9 of Felix, and its restart, lose no packet and remove no route'() {
			return await undisturbed(async () => {
				felix.child.kill('SIGKILL');
				felix = startFelix(far, 'felix', kubeconfig, settings, felixFile);
				await pause(quietSeconds * 500);
				equal(felix.child.exitCode, null);
			});
		},
		async 'protocol 4 from an address that is no node is dropped by each guard, until a Node has it'() {
			const [ourSpare, felixSpare] = [ourBlock.replace(/\d+\/26$/, '63'), '10.50.1.63'];
			ip(`addr add ${ourSpare}/32 dev lo`);
			ipAt(far, `addr add ${felixSpare}/32 dev lo`);
			const attempt = async () => [
				await pingsOfStranger([], ourPod, felixSpare, felixNode),
				await pingsOfStranger(atFar, felixPod, ourSpare, ourNode),
			];
			equal(await attempt(), [0, backend === 'nft' ? 0 : 5]);
			const arrived = [await packets('stranger', atFar), await packets('stranger', [])];
			holds(
				`${arrived} packets`,
				arrived.every((count) => count >= 5),
			);
			await createNode('third', { IPv4Address: `${besideUs}/24` });
			await createNode('fourth', { IPv4Address: `${besideFelix}/24` });
			await until('the set has the new node', async () => (await felixHosts()).includes(besideUs));
			await until('packets pass', async () => (await attempt()).every((count) => count === 5));
			return `${arrived} packets arrived`;
		},
		async 'with Felix on our node too, routes change their protocol without a lost packet, then stay'() {
			const seen = await undisturbed(async () => {
				felix = startFelix(process.pid, 'ours', kubeconfig, settings, packagedFelix(folder, felixFile));
				await until('our routes have the protocol 81', () =>
					routeOf(ip('route show'), felixBlock).includes(`via ${felixNode} dev tunl0 proto 81`),
				);
				await until('Felix has its set', async () =>
					(await run('ipset', 'list', 'cali40all-hosts-net')).output.includes(felixNode),
				);
			});
			await quiet();
			equal((await control.ask('fib', {})).inSync, true);
			return `${seen}; ${routeOf(ip('route show'), felixBlock)}`;
		},
	},
	async () =>
		[...routes(), log.slice(-4000), `exit ${felix.child.exitCode}`, felix.log().slice(-4000), await felixHosts()].join(
			'\n',
		),
);
for (const child of [daemon, felix.child, bird, holder]) child.kill('SIGKILL');
process.exit(0);
