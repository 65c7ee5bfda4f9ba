import { defaultNormalPriority } from '../bgp/index.ts';
import type { BgpConfig, Config } from '../config/index.ts';
import { type Family, formatAddress, type PrefixKey, parsePrefix, prefixCovers } from '../core/index.ts';
import type { TunnelAddresses, TunnelPool } from '../encapsulation/index.ts';
import { besideFelixProtocol, felixProtocol, type RouteOwnership, type Territory } from '../fib/index.ts';
import type { ClusterState } from '../node/index.ts';
import { type LocalEnd, macOf, parseMac, type RemoteEnd, type VxlanState, vxlanDefaults } from '../vxlan/index.ts';

/** The inputs of a node's sessions and data planes: the file, and with a cluster its resources. */
export interface NodeState {
	/** The name of this node. */
	readonly node: string;
	readonly config: Config;
	/** `undefined` with `datastore: none`. */
	readonly cluster: ClusterState | undefined;
}

/** The settings of the speaker, complete. */
export interface SpeakerConfig extends BgpConfig {
	readonly listen: Required<BgpConfig['listen']>;
}

const defaultListen = { address: '0.0.0.0', port: 179 };

/**
 * The speaker's settings: the file's values before the cluster's. `undefined`: neither has any.
 * Pure.
 */
export function bgpOf({ config, cluster }: NodeState): SpeakerConfig | undefined {
	const own = config.bgp;
	if (cluster === undefined) return own && { ...own, listen: { ...defaultListen, ...own.listen } };
	const { topology, blocks } = cluster;
	const fixed = new Set(own?.originate.map(({ prefix }) => prefix));
	return {
		clientToClientReflection: true,
		maximumPaths: 1,
		ebgpRequiresPolicy: true,
		nextHopTracking: 'auto',
		inSyncTimeoutSeconds: 60,
		peers: [],
		peerRanges: [],
		...(topology.routerId === undefined ? {} : { routerId: topology.routerId }),
		...(topology.clusterId === undefined ? {} : { clusterId: topology.clusterId }),
		asNumber: topology.asNumber,
		...own,
		listen: { address: topology.listenAddress, port: topology.listenPort, ...own?.listen },
		originate: [
			...(own?.originate ?? []),
			...blocks.filter((prefix) => !fixed.has(prefix)).map((prefix) => ({ prefix })),
		],
	};
}

/** This node's own blocks. Pure. */
export const blocksOf = (state: NodeState): readonly PrefixKey[] =>
	bgpOf(state)?.originate.map(({ prefix }) => prefix) ?? [];

/** Own blocks that this node programs: Felix has blackholes for those in its pools. Pure. */
export function programmedBlocksOf(state: NodeState): readonly PrefixKey[] {
	const foreign = poolsOf(state).flatMap((pool) => (pool.foreign === undefined ? [] : [parsePrefix(pool.cidr)]));
	const blocks = blocksOf(state);
	return foreign.length === 0
		? blocks
		: blocks.filter((block) => !foreign.some((pool) => prefixCovers(pool, parsePrefix(block))));
}

/** The pools of the file and of the cluster. Pure. */
export function poolsOf({ node, config, cluster }: NodeState): readonly TunnelPool[] {
	const pools = [...config.pools, ...(cluster?.pools ?? [])];
	const self = cluster?.nodes.find(({ name }) => name === node);
	if (self?.ipv6 === undefined || self.ipv4 !== undefined) return pools;
	// A node with IPv6 alone has no ends of IPv4 tunnels: a missing device is no problem there.
	return pools.map((pool) => (pool.cidr.includes(':') ? pool : { ...pool, ipipMode: 'Never', vxlanMode: 'Never' }));
}

/** The areas that decide how a route leaves: the pools, and ranges without routes of ours. Pure. */
export const areasOf = (state: NodeState): readonly TunnelPool[] => [...poolsOf(state), ...serviceAreas(state.cluster)];

/**
 * Ranges of service addresses: a route of another node inside of them would bypass this node's own
 * translation.
 */
const serviceAreas = (cluster: ClusterState | undefined): TunnelPool[] =>
	cluster === undefined
		? []
		: [
				...cluster.configuration.serviceClusterCidrs,
				...cluster.configuration.serviceExternalCidrs,
				...cluster.configuration.serviceLoadBalancerCidrs,
			].map((cidr) => ({
				cidr,
				ipipMode: 'Never',
				natOutgoing: false,
				foreign: 'an address of services: it is translated on this node',
			}));

const usesVxlan = ({ vxlanMode = 'Never' }: TunnelPool): boolean => vxlanMode !== 'Never';
/** With both modes set VXLAN applies. */
const usesIpip = (pool: TunnelPool): boolean => pool.ipipMode !== 'Never' && !usesVxlan(pool);

/**
 * The address of tunl0: the configured one, else the cluster's, else the first address of the first
 * own block in an IPv4 pool with IPIP. Pure.
 */
export function ipipAddressOf(state: NodeState): string | undefined {
	const given = state.config.ipip.tunnelAddress ?? state.cluster?.tunnelAddress;
	if (given !== undefined) return given;
	const tunnelled = poolsOf(state)
		.filter(usesIpip)
		.map(({ cidr }) => parsePrefix(cidr));
	// Without such a pool the blocks, which may be many, are not iterated.
	if (tunnelled.length === 0) return undefined;
	for (const text of blocksOf(state)) {
		const block = parsePrefix(text);
		// A host prefix belongs to a pod.
		const isHost = block.length === block.bytes.length * 8;
		if (!isHost && tunnelled.some((pool) => prefixCovers(pool, block))) return formatAddress(block.bytes);
	}
	return undefined;
}

/** The kinds of routes that this node programs. Pure. */
export function territoryOf(state: NodeState, tunnelDevice: string): Territory {
	const ours = poolsOf(state).filter(({ foreign }) => foreign === undefined);
	return {
		pools: ours.map(({ cidr }) => cidr),
		tunnelDevice: ours.some(usesIpip) ? tunnelDevice : undefined,
		resources: state.cluster?.refusal,
		ownership: ownershipOf(state),
	};
}

const families: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * Which routes of the kernel are ours. Felix removes routes of others with its own protocol number,
 * which is the default here, too: while it runs on this node, ours get another one. Pure.
 */
export function ownershipOf({ config, cluster }: NodeState): RouteOwnership {
	const { routeProtocol } = config.fib;
	// Without a cluster it is not known whether Felix runs: its IPv4 routes are distinct.
	const felixFamilies: readonly Family[] = cluster === undefined ? ['ipv4'] : cluster.felixRuns ? families : [];
	if (routeProtocol !== undefined) return { protocol: routeProtocol, felixFamilies };
	const [protocol, former] =
		cluster?.felixRuns === true ? [besideFelixProtocol, felixProtocol] : [felixProtocol, besideFelixProtocol];
	return { protocol, former, felixFamilies };
}

/** Why our routes have another protocol number than the default; `undefined`: they do not. Pure. */
export function protocolReason({ config, cluster }: NodeState): string | undefined {
	if (config.fib.routeProtocol !== undefined) return 'fib.routeProtocol of the configuration';
	return cluster?.felixRuns === true
		? `Felix runs on this node, and removes routes of others with its number ${felixProtocol}`
		: undefined;
}

const isOf = (family: Family) => (address: string) => address.includes(':') === (family === 'ipv6');

/**
 * The MTU of tunl0 by file or FelixConfiguration; `undefined`: derived from the host's interfaces.
 * Pure.
 */
export const ipipMtuBytesOf = ({ config, cluster }: NodeState): number | undefined =>
	config.ipip.mtuBytes ?? cluster?.felix.ipipMtuBytes;

/**
 * The other ends of VXLAN tunnels: the cluster's nodes that have a node and a tunnel address, and
 * those of the file. Pure.
 */
export function vxlanRemotesOf({ node, config, cluster }: NodeState): RemoteEnd[] {
	const ofFile = config.vxlan.nodes
		.filter(({ name }) => name !== node)
		.map(({ name, address, tunnelAddress, mac }): RemoteEnd => {
			const family: Family = address.includes(':') ? 'ipv6' : 'ipv4';
			const given = mac === undefined ? undefined : parseMac(mac);
			return { node: name, family, nodeAddress: address, tunnelAddress, mac: given ?? macOf(name, family) };
		});
	const known = new Set(ofFile.map((end) => `${end.node} ${end.family}`));
	const ofCluster = (cluster?.nodes ?? [])
		.filter(({ name }) => name !== node)
		.flatMap((facts) =>
			families.flatMap((family): RemoteEnd[] => {
				const { name } = facts;
				// Calico: no fallback to other addresses of the Node. It needs the BGP address of
				// that family.
				const nodeAddress = facts[family]?.address;
				const tunnelAddress = facts.tunnelAddresses[family === 'ipv4' ? 'vxlan' : 'vxlanIpv6'];
				if (nodeAddress === undefined || tunnelAddress === undefined || known.has(`${name} ${family}`)) return [];
				const given = facts.vxlanMacs[family];
				const mac = (given === undefined ? undefined : parseMac(given)) ?? macOf(name, family);
				return [{ node: name, family, nodeAddress, tunnelAddress, mac }];
			}),
		);
	return [...ofFile, ...ofCluster];
}

/** This node's ends of the VXLAN tunnels. Pure. */
function vxlanLocalOf({ node, config, cluster }: NodeState): Partial<Record<Family, LocalEnd>> {
	const self = cluster?.nodes.find(({ name }) => name === node);
	const ends = families.flatMap((family) => {
		const nodeAddress = config.vxlan.nodeAddresses.find(isOf(family)) ?? self?.[family]?.address;
		if (nodeAddress === undefined) return [];
		const tunnelAddress =
			config.vxlan.tunnelAddresses.find(isOf(family)) ??
			self?.tunnelAddresses[family === 'ipv4' ? 'vxlan' : 'vxlanIpv6'];
		const given = self?.vxlanMacs[family];
		const mac = (given === undefined ? undefined : parseMac(given)) ?? macOf(node, family);
		return [[family, { nodeAddress, tunnelAddress, mac }] as const];
	});
	return Object.fromEntries(ends);
}

/** The inputs of the VXLAN devices and their entries. Pure. */
export function vxlanStateOf(state: NodeState): VxlanState {
	const { config, cluster } = state;
	const pools = poolsOf(state).filter(usesVxlan);
	const ours = pools.filter(({ foreign }) => foreign === undefined);
	const ipv4Mtu = config.vxlan.mtuBytes ?? cluster?.felix.vxlanMtuBytes;
	const ipv6Mtu = config.vxlan.mtuIpv6Bytes ?? cluster?.felix.vxlanMtuV6Bytes;
	return {
		vni: config.vxlan.vni ?? cluster?.felix.vxlanVni ?? vxlanDefaults.vni,
		port: config.vxlan.port ?? cluster?.felix.vxlanPort ?? vxlanDefaults.port,
		mtuBytes: {
			...(ipv4Mtu === undefined ? {} : { ipv4: ipv4Mtu }),
			...(ipv6Mtu === undefined ? {} : { ipv6: ipv6Mtu }),
		},
		local: vxlanLocalOf(state),
		families: families.filter((family) => ours.some(({ cidr }) => isOf(family)(cidr))),
		remotes: vxlanRemotesOf(state),
		leftAlone: pools.length > ours.length,
	};
}

/**
 * Routes to blocks of other nodes, by the address of the node; `undefined`: the cluster's blocks
 * are not known yet. Pure.
 */
export function datastoreRoutesOf(state: NodeState): ReadonlyMap<PrefixKey, string> | undefined {
	const { config, cluster, node } = state;
	const routes = new Map<PrefixKey, string>();
	for (const { name, address, blocks } of config.vxlan.nodes)
		if (name !== node) for (const prefix of blocks) routes.set(prefix, address);
	if (cluster === undefined) return routes;
	if (cluster.datastoreRoutes === undefined) return undefined;
	const byName = new Map(cluster.nodes.map((facts) => [facts.name, facts]));
	for (const { prefix, node: holder } of cluster.datastoreRoutes) {
		const facts = byName.get(holder);
		const address = (prefix.includes(':') ? facts?.ipv6 : facts?.ipv4)?.address;
		if (address !== undefined) routes.set(prefix, address);
	}
	return routes;
}

/**
 * Addresses of the known nodes except this one: tunnelled packets are accepted only from them.
 * Pure.
 */
export function nodeAddressesOf({ node, config, cluster }: NodeState): string[] {
	const ofFile = config.vxlan.nodes.filter(({ name }) => name !== node).map(({ address }) => address);
	const ofCluster = (cluster?.nodes ?? [])
		.filter(({ name }) => name !== node)
		.flatMap(({ ipv4, ipv6, internalAddresses }) => [
			...[ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address])),
			// A node without a BGP address sends from its internal one.
			...(ipv4 === undefined && ipv6 === undefined ? internalAddresses : []),
		]);
	return [...new Set([...ofFile, ...ofCluster])];
}

/**
 * Preferred source addresses of routes by file or FelixConfiguration; `undefined`: the kernel
 * chooses. Pure.
 */
export function preferredSourcesOf({
	config,
	cluster,
}: NodeState): Readonly<Partial<Record<Family, string>>> | undefined {
	const felix = cluster?.felix.sourceAddress;
	const found = families.flatMap((family) => {
		const source = config.fib.preferredSources.find(isOf(family)) ?? felix?.[family];
		return source === undefined ? [] : [[family, source] as const];
	});
	return found.length === 0 ? undefined : Object.fromEntries(found);
}

/**
 * The metric of ordinary routes to workloads: `ipv4NormalRoutePriority`, `ipv6NormalRoutePriority`
 * of BGPConfiguration, else of FelixConfiguration, else Calico's default. Pure.
 */
export const normalPriorityOf = ({ cluster }: NodeState, family: Family): number =>
	cluster?.configuration.normalPriority[family] ?? cluster?.felix.normalPriority[family] ?? defaultNormalPriority;

/** The same for both families. Pure. */
export const normalPrioritiesOf = (state: NodeState): Readonly<Record<Family, number>> => ({
	ipv4: normalPriorityOf(state, 'ipv4'),
	ipv6: normalPriorityOf(state, 'ipv6'),
});

/** Tunnel addresses by node address. Pure. */
export function tunnelsOf(remotes: readonly RemoteEnd[]): ReadonlyMap<string, TunnelAddresses> {
	const tunnels = new Map<string, TunnelAddresses>();
	for (const { nodeAddress, tunnelAddress, family } of remotes)
		tunnels.set(nodeAddress, { ...tunnels.get(nodeAddress), [family]: tunnelAddress });
	return tunnels;
}
