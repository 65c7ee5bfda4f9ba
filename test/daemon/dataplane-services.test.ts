import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addQuietNamespace, removeNamespace } from '../../lab/frames/namespaces.ts';
import { coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { KubeNode } from '../support/kube-node.ts';
import { noNamespaces } from '../support/namespace.ts';
import { enterServiceNode } from '../support/service-node.ts';

const cgroupRoot =
	process.platform === 'linux' ? /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] : undefined;
const missing = noBpf ?? noNamespaces ?? (cgroupRoot === undefined ? 'no cgroup2 is mounted' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: services of a daemon with dataplane: ebpf: ${missing}`);
const kernelTest = missing === undefined ? test.serial : test.skip;

const run = (command: string, ...words: string[]) => execFileSync(command, words, { env: systemEnvironment() });
const service = '10.96.0.10';
const external = '198.51.100.10';
const [client, gateway] = ['203.0.113.2', '203.0.113.1'] as const;
/** The far end of a connection as its packets have it: `getpeername` shows the service. */
function farEnd(socket: Socket): string {
	const local = (socket.localPort ?? 0).toString(16).toUpperCase().padStart(4, '0');
	const row = readFileSync('/proc/self/net/tcp', 'utf8')
		.split('\n')
		.map((line) => line.trim().split(/\s+/))
		.find(([, own, far]) => own?.endsWith(`:${local}`) === true && far !== '00000000:0000');
	const [address = '', port = ''] = row?.[2]?.split(':') ?? [];
	return `${[...Buffer.from(address, 'hex')].reverse().join('.')}:${Number.parseInt(port, 16)}`;
}

/** Connects to the service; `undefined`: refused. */
const toService = (): Promise<Socket | undefined> =>
	new Promise((resolve) => {
		const socket = connect({ host: service, port: 80 }, () => resolve(socket));
		socket.setTimeout(3000, () => socket.destroy(new Error('time-out')));
		socket.on('error', () => resolve(undefined));
	});

const echoed = (socket: Socket, text: string): Promise<boolean> =>
	new Promise((resolve) => {
		socket.once('data', (answer) => resolve(answer.toString() === text));
		socket.once('close', () => resolve(false));
		socket.write(text);
	});

/** A host outside of the cluster, behind `out0` of this namespace. */
function addClient(t: ExecutionContext): string {
	const namespace = `bmc${process.pid}o`;
	addQuietNamespace(namespace);
	t.teardown(() => removeNamespace(namespace));
	run('ip', ...`link add out0 type veth peer name c0 netns ${namespace}`.split(' '));
	run('ip', ...`addr add ${gateway}/24 dev out0`.split(' '));
	run('ip', ...'link set out0 up'.split(' '));
	for (const words of ['link set c0 up', `addr add ${client}/24 dev c0`, `route add default via ${gateway}`])
		run('ip', '-n', namespace, ...words.split(' '));
	return namespace;
}

/** A connection from outside that stays; a line is echoed or the end of the connection is an error. */
class OutsideConnection {
	readonly #child: ReturnType<typeof spawn>;
	#seen = '';

	constructor(t: ExecutionContext, namespace: string) {
		const script = `const socket = require('node:net').connect(80, '${external}');
socket.on('error', () => process.exit(1)); process.stdin.pipe(socket).pipe(process.stdout);`;
		this.#child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', script], {
			stdio: ['pipe', 'pipe', 'inherit'],
			env: systemEnvironment(),
		});
		const ended = new Promise((resolve) => this.#child.once('close', resolve));
		t.teardown(async () => {
			this.#child.kill('SIGKILL');
			await ended;
		});
		this.#child.stdout?.on('data', (data: Buffer) => {
			this.#seen += data.toString();
		});
	}

	async echoes(text: string): Promise<boolean> {
		this.#child.stdin?.write(text);
		for (let round = 0; round < 400 && !this.#seen.endsWith(text); round++)
			await new Promise((resolve) => setTimeout(resolve, 50));
		return this.#seen.endsWith(text);
	}
}

/** Far ends of connections to the backend. */
const clientsOfBackend = (): string[] =>
	readFileSync('/proc/self/net/tcp', 'utf8')
		.split('\n')
		.map((line) => line.trim().split(/\s+/))
		.flatMap(([, own, far, state]) => (own === '0100800A:1F90' && state === '01' ? [far?.split(':')[0] ?? ''] : []))
		.map((hex) => [...Buffer.from(hex, 'hex')].reverse().join('.'));

kernelTest(
	'with eBPF services are translated by programs, and connections outlive the way to nftables and back',
	async (t) => {
		await enterServiceNode(t);
		const outside = addClient(t);
		const mount = mkdtempSync(join(tmpdir(), 'bgpmesh-bpffs-'));
		run('mount', '-t', 'bpf', 'bpf', mount);
		t.teardown(() => {
			run('umount', mount);
			rmdirSync(mount);
		});
		const cgroup = join(cgroupRoot ?? '', `bmc${process.pid}`);
		mkdirSync(cgroup);
		const node = new KubeNode('node-a');
		const rest = (dataplane: string) => `services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0 }
networkPolicy: { enforce: true }
dataplane: ${dataplane}
ebpf: { pinDirectory: ${mount}/bgpmesh, cgroup: ${cgroup} }
`;
		await node.start(t, {
			address: '10.0.1.2/24',
			bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
			rest: rest('ebpf'),
		});
		// Behind the start: the daemon is not among the processes that are served.
		writeFileSync(join(cgroup, 'cgroup.procs'), String(process.pid));
		t.teardown(() => {
			writeFileSync(join(cgroupRoot ?? '', 'cgroup.procs'), String(process.pid));
			rmdirSync(cgroup);
		});
		const ports = [{ name: 'p', port: 80, protocol: 'TCP' }];
		const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' } };
		await node.client.create(
			coreKinds.services,
			{ ...object, spec: { clusterIP: service, externalIPs: [external], externalTrafficPolicy: 'Local', ports } },
			'default',
		);
		await node.client.create(
			coreKinds.endpointSlices,
			{
				apiVersion: 'discovery.k8s.io/v1',
				kind: 'EndpointSlice',
				metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
				addressType: 'IPv4',
				ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
				endpoints: [{ addresses: ['10.128.0.1'], nodeName: 'node-a', conditions: { ready: true } }],
			},
			'default',
		);
		const until = (dataplane: string, used: number | undefined) =>
			node.daemon.until(
				`services by ${dataplane}`,
				async (control) => {
					const { dataplane: now, maps, outside: programs } = await control.ask('ebpf', {});
					const usedBy = (wanted: string) => maps.find(({ name }) => name === wanted)?.used;
					return {
						...{ now, used: usedBy('svc_frontends'), fromOutside: usedBy('nat_frontends'), flows: usedBy('nat_flows') },
						interfaces: programs?.interfaces,
					};
				},
				// From outside: the external address and the cluster IP.
				(found) => found.now === dataplane && found.used === used && found.fromOutside === (used && 2 * used),
			);
		await until('ebpf', 1);
		const first = await toService();
		if (first === undefined) return t.fail('no connection by the socket');
		t.teardown(() => first.destroy());
		t.is(farEnd(first), '10.128.0.1:8080');
		t.is(`${first.remoteAddress}:${first.remotePort}`, `${service}:80`);
		t.true(await echoed(first, 'one'));

		const early = new OutsideConnection(t, outside);
		t.true(await early.echoes('one'));
		t.true(clientsOfBackend().includes(client), 'the source is kept');
		const programs = await until('ebpf', 1);
		t.is(programs.flows, 1, 'a program translates the connection from outside');
		t.deepEqual(programs.interfaces?.toSorted(), ['out0', 'up0']);

		const text = readFileSync(node.daemon.configFile, 'utf8');
		writeFileSync(node.daemon.configFile, text.replace('dataplane: ebpf', 'dataplane: nftables'));
		node.daemon.signal('SIGHUP');
		await until('nftables', undefined);
		t.true(await echoed(first, 'two'), 'a connection goes on');
		t.true(await early.echoes('two'), 'that from outside, too');
		const late = new OutsideConnection(t, outside);
		t.true(await late.echoes('one'));
		const second = await toService();
		if (second === undefined) return t.fail('no connection by nftables');
		t.teardown(() => second.destroy());
		t.is(farEnd(second), `${service}:80`);
		t.true(await echoed(second, 'three'));

		writeFileSync(node.daemon.configFile, text);
		node.daemon.signal('SIGHUP');
		t.is((await until('ebpf', 1)).flows, 0);
		t.true(await late.echoes('two'), 'a connection of nftables goes on');
		t.true(await early.echoes('three'), 'and one of the programs before');
		t.true(await new OutsideConnection(t, outside).echoes('one'));
		t.is((await until('ebpf', 1)).flows, 1);
		return undefined;
	},
);
