import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { main as installCni } from '../../src/cni/install/index.ts';
import { type ApiClient, calicoKinds, coreKinds } from '../../src/kubernetes/index.ts';
import { systemEnvironment } from '../../src/linux/index.ts';
import { RunningDaemon } from './daemon.ts';
import { startKubeServer } from './kube-server.ts';
import { noNamespaces } from './namespace.ts';

const referencePlugins = '/usr/lib/cni';
const repository = resolve(import.meta.dirname ?? '.', '../../..');

/** The reason why pods are impossible here; `undefined`: they are possible. */
export const noPods: string | undefined =
	noNamespaces ??
	(existsSync(join(referencePlugins, 'ptp'))
		? undefined
		: `${referencePlugins}/ptp is missing; install: containernetworking-plugins`);

/** The members of the ADD result that tests inspect. */
export interface CniResult {
	readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
}

interface Conflist {
	readonly name: string;
	readonly cniVersion: string;
	readonly plugins: readonly { readonly type?: string }[];
}

/**
 * CIDRs of the pools; with `host-local` the daemon assigns addresses of its Node's ranges instead.
 */
interface Cidrs {
	readonly ipv4: string;
	readonly ipv6: string;
	readonly mode?: 'host-local';
}

export interface Pod {
	readonly namespace: string;
	readonly containerId: string;
}

const ip = (...words: readonly string[]) =>
	execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: systemEnvironment() });

/**
 * A node that is a network namespace, with a daemon outside of it, its own API server, and a folder
 * of plugins.
 */
export class CniNode {
	readonly daemon = new RunningDaemon();
	readonly #id: string;
	readonly #binDir = mkdtempSync(join(tmpdir(), 'cni-bin-'));
	readonly #namespaces: string[] = [];
	#configuration: Conflist | undefined;
	#client: ApiClient | undefined;

	constructor(id: string) {
		this.#id = `cni${process.pid}${id}`;
	}

	/**
	 * With pools of both families, one for each test, and the configuration that `bgpmesh-cni
	 * install` writes.
	 */
	async start(t: ExecutionContext, cidrs: Cidrs, ...install: readonly string[]): Promise<this> {
		const { kubeconfig, client } = await startServer(t, this.daemon.folder, cidrs);
		this.#client = client;
		const { folder, socket, configFile } = this.daemon;
		const address = `127.${1 + (process.pid % 250)}.7.1`;
		writeFileSync(
			configFile,
			`node: node-a\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: { asNumber: 64512, listen: { address: ${address}, port: ${20_000 + (process.pid % 20_000)} } }\nfib: { enabled: false }\n${cidrs.mode === 'host-local' ? `ipam: { mode: host-local, directory: ${join(folder, 'addresses')} }\n` : ''}control: { socket: ${socket} }\nlog: { format: text }\n`,
		);
		await this.daemon.start(t);
		if (cidrs.mode !== 'host-local') await this.ready();
		const { bundlePlugin } = (await import(join(repository, 'scripts/lib/bundle-plugin.mjs'))) as {
			bundlePlugin(outfile: string): Promise<string>;
		};
		const bundle = await bundlePlugin(join(folder, 'bgpmesh-ipam.cjs'));
		let output = '';
		const code = installCni({
			arguments: [
				'install',
				'--chain',
				'none',
				'--bin-dir',
				this.#binDir,
				'--conf-dir',
				join(folder, 'net.d'),
				'--socket',
				socket,
				'--json',
				...install,
			],
			bundle,
			node: process.execPath,
			write: (text) => {
				output += text;
			},
			complain: (text) => t.log(text),
		});
		t.is(code, 0);
		this.#configuration = (JSON.parse(output) as { conflist: Conflist }).conflist;
		t.teardown(() => this.#end());
		this.#addNamespace(this.#id);
		return this;
	}

	/** Waits until addresses can be assigned. */
	async ready(): Promise<void> {
		await this.daemon.until(
			'addresses can be given',
			(daemon) => daemon.ask('cniStatus', {}).catch(() => ({ ready: false })),
			({ ready }) => ready,
		);
	}

	/** Sets a node's ranges, as kube-controller-manager does. */
	async giveRanges(...podCIDRs: readonly string[]): Promise<void> {
		await this.#client?.patch(
			coreKinds.nodes,
			'node-a',
			{ spec: { podCIDR: podCIDRs[0] ?? '', podCIDRs } },
			'application/merge-patch+json',
		);
	}

	/** A namespace for a pod, with only the loopback interface. */
	newPod(name: string): Pod {
		const namespace = `${this.#id}-${name}`;
		this.#addNamespace(namespace);
		return { namespace, containerId: `${this.#id}-container-${name}` };
	}

	add(pod: Pod): Promise<CniResult> {
		return this.#call('ADD', pod).then((text) => JSON.parse(text) as CniResult);
	}

	/** Passes on the result of ADD, as a runtime does. */
	async check(pod: Pod, previous: CniResult): Promise<void> {
		await this.#call('CHECK', pod, previous);
	}

	async delete(pod: Pod): Promise<void> {
		await this.#call('DEL', pod);
	}

	/** Does an echo reply arrive? Repeated until it does: IPv6 addresses are not usable at once. */
	async pings(from: Pod | 'node', to: string): Promise<boolean> {
		const namespace = from === 'node' ? this.#id : from.namespace;
		for (let attempt = 0; attempt < 20; attempt++) {
			const ended = await run(
				'ip',
				['netns', 'exec', namespace, 'ping', '-c', '1', '-W', '2', to],
				systemEnvironment(),
			);
			if (ended.code === 0) return true;
			await pause(200);
		}
		return false;
	}

	/** `ip` in the namespace of node or pod. */
	ip(where: Pod | 'node', words: string): string {
		return ip('-n', where === 'node' ? this.#id : where.namespace, ...words.split(' '));
	}

	/**
	 * The main plugin, in the node's namespace, with the configuration that a runtime derives from
	 * the list. @throws Error with its output
	 */
	async #call(command: string, { namespace, containerId }: Pod, previous?: CniResult): Promise<string> {
		const { name = '', cniVersion = '', plugins: [plugin = {}] = [] } = this.#configuration ?? {};
		const input = JSON.stringify({
			name,
			cniVersion,
			...plugin,
			...(previous === undefined ? {} : { prevResult: previous }),
		});
		const environment = {
			...systemEnvironment(),
			CNI_COMMAND: command,
			CNI_CONTAINERID: containerId,
			CNI_NETNS: `/run/netns/${namespace}`,
			CNI_IFNAME: 'eth0',
			CNI_PATH: `${this.#binDir}:${referencePlugins}`,
		};
		const ended = await run(
			'ip',
			['netns', 'exec', this.#id, join(referencePlugins, plugin.type ?? '')],
			environment,
			input,
		);
		if (ended.code !== 0) throw new Error(`${command} ${containerId}: ${ended.stdout}${ended.stderr}`);
		return ended.stdout;
	}

	#addNamespace(name: string): void {
		ip('netns', 'add', name);
		this.#namespaces.push(name);
		ip('-n', name, 'link', 'set', 'lo', 'up');
	}

	#end(): void {
		for (const name of this.#namespaces.splice(0)) ip('netns', 'del', name);
	}
}

interface Ended {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

function run(
	file: string,
	given: readonly string[],
	env: Readonly<Record<string, string | undefined>>,
	input?: string,
): Promise<Ended> {
	return new Promise((resolve) => {
		const child = execFile(file, given, { env }, (_error, stdout, stderr) =>
			resolve({ code: child.exitCode, stdout, stderr }),
		);
		child.stdin?.on('error', () => {}).end(input ?? '');
	});
}

/**
 * An API server with Calico's resources, one node and a pool of each family, until the test ends;
 * returns the kubeconfig.
 */
async function startServer(t: ExecutionContext, folder: string, { ipv4, ipv6 }: Cidrs) {
	const { kubeconfig, client } = await startKubeServer(t, folder, { name: 'node-a', address: '192.0.2.1/24' });
	const layout = 'crd.projectcalico.org/v1';
	for (const [name, cidr, blockSize] of [
		['pods', ipv4, 26],
		['pods6', ipv6, 122],
	] as const)
		await client.create(calicoKinds(layout).pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name },
			spec: { cidr, blockSize, nodeSelector: 'all()' },
		});
	return { kubeconfig, client };
}
