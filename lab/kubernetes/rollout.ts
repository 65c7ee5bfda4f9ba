import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import { imageNames } from './images.ts';
import type { RolloutReport } from './rollout-load.ts';
import type { SpecResults } from './specs.ts';

const namespace = 'rollout';
const replicas = 6;
const restarts = 2;
/** A pod goes on so long after SIGTERM: until every node has the change. */
const lastWordsSeconds = 8;

/** A Deployment of servers that end as Kubernetes recommends, and its Service. Pure. */
function manifests(): string {
	const labels = { app: 'web' };
	const args = ['netexec', '--http-port=8080', `--delay-shutdown=${lastWordsSeconds}`];
	const items = [
		{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
		{
			apiVersion: 'apps/v1',
			kind: 'Deployment',
			metadata: { name: 'web', namespace },
			spec: {
				replicas,
				selector: { matchLabels: labels },
				template: {
					metadata: { labels },
					spec: {
						terminationGracePeriodSeconds: 30,
						containers: [
							{
								name: 'web',
								image: imageNames.agnhost,
								args,
								readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
							},
						],
					},
				},
			},
		},
		{
			apiVersion: 'v1',
			kind: 'Service',
			metadata: { name: 'web', namespace },
			spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
		},
	];
	return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** Restarts a Deployment while every node sends requests to its Service: none may fail. */
export async function runRollout(cluster: RealCluster, progress: (text: string) => void): Promise<SpecResults> {
	const { controlPlane, workers, processes } = cluster;
	const checks = new Checks(progress);
	const inNamespace = (...words: readonly string[]) => controlPlane.kubectl(['-n', namespace, ...words]);
	const rolledOut = () => inNamespace('rollout', 'status', 'deployment/web', '--timeout=240s');
	await controlPlane.kubectl(['apply', '-f', '-'], manifests());
	await rolledOut();
	const address = (await inNamespace('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')).trim();
	const program = join(dirname(fileURLToPath(import.meta.url)), 'rollout-load.js');
	const loadOf = (node: string): string => `rollout-load-${node}`;
	for (const { name, within } of workers)
		processes.start(loadOf(name), [...within, process.execPath, program, address, '4']);
	await pause(2000);
	for (let round = 1; round <= restarts; round++)
		await checks.check(`restart ${round} of the Deployment ends`, async () => {
			await inNamespace('rollout', 'restart', 'deployment/web');
			await rolledOut();
			return undefined;
		});
	// The last pods of the old template end after the roll-out.
	await pause((lastWordsSeconds + 4) * 1000);
	for (const { name } of workers)
		await checks.check(`no request of ${name} fails while the Deployment restarts`, async () => {
			await processes.stop(loadOf(name), 15_000);
			const text = await readFile(processes.logFile(loadOf(name)), 'utf8');
			// Written by the program of the same build.
			const { requests, failed, failures, pods } = JSON.parse(text.trim()) as RolloutReport;
			progress(`${name}: ${requests} requests, ${failed} failed, ${Object.keys(pods).length} pods answered`);
			if (failed > 0) return `${failed} of ${requests} failed: ${failures.join('; ')}`;
			const least = replicas * (restarts + 1);
			return Object.keys(pods).length < least ? `fewer than ${least} pods answered` : undefined;
		});
	await controlPlane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=90s']);
	return checks.results();
}
