import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError, run } from './commands.ts';
import { clusterFiles, type ResourceFile } from './resources.ts';
import type { LabNode, LabTopology } from './topology.ts';

/** The commands of bgpmesh that a laboratory with an API server runs. */
export interface ClusterCommands {
	/** `bgpmesh` */
	readonly cli: readonly string[];
	/** `bgpmesh-ipam` */
	readonly plugin: readonly string[];
}

/** What a cluster needs of the laboratory around it. */
export interface ClusterSurroundings extends ClusterCommands {
	readonly topology: LabTopology;
	readonly folder: string;
	namespace(name: string): string;
	start(name: string, namespace: string, command: readonly string[]): void;
	/** What a process wrote last, once it has ended by itself. */
	lastWordsOf(name: string): string | undefined;
}

/** Where the API server lives: on the router, which every node reaches without any route of ours. */
const home = 'router';

/** The cluster of a laboratory: `bgpmesh apiserver`, and resources that `bgpmesh apply` takes to it from files. */
export class LabCluster {
	readonly kubeconfig: string;
	readonly #surroundings: ClusterSurroundings;

	constructor(surroundings: ClusterSurroundings) {
		this.#surroundings = surroundings;
		this.kubeconfig = join(surroundings.folder, 'kubeconfig');
	}

	/** Starts the API server and applies the resources. @throws CommandError */
	async start(signal: AbortSignal): Promise<void> {
		const { topology, cli, start, lastWordsOf } = this.#surroundings;
		start('apiserver', home, [...cli, 'apiserver', '--listen', `${topology.subnets[0]?.router}:6443`, '--kubeconfig', this.kubeconfig]);
		// It writes the way in once it serves.
		for (let tries = 0; !existsSync(this.kubeconfig); tries++) {
			const lastWords = lastWordsOf('apiserver');
			if (lastWords !== undefined) throw new CommandError('bgpmesh apiserver', null, lastWords);
			if (tries > 600) throw new CommandError('bgpmesh apiserver', null, 'it did not come up within a minute');
			await pause(100, undefined, { signal });
		}
		await this.apply(clusterFiles(topology));
	}

	/** @throws CommandError */
	async apply(files: readonly ResourceFile[]): Promise<void> {
		const folder = join(this.#surroundings.folder, 'resources');
		await mkdir(folder, { recursive: true });
		for (const { name, text } of files) await writeFile(join(folder, name), text);
		const named = files.flatMap(({ name }) => ['-f', join(folder, name)]);
		await this.#in(home, [...this.#surroundings.cli, 'apply', ...named, '--kubeconfig', this.kubeconfig]);
	}

	/** Asks for the address of a node's pod as a container runtime's plugin does, and says which it got. @throws CommandError */
	async requestAddress({ name, pod }: LabNode, socket: string): Promise<string> {
		const environment = {
			CNI_COMMAND: 'ADD',
			CNI_CONTAINERID: pod.name,
			CNI_NETNS: `/var/run/netns/${this.#surroundings.namespace(pod.name)}`,
			CNI_IFNAME: 'eth0',
			CNI_PATH: '/opt/cni/bin',
			CNI_ARGS: `IP=${pod.address}`,
		};
		const config = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', ipam: { type: 'bgpmesh-ipam', socket } });
		const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
		const answer = await this.#in(name, ['env', ...variables, ...this.#surroundings.plugin], config);
		// The form of the specification, by our own plugin.
		const { ips } = JSON.parse(answer) as { readonly ips: readonly { readonly address: string }[] };
		return ips[0]?.address.split('/')[0] ?? '';
	}

	async #in(namespace: string, command: readonly string[], input = ''): Promise<string> {
		const { status, stdout, stderr } = await run('ip', ['netns', 'exec', this.#surroundings.namespace(namespace), ...command], input);
		if (status !== 0) throw new CommandError(command.join(' '), status, stderr || stdout);
		return stdout;
	}
}
