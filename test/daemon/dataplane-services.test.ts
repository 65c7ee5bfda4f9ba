import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addQuietNamespace, removeNamespace } from '../../lab/frames/namespaces.ts';
import { coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { noBpf } from '../ebpf/support.ts';
import { mountBpffs } from '../support/bpffs.ts';
import { eventually } from '../support/eventually.ts';
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

	end(): void {
		this.#child.kill('SIGKILL');
	}

	async echoes(text: string): Promise<boolean> {
		this.#child.stdin?.write(text);
		for (let round = 0; round < 400 && !this.#seen.endsWith(text); round++)
			await new Promise((resolve) => setTimeout(resolve, 50));
		return this.#seen.endsWith(text);
	}
}

/** A ping each 20 ms. */
class Pings {
	readonly #child: ReturnType<typeof spawn>;
	#seen = '';

	constructor(t: ExecutionContext, namespace: string, address: string) {
		const words = ['netns', 'exec', namespace, 'ping', '-n', '-q', '-i', '0.02', address];
		this.#child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() });
		this.#child.stdout?.on('data', (data: Buffer) => {
			this.#seen += data.toString();
		});
		t.teardown(() => this.#child.kill('SIGKILL'));
	}

	async end(): Promise<{ readonly sent: number; readonly received: number }> {
		const ended = new Promise((resolve) => this.#child.once('close', resolve));
		this.#child.kill('SIGINT');
		await ended;
		const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(this.#seen) ?? [];
		return { sent: Number(sent), received: Number(received) };
	}
}

/** Far ends of connections to the backend. */
const clientsOfBackend = (): string[] =>
	readFileSync('/proc/self/net/tcp', 'utf8')
		.split('\n')
		.map((line) => line.trim().split(/\s+/))
		.flatMap(([, own, far, state]) => (own === '0100800A:1F90' && state === '01' ? [far?.split(':')[0] ?? ''] : []))
		.map((hex) => [...Buffer.from(hex, 'hex')].reverse().join('.'));

/** A daemon with a service of one backend, which clients outside reach by an external address. */
async function startNode(t: ExecutionContext, dataplane: 'ebpf' | 'nftables') {
	await enterServiceNode(t);
	const outside = addClient(t);
	const mount = mountBpffs(t);
	const cgroup = join(cgroupRoot ?? '', `bmc${process.pid}`);
	mkdirSync(cgroup);
	const node = new KubeNode('node-a');
	await node.start(t, {
		address: '10.0.1.2/24',
		bgp: '{ asNumber: 64512, listen: { address: 10.0.1.2, port: 179 } }',
		rest: `services: { proxy: true, podRanges: [ 10.42.0.0/16 ], healthPort: 0 }
networkPolicy: { enforce: true }
dataplane: ${dataplane}
ebpf: { pinDirectory: ${mount}/bgpmesh, cgroup: ${cgroup} }
`,
	});
	t.teardown(() => rmdirSync(cgroup));
	/** Sockets of this process are served; not those of the daemon, which has started. */
	const serve = () => {
		writeFileSync(join(cgroup, 'cgroup.procs'), String(process.pid));
		t.teardown(() => writeFileSync(join(cgroupRoot ?? '', 'cgroup.procs'), String(process.pid)));
	};
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
	const until = (wanted: string, used: number | undefined) =>
		node.daemon.until(
			`services by ${wanted}`,
			async (control) => {
				const { dataplane: now, maps, outside: programs } = await control.ask('ebpf', {});
				const usedBy = (map: string) => maps.find(({ name }) => name === map)?.used;
				return {
					...{ now, used: usedBy('svc_frontends'), fromOutside: usedBy('nat_frontends'), flows: usedBy('nat_flows') },
					interfaces: programs?.interfaces,
				};
			},
			// From outside: the external address and the cluster IP.
			(found) => found.now === wanted && found.used === used && found.fromOutside === (used && 2 * used),
		);
	/** In the file alone. */
	const choose = (wanted: 'ebpf' | 'nftables') => {
		const text = readFileSync(node.daemon.configFile, 'utf8');
		writeFileSync(node.daemon.configFile, text.replace(/dataplane: \w+/, `dataplane: ${wanted}`));
	};
	return { outside, daemon: node.daemon, pins: join(mount, 'bgpmesh'), serve, until, choose };
}

kernelTest(
	'with eBPF services are translated by programs, and connections outlive the way to nftables and back',
	async (t) => {
		t.timeout(300_000);
		const { outside, daemon, serve, until, choose } = await startNode(t, 'ebpf');
		await until('ebpf', 1);
		serve();
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

		choose('nftables');
		daemon.signal('SIGHUP');
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

		choose('ebpf');
		daemon.signal('SIGHUP');
		t.is((await until('ebpf', 1)).flows, 1, 'the connection that is still translated');
		t.true(await late.echoes('two'), 'a connection of nftables goes on');
		t.true(await early.echoes('three'), 'and one of the programs before');
		t.true(await new OutsideConnection(t, outside).echoes('one'));
		t.is((await until('ebpf', 1)).flows, 2);
		return undefined;
	},
);

kernelTest('connections from outside outlive restarts with eBPF, nftables, nftables and eBPF', async (t) => {
	t.timeout(600_000);
	const { outside, daemon, pins, until, choose } = await startNode(t, 'ebpf');
	await until('ebpf', 1);
	const pings = new Pings(t, outside, '10.128.0.1');
	const connections: OutsideConnection[] = [];
	const onlyTranslates = () => readdirSync(join(pins, 'v1')).every((name) => name.startsWith('nat_'));
	for (const [dataplane, used, flows] of [
		['ebpf', 1, 1],
		['nftables', undefined, undefined],
		['nftables', undefined, undefined],
		['ebpf', 1, 2],
	] as const) {
		const next = new OutsideConnection(t, outside);
		connections.push(next);
		t.true(await next.echoes('one'));
		daemon.signal('SIGTERM');
		await daemon.ended();
		choose(dataplane);
		const echoes = connections.map((one, index) => one.echoes(`during ${dataplane} ${index}`));
		await daemon.start(t);
		t.is((await until(dataplane, used)).flows, flows);
		if (dataplane === 'nftables') await eventually('what translates stays, and all else is gone', onlyTranslates);
		t.deepEqual([...new Set(await Promise.all(echoes))], [true]);
		for (const [index, one] of connections.entries())
			t.true(await one.echoes(`with ${dataplane}`), `connection ${index} with ${dataplane}`);
	}
	const last = new OutsideConnection(t, outside);
	t.true(await last.echoes('one'));
	t.is((await until('ebpf', 1)).flows, 3);

	for (const one of [...connections, last]) one.end();
	daemon.signal('SIGTERM');
	await daemon.ended();
	choose('nftables');
	await daemon.start(t);
	await eventually('programs without connections are gone', () => !existsSync(pins));
	const { sent, received } = await pings.end();
	t.true(sent > 100);
	t.is(received, sent, 'no ping is lost');
});
