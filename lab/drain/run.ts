import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { check, libc } from '../../src/linux/index.ts';
import { must } from '../commands.ts';
import type { LoadReport } from './client.ts';
import { DrainCluster, type PodState } from './cluster.ts';
import { buildDrainNetwork, type DrainNode, drainNodes, serviceAddress } from './network.ts';
import { DrainDaemons, type DrainOrder, DrainPods, drainDaemonConfig, startLoad } from './processes.ts';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');
const newNetwork = 0x40000000;

/** What happens under load, in this order. */
export const drainSteps = ['drain', 'exclude', 'roll'] as const;
export type DrainStep = (typeof drainSteps)[number];

export interface DrainOptions {
	readonly order: DrainOrder;
	readonly steps: readonly DrainStep[];
	/** As many at least. */
	readonly connections: number;
	/** New connections a second. */
	readonly rate: number;
	/** Longest lifetime of a connection; also the time in which a pod ends. */
	readonly lifetimeMs: number;
	readonly progress: (text: string) => void;
}

/** Something that happened, in seconds from the start of the load. */
export interface DrainEvent {
	readonly seconds: number;
	readonly text: string;
}

/** The result; `--json` prints it. */
export interface DrainReport extends LoadReport {
	readonly ok: boolean;
	readonly order: DrainOrder;
	/** What was done, and which nodes the router used after each change. */
	readonly events: readonly DrainEvent[];
	/** Of the machine at the end, over one minute. */
	readonly loadAverage: number;
	readonly problems: readonly string[];
}

/**
 * Connections through ECMP to a Service with external policy Local, while a node is cordoned,
 * drained and restarted, another one is excluded from load balancers, and a Deployment rolls.
 * Removes everything at its end. @throws CommandError, Error
 */
export async function runDrain(options: DrainOptions): Promise<DrainReport> {
	check('unshare', libc().unshare(newNetwork));
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-drain-'));
	const network = await buildDrainNetwork(`bgpmesh-${process.pid}-`);
	const lab = new DrainLaboratory(options, network.namespace, folder);
	const lastResort = () => {
		lab.kill();
		network.remove();
	};
	process.once('exit', lastResort);
	for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }))
		process.once(signal, () => process.exit(code));
	try {
		return await lab.run();
	} finally {
		await lab.remove();
		network.remove();
		process.off('exit', lastResort);
		rmSync(folder, { recursive: true, force: true });
	}
}

class DrainLaboratory {
	readonly #options: DrainOptions;
	readonly #namespace: (name: string) => string;
	readonly #folder: string;
	readonly #daemons: DrainDaemons;
	readonly #pods = new Map<string, DrainPods>();
	readonly #events: DrainEvent[] = [];
	/** Index of the next pod of each node. */
	readonly #next = new Map<string, number>();
	/** Pods by node, in the order of their start. */
	readonly #running = new Map<string, string[]>();
	#cluster: DrainCluster | undefined;
	#watch: { kill(): void } | undefined;
	#load: ReturnType<typeof startLoad> | undefined;
	#startedMs = performance.now();

	constructor(options: DrainOptions, namespace: (name: string) => string, folder: string) {
		this.#options = options;
		this.#namespace = namespace;
		this.#folder = folder;
		this.#daemons = new DrainDaemons(namespace, folder);
	}

	async run(): Promise<DrainReport> {
		const { order, steps, connections, rate, lifetimeMs } = this.#options;
		this.#cluster = await DrainCluster.start(this.#folder);
		for (const { name } of drainNodes)
			this.#pods.set(name, new DrainPods(this.#namespace(`pods-${name}`), join(root, 'dist/lab/drain/pods.js')));
		await this.#daemons.startTor(order);
		for (const node of drainNodes) {
			await this.#startDaemon(node);
			await this.#startPods(node, 2);
		}
		await this.#until('the router uses all nodes', drainNodes);
		this.#watch = this.#watchRouter();
		this.#load = startLoad(this.#namespace('client'), join(root, 'dist/lab/drain/client.js'), {
			address: serviceAddress,
			connections,
			rate,
			lifetimeMs,
			exchanges: 5,
		});
		this.#startedMs = performance.now();
		this.#note(`load: ${rate} connections a second, each up to ${lifetimeMs / 1000} s`);
		await pause(2000);
		if (steps.includes('drain')) await this.#drainAndRestart();
		if (steps.includes('exclude')) await this.#exclude();
		if (steps.includes('roll')) await this.#roll();
		this.#note('the load goes on to its end');
		const load = await this.#load.finish();
		const fallen = this.#daemons.fallen();
		const problems = [
			...fallen.map(
				(name) => `${name} ended by itself: ${readFileSync(this.#daemons.logFile(name), 'utf8').slice(-500)}`,
			),
			...(load.broken === 0 ? [] : [`${load.broken} of ${load.connections} connections were broken`]),
		];
		const [loadAverage = 0] = readFileSync('/proc/loadavg', 'utf8').split(' ').map(Number);
		return { ok: problems.length === 0, order, ...load, events: this.#events, loadAverage, problems };
	}

	async remove(): Promise<void> {
		this.#load?.kill();
		this.#watch?.kill();
		for (const pods of this.#pods.values()) pods.end();
		await this.#daemons.stopAll();
		await this.#cluster?.close();
	}

	kill(): void {
		this.#load?.kill();
		this.#watch?.kill();
		for (const pods of this.#pods.values()) pods.end();
		this.#daemons.killAll();
	}

	/** `kubectl drain`: the pods end, others start on other nodes; then the node restarts. */
	async #drainAndRestart(): Promise<void> {
		const [node, ...others] = drainNodes;
		if (node === undefined) throw new RangeError('a laboratory without nodes');
		this.#note(`${node.name} is cordoned and drained`);
		await this.#cluster?.cordon(node.name, true);
		for (const other of others) await this.#startPods(other, 1);
		await this.#endPods(node, 2);
		this.#note(`${node.name} restarts`);
		await this.#daemons.stop(node.name);
		await must('ip', ['netns', 'exec', this.#namespace(node.name), 'nft', 'flush', 'ruleset']);
		await pause(1000);
		await this.#startDaemon(node);
		await this.#cluster?.cordon(node.name, false);
		await this.#startPods(node, 2);
		this.#note(`${node.name} is back with two pods`);
		await this.#until('the router uses all nodes again', drainNodes);
		await pause(this.#options.lifetimeMs + 1000);
	}

	async #exclude(): Promise<void> {
		const [, node] = drainNodes;
		if (node === undefined) throw new RangeError('a laboratory without nodes');
		this.#note(`${node.name} is excluded from load balancers`);
		await this.#cluster?.exclude(node.name, true);
		await pause(drainSeconds(this.#options) * 1000 + 2000);
		this.#note(`${node.name} is no longer excluded`);
		await this.#cluster?.exclude(node.name, false);
		await this.#until('the router uses all nodes again', drainNodes);
		await pause(this.#options.lifetimeMs + 1000);
	}

	/** A Deployment rolls: each pod is replaced by one on the same node. */
	async #roll(): Promise<void> {
		this.#note('a Deployment rolls');
		for (const node of drainNodes) {
			const count = this.#running.get(node.name)?.length ?? 0;
			await this.#startPods(node, count);
			await pause(300);
			await this.#endPods(node, count);
		}
		// The last pod of a node is replaced by one elsewhere, and the other way round.
		const [first, second] = drainNodes;
		if (first === undefined || second === undefined) throw new RangeError('a laboratory without nodes');
		await this.#startPods(second, 2);
		await this.#endPods(first, this.#running.get(first.name)?.length ?? 0);
		await this.#startPods(first, 2);
		await pause(this.#options.lifetimeMs + 1000);
	}

	async #startDaemon(node: DrainNode): Promise<void> {
		const place = {
			folder: this.#folder,
			kubeconfig: this.#cluster?.kubeconfig ?? '',
			order: this.#options.order,
			seconds: drainSeconds(this.#options),
		};
		const daemon = [process.execPath, join(root, 'bin/bgpmeshd.js')];
		await this.#daemons.startDaemon(node, daemon, drainDaemonConfig(node, place));
	}

	async #startPods(node: DrainNode, count: number): Promise<void> {
		const first = this.#next.get(node.name) ?? 0;
		const addresses = Array.from({ length: count }, (_, index) => node.pod((first + index) % 20));
		this.#next.set(node.name, first + count);
		for (const address of addresses) await this.#pods.get(node.name)?.tell('start', address);
		await this.#set(node, addresses, 'ready');
		this.#running.set(node.name, [...(this.#running.get(node.name) ?? []), ...addresses]);
	}

	/** The oldest pods of a node terminate, serve for their grace period, and end. */
	async #endPods(node: DrainNode, count: number): Promise<void> {
		const all = this.#running.get(node.name) ?? [];
		const addresses = all.slice(0, count);
		this.#running.set(node.name, all.slice(count));
		await this.#set(node, addresses, 'terminating');
		await pause(this.#options.lifetimeMs + graceMs);
		await this.#set(node, addresses, undefined);
		await pause(200);
		for (const address of addresses) await this.#pods.get(node.name)?.tell('stop', address);
	}

	async #set({ name }: DrainNode, addresses: readonly string[], state: PodState | undefined): Promise<void> {
		await this.#cluster?.setPods(addresses.map((address) => ({ address, node: name, state })));
	}

	#note(text: string): void {
		const seconds = Math.round((performance.now() - this.#startedMs) / 10) / 100;
		this.#events.push({ seconds, text });
		this.#options.progress(`${seconds.toFixed(2).padStart(6)} s  ${text}`);
	}

	async #nodesOfRouter(): Promise<string[]> {
		const text = await must('ip', ['-n', this.#namespace('tor'), 'route', 'show', serviceAddress]);
		return drainNodes.filter(({ address }) => text.includes(`via ${address} `)).map(({ name }) => name);
	}

	async #until(what: string, nodes: readonly DrainNode[]): Promise<void> {
		const deadline = performance.now() + 90_000;
		while ((await this.#nodesOfRouter()).length !== nodes.length) {
			if (performance.now() > deadline) throw new Error(`waited 90 s in vain until ${what}: ${this.#lastWords()}`);
			await pause(100);
		}
	}

	#lastWords(): string {
		return ['tor', ...drainNodes.map(({ name }) => name)]
			.map((name) => `${name}: ${readFileSync(this.#daemons.logFile(name), 'utf8').split('\n').slice(-6).join('\n')}`)
			.join('\n');
	}

	/** Notes the nodes that the router uses after each change. */
	#watchRouter(): { kill(): void } {
		const monitor = spawn('ip', ['-n', this.#namespace('tor'), 'monitor', 'route'], {
			stdio: ['ignore', 'pipe', 'ignore'],
		});
		let last = '';
		let isAsking = false;
		monitor.stdout.on('data', () => {
			if (isAsking) return;
			isAsking = true;
			void this.#nodesOfRouter()
				.catch(() => [])
				.then((names) => {
					isAsking = false;
					const text = `the router uses ${names.join(', ') || 'no node'}`;
					if (text !== last) this.#note(text);
					last = text;
				});
		});
		return { kill: () => monitor.kill('SIGKILL') };
	}
}

/** A pod serves so much longer than its connections last, as the kubelet's grace period allows. */
const graceMs = 4000;

const drainSeconds = ({ lifetimeMs }: DrainOptions): number => Math.ceil(lifetimeMs / 1000) + 3;
