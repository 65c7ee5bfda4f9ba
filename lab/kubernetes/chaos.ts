import { setTimeout as pause } from 'node:timers/promises';
import { chaosManifests, crowdNames, namespace, staticPod } from './chaos-manifests.ts';
import { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import { examineCluster, type RunOptions, rolledOut, untilRest, withoutLoss } from './examination.ts';
import type { SpecResults } from './specs.ts';
import type { Worker } from './worker.ts';

/** Pods that one node gets and loses, and how often. */
const crowd = { pods: 100, rounds: 5 };
const outageMs = 120_000;

/**
 * Interrupts each part of a node's network while pods come and go, and examines the cluster after
 * each incident: every pod is ready and reached, `ipam check` is clean, and pods, addresses,
 * interfaces, routes and rules agree.
 */
export async function runChaos(cluster: RealCluster, options: RunOptions): Promise<SpecResults> {
	const { signal, progress } = options;
	const { controlPlane, workers } = cluster;
	const checks = new Checks(progress);
	const scale = (node: string, replicas: number) =>
		controlPlane.kubectl(['-n', namespace, 'scale', `deployment/${crowdNames(node)}`, `--replicas=${replicas}`]);
	const examine = (after: string) => examineCluster(cluster, checks, options, after);
	const [first, second] = workers;
	if (first === undefined || second === undefined) throw new Error('chaos needs two nodes');

	await controlPlane.kubectl(['apply', '-f', '-'], chaosManifests(workers.map(({ name }) => name)));
	await examine('the start');

	for (const worker of workers) {
		const incident = `the daemon of ${worker.name} was killed`;
		await checks.check(`no packet between pods is lost while ${incident}`, () =>
			withoutLoss(cluster, 20, async () => {
				await scale(worker.name, 12);
				await pause(500);
				killDaemon(worker);
				await scale(worker.name, 4);
				await pause(1500);
				await scale(worker.name, 8);
			}),
		);
		await examine(incident);
	}

	const restart = `containerd of ${first.name} was killed and started`;
	await checks.check(`no packet between pods is lost while ${restart}`, () =>
		withoutLoss(cluster, 20, async () => {
			await scale(first.name, 16);
			await pause(1500);
			await first.killContainerd();
			await scale(first.name, 5);
			await pause(3000);
			await first.startContainerd(signal);
		}),
	);
	await examine(restart);

	const outage = `the API server was away for ${outageMs / 1000} s`;
	await checks.check(`no packet between pods is lost while ${outage}`, () =>
		withoutLoss(cluster, outageMs / 1000, async () => {
			await scale(first.name, 14);
			await scale(second.name, 2);
			await pause(1500);
			await cluster.processes.kill('kube-apiserver');
			const until = performance.now() + outageMs;
			// Without an API server pods come from the kubelet's own folder, and go when they die.
			for (const worker of workers) await worker.addStaticPod(staticPod());
			await first.killSandboxes(namespace, 3);
			killDaemon(second);
			await pause(Math.max(0, until - performance.now()), undefined, { signal });
			controlPlane.startApiServer();
			await controlPlane.ready(signal);
		}),
	);
	await examine(outage);

	for (let round = 1; round <= crowd.rounds; round++) {
		await checks.check(`round ${round}: ${crowd.pods} more pods on ${first.name} become ready`, async () => {
			await scale(first.name, crowd.pods);
			await rolledOut(cluster, first, signal);
			return undefined;
		});
		if (round === 1) await examine(`${crowd.pods} pods started`);
		await checks.check(`round ${round}: all of them end`, async () => {
			await scale(first.name, 0);
			await rolledOut(cluster, first, signal);
			return undefined;
		});
	}
	await examine(`${crowd.rounds} rounds of ${crowd.pods} pods`);
	for (const worker of workers) await worker.removeStaticPod();
	await controlPlane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=180s']);
	await checks.check('nothing is left of pods that are gone', () => untilRest(cluster, signal));
	return checks.results();
}

/** Kills the daemon as a crash would; the kubelet starts its container again. */
function killDaemon(worker: Worker): void {
	if (worker.killContained('/bgpmeshd') === 0) throw new Error(`${worker.name} runs no daemon`);
}
