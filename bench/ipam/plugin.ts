import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ApiClient, calicoKinds, coreKinds, detectLayout, loadCredentials } from '../../src/kubernetes/index.ts';
import { type Latencies, latencies } from './measure.ts';
import { type PreparedServer, root } from './servers.ts';

/**
 * One program that handles CNI's ADD, measured from the view of a container runtime: from its start
 * to its end, in milliseconds.
 */
export interface PluginFigures {
	readonly oneAfterAnother: Latencies;
	/** From the start of the first to the end of the last. */
	readonly hundredAtOnceMs: number;
}

/**
 * Ours, Calico's `calico-ipam` and Debian's `host-local` for comparison (`undefined`: not
 * installed), and an empty Node.js process.
 */
export interface CniFigures {
	readonly ours: PluginFigures;
	readonly calico: PluginFigures | undefined;
	readonly hostLocal: PluginFigures | undefined;
	readonly emptyNode: PluginFigures;
}

const hostLocalFile = ['/usr/lib/cni/host-local', '/opt/cni/bin/host-local'].find((file) => existsSync(file));

/** The build of `npm run setup:calico`; the newest, if there are several. */
export function findCalico(): string | undefined {
	const folder = join(homedir(), '.cache/bgpmesh/calico');
	if (!existsSync(folder)) return undefined;
	const files = readdirSync(folder).map((version) => join(folder, version, 'calico-ipam'));
	return files
		.filter((file) => existsSync(file))
		.sort()
		.at(-1);
}

/** A program with its standard input. */
export interface Command {
	readonly file: string;
	readonly arguments: readonly string[];
	readonly input: string;
}

/**
 * Starts a program with a clean environment, as a runtime does, and waits for its end. @throws
 * Error with its output if it refuses
 */
export async function runProgram(command: Command, environment: Readonly<Record<string, string>>): Promise<void> {
	const child = spawn(command.file, command.arguments, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
	const ended = new Promise<number | null>((done, failed) => child.once('exit', done).once('error', failed));
	child.stdin.on('error', () => {}).end(command.input);
	const [output, code] = await Promise.all([text(child.stdout), ended]);
	if (code !== 0) throw new Error(`${command.file} ended with ${code}: ${output}`);
}

const call = (verb: string, container: string) => ({
	CNI_COMMAND: verb,
	CNI_CONTAINERID: container,
	CNI_IFNAME: 'eth0',
	CNI_NETNS: '/var/run/netns/none',
	CNI_PATH: '/usr/lib/cni',
	PATH: process.env['PATH'] ?? '',
});

/**
 * Runs the plugin against its own daemon on the server, in turn with the others, so that a change
 * of the machine's load affects all.
 */
export async function measureCni(
	{ kubeconfig, folder }: PreparedServer,
	{ count, progress }: { readonly count: number; readonly progress: (text: string) => void },
): Promise<CniFigures> {
	const daemon = await startDaemon(kubeconfig, folder);
	try {
		const ours: Command = {
			file: process.execPath,
			arguments: [join(root, 'dist/bgpmesh-ipam.cjs')],
			input: JSON.stringify({
				cniVersion: '1.1.0',
				name: 'bench',
				ipam: { type: 'bgpmesh-ipam', socket: daemon.socket, ipv4_pools: ['bench-cni'] },
			}),
		};
		const ranges = [[{ subnet: '10.250.0.0/20' }]];
		const hostLocal: Command | undefined =
			hostLocalFile === undefined
				? undefined
				: {
						file: hostLocalFile,
						arguments: [],
						input: JSON.stringify({
							cniVersion: '1.0.0',
							name: 'bench',
							ipam: { type: 'host-local', dataDir: join(folder, 'host-local'), ranges },
						}),
					};
		const calico = calicoCommand(kubeconfig, folder);
		const emptyNode: Command = { file: process.execPath, arguments: ['-e', '0'], input: '' };
		await untilReady(ours);
		// One address makes the node warm: it has a block then.
		await runProgram(ours, call('ADD', 'warm-up'));
		if (calico !== undefined) await runProgram(calico, call('ADD', 'warm-up'));
		const commands = [ours, calico, hostLocal, emptyNode].filter((command) => command !== undefined);
		const samples = new Map(commands.map((command) => [command, [] as number[]]));
		progress(`${count} ADDs one after another`);
		for (let index = 0; index < count; index++) {
			for (const [command, times] of samples) {
				const start = performance.now();
				await runProgram(command, call('ADD', `one-${index}`));
				times.push(performance.now() - start);
			}
		}
		progress('100 ADDs at once');
		const bursts = new Map<Command, number>();
		for (const command of commands) {
			const start = performance.now();
			await Promise.all(Array.from({ length: 100 }, (_, index) => runProgram(command, call('ADD', `burst-${index}`))));
			bursts.set(command, performance.now() - start);
		}
		const figures = (command: Command): PluginFigures => ({
			oneAfterAnother: latencies(samples.get(command) ?? []),
			hundredAtOnceMs: bursts.get(command) ?? Number.NaN,
		});
		const figuresOf = (command: Command | undefined) => (command === undefined ? undefined : figures(command));
		return {
			ours: figures(ours),
			calico: figuresOf(calico),
			hostLocal: figuresOf(hostLocal),
			emptyNode: figures(emptyNode),
		};
	} finally {
		await daemon.stop();
	}
}

/**
 * With its own node and pool, as in a cluster of Calico's; its lock and its log are in the folder.
 */
function calicoCommand(kubeconfig: string, folder: string): Command | undefined {
	const file = findCalico();
	if (file === undefined) return undefined;
	const configuration = {
		cniVersion: '1.0.0',
		name: 'bench-calico',
		type: 'calico',
		nodename: 'bench-calico',
		datastore_type: 'kubernetes',
		kubernetes: { kubeconfig },
		ipam: { type: 'calico-ipam', ipv4_pools: ['10.207.0.0/16'] },
		log_level: 'Error',
		ipam_lock_file: join(folder, 'calico-ipam.lock'),
		log_file_path: join(folder, 'calico-cni.log'),
	};
	return { file, arguments: [], input: JSON.stringify(configuration) };
}

async function startDaemon(
	kubeconfig: string,
	folder: string,
): Promise<{ readonly socket: string; stop(): Promise<void> }> {
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const layout = await detectLayout(client);
	const address = `127.${1 + (process.pid % 250)}.9.1`;
	await client.create(coreKinds.nodes, {
		apiVersion: 'v1',
		kind: 'Node',
		metadata: { name: 'bench-cni', annotations: { 'projectcalico.org/IPv4Address': `${address}/8` } },
	});
	const spec = { cidr: '10.206.0.0/16', blockSize: 26, nodeSelector: 'all()' };
	await client.create(calicoKinds(layout).pools, {
		apiVersion: layout,
		kind: 'IPPool',
		metadata: { name: 'bench-cni' },
		spec,
	});
	await client.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'bench-calico' } });
	const other = { cidr: '10.207.0.0/16', blockSize: 26, nodeSelector: 'all()' };
	await client.create(calicoKinds(layout).pools, {
		apiVersion: layout,
		kind: 'IPPool',
		metadata: { name: 'bench-calico' },
		spec: other,
	});
	mkdirSync(join(folder, 'host-local'), { recursive: true });
	const socket = join(folder, 'bgpmesh.sock');
	const file = join(folder, 'bgpmeshd.yaml');
	writeFileSync(
		file,
		`node: bench-cni\ndatastore: { type: kubernetes, kubeconfig: ${kubeconfig} }\nbgp: { ` +
			`asNumber: 64512, listen: { address: ${address}, port: ${20_000 + (process.pid % 20_000)} } ` +
			`}\nfib: { enabled: false }\ncontrol: { socket: ${socket} }\nlog: { level: warn, format: ` +
			'text }\n',
	);
	const child: ChildProcess = spawn(process.execPath, [join(root, 'bin/bgpmeshd.js'), '--config', file], {
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	const ended = new Promise((done) => child.once('exit', done));
	return {
		socket,
		async stop() {
			child.kill('SIGTERM');
			await ended;
		},
	};
}

/** Waits until STATUS of the plugin succeeds. */
export async function untilReady(plugin: Command): Promise<void> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await runProgram(plugin, call('STATUS', ''));
		} catch (error) {
			if (attempt === 100) throw error;
			await new Promise((done) => setTimeout(done, 200));
		}
	}
}
