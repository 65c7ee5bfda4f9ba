import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../lab/commands.ts';
import { ApiClient, calicoKinds, coreKinds, detectLayout, loadCredentials } from '../../src/kubernetes/index.ts';
import { type Latencies, latencies } from './measure.ts';
import { findCalico, runProgram, untilReady } from './plugin.ts';
import { type PreparedServer, root } from './servers.ts';

/**
 * ADD by a main plugin: address, interface and routes, from its start to its end, in milliseconds.
 */
export interface AddFigures {
	readonly oneAfterAnother: Latencies;
	/** From the start of the first to the end of the last. */
	readonly hundredAtOnceMs: number;
}

export interface InterfaceFigures {
	/** The executable `bgpmesh`. */
	readonly ours: AddFigures;
	/** Calico's `calico` with `calico-ipam`; `undefined`: not built. */
	readonly calico: AddFigures | undefined;
}

const burst = 100;
const executable = join(root, `dist/executables/bgpmesh-linux-${process.arch}`);

interface MainPlugin {
	readonly name: string;
	readonly file: string;
	readonly input: string;
	/** The folder where the plugin finds plugins that it calls. */
	readonly path: string;
}

/**
 * The namespace that the runs need: a network of its own with an uplink, since plugins make
 * interfaces and routes, and kube-apiserver needs a default route.
 */
export const isolation: readonly string[] = [
	'unshare',
	'--net',
	'--mount',
	'sh',
	'-c',
	[
		'mount --make-rprivate /',
		'mkdir -p /run/netns && mount -t tmpfs none /run/netns',
		'ip link set lo up',
		'ip link add uplink type veth peer name wire',
		'ip link set wire up',
		'ip addr add 10.9.9.9/24 dev uplink',
		'ip link set uplink up',
		'ip route add default via 10.9.9.1',
		'exec "$@"',
	].join(' && '),
	'sh',
];

/** Measures both main plugins in turn, so that a change of the machine's load affects both. */
export async function measureInterfaces(
	server: PreparedServer,
	{ count, progress }: { readonly count: number; readonly progress: (text: string) => void },
): Promise<InterfaceFigures> {
	if (!existsSync(executable)) throw new Error(`${executable} is missing: npm run build:executables`);
	const { kubeconfig, folder } = server;
	await prepareCluster(kubeconfig, count + burst);
	const daemon = startDaemon(kubeconfig, folder);
	const ours = ourPlugin(folder, daemon.socket);
	const calico = calicoPlugin(kubeconfig, folder);
	const plugins = [ours, ...(calico === undefined ? [] : [calico])];
	try {
		const status = ours.input.replace('"cniVersion":"1.0.0"', '"cniVersion":"1.1.0"');
		await untilReady({ file: ours.file, arguments: [], input: status });
		progress('namespaces of pods');
		const names = plugins.flatMap(({ name }) =>
			Array.from({ length: count + burst }, (_, index) => `${name}-${index}`),
		);
		await must('ip', ['-batch', '-'], names.map((name) => `netns add ${name}\n`).join(''));
		progress(`${count} ADDs one after another`);
		const samples = new Map(plugins.map((plugin) => [plugin, [] as number[]]));
		for (let index = 0; index < count; index++)
			for (const [plugin, times] of samples) times.push(await timed(() => add(plugin, index)));
		progress(`${burst} ADDs at once`);
		const bursts = new Map<MainPlugin, number>();
		for (const plugin of plugins)
			bursts.set(
				plugin,
				await timed(() => Promise.all(Array.from({ length: burst }, (_, index) => add(plugin, count + index)))),
			);
		const figures = (plugin: MainPlugin): AddFigures => ({
			oneAfterAnother: latencies(samples.get(plugin) ?? []),
			hundredAtOnceMs: bursts.get(plugin) ?? Number.NaN,
		});
		return { ours: figures(ours), calico: calico === undefined ? undefined : figures(calico) };
	} finally {
		await daemon.stop();
	}
}

async function timed(act: () => Promise<unknown>): Promise<number> {
	const start = performance.now();
	await act();
	return performance.now() - start;
}

function add({ name, file, input, path }: MainPlugin, index: number): Promise<void> {
	const pod = `${name}-${index}`;
	return runProgram(
		{ file, arguments: [], input },
		{
			CNI_COMMAND: 'ADD',
			CNI_CONTAINERID: `${pod}-container`,
			CNI_IFNAME: 'eth0',
			CNI_NETNS: `/run/netns/${pod}`,
			CNI_PATH: path,
			CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_INFRA_CONTAINER_ID=${pod}-container`,
			PATH: process.env['PATH'] ?? '',
		},
	);
}

/** A node, a pool and pods for each plugin. */
async function prepareCluster(kubeconfig: string, pods: number): Promise<void> {
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const layout = await detectLayout(client);
	const create = (kind: Parameters<typeof client.create>[0], object: Parameters<typeof client.create>[1]) =>
		client.create(kind, object, kind.namespaced ? 'default' : undefined);
	const kinds = calicoKinds(layout);
	const information = {
		kind: 'ClusterInformation',
		apiVersion: layout,
		plural: 'clusterinformations',
		namespaced: false,
	};
	await create(information, {
		apiVersion: layout,
		kind: 'ClusterInformation',
		metadata: { name: 'default' },
		spec: { datastoreReady: true, clusterGUID: 'bench' },
	}).catch(() => undefined);
	for (const [name, cidr] of [
		['ours', '10.208.0.0/16'],
		['calico', '10.209.0.0/16'],
	] as const) {
		const annotations = name === 'ours' ? { 'projectcalico.org/IPv4Address': '10.9.9.9/24' } : {};
		await create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } });
		await create(kinds.pools, {
			apiVersion: layout,
			kind: 'IPPool',
			metadata: { name },
			spec: { cidr, blockSize: 24, nodeSelector: 'all()' },
		});
		for (let index = 0; index < pods; index++)
			await create(coreKinds.pods, {
				apiVersion: 'v1',
				kind: 'Pod',
				metadata: { name: `${name}-${index}`, namespace: 'default' },
				spec: { nodeName: name, containers: [{ name: 'a', image: 'x' }], automountServiceAccountToken: false },
			});
	}
}

const ourPlugin = (folder: string, socket: string): MainPlugin => ({
	name: 'ours',
	file: executable,
	path: folder,
	input: JSON.stringify({
		cniVersion: '1.0.0',
		name: 'bench',
		type: 'bgpmesh',
		ipam: { socket, ipv4_pools: ['ours'] },
	}),
});

function calicoPlugin(kubeconfig: string, folder: string): MainPlugin | undefined {
	const file = findCalico();
	if (file === undefined) return undefined;
	const path = join(folder, 'calico-plugins');
	mkdirSync(path);
	for (const name of ['calico', 'calico-ipam']) symlinkSync(file, join(path, name));
	return {
		name: 'calico',
		file: join(path, 'calico'),
		path,
		input: JSON.stringify({
			cniVersion: '1.0.0',
			name: 'bench-calico',
			type: 'calico',
			nodename: 'calico',
			nodename_file_optional: true,
			datastore_type: 'kubernetes',
			kubernetes: { kubeconfig },
			policy: { type: 'k8s' },
			mtu: 1500,
			ipam: { type: 'calico-ipam', ipv4_pools: ['10.209.0.0/16'] },
			log_level: 'Error',
			ipam_lock_file: join(folder, 'calico-ipam.lock'),
			log_file_path: join(folder, 'calico-cni.log'),
		}),
	};
}

function startDaemon(kubeconfig: string, folder: string): { readonly socket: string; stop(): Promise<void> } {
	const socket = join(folder, 'main.sock');
	const file = join(folder, 'main.yaml');
	const lines = [
		`node: ours`,
		`datastore: { type: kubernetes, kubeconfig: ${kubeconfig}, stateDirectory: ${folder} }`,
		`bgp: { asNumber: 64512, listen: { address: 127.0.0.1, port: 1790 } }`,
		`control: { socket: ${socket} }`,
		`log: { level: warn, format: text }`,
	];
	writeFileSync(file, `${lines.join('\n')}\n`);
	const child = spawn(process.execPath, [join(root, 'bin/bgpmeshd.js'), '--config', file], {
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
