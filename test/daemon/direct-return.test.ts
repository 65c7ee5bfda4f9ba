import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import type { CleanedPlane } from '../../src/cli/index.ts';
import { objectAt, textAt } from '../../src/json/index.ts';
import { type ApiClient, calicoKinds, coreKinds, type ResourceKind } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { Host, tcpPort, udpPort } from '../ebpf/hosts.ts';
import { noBpf } from '../ebpf/support.ts';
import { RunningDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { startEmptyKubeServer } from '../support/kube-server.ts';
import { enterRouting, ip, noNamespaces } from '../support/namespace.ts';

const cgroupRoot =
	process.platform === 'linux' ? /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] : undefined;
const missing = noBpf ?? noNamespaces ?? (cgroupRoot === undefined ? 'no cgroup2 is mounted' : undefined);
const note = missing === undefined ? '' : ` (skipped: ${missing})`;
const kernelTest = missing === undefined ? test.serial : test.serial.skip;

const layout = 'crd.projectcalico.org/v1';
const kinds = calicoKinds(layout);
const hostEndpoints: ResourceKind = {
	...{ kind: 'HostEndpoint', apiVersion: layout, plural: 'hostendpoints', namespaced: false },
};
const run = (command: string, ...words: string[]) =>
	execFileSync(command, words, { encoding: 'utf8', env: systemEnvironment() });
const nodeNames = ['a', 'b'] as const;
type NodeName = (typeof nodeNames)[number];
const [client, external] = ['203.0.113.2', '198.51.100.10'] as const;
const nodeAddresses = { a: '192.0.2.2', b: '192.0.3.2' } as const;
const pods = ['10.42.1.1', '10.42.1.2'] as const;
/** The same of IPv6. */
const [client6, external6] = ['2001:db8:113::2', '2001:db8:198::10'] as const;
const nodeAddresses6 = { a: '2001:db8:2::2', b: '2001:db8:3::2' } as const;
const pods6 = ['fd00:42:1::1', 'fd00:42:1::2'] as const;
const nodePort = 30_080;
const echoPort = 9090;
const device = 'bgpmesh-dsr';

/** Runs JavaScript in a network namespace; `open` once it has written a line. */
class Script {
	readonly #child: ChildProcess;
	seen = '';

	constructor(t: ExecutionContext, namespace: string, script: string) {
		const words = [`--net=/var/run/netns/${namespace}`, process.execPath, '-e', script];
		this.#child = spawn('nsenter', words, { stdio: ['pipe', 'pipe', 'inherit'], env: systemEnvironment() });
		const ended = new Promise((resolve) => this.#child.once('close', resolve));
		t.teardown(async () => {
			this.#child.kill('SIGKILL');
			await ended;
		});
		this.#child.stdout?.on('data', (data: Buffer) => {
			this.seen += data.toString();
		});
	}

	/** A line that comes back. */
	async echoes(text: string): Promise<boolean> {
		this.#child.stdin?.write(text);
		for (let round = 0; round < 400 && !this.seen.endsWith(text); round++)
			await new Promise((resolve) => setTimeout(resolve, 50));
		return this.seen.endsWith(text);
	}

	end(): void {
		this.#child.kill('SIGKILL');
	}
}

const echoServer = `require('node:net').createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket); })
.listen(${echoPort}, '0.0.0.0', () => console.log('open'));`;
const longConnection = `const socket = require('node:net').connect(${echoPort}, '${external}');
socket.on('error', () => process.exit(1)); process.stdin.pipe(socket).pipe(process.stdout);`;

interface Options {
	/** Lines of `services:` besides those that all have. */
	readonly services?: string;
}

/**
 * `client -- this namespace -- nodes a and b, each with a daemon -- pods of b`. The address of the
 * service leads to node a.
 */
async function open(t: ExecutionContext, letter: string, { services = '' }: Options = {}) {
	enterRouting();
	const name = (part: string) => `bmdd${process.pid}${letter}${part}`;
	const [clientSide, podSide] = [name('c'), name('p')];
	const nodes = { a: name('a'), b: name('b') };
	for (const namespace of [clientSide, podSide, ...Object.values(nodes)]) {
		t.teardown(() => removeNamespace(namespace));
		addRouterNamespace(namespace);
	}
	writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
	const links = (here: string, there: string, ends: readonly (readonly [address: string, far: string])[]) => {
		ip(`link add ${here} type veth peer name eth0 netns ${there}`);
		ip(`link set ${here} up`);
		ipBatch(['link set eth0 up'], there);
		for (const [address, far] of ends) {
			const rest = address.includes(':') ? '/64 nodad' : '/24';
			ip(`addr add ${address}${rest} dev ${here}`);
			ipBatch([`addr add ${far}${rest} dev eth0`, `route add default via ${address}`], there);
		}
	};
	const ends = (address: string, far: string, address6: string, far6: string) =>
		[
			[address, far],
			[address6, far6],
		] as const;
	links('rc', clientSide, ends('203.0.113.1', client, '2001:db8:113::1', client6));
	links('ra', nodes.a, ends('192.0.2.1', nodeAddresses.a, '2001:db8:2::1', nodeAddresses6.a));
	links('rb', nodes.b, ends('192.0.3.1', nodeAddresses.b, '2001:db8:3::1', nodeAddresses6.b));
	ip(`route add 2001:db8:198::/64 via ${nodeAddresses6.a}`);
	ip(`route add fd00:42:1::/64 via ${nodeAddresses6.b}`);
	ip(`route add 198.51.100.0/24 via ${nodeAddresses.a}`);
	ip(`route add 10.42.1.0/24 via ${nodeAddresses.b}`);
	ipBatch([`link add pods0 type veth peer name p0 netns ${podSide}`], nodes.b);
	ipBatch(
		['addr add 10.42.1.254/24 dev pods0', 'addr add fd00:42:1::fe/64 dev pods0 nodad', 'link set pods0 up'],
		nodes.b,
	);
	ipBatch(
		[
			'link set p0 up',
			...pods.map((address) => `addr add ${address}/24 dev p0`),
			...pods6.map((address) => `addr add ${address}/64 dev p0 nodad`),
			...['route add default via 10.42.1.254', 'route add default via fd00:42:1::fe'],
		],
		podSide,
	);
	await Host.start(t, podSide, [...pods, ...pods6]);
	const echo = new Script(t, podSide, echoServer);
	await eventually('the server of lines', () => echo.seen !== '');
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-direct-'));
	const server = await startEmptyKubeServer(t, folder, '192.0.2.1');
	await createObjects(server.client);
	const daemons = {
		a: await startNode(t, 'a', nodes.a, server.kubeconfig, services),
		b: await startNode(t, 'b', nodes.b, server.kubeconfig, services),
	};
	return {
		...{ nodes, daemons, api: server.client, clientSide },
		client: await Host.start(t, clientSide, []),
		long: () => new Script(t, clientSide, longConnection),
	};
}

async function createObjects(api: ApiClient): Promise<void> {
	for (const name of nodeNames)
		await api.create(coreKinds.nodes, {
			...{ apiVersion: 'v1', kind: 'Node' },
			metadata: {
				name,
				annotations: {
					'projectcalico.org/IPv4Address': `${nodeAddresses[name]}/24`,
					'projectcalico.org/IPv6Address': `${nodeAddresses6[name]}/64`,
				},
			},
		});
	const spec = { nodeToNodeMeshEnabled: false, asNumber: 64512 };
	await api.create(kinds.bgpConfigurations, {
		...{ apiVersion: layout, kind: 'BGPConfiguration', metadata: { name: 'default' }, spec },
	});
	const ports = [
		{ name: 't', port: 80, protocol: 'TCP', targetPort: tcpPort, nodePort },
		{ name: 'u', port: 80, protocol: 'UDP', targetPort: udpPort, nodePort },
		{ name: 'e', port: echoPort, protocol: 'TCP', targetPort: echoPort },
	];
	const metadata = { name: 'web', namespace: 'default' };
	await api.create(
		coreKinds.services,
		{
			...{ apiVersion: 'v1', kind: 'Service', metadata },
			spec: {
				...{ type: 'NodePort', ipFamilies: ['IPv4', 'IPv6'], clusterIP: '10.96.0.10' },
				...{ clusterIPs: ['10.96.0.10', 'fd00:96::10'], externalIPs: [external, external6] },
				...{ externalTrafficPolicy: 'Cluster', ports },
			},
		},
		'default',
	);
	for (const [addressType, backends] of [
		['IPv4', pods],
		['IPv6', pods6],
	] as const)
		await api.create(
			coreKinds.endpointSlices,
			{
				...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType },
				metadata: {
					...{ ...metadata, name: `web-${addressType.toLowerCase()}` },
					labels: { 'kubernetes.io/service-name': 'web' },
				},
				ports: ports.map(({ name, protocol, targetPort }) => ({ name, port: targetPort, protocol })),
				endpoints: backends.map((address) => ({ addresses: [address], nodeName: 'b', conditions: { ready: true } })),
			},
			'default',
		);
}

async function startNode(
	t: ExecutionContext,
	name: NodeName,
	namespace: string,
	kubeconfig: string,
	services: string,
): Promise<RunningDaemon> {
	const mount = mkdtempSync(join(tmpdir(), 'bgpmesh-bpffs-'));
	run('mount', '-t', 'bpf', 'bpf', mount);
	t.teardown(() => {
		run('umount', mount);
		rmdirSync(mount);
	});
	const cgroup = join(cgroupRoot ?? '', `bmdd${process.pid}${name}`);
	mkdirSync(cgroup, { recursive: true });
	t.teardown(() => rmdirSync(cgroup));
	const daemon = new RunningDaemon();
	writeFileSync(
		daemon.configFile,
		`node: ${name}
datastore: { type: kubernetes, kubeconfig: ${kubeconfig} }
bgp: { asNumber: 64512, listen: { address: ${nodeAddresses[name]}, port: 179 } }
control: { socket: ${daemon.socket} }
log: { format: text }
services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0${services} }
networkPolicy: { enforce: true }
dataplane: ebpf
ebpf: { pinDirectory: ${mount}/bgpmesh, cgroup: ${cgroup} }
`,
	);
	daemon.runAs(['nsenter', `--net=/var/run/netns/${namespace}`], 0);
	return daemon.start(t);
}

/** What the Nodes announce. */
async function announced(api: ApiClient): Promise<NodeName[]> {
	const found: NodeName[] = [];
	for (const name of nodeNames) {
		const annotations = objectAt((await api.get(coreKinds.nodes, name)) ?? {}, 'metadata', 'annotations');
		if (textAt(annotations, 'bgpmesh.io/direct-server-return') !== undefined) found.push(name);
	}
	return found;
}

/** Node a sends packets to these nodes. */
const sendsTo = (daemon: RunningDaemon, nodes: readonly string[]) =>
	daemon.until(
		`packets go to ${nodes.join()}`,
		async (control) => (await control.ask('ebpf', {})).directReturn,
		(found) => found?.nodes?.join() === nodes.join(),
	);

const until = (daemon: RunningDaemon, what: string, holds: () => Promise<boolean>) =>
	daemon.until(what, holds, (answer) => answer);

const edit = (daemon: RunningDaemon, change: (text: string) => string) => {
	writeFileSync(daemon.configFile, change(readFileSync(daemon.configFile, 'utf8')));
	daemon.signal('SIGHUP');
};

/** New connections of TCP and UDP one after the other, until the end. */
class Load {
	readonly failures: string[] = [];
	made = 0;
	/** What goes on, for failures. */
	during = 'start';
	#running = true;
	readonly #done: Promise<void>;

	constructor(host: Host) {
		this.#done = (async () => {
			while (this.#running)
				for (const [type, more] of [
					['tcp', {}],
					['udp', {}],
					['udp', { socket: 'kept' }],
				] as const) {
					this.made++;
					const begun = this.during;
					const { error, peer } = await host.ask(type, external, 80, more);
					if (error !== undefined || peer !== `${external} 80`)
						this.failures.push(`${type} ${this.made}, during ${begun}: ${error} ${peer}`);
				}
		})();
	}

	async end(): Promise<void> {
		this.#running = false;
		await this.#done;
	}
}

let freshPort = 10_000;
/** The source that pods see of new connections. */
async function sources(host: Host): Promise<string[]> {
	const seen = new Set<string>();
	for (const type of ['tcp', 'udp'] as const)
		for (let round = 0; round < 3; round++) {
			// A datagram from a port of an earlier flow belongs to that one.
			const { client: source, error } = await host.ask(type, external, 80, { from: freshPort++ });
			seen.add(source ?? error ?? '');
		}
	return [...seen];
}

kernelTest(
	`the option alone begins and ends direct server return under traffic, and restarts keep it${note}`,
	async (t) => {
		t.timeout(300_000);
		const { client: host, clientSide, daemons, nodes, api, long } = await open(t, 'o');
		await sendsTo(daemons.a, []);
		await daemons.b.until(
			'the programs of b',
			(control) => control.ask('ebpf', {}),
			({ outside }) => outside !== undefined,
		);
		await until(
			daemons.a,
			'services are translated',
			async () => (await host.ask('udp', external, 80)).error === undefined,
		);
		t.deepEqual(await sources(host), [nodeAddresses.a], 'off by default');
		t.deepEqual(await announced(api), []);
		const masqueraded = long();
		t.true(await masqueraded.echoes('one'));
		const second = await Host.start(t, clientSide, []);
		const load = new Load(second);

		for (const name of nodeNames)
			edit(daemons[name], (text) => text.replace('healthPort: 0', 'healthPort: 0, directServerReturn: true'));
		await until(daemons.a, 'both nodes take packets', async () => (await announced(api)).length === 2);
		await sendsTo(daemons.a, ['b']);
		await until(daemons.a, 'the pods see the client', async () => (await sources(host)).join() === client);
		t.deepEqual(await sources(host), [client]);
		const direct = long();
		t.true(await direct.echoes('one'));
		const view = await daemons.a.until(
			'figures',
			(control) => control.ask('ebpf', {}),
			() => true,
		);
		t.true((view.directReturn?.sent ?? 0) > 0, 'packets go as they are');
		const guarded = () =>
			t.regex(run('nsenter', `--net=/var/run/netns/${nodes.b}`, 'nft', 'list', 'ruleset'), /udp dport 4789/);
		guarded();

		for (const name of ['b', 'a'] as const) {
			load.during = `the restart of ${name}`;
			daemons[name].signal('SIGTERM');
			await daemons[name].ended();
			t.deepEqual(await sources(host), [client], `${name} is down`);
			await daemons[name].start(t);
			await sendsTo(daemons.a, ['b']);
			t.true(await direct.echoes(`after ${name}`));
			t.deepEqual(await announced(api), ['a', 'b']);
		}
		await until(daemons.a, 'it is on again', async () => (await sources(host)).join() === client);

		load.during = 'the end';
		for (const name of nodeNames) edit(daemons[name], (text) => text.replace(', directServerReturn: true', ''));
		await until(daemons.a, 'no node takes packets', async () => (await announced(api)).length === 0);
		await sendsTo(daemons.a, []);
		t.deepEqual(await sources(host), [nodeAddresses.a]);
		t.true(await direct.echoes('off'), 'a connection goes on');
		t.true(await masqueraded.echoes('off'));
		await load.end();
		t.log(`${load.made} connections, ${load.failures.length} failed`);
		t.deepEqual(load.failures, []);
		t.true(run('ip', '-n', nodes.b, 'link').includes(device), 'the device stays for what is open');
		guarded();
	},
);

kernelTest(
	`FelixConfiguration begins it; host endpoints and nftables end it at their node without a loss${note}`,
	async (t) => {
		t.timeout(300_000);
		const { client: host, clientSide, daemons, api, long } = await open(t, 'f');
		const felix = (optOut: readonly string[]) => ({
			...{ apiVersion: layout, kind: 'FelixConfiguration', metadata: { name: 'default' } },
			spec: { bpfExternalServiceMode: 'DSR', bpfDSROptoutCIDRs: [...optOut] },
		});
		await api.create(kinds.felixConfigurations, felix([]));
		await sendsTo(daemons.a, ['b']);
		await until(daemons.a, 'it is on', async () => (await sources(host)).join() === client);
		const direct = long();
		t.true(await direct.echoes('one'));
		const second = await Host.start(t, clientSide, []);
		const load = new Load(second);
		const optOut = (ranges: readonly string[]) =>
			api.patch(
				kinds.felixConfigurations,
				'default',
				{ spec: { bpfDSROptoutCIDRs: [...ranges] } },
				'application/merge-patch+json',
			);
		await optOut(['203.0.113.0/24']);
		await until(daemons.a, 'the client is left out', async () => (await sources(host)).join() === nodeAddresses.a);
		await optOut([]);
		await until(daemons.a, 'it is not left out', async () => (await sources(host)).join() === client);

		await api.create(hostEndpoints, {
			...{ apiVersion: layout, kind: 'HostEndpoint', metadata: { name: 'b-eth0' } },
			spec: { node: 'b', interfaceName: 'eth0', profiles: ['projectcalico-default-allow'] },
		});
		await until(daemons.a, 'b takes none', async () => (await announced(api)).join() === 'a');
		await sendsTo(daemons.a, []);
		const { stdout } = await daemons.b.cli('ebpf', 'show');
		t.regex(stdout, /Direct server return +off: the host endpoint/);
		await api.remove(hostEndpoints, 'b-eth0');
		await sendsTo(daemons.a, ['b']);
		await until(daemons.a, 'it is on again', async () => (await sources(host)).join() === client);

		edit(daemons.b, (text) => text.replace('dataplane: ebpf', 'dataplane: nftables'));
		await until(daemons.a, 'b takes none', async () => (await announced(api)).join() === 'a');
		await sendsTo(daemons.a, []);
		t.deepEqual(await sources(host), [nodeAddresses.a], 'NAT to a node with nftables');
		t.true(await direct.echoes('two'), 'a connection goes on');
		await load.end();
		t.log(`${load.made} connections, ${load.failures.length} failed`);
		t.deepEqual(load.failures, []);
	},
);

kernelTest(`without connections, device and maps go with the option; strict filters keep it off${note}`, async (t) => {
	t.timeout(300_000);
	const { daemons, nodes, api } = await open(t, 's', { services: ', directServerReturn: true' });
	await sendsTo(daemons.a, ['b']);
	const filter = `/proc/sys/net/ipv4/conf/all/rp_filter`;
	const at = (name: NodeName, ...words: string[]) => run('nsenter', `--net=/var/run/netns/${nodes[name]}`, ...words);
	t.is(at('b', 'cat', filter.replace('all', device)).trim(), '0');
	at('b', 'sh', '-c', `echo 1 > ${filter}`);
	// Any change of an interface has it looked at.
	at('b', 'ip', 'link', 'add', 'other', 'type', 'veth');
	await until(daemons.b, 'b takes none', async () => (await announced(api)).join() === 'a');
	t.regex((await daemons.b.cli('ebpf', 'show')).stdout, /Direct server return +off: net.ipv4.conf.all.rp_filter is 1/);
	await until(daemons.b, 'health has it', async () =>
		(await daemons.b.cli('status')).stdout.includes('direct server return is off at this node'),
	);
	at('b', 'sh', '-c', `echo 0 > ${filter}`);
	at('b', 'ip', 'link', 'del', 'other');
	await sendsTo(daemons.a, ['b']);
	for (const name of nodeNames) edit(daemons[name], (text) => text.replace(', directServerReturn: true', ''));
	for (const name of nodeNames) {
		await until(daemons[name], 'the device is gone', async () => !at(name, 'ip', 'link').includes(device));
		const { maps } = await daemons[name].until(
			'maps',
			(control) => control.ask('ebpf', {}),
			() => true,
		);
		t.false(maps.some((map) => map.name === 'nat_direct'));
	}
	t.deepEqual(await announced(api), []);
});

kernelTest(`node ports and IPv6 as well, over one device${note}`, async (t) => {
	t.timeout(300_000);
	const { daemons, client: host } = await open(t, 'n', { services: ', directServerReturn: true' });
	await sendsTo(daemons.a, ['b']);
	for (const [address, port, from] of [
		[nodeAddresses.a, nodePort, client],
		[nodeAddresses6.a, nodePort, client6],
		[external6, 80, client6],
	] as const)
		for (const type of ['tcp', 'udp'] as const) {
			const title = `${type} ${address} ${port}`;
			await until(daemons.a, title, async () => (await host.ask(type, address, port)).client === from);
			const { client: source, peer } = await host.ask(type, address, port, { from: freshPort++ });
			t.deepEqual([source, peer], [from, `${address} ${port}`], title);
		}
	const view = await daemons.a.until(
		'figures',
		(control) => control.ask('ebpf', {}),
		() => true,
	);
	t.true((view.directReturn?.sent ?? 0) >= 3, 'datagrams of each');
});

kernelTest(`after a crash, cleanup withdraws the announcement and removes the device${note}`, async (t) => {
	t.timeout(300_000);
	const { daemons, nodes, api } = await open(t, 'k', { services: ', directServerReturn: true' });
	await sendsTo(daemons.a, ['b']);
	const at = (...words: string[]) => run('nsenter', `--net=/var/run/netns/${nodes.b}`, ...words);
	daemons.b.signal('SIGKILL');
	await daemons.b.ended();
	t.true((await announced(api)).includes('b'));
	// Not `execFileSync`: the server of the API runs in this process.
	const cleanup = async (...more: string[]) => {
		const { socket, configFile } = daemons.b;
		const script = join(import.meta.dirname, '../../../bin/bgpmesh.js');
		const words = [script, 'cleanup', '--json', '--socket', socket, '--config', configFile, ...more];
		const inside = [`--net=/var/run/netns/${nodes.b}`, process.execPath];
		const { stdout } = await promisify(execFile)('nsenter', [...inside, ...words], { env: systemEnvironment() });
		const { planes } = JSON.parse(stdout) as { readonly planes: readonly CleanedPlane[] };
		return planes.filter(({ plane }) => plane === 'direct-return' || plane === 'vxlan');
	};
	const all = [
		{ plane: 'direct-return', removed: ['annotation bgpmesh.io/direct-server-return of node b'] },
		{ plane: 'vxlan', removed: [`device ${device}`] },
	];
	t.deepEqual(await cleanup('--dry-run'), all);
	t.true(at('ip', 'link').includes(device));
	t.deepEqual(await cleanup(), all);
	t.false(at('ip', 'link').includes(device));
	t.false((await announced(api)).includes('b'));
	await sendsTo(daemons.a, []);
	t.deepEqual(
		(await cleanup()).map(({ removed }) => removed),
		[[], []],
	);
});
