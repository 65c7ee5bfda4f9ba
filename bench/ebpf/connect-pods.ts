/** `connect()` of TCP from a pod to a service whose endpoint is another pod of the node, with policy at both. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addQuietNamespace, addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside, namespacePath } from '../../lab/frames/sockets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { openNftables } from '../../lab/policy-table/frames-backend.ts';
import { openSocketMaps, SocketServices } from '../../src/ebpf/index.ts';
import { check, libc, loadRuleset, networkNamespaceCookie, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { type DirectionPolicy, defaultNodeSettings, type NodePolicy, type Policy } from '../../src/policy/index.ts';
import type { ServicesModel } from '../../src/services/index.ts';
import { type ConnectResult, cloneNewNet, clusterIpOf, connectDurations, modelOf, percentiles } from './connect.ts';

/**
 * `endpoint`: neither service nor policy. `ebpf-redirect`: with `ebpf.podRedirect`.
 */
const ways = ['endpoint', 'nftables', 'ebpf', 'ebpf-redirect'] as const;

export type PodConnectResult = Omit<ConnectResult, 'way'> & { readonly way: (typeof ways)[number] };

const pods = [
	{ name: 'a', address: '10.1.0.9', near: '02:00:00:00:00:0a' },
	{ name: 'b', address: '10.1.0.1', near: '02:00:00:00:00:0b' },
] as const;
const port = 8080;
const gateway = '169.254.1.1';

const policy: Policy = {
	...{ key: 'network-policy/ns/web', kind: 'network-policy', namespace: 'ns', name: 'web', staged: false, egress: [] },
	ingress: [
		{
			...{ action: 'allow', protocol: 6, source: {}, origin: 'ingress[0]' },
			destination: { ports: { ranges: [{ first: port, last: port }], sets: [] } },
		},
	],
};

function nodePolicy(): NodePolicy {
	const direction = (toward: 'ingress' | 'egress'): DirectionPolicy => ({
		...{ id: `d${toward}`, direction: toward, profiles: [], otherwise: 'allow' },
		tiers: toward === 'egress' ? [] : [{ tier: 'default', defaultAction: 'deny', policies: [policy.key] }],
	});
	const workloads = pods.map(({ name, address }) => ({
		...{ type: 'workload' as const, key: `ns/${name}`, interfaceName: `cali${name}`, addresses: [address] },
		...{ ingress: direction('ingress'), egress: direction('egress') },
	}));
	const { nodes } = defaultNodeSettings;
	return {
		...{ node: 'here', hosts: new Map(), settings: defaultNodeSettings },
		workloads: new Map(workloads.map((one) => [one.key, one])),
		policies: new Map([[policy.key, policy]]),
		sets: new Map([[nodes, { id: nodes, type: 'nets', meaning: 'nodes', members: new Set<string>() }]]),
	};
}

/** Rounds of all ways in turn, so that the noise of the machine meets each of them. */
const rounds = 20;

/** A node with two pods and a server in the second, with its own data plane. */
class Node {
	readonly way: PodConnectResult['way'];
	readonly #namespaces: Readonly<Record<'node' | 'a' | 'b', string>>;
	readonly #cgroup: string;
	readonly #cgroupRoot: string;
	#server: ChildProcess | undefined;
	/** What is open, in the order of opening. */
	readonly #open: { close(): void }[] = [];
	readonly #durations: number[] = [];

	constructor(way: PodConnectResult['way'], index: number, cgroupRoot: string) {
		this.way = way;
		const prefix = `bmd${process.pid}${index}`;
		this.#namespaces = { node: `${prefix}n`, a: `${prefix}a`, b: `${prefix}b` };
		this.#cgroupRoot = cgroupRoot;
		this.#cgroup = join(cgroupRoot, prefix);
	}

	async open(services: number): Promise<void> {
		const { node, b } = this.#namespaces;
		addRouterNamespace(node);
		for (const { name, address, near } of pods) {
			const namespace = this.#namespaces[name];
			addQuietNamespace(namespace);
			ipBatch([`link add cali${name} address ${near} netns ${node} type veth peer name eth0 netns ${namespace}`]);
			ipBatch([`link set cali${name} up`, `route add ${address}/32 dev cali${name}`], node);
			ipBatch(
				[
					...['link set lo up', 'link set eth0 up'],
					...[`addr add ${address}/32 dev eth0`, `route add ${gateway}/32 dev eth0`],
					...[`neigh replace ${gateway} lladdr ${near} dev eth0 nud permanent`, `route add default via ${gateway}`],
				],
				namespace,
			);
		}
		const script = `require('node:net').createServer((s) => s.destroy()).listen({ port: ${port}, host: '${pods[1].address}', backlog: 4096 }, () => console.log('listens'))`;
		const server = spawn('ip', ['netns', 'exec', b, process.execPath, '-e', script], {
			...{ stdio: ['ignore', 'pipe', 'inherit'], env: systemEnvironment() },
		});
		this.#server = server;
		mkdirSync(this.#cgroup);
		await once(server.stdout, 'data');
		if (this.way !== 'endpoint') await this.#enforce(modelOf(services), services);
	}

	async #enforce(model: ServicesModel, services: number): Promise<void> {
		const { node } = this.#namespaces;
		const rules = inside(node, () => new NftablesServices({ load: (text) => inside(node, () => loadRuleset(text)) }));
		this.#open.push(rules);
		await rules.sync(model);
		if (this.way !== 'nftables') {
			const maps = openSocketMaps(undefined, { frontends: services + 64, backends: services + 64, sockets: 65_536 });
			const nodeCookie = inside(node, networkNamespaceCookie);
			const sockets = new SocketServices({ maps, cgroup: this.#cgroup, nodeCookie });
			this.#open.push(sockets, ...maps.values());
			sockets.sync(model);
			sockets.attach();
		}
		const enforcer =
			this.way === 'nftables' ? openNftables(node) : openEbpf(node, 'best', { redirect: this.way === 'ebpf-redirect' });
		this.#open.push(enforcer);
		await enforcer.kernel.sync(nodePolicy());
	}

	/** Connects from the first pod. */
	async measure(count: number, target: string): Promise<void> {
		const there = openSync(namespacePath(this.#namespaces.a), 'r');
		check('setns', libc().setns(there, cloneNewNet));
		closeSync(there);
		writeFileSync(join(this.#cgroup, 'cgroup.procs'), String(process.pid));
		const [address, toPort] = this.way === 'endpoint' ? [pods[1].address, port] : [target, 80];
		this.#durations.push(...(await connectDurations(address, toPort, count)));
	}

	/** Forgets what was measured before. */
	warm(): void {
		this.#durations.length = 0;
	}

	result(): PodConnectResult {
		return { way: this.way, count: this.#durations.length, ...percentiles(this.#durations) };
	}

	close(): void {
		for (const one of this.#open.reverse()) one.close();
		this.#server?.kill('SIGKILL');
		writeFileSync(join(this.#cgroupRoot, 'cgroup.procs'), String(process.pid));
		rmdirSync(this.#cgroup);
		for (const namespace of Object.values(this.#namespaces)) removeNamespace(namespace);
	}
}

/** All ways in turn, each at a node of its own. */
export async function benchPodConnect({
	connections,
	services,
}: {
	readonly connections: number;
	readonly services: number;
}): Promise<PodConnectResult[]> {
	const [, cgroupRoot] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	if (cgroupRoot === undefined) throw new Error('no cgroup2 is mounted');
	const own = openSync('/proc/thread-self/ns/net', 'r');
	const nodes = ways.map((way, index) => new Node(way, index, cgroupRoot));
	const opened: Node[] = [];
	try {
		for (const node of nodes) {
			opened.push(node);
			await node.open(services);
		}
		const target = clusterIpOf(services + 1);
		for (const node of nodes) await node.measure(Math.min(200, connections), target);
		for (const node of nodes) node.warm();
		for (let round = 0; round < rounds; round++)
			for (const node of nodes) await node.measure(Math.ceil(connections / rounds), target);
		return nodes.map((node) => node.result());
	} finally {
		check('setns', libc().setns(own, cloneNewNet));
		closeSync(own);
		for (const node of opened) node.close();
	}
}
