import { chaosManifests, namespace } from './chaos-manifests.ts';
import { Checks } from './checks.ts';
import type { RealCluster } from './cluster.ts';
import { examineCluster, type RunOptions, withoutLoss } from './examination.ts';
import { checkOptionalParts, reserveForReflector } from './reflector.ts';
import type { SpecResults } from './specs.ts';
import type { ClusterTopology } from './topology.ts';

/** How long packets are counted around an upgrade. */
const countedSeconds = 60;

/**
 * Upgrade, rollback and removal of the Helm chart, with pods that keep sending: what
 * docs/how-to/helm.md describes. The cluster was installed by the chart. Its last node is for a
 * route reflector, the others run pods.
 */
export async function runChart(
	cluster: RealCluster,
	topology: ClusterTopology,
	options: RunOptions,
): Promise<SpecResults> {
	const { controlPlane } = cluster;
	const workers = cluster.workers.slice(0, -1);
	const [reflector] = cluster.workers.slice(-1);
	if (reflector === undefined || workers.length < 2) throw new Error('the chart needs three nodes');
	const checks = new Checks(options.progress);
	const examined = { controlPlane, workers };
	const examine = (after: string) => examineCluster(examined, checks, options, after);
	await reserveForReflector(cluster, reflector);
	const level = () =>
		controlPlane.kubectl(['-n', 'kube-system', 'get', 'configmap', 'bgpmesh', '-o', 'jsonpath={.data}']);

	await controlPlane.kubectl(['apply', '-f', '-'], chaosManifests(workers.map(({ name }) => name)));
	await examine('helm install');

	await checks.check('no packet between pods is lost during helm upgrade', () =>
		withoutLoss(examined, countedSeconds, async () => {
			await cluster.helm(['upgrade', '--reuse-values', '--set=config.log.level=debug', '--wait', '--timeout=5m']);
		}),
	);
	await checks.check('helm upgrade changes the configuration', async () =>
		(await level()).includes('level: debug') ? undefined : 'the ConfigMap has no level: debug',
	);
	await examine('helm upgrade');

	await checks.check('an upgrade to a wrong configuration stops at the first node, and returns', () =>
		withoutLoss(examined, countedSeconds, async () => {
			const wrong = ['upgrade', '--reuse-values', '--set=config.wrong=true', '--atomic', '--timeout=60s'];
			const result = await cluster.helm(wrong).catch(() => 'refused');
			if (result !== 'refused') throw new Error('helm upgrade succeeded with an unknown key');
		}),
	);
	await examine('an upgrade to a wrong configuration');

	await checks.check('no packet between pods is lost during helm rollback', () =>
		withoutLoss(examined, countedSeconds, async () => {
			await cluster.helm(['rollback', '--wait', '--timeout=5m'], ['1']);
		}),
	);
	await checks.check('helm rollback restores the configuration', async () =>
		(await level()).includes('level: debug') ? 'the ConfigMap still has level: debug' : undefined,
	);
	await examine('helm rollback');

	await checkOptionalParts(cluster, topology, checks, { clients: workers, reflector });
	await examine('a reflector came and went');

	await controlPlane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=180s']);
	await checks.check('helm uninstall keeps definitions and pools', async () => {
		await cluster.helm(['uninstall', '--wait', '--timeout=3m']);
		await controlPlane.kubectl(['get', 'ippool', 'pods']);
		const left = await controlPlane.kubectl(['get', 'clusterrole', 'bgpmesh-node', '--ignore-not-found', '-o', 'name']);
		return left === '' ? undefined : `${left.trim()} is left`;
	});
	for (const worker of cluster.workers)
		await checks.check(`bgpmesh cleanup removes routes and tables of ${worker.name}`, async () => {
			await worker.exec(['/opt/cni/bin/bgpmesh', 'cleanup']);
			const routes = await worker.exec(['ip', 'route', 'show', 'proto', '80']);
			const tables = await worker.exec(['nft', 'list', 'tables']);
			const left = [...routes.split('\n'), ...tables.split('\n').filter((line) => line.includes('bgpmesh'))];
			return left.filter(Boolean).length === 0 ? undefined : left.filter(Boolean).join('; ');
		});
	return checks.results();
}
