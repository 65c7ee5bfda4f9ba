import type { FibRefusal, Logger, PrefixKey } from '../../core/index.ts';
import { ownClaims } from '../../ipam/index.ts';
import type { TunnelPool } from '../../ipip/index.ts';
import {
	type BgpConfiguration,
	type BgpFilter,
	clusterRoutes,
	felixPrograms,
	type Informer,
	isRunningFelix,
	type PoolRouting,
	peeringAddressProblems,
	type Resource,
	ResourceError,
	type SecretKey,
	type Topology,
	toAffinity,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toNodeFacts,
	toPoolRouting,
	topology,
	toWorkload,
} from '../../kubernetes/index.ts';

/** The copies that the state is read from. */
export interface ClusterInformers {
	readonly nodes: Informer;
	readonly pools: Informer;
	readonly claims: Informer;
	readonly bgpConfigurations: Informer;
	readonly bgpPeers: Informer;
	readonly bgpFilters: Informer;
	/** Of this node. */
	readonly pods: Informer;
	readonly felixConfigurations: Informer;
	readonly clusterInformations: Informer;
}

/** Where the addresses of pods come from: blocks of pools, or `spec.podCIDRs` of the Node. */
export type AddressMode = 'blocks' | 'host-local';

/** What a cluster wants of this node. */
export interface ClusterState {
	readonly topology: Topology;
	readonly pools: readonly TunnelPool[];
	/** Confirmed claims, or with `host-local` this node's ranges: originated, and only they. */
	readonly blocks: readonly PrefixKey[];
	readonly tunnelAddress: string | undefined;
	/** The resources tell somebody else, who is on this node, to program what is ours. */
	readonly refusal: FibRefusal | undefined;
	/** Resources that can't be used, and contradictions, in words. */
	readonly problems: readonly string[];
}

/** Reads the copies as they are now. A resource that does not parse is left out and named; the rest goes on. */
export function readState(
	node: string,
	informers: ClusterInformers,
	password: (key: SecretKey) => string | undefined,
	mode: AddressMode = 'blocks',
): ClusterState {
	const problems: string[] = [];
	const values = <T>({ items }: Informer, read: (resource: Resource) => T): T[] =>
		[...items.values()].flatMap((resource) => attempt(() => read(resource), problems));
	const configurations = informers.bgpConfigurations.items;
	const configurationOf = (name: string): BgpConfiguration | undefined =>
		attempt(() => toBgpConfiguration(configurations.get('default'), configurations.get(`node.${name}`)), problems)[0] ??
		attempt(() => toBgpConfiguration(undefined, undefined), [])[0];
	const configuration = configurationOf(node) ?? toBgpConfiguration(undefined, undefined);
	const nodes = values(informers.nodes, toNodeFacts);
	const routing = values(informers.pools, toPoolRouting);
	const filters = new Map(values(informers.bgpFilters, toBgpFilter).map((filter): [string, BgpFilter] => [filter.name, filter]));
	const pods = [...informers.pods.items.values()];
	const bgpPeers = values(informers.bgpPeers, toBgpPeer);
	const planned = topology({
		node,
		nodes,
		configuration,
		listenPortOf: (name) => (configurations.has(`node.${name}`) ? configurationOf(name)?.listenPort : undefined),
		peers: bgpPeers,
		filters,
		pools: routing,
		workloads: pods.flatMap((pod) => toWorkload(pod) ?? []),
		password,
	});
	const felixRuns = pods.some(isRunningFelix);
	const felix = felixPrograms(informers.felixConfigurations.items.get('default'), informers.clusterInformations.items.get('default'));
	const { leftToFelix, contradiction } = clusterRoutes({
		felixRuns,
		felix,
		bgp: configuration.programClusterRoutes,
		pools: routing,
	});
	const foreign = ({ cidr, vxlanMode }: PoolRouting): string | undefined => {
		if (vxlanMode !== 'Never') return `its vxlanMode is ${vxlanMode}: Felix programs it`;
		return leftToFelix.has(cidr) ? `Felix runs on this node, and programs it: programClusterRoutes of FelixConfiguration is ${felix}` : undefined;
	};
	const self = nodes.find(({ name }) => name === node);
	const hasLocal = planned.peers.some(({ name }) => name.startsWith('Local_Workload_'));
	const unreachedByPods = self === undefined || !hasLocal || felixRuns ? [] : peeringAddressProblems(configuration, self);
	return {
		topology: planned,
		pools: routing
			.filter(({ disabled }) => !disabled)
			.map((pool) => {
				const { cidr, ipipMode, natOutgoing } = pool;
				const reason = foreign(pool);
				return { cidr, ipipMode, natOutgoing, ...(reason === undefined ? {} : { foreign: reason }) };
			}),
		blocks: mode === 'host-local' ? (self?.podCidrs ?? []) : ownClaims(values(informers.claims, toAffinity), node).confirmed,
		tunnelAddress: self?.tunnelAddresses.ipip,
		refusal: contradiction && { seen: 'resources', ...contradiction },
		problems: [...problems, ...planned.problems, ...(self?.problems ?? []), ...unreachedByPods],
	};
}

function attempt<T>(read: () => T, problems: string[]): T[] {
	try {
		return [read()];
	} catch (error) {
		if (!(error instanceof ResourceError)) throw error;
		problems.push(error.message);
		return [];
	}
}

/** Says each problem once while it lasts. */
export class ProblemLog {
	#known: ReadonlySet<string> = new Set();
	readonly #log: Logger;

	constructor(log: Logger) {
		this.#log = log;
	}

	tell(problems: readonly string[]): void {
		for (const problem of problems) if (!this.#known.has(problem)) this.#log.warn('resources contradict each other', { problem });
		this.#known = new Set(problems);
	}
}
