import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../commands.ts';
import { crowdNames, namespace } from './chaos-manifests.ts';
import type { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import { checkAddresses, type ExaminedCluster, inspect } from './inspection.ts';
import { readPods, readReadiness } from './remains.ts';
import type { Worker } from './worker.ts';

/** What the runs that examine a cluster share. */
export interface RunOptions {
	readonly signal: AbortSignal;
	progress(text: string): void;
}

/** How long the cluster may take to come to rest after an incident. */
const restMs = 120_000;
/** How long a crowd of pods may take to start or to end, also on a busy machine. */
const rolloutMs = 600_000;

/**
 * Waits until a node's Deployment has exactly the pods of its specification, all of them ready and
 * none of them in deletion. The status of the Deployment can be older than a change.
 */
export async function rolledOut(
	{ controlPlane }: Pick<RealCluster, 'controlPlane'>,
	{ name }: Worker,
	signal: AbortSignal,
): Promise<void> {
	const wanted = Number(
		await controlPlane.kubectl([
			...['-n', namespace, 'get', `deployment/${crowdNames(name)}`, '-o', 'jsonpath={.spec.replicas}'],
		]),
	);
	await until(rolloutMs, signal, async () => {
		const pods = readReadiness(
			await controlPlane.kubectl(['-n', namespace, 'get', 'pods', '-l', `crowd=${name}`, '-o', 'json']),
		);
		const ready = pods.filter((pod) => pod.ready);
		return pods.length === wanted && ready.length === wanted
			? undefined
			: `${crowdNames(name)}: ${ready.length} of ${pods.length} pods are ready, ${wanted} are wanted`;
	});
}

/** Asks again until there is no complaint. @throws Error with the last complaint */
async function until(timeMs: number, signal: AbortSignal, ask: () => Promise<string | undefined>): Promise<void> {
	for (const end = performance.now() + timeMs; ; ) {
		const complaint = await ask();
		if (complaint === undefined) return;
		if (performance.now() > end) throw new Error(`${complaint} after ${timeMs / 1000} s`);
		await pause(1000, undefined, { signal });
	}
}

/** The checks after an incident. */
export async function examineCluster(
	cluster: ExaminedCluster,
	checks: Checks,
	{ signal }: RunOptions,
	after: string,
): Promise<void> {
	const { controlPlane, workers } = cluster;
	await checks.check(`after ${after}: every pod is ready`, async () => {
		for (const worker of workers) await rolledOut(cluster, worker, signal);
		await controlPlane.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/bgpmesh', '--timeout=120s']);
		await until(rolloutMs, signal, async () => {
			const pods = readReadiness(await controlPlane.kubectl(['get', 'pods', '-A', '-o', 'json']));
			const waiting = pods.filter(({ ready }) => !ready).map(({ id }) => id);
			return waiting.length === 0 ? undefined : `not ready: ${waiting.slice(0, 12).join(', ')}`;
		});
		return undefined;
	});
	await checks.check(`after ${after}: addresses, interfaces, routes and rules are those of living pods`, () =>
		untilRest(cluster, signal),
	);
	await checks.check(`after ${after}: ipam check is clean on every node`, async () => {
		for (const worker of workers) {
			const problem = await checkAddresses(cluster, worker.name);
			if (problem !== undefined) return problem;
		}
		return undefined;
	});
	await checks.check(`after ${after}: every pod is reached from every node`, () => everyPodReached(cluster));
}

/** Waits until nothing is left and nothing is missing. @throws Error with the differences */
export async function untilRest(cluster: ExaminedCluster, signal: AbortSignal): Promise<undefined> {
	await until(restMs, signal, async () => {
		const remains = await inspect(cluster);
		return remains.length === 0 ? undefined : remains.slice(0, 12).join('; ');
	});
}

/** One echo request from the client of each node to each pod of the cluster. */
async function everyPodReached({ controlPlane, workers }: ExaminedCluster): Promise<string | undefined> {
	const pods = readPods(await controlPlane.kubectl(['get', 'pods', '-A', '-o', 'json']));
	const script = pods.map(({ address }) => `ping -c 1 -W 3 ${address} >/dev/null || echo ${address}`).join('\n');
	const silent: string[] = [];
	for (const { name } of workers) {
		const { status, stdout, stderr } = await controlPlane.try([
			...['-n', namespace, 'exec', `client-${name}`, '--', 'sh', '-c', script],
		]);
		if (status !== 0 && stdout === '') return `${name}: ${stderr.trim()}`;
		silent.push(
			...stdout
				.split('\n')
				.filter(Boolean)
				.map((address) => `${name} does not reach ${address}`),
		);
	}
	return silent.length === 0 ? undefined : silent.slice(0, 12).join('; ');
}

/**
 * Sends an echo request each half second from a pod of the first node to one of the second, while
 * `act` runs and at least for `seconds`. It enters the pod's namespace: `kubectl exec` would end
 * with the API server.
 */
export async function withoutLoss(
	{ controlPlane, workers }: ExaminedCluster,
	seconds: number,
	act: () => Promise<void>,
): Promise<string | undefined> {
	const [first, second] = workers;
	const read = (pod: string, path: string) =>
		controlPlane.kubectl(['-n', namespace, 'get', 'pod', pod, '-o', `jsonpath={${path}}`]);
	const uid = (await read(`client-${first?.name}`, '.metadata.uid')).trim();
	const target = (await read(`client-${second?.name}`, '.status.podIP')).trim();
	const pid = first?.processOfPod(uid);
	if (pid === undefined) return 'the client pod has no process';
	const pinging = run('nsenter', [
		...[`--net=/proc/${pid}/ns/net`, '--', 'ping', '-q', '-W', '2'],
		...['-i', '0.5', '-c', String(seconds * 2), target],
	]);
	await act();
	const { stdout, stderr } = await pinging;
	const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
	return sent !== undefined && sent === received ? undefined : (stdout + stderr).trim();
}
