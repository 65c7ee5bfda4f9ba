/** A node with a client in one pod and a server in another, by each way that packets may take. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addQuietNamespace, addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside, namespacePath } from '../../lab/frames/sockets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { openNftables } from '../../lab/policy-table/frames-backend.ts';
import { openSocketMaps, SocketServices } from '../../src/ebpf/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { check, libc, loadRuleset, networkNamespaceCookie, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { type DirectionPolicy, defaultNodeSettings, type NodePolicy, type Policy } from '../../src/policy/index.ts';
import type { ServicesModel } from '../../src/services/index.ts';
import { KubeProxyTranslator } from '../tables/services/kube-proxy.ts';
import { cloneNewNet, clusterIpOf, modelOf } from './connect.ts';

/**
 * `endpoint`: neither service nor policy. `ebpf-redirect`: with `ebpf.podRedirect`. `kube-proxy`:
 * its services, no policy.
 */
export const ways = ['endpoint', 'nftables', 'ebpf', 'ebpf-redirect', 'kube-proxy'] as const;
export type Way = (typeof ways)[number];

const pods = [
	{ name: 'a', address: '10.1.0.9', near: '02:00:00:00:00:0a' },
	{ name: 'b', address: '10.1.0.1', near: '02:00:00:00:00:0b' },
] as const;
const port = 8080;
/** For a server beside the one of `target`; policy allows it. */
export const streamPort = 8081;
const gateway = '169.254.1.1';

const policy: Policy = {
	...{ key: 'network-policy/ns/web', kind: 'network-policy', namespace: 'ns', name: 'web', staged: false, egress: [] },
	ingress: [
		{
			...{ action: 'allow', protocol: 6, source: {}, origin: 'ingress[0]' },
			destination: { ports: { ranges: [port, streamPort].map((one) => ({ first: one, last: one })), sets: [] } },
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

/** Of kube-proxy: it takes the range of cluster IPs from the API server. */
const kubeClusterIpOf = (index: number): string => `172.30.${index >> 8}.${index & 255}`;

/** A node with two pods and a server in the second, with its own data plane. */
export class PodNode {
	readonly way: Way;
	/** The service that is measured; without one, the server itself. */
	readonly target: { readonly address: string; readonly port: number };
	/** Of the server, for other servers beside it. */
	readonly serverAddress: string = pods[1].address;
	readonly #services: number;
	readonly #namespaces: Readonly<Record<'node' | 'a' | 'b', string>>;
	readonly #cgroup: string;
	readonly #cgroupRoot: string;
	#server: ChildProcess | undefined;
	/** What is open, in the order of opening. */
	readonly #open: { close(): void | Promise<void> }[] = [];

	/** `services`: beside the one that is measured. */
	constructor(way: Way, services: number, index: number, cgroupRoot: string) {
		this.way = way;
		this.#services = services;
		const clusterIp = way === 'kube-proxy' ? kubeClusterIpOf : clusterIpOf;
		this.target =
			way === 'endpoint' ? { address: pods[1].address, port } : { address: clusterIp(services + 1), port: 80 };
		const prefix = `bmd${process.pid}${index}`;
		this.#namespaces = { node: `${prefix}n`, a: `${prefix}a`, b: `${prefix}b` };
		this.#cgroupRoot = cgroupRoot;
		this.#cgroup = join(cgroupRoot, prefix);
	}

	async open(): Promise<void> {
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
		if (this.way === 'kube-proxy') await this.#startKubeProxy();
		else if (this.way !== 'endpoint') await this.#enforce(modelOf(this.#services), this.#services);
	}

	async #startKubeProxy(): Promise<void> {
		const translator = await KubeProxyTranslator.start({
			...{
				namespace: this.#namespaces.node,
				name: 'here',
				labels: {},
				serviceCidrs: ['172.30.0.0/16', 'fd00:10:96::/112'],
			},
			ranges: [
				{ podCidr: '10.1.0.0/16', nodePort: '192.0.2.0/24', address: '192.0.2.1/24' },
				{ podCidr: 'fd00:10::/64', nodePort: 'fd00:1::/64', address: 'fd00:1::1/64' },
			],
		});
		this.#open.push(translator);
		const objects = Array.from({ length: this.#services + 1 }, (_, index) => kubeObjects(index + 1));
		await translator.program({
			services: objects.map(({ service }) => service),
			endpointSlices: objects.map(({ slice }) => slice),
		});
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

	/** Of the server. */
	get pid(): number | undefined {
		return this.#server?.pid;
	}

	/** The calling thread is in the first pod afterwards, in the cgroup of this node. */
	enter(): void {
		const there = openSync(namespacePath(this.#namespaces.a), 'r');
		check('setns', libc().setns(there, cloneNewNet));
		closeSync(there);
		this.adopt(process.pid);
	}

	/** A process counts as one of this node. */
	adopt(pid: number | undefined): void {
		writeFileSync(join(this.#cgroup, 'cgroup.procs'), String(pid));
	}

	/** What starts a program in a pod: `a` has the client, `b` the server. */
	within(pod: 'a' | 'b'): readonly string[] {
		return ['ip', 'netns', 'exec', this.#namespaces[pod]];
	}

	async close(): Promise<void> {
		for (const one of this.#open.reverse()) await one.close();
		this.#server?.kill('SIGKILL');
		writeFileSync(join(this.#cgroupRoot, 'cgroup.procs'), String(process.pid));
		rmdirSync(this.#cgroup);
		for (const namespace of Object.values(this.#namespaces)) removeNamespace(namespace);
	}
}

/** See `modelOf`, as objects. */
function kubeObjects(index: number): { readonly service: JsonObject; readonly slice: JsonObject } {
	const name = `s${index}`;
	const clusterIP = kubeClusterIpOf(index);
	const metadata = { name, namespace: 'ns1' };
	return {
		service: {
			...{ apiVersion: 'v1', kind: 'Service', metadata },
			spec: { clusterIP, clusterIPs: [clusterIP], ipFamilies: ['IPv4'], ports: [{ port: 80, targetPort: port }] },
		},
		slice: {
			...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
			metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
			endpoints: [{ addresses: [pods[1].address], conditions: { ready: true } }],
			ports: [{ name: '', port, protocol: 'TCP' }],
		},
	};
}

/**
 * `act` with a node for each way, in a network namespace of its own that the calling thread enters.
 * @throws Error
 */
export async function withPodNodes<T>(
	chosen: readonly Way[],
	services: number,
	act: (nodes: readonly PodNode[]) => Promise<T>,
): Promise<T> {
	const [, cgroupRoot] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
	if (cgroupRoot === undefined) throw new Error('no cgroup2 is mounted');
	const before = openSync('/proc/thread-self/ns/net', 'r');
	check('unshare', libc().unshare(cloneNewNet));
	const opened: PodNode[] = [];
	try {
		for (const [index, way] of chosen.entries()) {
			const node = new PodNode(way, services, index, cgroupRoot);
			opened.push(node);
			await node.open();
		}
		return await act(opened);
	} finally {
		for (const node of opened) await node.close();
		check('setns', libc().setns(before, cloneNewNet));
		closeSync(before);
	}
}
