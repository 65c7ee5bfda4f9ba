import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError, must, run } from '../commands.ts';
import { binary } from './binaries.ts';
import {
	commandOf,
	endAll,
	makeCgroups,
	pidsGroup,
	processesIn,
	processesOf,
	removeCgroups,
	sharingMountsWith,
	unifiedRoot,
} from './cgroups.ts';
import { type Image, imageNames } from './images.ts';
import type { ClusterDataplane } from './manifests.ts';
import type { Processes } from './processes.ts';
import type { ClusterNode, ClusterTopology } from './topology.ts';

/** Private folders of every node: bound from the node's folder in its mount namespace. */
const ownFolders = [
	'/etc/cni',
	'/opt/cni',
	'/run/bgpmesh',
	'/run/containerd',
	'/run/netns',
	'/run/flannel',
	'/var/lib/bgpmesh',
	'/var/lib/calico',
	'/var/lib/cni',
	'/var/lib/containerd',
	'/var/lib/kubelet',
	'/var/log/containers',
	'/var/log/pods',
] as const;

/** How often the removal of a node's groups is tried, each tenth of a second. */
const groupAttempts = 300;

/** The inputs of a node. */
export interface WorkerDependencies {
	readonly topology: ClusterTopology;
	readonly node: ClusterNode;
	/** The node's network namespace, as the kernel names it. */
	readonly namespace: string;
	readonly folder: string;
	readonly processes: Processes;
	readonly kubeconfig: string;
	readonly dataplane: ClusterDataplane;
}

/**
 * One node: a mount, UTS and network namespace with containerd and a kubelet, and cgroups of its
 * own.
 */
export class Worker {
	readonly #dependencies: WorkerDependencies;
	#holder = 0;

	constructor(dependencies: WorkerDependencies) {
		this.#dependencies = dependencies;
	}

	get name(): string {
		return this.#dependencies.node.name;
	}

	/**
	 * Enters the node's namespaces. Not `ip netns exec`: that remounts /sys and hides the cgroups.
	 */
	get within(): readonly string[] {
		return ['nsenter', `--target=${this.#holder}`, '--mount', '--uts', '--net', '--'];
	}

	/** As `within`, in the cgroup of the node: children stay in it. */
	get #withinGroup(): readonly string[] {
		const group = this.#unifiedGroup;
		return group === undefined ? this.within : [...inGroup(group), ...this.within];
	}

	/** The node's group of cgroup2, where programs at sockets are attached; `undefined`: not with this data plane. */
	get #unifiedGroup(): string | undefined {
		const root = this.#dependencies.dataplane === 'ebpf' ? unifiedRoot() : undefined;
		return root === undefined ? undefined : join(root, this.#cgroup);
	}

	/** Starts containerd, imports the images, starts the kubelet. @throws CommandError */
	async start(images: readonly Image[], signal: AbortSignal): Promise<void> {
		if (this.#unifiedGroup !== undefined) await mkdir(this.#unifiedGroup, { recursive: true });
		await this.#hold(signal);
		makeCgroups(this.#cgroup);
		await this.startContainerd(signal);
		for (const { file } of images) await this.exec(['ctr', '-n', 'k8s.io', 'images', 'import', file]);
		await this.startKubelet();
	}

	/**
	 * Starts containerd and returns when it responds; also after `processes.kill`. @throws
	 * CommandError
	 */
	async startContainerd(signal: AbortSignal): Promise<void> {
		const { processes } = this.#dependencies;
		const config = join(this.#folder, 'containerd.toml');
		await writeFile(config, containerdConfig);
		const name = `${this.name}-containerd`;
		processes.start(name, [...this.#withinGroup, binary('containerd'), '--config', config]);
		for (let attempt = 0; ; attempt++) {
			const { status, stderr } = await this.try(['ctr', 'version']);
			if (status === 0) return;
			const lines = processes.lastLinesOf(name);
			if (lines !== undefined || attempt > 300) throw new CommandError('containerd', null, lines ?? stderr);
			await pause(200, undefined, { signal });
		}
	}

	async startKubelet(): Promise<void> {
		const { topology, node, kubeconfig, processes } = this.#dependencies;
		await writeFile(join(this.#folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
		await mkdir(this.#staticPods, { recursive: true });
		const config = join(this.#folder, 'kubelet.json');
		await writeFile(
			config,
			JSON.stringify(
				kubeletConfig(this.#cgroup, topology, join(this.#folder, 'resolv.conf'), this.#staticPods),
				null,
				2,
			),
		);
		processes.start(`${this.name}-kubelet`, [
			...this.within,
			binary('kubelet'),
			`--config=${config}`,
			`--kubeconfig=${kubeconfig}`,
			`--hostname-override=${node.name}`,
			`--node-ip=${node.address}`,
			// Each rack is a zone, for specs of traffic that stays in its zone.
			`--node-labels=rack=${node.rack.name},topology.kubernetes.io/zone=${node.rack.name}`,
		]);
	}

	/** kube-proxy, while Services are not served by the daemon. */
	startKubeProxy(): void {
		const { topology, node, kubeconfig, processes } = this.#dependencies;
		processes.start(`${this.name}-kube-proxy`, [
			...this.within,
			binary('kube-proxy'),
			'--proxy-mode=nftables',
			`--kubeconfig=${kubeconfig}`,
			`--hostname-override=${node.name}`,
			`--cluster-cidr=${topology.podCidr}`,
			'--conntrack-max-per-core=0',
			'--conntrack-tcp-timeout-established=0s',
			'--conntrack-tcp-timeout-close-wait=0s',
		]);
	}

	/** A command inside the node; any status resolves. */
	try(command: readonly string[]) {
		const [program = '', ...args] = [...this.within, ...command];
		return run(program, args);
	}

	/** A command inside the node that must succeed. @throws CommandError */
	exec(command: readonly string[]): Promise<string> {
		const [program = '', ...args] = [...this.within, ...command];
		return must(program, args);
	}

	/** Gives the kubelet a pod that it starts without an API server. */
	async addStaticPod(manifest: string): Promise<void> {
		await writeFile(join(this.#staticPods, 'pod.json'), manifest);
	}

	async removeStaticPod(): Promise<void> {
		await rm(join(this.#staticPods, 'pod.json'), { force: true });
	}

	/** Kills containerd, as in a crash; its containers go on. */
	killContainerd(): Promise<void> {
		return this.#dependencies.processes.kill(`${this.name}-containerd`);
	}

	/** Kills every process in a container of this node whose command line has `text`. */
	killContained(text: string): number {
		const pids = processesIn(pidsGroup(this.#cgroup)).filter((pid) => commandOf(pid).includes(text));
		endAll(pids);
		return pids.length;
	}

	/** Kills the sandboxes of some pods of a namespace: the kubelet makes new ones. */
	async killSandboxes(namespace: string, count: number): Promise<number> {
		const labels = { kind: 'io.cri-containerd.kind', namespace: 'io.kubernetes.pod.namespace' };
		const filter = `labels."${labels.kind}"==sandbox,labels."${labels.namespace}"==${namespace}`;
		const list = await this.exec(['ctr', '-n', 'k8s.io', 'containers', 'list', '-q', filter]);
		const chosen = list.split('\n').filter(Boolean).slice(0, count);
		for (const id of chosen) await this.try(['ctr', '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', id]);
		return chosen.length;
	}

	/** A process in a pod, for its namespaces. */
	processOfPod(uid: string): number | undefined {
		const folder = podGroup(pidsGroup(this.#cgroup), uid);
		return folder === undefined ? undefined : processesIn(folder)[0];
	}

	/** Stops every container, then the node itself. `false`: a control group is still in use. */
	async stop(): Promise<boolean> {
		const { processes } = this.#dependencies;
		for (const part of ['kubelet', 'kube-proxy']) await processes.stop(`${this.name}-${part}`);
		if (this.#holder !== 0) {
			endAll(processesIn(pidsGroup(this.#cgroup)));
			await processes.stop(`${this.name}-containerd`);
			// The shims of containerd outlive it.
			endAll(sharingMountsWith(this.#holder));
			await processes.kill(`${this.name}-holder`);
		}
		for (let attempt = 0; !removeCgroups(this.#cgroup); attempt++) {
			if (attempt === groupAttempts) return false;
			endAll(processesOf(this.#cgroup));
			await pause(100);
		}
		return true;
	}

	get #folder(): string {
		return join(this.#dependencies.folder, this.name);
	}

	get #staticPods(): string {
		return join(this.#folder, 'static-pods');
	}

	get #cgroup(): string {
		return this.#dependencies.namespace;
	}

	/** The kernel is that of all nodes: each has pins and a root of cgroup2 of its own. */
	#ebpfMounts(): readonly string[] {
		const group = this.#unifiedGroup;
		if (group === undefined) return [];
		return ['mount -t bpf bpf /sys/fs/bpf', `mount --bind ${group} ${unifiedRoot()}`];
	}

	/** A process that holds the namespaces, and the folders bound in them. */
	async #hold(signal: AbortSignal): Promise<void> {
		const { namespace, processes } = this.#dependencies;
		const bound = ownFolders.map((path) => ({ path, own: join(this.#folder, 'root', path) }));
		for (const { path, own } of bound) {
			await mkdir(path, { recursive: true });
			await mkdir(own, { recursive: true });
		}
		const plugins = join(this.#folder, 'root/opt/cni/bin');
		await cp('/usr/lib/cni', plugins, { recursive: true });
		await mkdir(join(this.#folder, 'root/etc/cni/net.d'), { recursive: true });
		const ready = join(this.#folder, 'held');
		const script = [
			'mount --make-rprivate /',
			...bound.map(({ path, own }) => `mount --bind ${own} ${path}`),
			...this.#ebpfMounts(),
			'mount --make-rshared /',
			`hostname ${this.name}`,
			`touch ${ready}`,
			'exec sleep infinity',
		].join(' && ');
		const name = `${this.name}-holder`;
		const child = processes.start(name, [
			...['nsenter', `--net=/run/netns/${namespace}`, '--', 'unshare', '--mount', '--uts', 'sh', '-c', script],
		]);
		for (let attempt = 0; !existsSync(ready); attempt++) {
			const lines = processes.lastLinesOf(name);
			if (lines !== undefined || attempt > 100) throw new CommandError('unshare', null, lines ?? 'no answer');
			await pause(100, undefined, { signal });
		}
		this.#holder = child.pid ?? 0;
	}
}

/** Moves the command that follows into a cgroup. */
const inGroup = (group: string): readonly string[] => [
	...['sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', group],
];

/** The group of a pod below a folder. */
function podGroup(folder: string, uid: string): string | undefined {
	const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
	for (const { name } of folders) {
		const path = join(folder, name);
		const found = name === `pod${uid}` ? path : podGroup(path, uid);
		if (found !== undefined) return found;
	}
	return undefined;
}

const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${imageNames.pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;

const kubeletConfig = (cgroup: string, { dnsService }: ClusterTopology, resolvConf: string, staticPodPath: string) => ({
	apiVersion: 'kubelet.config.k8s.io/v1beta1',
	kind: 'KubeletConfiguration',
	authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
	authorization: { mode: 'AlwaysAllow' },
	cgroupDriver: 'cgroupfs',
	cgroupRoot: `/${cgroup}`,
	enforceNodeAllocatable: [],
	failCgroupV1: false,
	failSwapOn: false,
	oomScoreAdj: 0,
	containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
	clusterDNS: [dnsService],
	clusterDomain: 'cluster.local',
	resolvConf,
	staticPodPath,
	// A hundred pods of the chaos run, beside those of the system.
	maxPods: 200,
	imageGCHighThresholdPercent: 100,
	evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
	// Specs wait for a pod's status: containers are checked more often than by default.
	syncFrequency: '10s',
	registryPullQPS: 0,
});
