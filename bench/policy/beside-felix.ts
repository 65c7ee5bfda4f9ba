import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
	kubeconfigOf,
	packagedDefinitions,
	parseTokenFile,
	selfSigned,
	startApiServer,
} from '../../src/apiserver/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { ApiClient, calicoKinds, coreKinds, loadCredentials, type ResourceKind } from '../../src/kubernetes/index.ts';
import { NfTables, systemEnvironment } from '../../src/linux/index.ts';
import { policyTable } from '../../src/nftables/index.ts';
import { missingFelix, startFelix } from '../../test/felix/felix.ts';
import { localPolicies, nodeName, nodeOfPod, otherObjects, podObject, policyObject, type WorldSize } from './world.ts';

const daemon = join(resolve(fileURLToPath(import.meta.url), '../../../..'), 'bin/bgpmeshd.js');
const networkPolicies: ResourceKind = {
	kind: 'NetworkPolicy',
	apiVersion: 'networking.k8s.io/v1',
	plural: 'networkpolicies',
	namespaced: true,
};
const layout = 'crd.projectcalico.org/v1';

/** Milliseconds from the write to the API server until the kernel has it. */
export interface EngineChange {
	readonly p50: number;
	readonly p99: number;
	readonly most: number;
}

export interface EngineFigures {
	/** From the start of the process until all policies are in the kernel, s. */
	readonly enforcedSeconds: number;
	/** Processor time of the process until then, s; programs that it calls included. */
	readonly processorSeconds: number;
	/** Resident, after all changes. */
	readonly residentMib: number;
	readonly labelOfPod: EngineChange;
	readonly policy: EngineChange;
}

/** A whole agent of a node. */
interface Engine {
	readonly name: string;
	start(folder: string, kubeconfig: string): { readonly child: ChildProcess; log(): string };
	/** What all pods of the node have of their policies, as text; `undefined`: everything. */
	missing(tables: NfTables, localPods: number, policies: number): Promise<string | undefined>;
	/** Differs as soon as a member joined or left a set. */
	sets(tables: NfTables, address: string): Promise<string>;
}

const ours: Engine = {
	name: 'bgpmesh',
	start(folder, kubeconfig) {
		writeFileSync(
			join(folder, 'bgpmeshd.yaml'),
			`node: ${nodeName(0)}
datastore: { type: kubernetes, kubeconfig: ${kubeconfig} }
bgp: { asNumber: 64512, listen: { address: 127.7.0.1, port: 11791 } }
fib: { enabled: false }
networkPolicy: { enforce: true }
control: { socket: ${folder}/control.sock }
`,
		);
		return { child: spawn(daemon, ['--config', join(folder, 'bgpmeshd.yaml')], { stdio: 'ignore' }), log: () => '' };
	},
	async missing(tables, localPods) {
		if (!(await tables.tables('inet')).includes(policyTable)) return 'no table';
		if (!(await tables.sets('inet', policyTable)).some(({ name }) => name === 'to-workload')) return 'no map of pods';
		const pods = (await tables.elements('inet', policyTable, 'to-workload')).length;
		return pods >= localPods ? undefined : `${pods} of ${localPods} pods`;
	},
	sets: async (tables) => String(await tables.generation()),
};

const felix: Engine = {
	name: 'Felix',
	// Its build has no XDP program, and it would look for one at every change.
	start: (_, kubeconfig) => startFelix(process.pid, nodeName(0), kubeconfig, { FELIX_XDPENABLED: 'false' }),
	async missing(tables, localPods, policies) {
		if (!(await tables.tables('ip')).includes('filter')) return 'no table';
		const chains = await tables.chains('ip', 'filter');
		const count = (prefix: string) => chains.filter((name) => name.startsWith(prefix)).length;
		const [pods, own] = [count('cali-tw-'), count('cali-pi-')];
		if (pods >= localPods && own >= policies) return undefined;
		return `${pods} of ${localPods} pods, ${own} of ${policies} policies`;
	},
	async sets(_, address) {
		const text = execFileSync('ipset', ['save'], { encoding: 'utf8', maxBuffer: 1 << 28, env: systemEnvironment() });
		return text
			.split('\n')
			.filter((line) => line.endsWith(` ${address}`))
			.sort()
			.join();
	},
};

/** An engine gets this long to write all policies, ms: on a busy machine ours takes minutes, too. */
const mostStartMs = 900_000;
/** The same for one change. */
const mostChangeMs = 180_000;

/** Waits until nothing is missing, in steps that are short beside what is measured. */
async function until(missing: () => Promise<string | undefined>, stepMs: number, mostMs: number): Promise<void> {
	const beganMs = performance.now();
	for (let what = await missing(); what !== undefined; what = await missing()) {
		if (performance.now() - beganMs > mostMs) throw new Error(`after ${mostMs} ms: ${what}`);
		await pause(stepMs);
	}
}

/** Resolves when nothing in the ruleset changed for a second. */
async function quiet(tables: NfTables): Promise<void> {
	for (let last = -1, since = performance.now(); performance.now() - since < 1000; await pause(50)) {
		const now = await tables.generation();
		if (now !== last) since = performance.now();
		last = now;
	}
}

function summary(values: readonly number[]): EngineChange {
	const sorted = [...values].sort((left, right) => left - right);
	const at = (share: number) =>
		Math.round((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN) * 10) / 10;
	return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

async function measureEngine(engine: Engine, size: WorldSize, rounds: number): Promise<EngineFigures> {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-bench-felix-'));
	const certificate = selfSigned('bench', ['127.0.0.1'], Date.now());
	const server = await startApiServer({
		listen: { address: '127.0.0.1', port: 0 },
		users: parseTokenFile('secret,admin,admin,system:masters\n'),
		certificate,
		customDefinitions: packagedDefinitions(),
	});
	const kubeconfig = join(folder, 'kubeconfig');
	writeFileSync(
		kubeconfig,
		JSON.stringify(kubeconfigOf({ server: server.url, certificate: certificate.cert, token: 'secret' })),
		{ mode: 0o600 },
	);
	const client = new ApiClient(await loadCredentials(kubeconfig), Math.random);
	const tables = new NfTables();
	let started: ReturnType<Engine['start']> | undefined;
	try {
		await fill(client, size);
		const indices = Array.from({ length: size.pods }, (_, index) => index);
		const localPods = indices.filter((index) => nodeOfPod(index, size) === 0).length;
		const remote = indices.filter((index) => nodeOfPod(index, size) !== 0);
		const policies = localPolicies(size);
		const beganMs = performance.now();
		started = engine.start(folder, kubeconfig);
		const { child, log } = started;
		const { pid = 0 } = child;
		await until(
			async () => {
				if (child.exitCode !== null) throw new Error(`${engine.name} ended: ${log()}`);
				return engine.missing(tables, localPods, policies.length);
			},
			50,
			mostStartMs,
		);
		const enforcedSeconds = (performance.now() - beganMs) / 1000;
		const processorSeconds = processorTime(pid);
		await quiet(tables);
		const labelOfPod: number[] = [];
		const policy: number[] = [];
		for (let round = 0; round < rounds; round++) {
			// Of another node: only members of sets change.
			const index = remote[round % remote.length] ?? 0;
			const { metadata, status } = podObject(index, size) as Record<string, Record<string, string>>;
			const before = await engine.sets(tables, status?.['podIP'] ?? '');
			const wroteMs = performance.now();
			await client.patch(
				coreKinds.pods,
				metadata?.['name'] ?? '',
				{ metadata: { labels: { tier: index % 3 === 0 ? 'back' : 'front' } } },
				'application/merge-patch+json',
				{ namespace: metadata?.['namespace'] ?? '' },
			);
			await until(
				async () => {
					const now = await engine.sets(tables, status?.['podIP'] ?? '');
					return now === before ? 'a label has no effect' : undefined;
				},
				1,
				mostChangeMs,
			);
			labelOfPod.push(performance.now() - wroteMs);
			await quiet(tables);
			// One that the engine writes: another policy changes nothing here.
			const changed = policyObject(policies[round % policies.length] ?? 0, size, 9000 + round) as JsonObject & {
				metadata: Record<string, string>;
				spec: JsonObject;
			};
			const generation = await tables.generation();
			const changedMs = performance.now();
			await client.patch(
				networkPolicies,
				changed.metadata['name'] ?? '',
				{ spec: changed.spec },
				'application/merge-patch+json',
				{ namespace: changed.metadata['namespace'] ?? '' },
			);
			await until(
				async () => ((await tables.generation()) === generation ? 'a policy has no effect' : undefined),
				1,
				mostChangeMs,
			);
			policy.push(performance.now() - changedMs);
			await quiet(tables);
		}
		return {
			enforcedSeconds: Math.round(enforcedSeconds * 10) / 10,
			processorSeconds,
			residentMib: residentMib(pid),
			labelOfPod: summary(labelOfPod),
			policy: summary(policy),
		};
	} finally {
		started?.child.kill('SIGKILL');
		tables.close();
		await server.close();
		rmSync(folder, { recursive: true, force: true });
		execFileSync('nft', ['flush', 'ruleset'], { env: systemEnvironment() });
		execFileSync('ipset', ['destroy'], { env: systemEnvironment() });
	}
}

const readProcess = (pid: number, name: string): string =>
	execFileSync('cat', [`/proc/${pid}/${name}`], { encoding: 'utf8' });

/** User and system time with that of children that ended, s. */
function processorTime(pid: number): number {
	const stat = readProcess(pid, 'stat');
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	// utime, stime, cutime, cstime in ticks of 10 ms.
	return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

const residentMib = (pid: number): number =>
	Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readProcess(pid, 'status'))?.[1] ?? Number.NaN) / 1024);

/** Writes the cluster to the API server. */
async function fill(client: ApiClient, size: WorldSize): Promise<void> {
	const kinds = calicoKinds(layout);
	const calico = (kind: keyof typeof kinds, apiKind: string, name: string, spec: JsonObject) =>
		client.create(kinds[kind], { apiVersion: layout, kind: apiKind, metadata: { name }, spec });
	await calico('clusterInformations', 'ClusterInformation', 'default', { datastoreReady: true });
	await calico('felixConfigurations', 'FelixConfiguration', 'default', { ipipEnabled: false, vxlanEnabled: false });
	const byKind: Readonly<Record<string, ResourceKind>> = {
		Namespace: coreKinds.namespaces,
		Node: coreKinds.nodes,
		NetworkPolicy: networkPolicies,
	};
	const write = async (object: JsonObject, kind: ResourceKind) => {
		const { namespace } = object['metadata'] as Record<string, string>;
		const created = await client.create(kind, object, namespace);
		// The server takes the status by its own way alone.
		if (object['status'] !== undefined)
			await client.replace(kind, { ...created, status: object['status'] as JsonObject }, 'status');
	};
	for (const object of otherObjects(size)) {
		const kind = byKind[String(object['kind'])];
		const { name } = object['metadata'] as Record<string, string>;
		const isOwn = name === nodeName(0);
		const metadata = {
			...(object['metadata'] as JsonObject),
			...(isOwn ? { annotations: { 'projectcalico.org/IPv4Address': '127.7.0.1/8' } } : {}),
		};
		if (kind !== undefined) await write({ ...object, metadata }, kind);
	}
	for (let index = 0; index < size.pods; index++) {
		const pod = podObject(index, size);
		const { uid: _, resourceVersion: __, ...metadata } = pod['metadata'] as Record<string, JsonObject[string]>;
		await write({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }, coreKinds.pods);
	}
}

/**
 * Whole agents one after another in the current network namespace, which must not be the machine's
 * own: they list the cluster from an API server, and follow changes there. @throws Error: something
 * is missing
 */
export async function measureFelix(size: WorldSize, rounds: number): Promise<Readonly<Record<string, EngineFigures>>> {
	const links = execFileSync('ip', ['-o', 'link', 'show', 'up'], { encoding: 'utf8', env: systemEnvironment() });
	if (links !== '') throw new Error('run it in a new network namespace, without interfaces: `unshare -n`');
	const obstacle = missingFelix();
	if (obstacle !== undefined) throw new Error(obstacle);
	execFileSync('ip', ['link', 'set', 'lo', 'up'], { env: systemEnvironment() });
	const figures: Record<string, EngineFigures> = {};
	for (const engine of [ours, felix])
		try {
			figures[engine.name] = await measureEngine(engine, size, rounds);
		} catch (error) {
			throw new Error(`${engine.name}, after ${JSON.stringify(figures)}`, { cause: error });
		}
	return figures;
}
