import type { ChildProcess } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ClusterCommands, LabCluster } from './cluster.ts';
import { CommandError, isRunning, startIn, stop } from './commands.ts';
import { clusterDaemonConfig, daemonConfig, torConfig } from './daemon-config.ts';
import { buildNetwork, type LabNetwork } from './network.ts';
import { leadsTo, peersOf, poolsOf, routesOf, usedOf, usesAddress } from './observe.ts';
import { type PingOptions, type PingTarget, pingAll } from './pings.ts';
import type { PeerRow, PingRow, RouteRow } from './report.ts';
import type { PoolMode } from './resources.ts';
import { type LabNode, type LabTopology, sessionsOf } from './topology.ts';

/** The environment of a laboratory. */
export interface LaboratoryOptions {
	readonly topology: LabTopology;
	/** Prefix of every namespace's name. */
	readonly prefix: string;
	/** For configurations, sockets and logs; exists, and is removed by its creator. */
	readonly folder: string;
	/** The command that starts a daemon, without `--config FILE`. */
	readonly daemon: readonly string[];
	/** Does this kernel have nftables? */
	readonly guard: boolean;
	/** Do the daemons enforce network policy? */
	readonly policy: boolean;
	/** How the pools reach other subnets at first. */
	readonly poolMode: PoolMode;
	/** With an API server; `undefined`: the whole configuration is in the daemons' files. */
	readonly cluster: ClusterCommands | undefined;
}

/** The state of the sessions and the kernels at one moment. */
export interface Sight {
	readonly sessions: readonly PeerRow[];
	readonly routes: Readonly<Record<string, readonly RouteRow[]>>;
}

/** Maximum time until a daemon receives a change. */
const hearsaySeconds = 30;

/** A running laboratory: network, top-of-rack router, and a daemon on each node. */
export class Laboratory {
	readonly cluster: LabCluster | undefined;
	readonly #options: LaboratoryOptions;
	readonly #network: LabNetwork;
	readonly #processes = new Map<string, ChildProcess>();

	#topology: LabTopology;

	private constructor(options: LaboratoryOptions, network: LabNetwork) {
		this.#topology = options.topology;
		this.#options = options;
		this.#network = network;
		const { topology, folder, cluster, poolMode } = options;
		if (cluster === undefined) return;
		this.cluster = new LabCluster({
			...cluster,
			topology,
			poolMode,
			folder,
			namespace: (name) => this.namespace(name),
			start: (name, namespace, command) => this.#start(name, namespace, command),
			lastWordsOf: (name) => this.fallen().find((process) => process.name === name)?.lastLines,
		});
	}

	/** The current intended topology. */
	get topology(): LabTopology {
		return this.#topology;
	}

	/** Sets the intended topology; same nodes, other sessions. */
	becomes(topology: LabTopology): void {
		this.#topology = topology;
	}

	/** Only the network; no BGP speaker runs yet. @throws CommandError */
	static async build(options: LaboratoryOptions): Promise<Laboratory> {
		return new Laboratory(options, await buildNetwork(options.topology, options.prefix, options.cluster !== undefined));
	}

	namespace(name: string): string {
		return this.#network.namespace(name);
	}

	socket(node: LabNode): string {
		return join(this.#options.folder, `${node.name}.sock`);
	}

	logFile(name: string): string {
		return join(this.#options.folder, `${name}.log`);
	}

	/** Configured sessions, counted at the daemons' ends. */
	get sessionsConfigured(): number {
		return this.topology.nodes.reduce((sum, node) => sum + sessionsOf(node, this.topology).length + 1, 0);
	}

	async startTor(): Promise<void> {
		const file = join(this.#options.folder, 'tor.conf');
		await writeFile(file, torConfig(this.topology));
		this.#start('tor', 'tor', ['bird', '-f', '-c', file, '-s', join(this.#options.folder, 'tor.ctl')]);
	}

	async startDaemon(node: LabNode): Promise<void> {
		const file = join(this.#options.folder, `${node.name}.yaml`);
		const { guard, folder, policy } = this.#options;
		const place = { socket: this.socket(node), guard };
		const text =
			this.cluster === undefined
				? daemonConfig(node, this.topology, place)
				: clusterDaemonConfig(node, { ...place, folder, policy, kubeconfig: this.cluster.kubeconfig });
		await writeFile(file, text);
		this.#start(node.name, node.name, [...this.#options.daemon, '--config', file]);
	}

	#start(name: string, namespace: string, command: readonly string[]): void {
		this.#processes.set(name, startIn(this.namespace(namespace), command, this.logFile(name)));
	}

	/** Sends that signal to one daemon, and waits until it has exited. */
	async kill(name: string, signal: NodeJS.Signals): Promise<void> {
		const child = this.#processes.get(name);
		if (child === undefined || !isRunning(child)) return;
		const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
		child.kill(signal);
		await gone;
		appendFileSync(this.logFile(name), `--- ended by ${signal}\n`);
	}

	/** Names of the processes that exited by themselves, with their last lines. */
	fallen(): { name: string; lastLines: string }[] {
		return [...this.#processes]
			.filter(([, child]) => !isRunning(child))
			.map(([name]) => ({ name, lastLines: this.lastWords(name) }));
	}

	/** The last lines that a process wrote. */
	lastWords(name: string): string {
		return readFileSync(this.logFile(name), 'utf8').trimEnd().split('\n').slice(-8).join('\n');
	}

	async look(): Promise<Sight> {
		return { sessions: await this.#sessions(), routes: await this.#routes() };
	}

	async #sessions(): Promise<PeerRow[]> {
		const { nodes } = this.topology;
		return (await Promise.all(nodes.map((node) => peersOf(node, this.socket(node), this.topology)))).flat();
	}

	async #routes(): Promise<Sight['routes']> {
		const { nodes } = this.topology;
		return Object.fromEntries(
			await Promise.all(
				nodes.map(async (node) => [node.name, await routesOf(this.namespace(node.name), this.topology)] as const),
			),
		);
	}

	/**
	 * Observes repeatedly until `enough`, a daemon exits, or `mostSeconds` are over; returns the
	 * last observation. Starting `ip` is slow inside user-mode-linux, and at that time daemons
	 * start: the kernels are read once a session is up. @throws AbortError
	 */
	async lookUntil(enough: (sight: Sight) => boolean, mostSeconds: number, signal: AbortSignal): Promise<Sight> {
		const deadline = performance.now() + mostSeconds * 1000;
		for (;;) {
			const sessions = await this.#sessions();
			const routes = sessions.some(({ state }) => state === 'established') ? await this.#routes() : {};
			if (enough({ sessions, routes }) || performance.now() > deadline || this.fallen().length > 0)
				return { sessions, routes };
			await pause(300, undefined, { signal });
		}
	}

	/**
	 * Is every session established, and are every foreign block and the service in every kernel?
	 */
	converged = ({ sessions, routes }: Sight): boolean => {
		const { nodes } = this.topology;
		const established = sessions.filter(({ state }) => state === 'established').length;
		const complete = nodes.every(({ name }) => {
			const rows = routes[name] ?? [];
			return nodeRoutes(rows).length === nodes.length - 1 && rows.some(({ type }) => type === 'external');
		});
		return established === this.sessionsConfigured && complete;
	};

	/** How the pools reach other subnets at first. */
	get poolMode(): PoolMode {
		return this.#options.poolMode;
	}

	/**
	 * Waits until no node's kernel has a route or a tunnel that uses the address: it can be removed
	 * from its node. `false`: timeout. @throws AbortError
	 */
	async isUnused(address: string, mostSeconds: number, signal: AbortSignal): Promise<boolean> {
		const deadline = performance.now() + mostSeconds * 1000;
		for (;;) {
			const uses = await Promise.all(this.topology.nodes.map(({ name }) => usesAddress(this.namespace(name), address)));
			if (!uses.includes(true)) return true;
			if (performance.now() > deadline) return false;
			await pause(300, undefined, { signal });
		}
	}

	/** Waits until a node's daemon has a pool. @throws AbortError, CommandError on timeout */
	async knowsPool(node: LabNode, pool: string, signal: AbortSignal): Promise<void> {
		const known = await this.#hears(
			async () => (await poolsOf(this.socket(node))).some(({ name }) => name === pool),
			signal,
		);
		if (!known)
			throw new CommandError(
				`the daemon of ${node.name}`,
				null,
				`it does not know the pool ${pool} after ${hearsaySeconds} s`,
			);
	}

	/**
	 * Which of these addresses are still held, by a node's daemon after a delay. @throws AbortError
	 */
	async stillUsed(node: LabNode, addresses: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
		let used = addresses;
		await this.#hears(async () => {
			used = await usedOf(this.socket(node), used);
			return used.length === 0;
		}, signal);
		return used;
	}

	/**
	 * Waits until every other node has a route to each of these addresses of a node, through the
	 * tunnel from the other subnet. `false`: timeout. @throws AbortError
	 */
	reachable(node: LabNode, addresses: readonly string[], signal: AbortSignal): Promise<boolean> {
		const others = this.topology.nodes.filter(({ name }) => name !== node.name);
		return this.#hears(async () => {
			const routes = await this.#routes();
			return others.every(({ name, subnet }) =>
				leadsTo(routes[name] ?? [], addresses, subnet.name !== node.subnet.name),
			);
		}, signal);
	}

	/** `false`: timeout. */
	async #hears(look: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
		const deadline = performance.now() + hearsaySeconds * 1000;
		while (!(await look())) {
			if (performance.now() > deadline) return false;
			await pause(200, undefined, { signal });
		}
		return true;
	}

	/**
	 * The plugins attach every pod, as under a container runtime: repeated while the daemon is
	 * still starting. @throws CommandError
	 */
	async attachPods(mostSeconds: number, signal: AbortSignal): Promise<void> {
		const deadline = performance.now() + mostSeconds * 1000;
		for (const node of this.topology.nodes) {
			for (;;) {
				try {
					const given = await this.cluster?.plugin('ADD', {
						node,
						socket: this.socket(node),
						pod: node.pod.name,
						address: node.pod.address,
					});
					if (given !== undefined && given !== node.pod.address)
						throw new RangeError(`${node.pod.name} asked for ${node.pod.address} and got ${given}`);
					break;
				} catch (error) {
					if (!(error instanceof CommandError) || performance.now() > deadline || this.fallen().length > 0) throw error;
					await pause(500, undefined, { signal });
				}
			}
		}
	}

	/** From every pod to every other pod. */
	podPings(count: number, waitSeconds: number): Promise<PingRow[]> {
		const { nodes } = this.topology;
		const targets = nodes.flatMap((from) =>
			nodes.filter((to) => to !== from).map((to) => this.#target(from, to.pod.name, to.pod.address)),
		);
		return pingAll(targets, { count, waitSeconds });
	}

	/** From every pod to the service behind the top-of-rack router. */
	servicePings(count: number, waitSeconds: number): Promise<PingRow[]> {
		const { nodes, serviceAddress } = this.topology;
		return pingAll(
			nodes.map((from) => this.#target(from, 'service', serviceAddress)),
			{ count, waitSeconds },
		);
	}

	/** From the pods of these nodes, in turn, to each of these addresses. */
	pingFrom(
		nodes: readonly LabNode[],
		targets: readonly Pick<PingTarget, 'to' | 'address'>[],
		options: PingOptions,
	): Promise<PingRow[]> {
		return pingAll(
			targets.flatMap(({ to, address }, index) => {
				const from = nodes[index % nodes.length];
				return from === undefined ? [] : [this.#target(from, to, address)];
			}),
			options,
		);
	}

	/** Additional namespaces, without an interface that is up. @throws CommandError */
	addNamespaces(names: readonly string[]): Promise<void> {
		return this.#network.add(names);
	}

	#target({ pod }: LabNode, to: string, address: string): PingTarget {
		return { from: pod.name, namespace: this.namespace(pod.name), to, address };
	}

	/** Stops all processes and removes all objects; complete after any failure. */
	async remove(): Promise<void> {
		try {
			await Promise.all([...this.#processes.values()].map((child) => stop(child)));
		} finally {
			this.#network.remove();
		}
	}

	/** The same at once, for a process that is about to exit. */
	removeNow(): void {
		for (const child of this.#processes.values()) child.kill('SIGKILL');
		this.#network.remove();
	}
}

/** Routes to other nodes' blocks. */
export const nodeRoutes = (rows: readonly RouteRow[]): readonly RouteRow[] =>
	rows.filter(({ type }) => type === 'direct' || type === 'tunnelled');
