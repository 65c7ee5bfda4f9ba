import type { EbpfView } from '../../src/control/index.ts';
import type { RealCluster } from './cluster.ts';
import type { DaemonChoice } from './manifests.ts';
import { readPods } from './remains.ts';
import type { SpecResults } from './specs.ts';

type Cluster = Pick<RealCluster, 'controlPlane' | 'workers' | 'choice'>;

const inSystem = ['-n', 'kube-system'] as const;

/** A command in the daemon's container of a node; any status resolves. */
export async function inDaemonOf(
	{ controlPlane }: Pick<RealCluster, 'controlPlane'>,
	node: string,
	command: readonly string[],
) {
	const ofNode = ['-l', 'app=bgpmesh', `--field-selector=spec.nodeName=${node}`];
	const pod = await controlPlane.kubectl([...inSystem, 'get', 'pods', ...ofNode, '-o', 'name']);
	return controlPlane.try([...inSystem, 'exec', pod.trim(), '-c', 'bgpmeshd', '--', ...command]);
}

/** What judges packets on a node is not the choice, or not for all pods: why. Empty: it is. Pure. */
export function wrongDataplane(
	view: EbpfView,
	{ dataplane, proxy }: Pick<DaemonChoice, 'dataplane' | 'proxy'>,
	pods: readonly string[],
): readonly string[] {
	if (view.dataplane !== dataplane) return [`packets of pods are judged by ${view.dataplane}; ${view.problem ?? ''}`];
	if (dataplane === 'nftables') return [];
	const judged = new Set(view.pods.map(({ pod }) => pod));
	const frontends = view.maps.find(({ name }) => name === 'svc_frontends')?.used ?? 0;
	const { interfaces = [], leftFor } = view.outside ?? {};
	return [
		...(view.problem === undefined ? [] : [view.problem]),
		...(view.attachment === undefined ? ['no program is attached'] : []),
		...pods.filter((pod) => !judged.has(pod)).map((pod) => `no programs at the interface of ${pod}`),
		...(proxy === 'kube-proxy'
			? []
			: [
					...(frontends === 0 ? ['no program at a socket has a service'] : []),
					...(interfaces.length === 0 ? ['no program translates services from outside'] : []),
					...(leftFor === undefined ? [] : [`nftables translates services from outside for ${leftFor}`]),
				]),
	];
}

/**
 * The lines of a daemon's log by which it left eBPF to nftables, for pods or for services; also for
 * a moment. Pure.
 */
export const leftEbpf = (log: string): readonly string[] =>
	log.split('\n').filter((line) => /nftables enforces|stay with nftables/.test(line));

/** Pods of a node with an address. */
async function podsOf({ controlPlane }: Pick<RealCluster, 'controlPlane'>, node: string): Promise<readonly string[]> {
	const pods = readPods(await controlPlane.kubectl(['get', 'pods', '-A', '-o', 'json']));
	const living = pods.filter((pod) => pod.node === node && pod.address !== '');
	return living.map(({ namespace, name }) => `${namespace}/${name}`);
}

/** The same, asked of the daemon of a node. */
export async function wrongDataplaneOf(cluster: Cluster, node: string): Promise<readonly string[]> {
	const before = new Set(await podsOf(cluster, node));
	const { stdout, stderr } = await inDaemonOf(cluster, node, ['bgpmesh', 'ebpf', 'show', '--json']);
	if (!stdout.startsWith('{')) return [`no answer to bgpmesh ebpf show: ${(stdout + stderr).trim()}`];
	// Those that start or end meanwhile may or may not have programs.
	const lasting = (await podsOf(cluster, node)).filter((pod) => before.has(pod));
	return wrongDataplane(JSON.parse(stdout) as EbpfView, cluster.choice, lasting);
}

/** The same for every node, a line for each complaint. */
export async function wrongDataplanes(cluster: Cluster): Promise<readonly string[]> {
	const wrong: string[] = [];
	for (const { name } of cluster.workers)
		wrong.push(...(await wrongDataplaneOf(cluster, name)).map((text) => `${name}: ${text}`));
	return wrong;
}

/**
 * The same at the end of a run, when no daemon may have left eBPF meanwhile, or restarted: a line of
 * an earlier log would be lost.
 */
async function wrongSinceStart(cluster: Cluster): Promise<readonly string[]> {
	const { controlPlane, choice } = cluster;
	const wrong = await wrongDataplanes(cluster);
	if (choice.dataplane === 'nftables') return wrong;
	const daemons = [...inSystem, 'get', 'pods', '-l', 'app=bgpmesh', '-o', 'json'];
	const logs = [...inSystem, 'logs', '-l', 'app=bgpmesh', '-c', 'bgpmeshd', '--prefix', '--tail=-1'];
	const left = leftEbpf(await controlPlane.kubectl(logs)).slice(0, 10);
	return [...wrong, ...left, ...restarted(await controlPlane.kubectl(daemons))];
}

/** The pods in a list of Pods as JSON that have a container which restarted, a line for each. Pure. */
export function restarted(text: string): readonly string[] {
	const { items } = JSON.parse(text) as {
		readonly items: readonly {
			readonly metadata: { readonly name: string };
			readonly status: { readonly containerStatuses?: readonly { readonly restartCount: number }[] };
		}[];
	};
	return items
		.filter(({ status }) => (status.containerStatuses ?? []).some(({ restartCount }) => restartCount > 0))
		.map(({ metadata }) => `${metadata.name} restarted`);
}

/**
 * Runs tests of others, which do not know what judges packets, and adds a failure where it was not
 * the choice of this run, or not all the time. @throws Error if it is not from the start
 */
export async function withDataplane(cluster: Cluster, run: () => Promise<SpecResults>): Promise<SpecResults> {
	const wrong = await wrongDataplanes(cluster);
	if (wrong.length > 0) throw new Error(`the data plane is not ${cluster.choice.dataplane}: ${wrong.join('; ')}`);
	const results = await run();
	const later = await wrongSinceStart(cluster).catch((error: unknown) => [String(error)]);
	if (later.length === 0) return results;
	const failure = { name: `packets of pods are judged by ${cluster.choice.dataplane}`, reason: later.join('; ') };
	return { ...results, failed: results.failed + 1, failures: [...results.failures, failure] };
}
