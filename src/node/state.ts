import { type FibRefusal, hostPrefix, type Logger, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import type { TunnelPool } from '../encapsulation/index.ts';
import { ownClaims } from '../ipam/index.ts';
import {
	type BgpConfiguration,
	type BgpFilter,
	type BlockRoutes,
	clusterRoutes,
	type DatastoreRoute,
	datastoreRoutes,
	type FelixNetworkSettings,
	felixPrograms,
	felixProgramsReason,
	type Informer,
	isRunningFelix,
	type NodeFacts,
	type PoolRouting,
	peeringAddressProblems,
	type Resource,
	ResourceError,
	readResource,
	type SecretKey,
	type Topology,
	toAffinity,
	toBgpConfiguration,
	toBgpFilter,
	toBgpPeer,
	toBlockRoutes,
	toFelixNetwork,
	toNodeFacts,
	toPoolRouting,
	topology,
	toWorkload,
	unreadableFilter,
} from '../kubernetes/index.ts';
import { ownPrefixes } from './own-prefixes.ts';

/** The copies from which the state is computed. */
export interface ClusterInformers {
	readonly nodes: Informer;
	readonly pools: Informer;
	readonly claims: Informer;
	readonly bgpConfigurations: Informer;
	readonly bgpPeers: Informer;
	readonly bgpFilters: Informer;
	/** The pods of this node. */
	readonly pods: Informer;
	readonly felixConfigurations: Informer;
	readonly clusterInformations: Informer;
	/** IPAMBlocks of the cluster; followed while a VXLAN pool requires them. */
	readonly blocks: Informer;
}

/** The source of pod addresses: blocks of pools, or `spec.podCIDRs` of the Node. */
export type AddressMode = 'blocks' | 'host-local';

/** The desired state of this node, from the cluster's resources. */
export interface ClusterState {
	readonly topology: Topology;
	readonly pools: readonly TunnelPool[];
	/**
	 * The originated prefixes: confirmed blocks, or with `host-local` this node's ranges, and
	 * `borrowed`.
	 */
	readonly blocks: readonly PrefixKey[];
	/**
	 * Host prefixes of addresses in use here that are in a block of another node, or in no block.
	 */
	readonly borrowed: readonly PrefixKey[];
	/** Pools that exist, or existed during this process. */
	readonly knownPools: readonly PrefixKey[];
	readonly tunnelAddress: string | undefined;
	/** Every readable node of the cluster. */
	readonly nodes: readonly NodeFacts[];
	/** The FelixConfiguration settings for tunnels and routes. */
	readonly felix: FelixNetworkSettings;
	/**
	 * Routes to blocks of VXLAN pools at other nodes; `undefined`: the blocks are not known yet.
	 */
	readonly datastoreRoutes: readonly DatastoreRoute[] | undefined;
	/** Set if the resources assign the programming of our routes to another agent on this node. */
	readonly refusal: FibRefusal | undefined;
	/** Calico's Felix runs on this node, in a pod or as a service of the host. */
	readonly felixRuns: boolean;
	/** The effective configuration: the newest readable one. */
	readonly configuration: BgpConfiguration;
	/** This node's Node; `undefined` if absent. */
	readonly self: NodeFacts | undefined;
	/** Unusable resources, and contradictions, as text. */
	readonly problems: readonly string[];
}

/** State that the copies do not contain, or no longer contain. */
export interface StateMemory {
	/** The last readable configuration: in force while the resource is unreadable. */
	readonly lastConfiguration?: BgpConfiguration | undefined;
	/** Pools of earlier states: blocks with pods outlive a deleted pool. */
	readonly knownPools?: readonly PrefixKey[];
	/** Addresses in use on this node, in any block. */
	readonly heldAddresses?: ReadonlySet<string>;
	/** Felix runs as a service of this host. */
	readonly felixOnHost?: boolean;
}

/** Computes the state from the present copies. An unreadable resource is skipped and reported. */
export function readState(
	node: string,
	informers: ClusterInformers,
	password: (key: SecretKey) => string | undefined,
	mode: AddressMode = 'blocks',
	{ lastConfiguration, knownPools = [], heldAddresses = new Set(), felixOnHost = false }: StateMemory = {},
): ClusterState {
	const problems: string[] = [];
	const values = <T>({ items }: Informer, read: (resource: Resource) => T): T[] =>
		[...items.values()].flatMap((resource) => attempt(() => readResource(resource, read), problems));
	const configurations = informers.bgpConfigurations.items;
	const readConfiguration = (ofNode: Resource | undefined) =>
		attempt(
			() => readWhole('BGPConfiguration', () => toBgpConfiguration(configurations.get('default'), ofNode)),
			problems,
		)[0];
	const configurationOf = (name: string): BgpConfiguration | undefined => {
		const ofNode = configurations.get(`node.${name}`);
		// Falls back to the cluster's configuration if the node's own is unreadable.
		return readConfiguration(ofNode) ?? (ofNode === undefined ? undefined : readConfiguration(undefined));
	};
	const configuration = configurationOf(node) ?? lastConfiguration ?? toBgpConfiguration(undefined, undefined);
	const nodes = values(informers.nodes, toNodeFacts);
	const routing = values(informers.pools, toPoolRouting);
	const filters = readFilters(informers.bgpFilters.items.values(), problems);
	const pods = [...informers.pods.items.values()];
	const workloads = pods.flatMap((pod) => toWorkload(pod) ?? []);
	const bgpPeers = values(informers.bgpPeers, toBgpPeer);
	const planned = topology({
		node,
		nodes,
		configuration,
		listenPortOf: (name) => (configurations.has(`node.${name}`) ? configurationOf(name)?.listenPort : undefined),
		peers: bgpPeers,
		filters,
		pools: routing,
		workloads,
		password,
	});
	const felixRuns = felixOnHost || pods.some(isRunningFelix);
	const felixConfiguration = informers.felixConfigurations.items.get('default');
	const clusterInformation = informers.clusterInformations.items.get('default');
	const felix = felixPrograms(felixConfiguration, clusterInformation);
	const felixReason = felixProgramsReason(felixConfiguration, clusterInformation);
	const { leftToFelix, contradiction } = clusterRoutes({
		felixRuns,
		felix,
		bgp: configuration.programClusterRoutes,
		pools: routing,
	});
	const foreign = ({ cidr, vxlanMode }: PoolRouting): string | undefined => {
		if (vxlanMode !== 'Never')
			return felixRuns ? `its vxlanMode is ${vxlanMode}, and Felix runs on this node: Felix programs it` : undefined;
		return leftToFelix.has(cidr) ? `Felix runs on this node, and programs it: ${felixReason}` : undefined;
	};
	const self = nodes.find(({ name }) => name === node);
	const hasLocal = planned.peers.some(({ name }) => name.startsWith('Local_Workload_'));
	const unreachedByPods =
		self === undefined || !hasLocal || felixRuns ? [] : peeringAddressProblems(configuration, self);
	const knownNow = [...new Set([...knownPools, ...routing.map(({ cidr }) => cidr)])];
	const isBlocks = mode === 'blocks';
	const own = ownPrefixes({
		blocks: isBlocks ? ownClaims(values(informers.claims, toAffinity), node).confirmed : (self?.podCidrs ?? []),
		pools: isBlocks ? knownNow : undefined,
		nodeAddresses: [self?.ipv4, self?.ipv6].flatMap((address) => (address === undefined ? [] : [address.address])),
		addresses: isBlocks
			? [...heldAddresses, ...workloads.flatMap(({ addresses }) => addresses), ...tunnelAddresses(self)]
			: [],
	});
	return {
		topology: planned,
		// Disabled pools count: they have live addresses, and remain destinations without NAT.
		pools: routing
			.filter(({ loadBalancerOnly }) => !loadBalancerOnly)
			.map((pool) => {
				const { cidr, ipipMode, vxlanMode, natOutgoing } = pool;
				const reason = foreign(pool);
				return {
					cidr,
					ipipMode,
					natOutgoing,
					...(vxlanMode === 'Never' ? {} : { vxlanMode, routesFromDatastore: true }),
					...(reason === undefined ? {} : { foreign: reason }),
				};
			}),
		nodes,
		felix: toFelixNetwork(felixConfiguration, informers.felixConfigurations.items.get(`node.${node}`)),
		datastoreRoutes: vxlanRoutes(node, mode, nodes, routing, informers.blocks),
		blocks: own.prefixes,
		borrowed: own.borrowed,
		knownPools: knownNow,
		tunnelAddress: self?.tunnelAddresses.ipip,
		configuration,
		self,
		refusal: contradiction && { seen: 'resources', ...contradiction },
		felixRuns,
		problems: [...problems, ...planned.problems, ...(self?.problems ?? []), ...unreachedByPods, ...own.problems],
	};
}

/** As `readResource`, for a value of several resources. @throws ResourceError, no other error */
function readWhole<T>(name: string, read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof ResourceError) throw new ResourceError(`${name} ${error.resource}`, error.problem);
		throw new ResourceError(name, error instanceof Error ? error.message : String(error), { cause: error });
	}
}

const tunnelAddresses = (self: NodeFacts | undefined): string[] =>
	Object.values(self?.tunnelAddresses ?? {}).filter((address) => address !== undefined);

/** By name. An unreadable filter rejects all routes of its peers. */
function readFilters(resources: Iterable<Resource>, problems: string[]): ReadonlyMap<string, BgpFilter> {
	return new Map(
		[...resources].map((resource): [string, BgpFilter] => {
			try {
				return [resource.name, readResource(resource, toBgpFilter)];
			} catch (error) {
				if (!(error instanceof ResourceError)) throw error;
				problems.push(`BGPFilter ${error.message}; no route passes in either direction at the peers that name it`);
				return [resource.name, unreadableFilter(resource.name, error.problem)];
			}
		}),
	);
}

/** True if one of these IPPools uses VXLAN. Pure. */
export const hasVxlanPool = (pools: Iterable<Resource>): boolean =>
	needsBlocks([...pools].flatMap((resource) => attempt(() => readResource(resource, toPoolRouting), [])));

/** True if routes of this cluster depend on its blocks. Pure. */
const needsBlocks = (pools: readonly PoolRouting[]): boolean =>
	pools.some(({ vxlanMode, loadBalancerOnly }) => vxlanMode !== 'Never' && !loadBalancerOnly);

/**
 * Routes to the blocks of VXLAN pools; with `host-local` the ranges of the Nodes serve as blocks
 * (Calico's USE_POD_CIDR).
 */
function vxlanRoutes(
	self: string,
	mode: AddressMode,
	nodes: readonly NodeFacts[],
	pools: readonly PoolRouting[],
	informer: Informer,
): readonly DatastoreRoute[] | undefined {
	if (!needsBlocks(pools)) return [];
	if (mode === 'blocks' && !informer.synced) return undefined;
	const blocks: BlockRoutes[] =
		mode === 'host-local'
			? nodes.flatMap(({ name, podCidrs }) => podCidrs.map((cidr) => ({ cidr, node: name, borrowed: [] })))
			: [...informer.items.values()].flatMap((resource) => toBlockRoutes(resource) ?? []);
	const vxlanPools = pools
		.filter(({ vxlanMode, loadBalancerOnly }) => vxlanMode !== 'Never' && !loadBalancerOnly)
		.map(({ cidr }) => parsePrefix(cidr));
	const hostAddresses = new Set(
		nodes.flatMap(({ ipv4, ipv6, internalAddresses }) =>
			[ipv4?.address, ipv6?.address, ...internalAddresses].flatMap((address) =>
				address === undefined ? [] : [hostPrefix(address)],
			),
		),
	);
	return datastoreRoutes(blocks, self, hostAddresses).filter(({ prefix }) => {
		const parsed = parsePrefix(prefix);
		return vxlanPools.some((pool) => prefixCovers(pool, parsed));
	});
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

/** Logs each problem once while it persists. */
export class ProblemLog {
	#known: ReadonlySet<string> = new Set();
	readonly #log: Logger;

	constructor(log: Logger) {
		this.#log = log;
	}

	tell(problems: readonly string[]): void {
		for (const problem of problems)
			if (!this.#known.has(problem)) this.#log.warn('resources contradict each other', { problem });
		this.#known = new Set(problems);
	}
}
