import { podInterfacePrefix } from '../../src/core/index.ts';
import type { RealCluster } from './cluster.ts';
import { inDaemonOf } from './dataplane.ts';
import { type NodeFacts, readAddresses, readPods, remainsOf } from './remains.ts';
import type { Worker } from './worker.ts';

/** The part of a cluster that is examined: some of its nodes, or all. */
export type ExaminedCluster = Pick<RealCluster, 'controlPlane' | 'workers'>;

interface Link {
	readonly ifname: string;
}

interface Route {
	readonly dst: string;
	readonly dev: string;
}

/** Reads a node's interfaces, routes and rules from its kernel, and its queue from its disk. */
async function factsOf(worker: Worker): Promise<NodeFacts> {
	const json = async <T>(command: readonly string[]) =>
		JSON.parse((await worker.exec(command)) || '[]') as readonly T[];
	const links = await json<Link>(['ip', '-j', 'link', 'show']);
	const routes = await json<Route>(['ip', '-j', '-4', 'route', 'show', 'table', 'main']);
	const queued = await worker.exec(['sh', '-c', 'ls /var/lib/bgpmesh/releases 2>/dev/null | wc -l']);
	return {
		name: worker.name,
		interfaces: links.map(({ ifname }) => ifname).filter((name) => name.startsWith(podInterfacePrefix)),
		routes: routes
			.filter(({ dev }) => dev?.startsWith(podInterfacePrefix))
			.map(({ dst, dev }) => ({ address: dst, device: dev })),
		ruleset: await worker.exec(['nft', 'list', 'ruleset']),
		queuedReleases: Number(queued),
	};
}

/** Compares pods, addresses, interfaces, routes and rules; one line for each difference. */
export async function inspect({ controlPlane, workers }: ExaminedCluster): Promise<readonly string[]> {
	const list = (kind: string) => controlPlane.kubectl(['get', kind, '-A', '-o', 'json']);
	return remainsOf(
		readPods(await list('pods')),
		readAddresses(await list('ipamblocks.crd.projectcalico.org')),
		await Promise.all(workers.map(factsOf)),
	);
}

/** `bgpmesh ipam check` in the daemon's pod on a node; its output if it found a problem. */
export async function checkAddresses(
	{ controlPlane }: Pick<RealCluster, 'controlPlane'>,
	node: string,
): Promise<string | undefined> {
	const { status, stdout, stderr } = await inDaemonOf({ controlPlane }, node, ['bgpmesh', 'ipam', 'check']);
	return status === 0 ? undefined : `${node}: ${(stdout + stderr).trim()}`;
}
