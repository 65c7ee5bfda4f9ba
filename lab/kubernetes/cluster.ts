import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError, must, removeNamespaces, run } from '../commands.ts';
import { binary } from './binaries.ts';
import { removeAbandonedCgroups, unifiedRoot } from './cgroups.ts';
import { ControlPlane } from './control-plane.ts';
import { makeImages } from './images.ts';
import {
	type ClusterDataplane,
	type ClusterOverlay,
	type ClusterProxy,
	chartValues,
	type DaemonChoice,
	dnsManifests,
	networkManifests,
	ownManifests,
	routerConfig,
} from './manifests.ts';
import { Processes } from './processes.ts';
import { type ClusterTopology, clusterPlumbing } from './topology.ts';
import { Worker } from './worker.ts';

/** The inputs of a cluster. */
export interface ClusterOptions {
	readonly topology: ClusterTopology;
	/** The folder of the whole cluster; it must be empty. */
	readonly folder: string;
	/** A built checkout. */
	readonly repository: string;
	readonly overlay: ClusterOverlay;
	readonly proxy: ClusterProxy;
	readonly dataplane: ClusterDataplane;
	/** By the manifests in config, or by the chart there. */
	readonly install: 'manifests' | 'helm';
	readonly signal: AbortSignal;
	progress(text: string): void;
}

/** A real Kubernetes cluster in namespaces of this machine, with bgpmesh as its network. */
export class RealCluster {
	readonly controlPlane: ControlPlane;
	readonly workers: readonly Worker[];
	readonly processes: Processes;
	readonly #options: ClusterOptions;
	readonly #prefix = `bgpmesh-${process.pid}-`;

	constructor(options: ClusterOptions) {
		this.#options = options;
		const { topology, folder } = options;
		this.processes = new Processes(join(folder, 'logs'));
		this.controlPlane = new ControlPlane({ topology, folder, processes: this.processes, within: this.withinRouter });
		this.workers = topology.nodes.map(
			(node) =>
				new Worker({
					topology,
					node,
					namespace: `${this.#prefix}${node.name}`,
					folder,
					processes: this.processes,
					kubeconfig: this.controlPlane.kubeconfig,
					dataplane: options.dataplane,
				}),
		);
	}

	/** What this run chooses of the daemon's configuration. */
	get choice(): DaemonChoice {
		const { proxy, dataplane } = this.#options;
		return { proxy, dataplane, cgroup: unifiedRoot() ?? '/sys/fs/cgroup' };
	}

	/** Enters the namespace of the router, where the control plane is. */
	get withinRouter(): readonly string[] {
		return ['nsenter', `--net=/run/netns/${this.#prefix}router`, '--'];
	}

	/** From nothing to a cluster whose nodes and pods are ready. @throws CommandError */
	async start(): Promise<void> {
		const { topology, folder, repository, overlay, proxy, signal, progress } = this.#options;
		await mkdir(join(folder, 'logs'), { recursive: true });
		removeAbandonedCgroups();
		progress('images');
		const images = await makeImages(repository);
		progress('network: a switch for each rack, a router, nodes');
		await this.#plumb();
		await this.#startRouter();
		progress('control plane: etcd, kube-apiserver, controller manager, scheduler');
		await this.controlPlane.start(signal);
		await this.#install();
		await this.#waitFor(['crd', '--all', '--for=condition=Established']);
		await this.#apply(networkManifests(topology, overlay));
		for (const worker of this.workers) {
			progress(`${worker.name}: containerd, images, kubelet`);
			await worker.start(images, signal);
			if (proxy === 'kube-proxy') worker.startKubeProxy();
		}
		progress('waiting for the nodes to be ready: bgpmesh installs its plugin and reports');
		await this.#nodesRegistered();
		await this.#waitFor(['node', '--all', '--for=condition=Ready', '--timeout=240s']);
		progress('the Service of the API server from every node, before the first pod');
		await this.#apiServiceFromNodes();
		progress('cluster DNS');
		await this.#apply(dnsManifests(topology));
		await this.controlPlane.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=240s']);
		await this.controlPlane.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/bgpmesh', '--timeout=120s']);
	}

	/** `helm VERB bgpmesh` with the chart where the verb needs it. @throws CommandError */
	helm([verb = '', ...options]: readonly string[], more: readonly string[] = []): Promise<string> {
		const chart = verb === 'install' || verb === 'upgrade' ? [join(this.#options.repository, 'config')] : more;
		const [program = '', ...within] = this.withinRouter;
		const where = [`--kubeconfig=${this.controlPlane.kubeconfig}`, '--namespace=kube-system'];
		return must(program, [...within, binary('helm'), verb, 'bgpmesh', ...chart, ...where, ...options]);
	}

	/**
	 * Writes data that explains a failure to the folder of the logs: pods, events, the daemons' own
	 * logs.
	 */
	async diagnose(): Promise<void> {
		const commands: readonly (readonly [string, readonly string[]])[] = [
			['pods', ['get', 'pods', '-A', '-o', 'wide']],
			['events', ['get', 'events', '-A', '--sort-by=.lastTimestamp']],
			['bgpmesh', ['-n', 'kube-system', 'logs', '-l', 'app=bgpmesh', '--all-containers', '--prefix', '--tail=-1']],
			['bgpmesh-previous', ['-n', 'kube-system', 'logs', '-l', 'app=bgpmesh', '--all-containers', '--prefix', '-p']],
		];
		for (const [name, args] of commands) {
			const { stdout, stderr } = await this.controlPlane.try([...args, '--request-timeout=10s']);
			await writeFile(this.processes.logFile(`diagnosis-${name}`), stdout + stderr);
		}
	}

	/** Stops and removes everything. */
	async stop(): Promise<void> {
		const { progress } = this.#options;
		await Promise.all(
			this.workers.map(async (worker) => {
				if (!(await worker.stop())) progress(`${worker.name}: a control group is still in use and stays`);
			}),
		);
		await this.processes.stopAll();
		removeNamespaces(this.#namespaces);
	}

	async #install(): Promise<void> {
		const { install, repository, topology } = this.#options;
		if (install === 'helm') await this.helm(['install', ...chartValues(topology, this.choice)]);
		else for (const manifest of await ownManifests(repository, topology, this.choice)) await this.#apply(manifest);
	}

	get #namespaces(): readonly string[] {
		return clusterPlumbing(this.#options.topology, '').namespaces.map((name) => `${this.#prefix}${name}`);
	}

	async #plumb(): Promise<void> {
		const { cables, steps } = clusterPlumbing(this.#options.topology, this.#prefix);
		const made = this.#namespaces.map((name) => `netns add ${name}`);
		await must('ip', ['-batch', '-'], [...made, ...cables].join('\n'));
		for (const { namespace, ip } of steps)
			await must('ip', ['-n', `${this.#prefix}${namespace}`, '-batch', '-'], ip.join('\n'));
		const forwarding = ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1'];
		for (const name of ['router', ...this.#options.topology.nodes.map((node) => node.name)])
			await must('ip', ['netns', 'exec', `${this.#prefix}${name}`, ...forwarding]);
	}

	async #startRouter(): Promise<void> {
		const { topology, folder } = this.#options;
		const config = join(folder, 'bird.conf');
		await writeFile(config, routerConfig(topology));
		this.processes.start('bird', [
			...[...this.withinRouter, binary('bird'), '-f', '-c', config],
			...['-s', join(folder, 'bird.ctl'), '-P', join(folder, 'bird.pid')],
		]);
	}

	#apply(manifest: string): Promise<string> {
		return this.controlPlane.kubectl(['apply', '-f', '-'], manifest);
	}

	#waitFor(args: readonly string[]): Promise<string> {
		const timed = args.some((arg) => arg.startsWith('--timeout')) ? [] : ['--timeout=60s'];
		return this.controlPlane.kubectl(['wait', ...args, ...timed]);
	}

	async #nodesRegistered(): Promise<void> {
		const { topology, signal } = this.#options;
		for (let attempt = 0; attempt < 300; attempt++) {
			const names = await this.controlPlane.kubectl(['get', 'nodes', '-o', 'name']);
			if (names.trim().split('\n').filter(Boolean).length === topology.nodes.length) return;
			for (const worker of this.workers) {
				const lines = this.processes.lastLinesOf(`${worker.name}-kubelet`);
				if (lines !== undefined) throw new CommandError(`kubelet of ${worker.name}`, null, lines);
			}
			await pause(500, undefined, { signal });
		}
		throw new CommandError('kubelet', null, 'not every node registered within 150 s');
	}

	/** What a node runs before its first pod may need the API server by the address of its Service. */
	async #apiServiceFromNodes(): Promise<void> {
		const { topology, signal } = this.#options;
		const url = `https://${topology.apiService}/version`;
		for (const { name, within } of this.workers)
			for (let attempt = 1; ; attempt++) {
				const [program = '', ...args] = [...within, binary('curl'), '-sk', '--max-time', '5', url];
				const { status, stdout } = await run(program, args);
				if (status === 0 && stdout !== '') break;
				if (attempt === 60) throw new CommandError(`curl ${url} on ${name}`, status, stdout);
				await pause(1000, undefined, { signal });
			}
	}
}
