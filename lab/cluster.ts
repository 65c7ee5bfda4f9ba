import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CommandError, run } from './commands.ts';
import { clusterFiles, type PoolMode, type ResourceFile } from './resources.ts';
import type { LabNode, LabTopology } from './topology.ts';

/** The commands of bgpmesh that a laboratory with an API server runs. */
export interface ClusterCommands {
	/** `bgpmesh` */
	readonly cli: readonly string[];
	/** `bgpmesh-ipam` */
	readonly plugin: readonly string[];
}

/** The parts of the laboratory that a cluster needs. */
export interface LabClusterDependencies extends ClusterCommands {
	readonly topology: LabTopology;
	readonly poolMode: PoolMode;
	readonly folder: string;
	namespace(name: string): string;
	start(name: string, namespace: string, command: readonly string[]): void;
	/** The last output of a process, once it has exited. */
	lastWordsOf(name: string): string | undefined;
}

/** A pod to attach: its node, and the node's daemon. */
export interface Attachment {
	readonly node: LabNode;
	readonly socket: string;
	/** Its namespace, which is also its container's name. */
	readonly pod: string;
	/** The requested address; `undefined`: any. */
	readonly address?: string;
}

/** The folder of Debian's `containernetworking-plugins`. */
export const referencePlugins = '/usr/lib/cni';

/**
 * The address of the API server: on the router, which every node reaches without any route of
 * bgpmesh.
 */
const home = 'router';

/**
 * The cluster of a laboratory: `bgpmesh apiserver`, and resources that `bgpmesh apply` applies from
 * files.
 */
export class LabCluster {
	readonly kubeconfig: string;
	readonly #dependencies: LabClusterDependencies;

	constructor(dependencies: LabClusterDependencies) {
		this.#dependencies = dependencies;
		this.kubeconfig = join(dependencies.folder, 'kubeconfig');
	}

	/** Starts the API server and applies the resources. @throws CommandError */
	async start(signal: AbortSignal): Promise<void> {
		const { topology, poolMode, cli, start, lastWordsOf } = this.#dependencies;
		start('apiserver', home, [
			...cli,
			'apiserver',
			'--listen',
			`${topology.subnets[0]?.router}:6443`,
			'--kubeconfig',
			this.kubeconfig,
		]);
		// It writes the kubeconfig once it serves.
		for (let tries = 0; !existsSync(this.kubeconfig); tries++) {
			const lastWords = lastWordsOf('apiserver');
			if (lastWords !== undefined) throw new CommandError('bgpmesh apiserver', null, lastWords);
			if (tries > 600) throw new CommandError('bgpmesh apiserver', null, 'it did not come up within a minute');
			await pause(100, undefined, { signal });
		}
		await this.apply(clusterFiles(topology, poolMode));
	}

	/** @throws CommandError */
	async apply(files: readonly ResourceFile[]): Promise<void> {
		const folder = join(this.#dependencies.folder, 'resources');
		await mkdir(folder, { recursive: true });
		for (const { name, text } of files) await writeFile(join(folder, name), text);
		const named = files.flatMap(({ name }) => ['-f', join(folder, name)]);
		await this.#in(home, [...this.#dependencies.cli, 'apply', ...named, '--kubeconfig', this.kubeconfig]);
	}

	/**
	 * Calls the reference plugin `ptp` as a container runtime does, which calls ours for the
	 * address; returns the address of ADD. @throws CommandError
	 */
	async plugin(verb: 'ADD' | 'DEL', { node, socket, pod, address }: Attachment): Promise<string> {
		const { namespace, folder, plugin } = this.#dependencies;
		const own = join(folder, 'cni');
		if (!existsSync(join(own, 'bgpmesh-ipam'))) {
			await mkdir(own, { recursive: true });
			await writeFile(join(own, 'bgpmesh-ipam'), `#!/bin/sh\nexec ${plugin.map((word) => `'${word}'`).join(' ')}\n`, {
				mode: 0o755,
			});
		}
		const environment = {
			CNI_COMMAND: verb,
			CNI_CONTAINERID: pod,
			CNI_NETNS: `/var/run/netns/${namespace(pod)}`,
			CNI_IFNAME: 'eth0',
			CNI_PATH: `${referencePlugins}:${own}`,
			...(address === undefined ? {} : { CNI_ARGS: `IP=${address}` }),
		};
		const ipam = { type: 'bgpmesh-ipam', socket, gateway: 'auto' };
		const config = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', type: 'ptp', mtu: 1480, ipam });
		const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
		const answer = await this.#in(node.name, ['env', ...variables, join(referencePlugins, 'ptp')], config);
		if (verb === 'DEL') return '';
		// The form of the specification.
		const { ips } = JSON.parse(answer) as { readonly ips: readonly { readonly address: string }[] };
		return ips[0]?.address.split('/')[0] ?? '';
	}

	async #in(namespace: string, command: readonly string[], input = ''): Promise<string> {
		const { status, stdout, stderr } = await run(
			'ip',
			['netns', 'exec', this.#dependencies.namespace(namespace), ...command],
			input,
		);
		if (status !== 0) throw new CommandError(command.join(' '), status, stderr || stdout);
		return stdout;
	}
}
