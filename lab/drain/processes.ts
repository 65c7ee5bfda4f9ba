import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { isRunning, startIn, stop } from '../commands.ts';
import type { LoadOptions, LoadReport } from './client.ts';
import { asNumber, type DrainNode, drainNodes, torAddress, torAsNumber } from './network.ts';

/** How the router and the nodes treat an address that leaves a node. */
export type DrainOrder =
	/** Ours: least preferred first, withdrawn later; nodes hand moved connections over. */
	| 'drain'
	/** As MetalLB and Calico: the route goes at once when the node has no ready endpoint. */
	| 'withdraw';

/** The configuration of the router, a BIRD. Pure. */
export function drainTorConfig(order: DrainOrder): string {
	const filter =
		order === 'drain'
			? 'if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept;'
			: 'if (65535, 0) ~ bgp_community then reject; accept;';
	return [
		'log stderr { info, warning, error, fatal, bug };',
		`router id ${torAddress};`,
		'protocol device {}',
		'protocol kernel { merge paths on limit 16; ipv4 { export where source = RTS_BGP; }; }',
		...drainNodes.map(({ name, address }) =>
			[
				`protocol bgp ${name.replace('-', '_')} {`,
				`	local ${torAddress} as ${torAsNumber};`,
				`	neighbor ${address} as ${asNumber};`,
				'	connect delay time 1; connect retry time 1; error wait time 1, 4; graceful restart on;',
				`	ipv4 { import filter { ${filter} }; export none; };`,
				'}',
			].join('\n'),
		),
		'',
	].join('\n');
}

/** The configuration of a node's daemon. Pure. */
export function drainDaemonConfig(
	{ name, address }: DrainNode,
	place: { readonly folder: string; readonly kubeconfig: string; readonly order: DrainOrder; readonly seconds: number },
): string {
	// Without a drain a node hands nothing over.
	const seconds = place.order === 'drain' ? place.seconds : 0;
	return [
		`node: ${name}`,
		`datastore: { type: kubernetes, kubeconfig: ${place.kubeconfig}, stateDirectory: ` +
			`${join(place.folder, `${name}.state`)} }`,
		`bgp: { asNumber: ${asNumber}, routerId: ${address}, listen: { address: ${address}, port: 179 } }`,
		`control: { socket: ${join(place.folder, `${name}.sock`)} }`,
		`services: { proxy: true, podRanges: [ 10.42.0.0/16 ], loadBalancerAddresses: off, drainSeconds: ${seconds} }`,
		'log: { level: info, format: text }',
		'',
	].join('\n');
}

/** The pods of a node: one process. */
export class DrainPods {
	readonly #child: ChildProcess;
	readonly #answers: Interface;

	constructor(namespace: string, script: string) {
		this.#child = spawn('ip', ['netns', 'exec', namespace, process.execPath, script], {
			stdio: ['pipe', 'pipe', 'inherit'],
		});
		if (this.#child.stdout === null) throw new Error('no output of the pods');
		this.#answers = createInterface({ input: this.#child.stdout });
		this.#child.setMaxListeners(0);
	}

	/** Starts or ends a pod; resolves when it has. */
	async tell(verb: 'start' | 'stop', address: string): Promise<void> {
		const line = `${verb} ${address}`;
		const done = new Promise<void>((resolve, reject) => {
			this.#child.once('exit', () => reject(new Error('the pods have ended')));
			const read = (answer: string) => {
				if (answer !== line) return;
				this.#answers.off('line', read);
				resolve();
			};
			this.#answers.on('line', read);
		});
		this.#child.stdin?.write(`${line}\n`);
		await done;
	}

	end(): void {
		this.#child.removeAllListeners('exit');
		this.#child.kill('SIGKILL');
	}
}

/** Router and daemons, each a process in its namespace. */
export class DrainDaemons {
	readonly #namespace: (name: string) => string;
	readonly #folder: string;
	readonly #processes = new Map<string, ChildProcess>();

	constructor(namespace: (name: string) => string, folder: string) {
		this.#namespace = namespace;
		this.#folder = folder;
	}

	logFile(name: string): string {
		return join(this.#folder, `${name}.log`);
	}

	async startTor(order: DrainOrder): Promise<void> {
		const file = join(this.#folder, 'tor.conf');
		await writeFile(file, drainTorConfig(order));
		this.#start('tor', ['bird', '-f', '-c', file, '-s', join(this.#folder, 'tor.ctl')]);
	}

	async startDaemon(node: DrainNode, daemon: readonly string[], config: string): Promise<void> {
		const file = join(this.#folder, `${node.name}.yaml`);
		await writeFile(file, config);
		this.#start(node.name, [...daemon, '--config', file]);
	}

	#start(name: string, command: readonly string[]): void {
		this.#processes.set(name, startIn(this.#namespace(name), command, this.logFile(name)));
	}

	async stop(name: string): Promise<void> {
		const child = this.#processes.get(name);
		if (child !== undefined) await stop(child, 10_000);
	}

	/** Names of those that ended by themselves. */
	fallen(): string[] {
		return [...this.#processes].filter(([, child]) => !isRunning(child)).map(([name]) => name);
	}

	async stopAll(): Promise<void> {
		await Promise.all([...this.#processes.values()].map((child) => stop(child)));
	}

	killAll(): void {
		for (const child of this.#processes.values()) child.kill('SIGKILL');
	}
}

/** The load; `finish` ends it after the connections that it must open. */
export function startLoad(
	namespace: string,
	script: string,
	options: LoadOptions,
): { finish(): Promise<LoadReport>; kill(): void } {
	const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, script, JSON.stringify(options)], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	let text = '';
	child.stdout.setEncoding('utf8').on('data', (part: string) => {
		text += part;
	});
	const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
	return {
		async finish() {
			child.kill('SIGTERM');
			await ended;
			if (text === '') throw new Error('the load has ended without a report');
			// Written by `client.ts` of the same build.
			return JSON.parse(text) as LoadReport;
		},
		kill: () => child.kill('SIGKILL'),
	};
}
