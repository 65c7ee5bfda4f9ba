/**
 * Who this node speaks to, and how, as a pure function of the cluster's resources: the full mesh, peers named by BGPPeer
 * resources, and the way back of those that other nodes name. It matches what Calico tells BIRD (`confd`), since one node
 * may run Calico while the next runs this: both must come to the same sessions, and to opposite sides of each.
 */
import { type PeerOptions, peerOptions } from '../../bgp/index.ts';
import type { BgpConfiguration, BgpPeer, SecretKey } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';
import type { NodeFacts } from '../model/node.ts';
import type { Workload } from '../model/workload.ts';
import { selectorMatches } from '../selector/evaluate.ts';
import { type PeerRoute, peerRoutes } from './peer-routes.ts';
import { communityProblems, exportPolicy, importPolicy, type PoolAdvertisement } from './policies.ts';
import { workloadProblems, workloadTargets } from './workloads.ts';

/** Everything the sessions of a node follow from. */
export interface TopologyInput {
	readonly node: string;
	readonly nodes: readonly NodeFacts[];
	readonly configuration: BgpConfiguration;
	/** The port a node listens at, where its own configuration says so. */
	readonly listenPortOf: (node: string) => number | undefined;
	readonly peers: readonly BgpPeer[];
	readonly filters: ReadonlyMap<string, BgpFilter>;
	readonly pools: readonly PoolAdvertisement[];
	/** Pods of the node. */
	readonly workloads: readonly Workload[];
	/** `undefined`: not known (yet). */
	readonly password: (key: SecretKey) => string | undefined;
}

export interface Topology {
	readonly asNumber: number;
	/** As a dotted quad; `undefined` while the node has no IPv4 address: no sessions then. */
	readonly routerId: string | undefined;
	readonly clusterId: string | undefined;
	readonly listenPort: number;
	/** Where to accept sessions: everywhere, over both families where the node has both, or with `bindMode: NodeIP` at the node's address. */
	readonly listenAddress: string;
	/** By name, each once. */
	readonly peers: readonly PeerOptions[];
	/** How some of them are to be reached: `reachableBy`. */
	readonly peerRoutes: readonly PeerRoute[];
	/** Of all nodes of the cluster. */
	readonly nodeAddresses: ReadonlySet<string>;
	/** What is contradictory or missing, in words. */
	readonly problems: readonly string[];
}

/** A session to be, before its policies. */
interface Plan {
	readonly kind: 'Mesh' | 'Global' | 'Node' | 'Local_Workload';
	readonly address: string;
	readonly port: number | undefined;
	/** The node at the other side, if it is one of the cluster's. */
	readonly node: NodeFacts | undefined;
	readonly resource: BgpPeer | undefined;
	/** The way back of a session that the other side's resource names. */
	readonly reversed?: true;
}

/** Calico `confd/pkg/backends/calico` updatePeersV1 and the mesh of its BIRD templates. */
export function topology(input: TopologyInput): Topology {
	const { configuration, nodes } = input;
	const self = nodes.find(({ name }) => name === input.node);
	const problems: string[] = [];
	const base = {
		asNumber: self?.asNumber ?? configuration.asNumber,
		clusterId: self?.clusterId,
		listenPort: configuration.listenPort,
		listenAddress: listenAddressOf(configuration, self),
		nodeAddresses: new Set(nodes.flatMap(addressesOf)),
	};
	if (self?.ipv4 === undefined)
		return {
			...base,
			routerId: undefined,
			peers: [],
			peerRoutes: [],
			problems: [`node ${input.node} has no IPv4 address yet: annotation projectcalico.org/IPv4Address`],
		};
	if (configuration.bindToNodeAddress && self.ipv6 !== undefined)
		problems.push(
			'BGPConfiguration default: bindMode NodeIP is not obeyed on a node with addresses of both families: sessions are accepted at all of its addresses',
		);
	const plans = new Map<string, Plan>();
	// Whoever plans a session first decides how it is: global before node-specific, both before the way back.
	for (const plan of [...meshPlans(input, self), ...resourcePlans(input, self, problems)]) {
		const key = `${plan.address} ${plan.port ?? portOf(input, plan)}`;
		if (!plans.has(key)) plans.set(key, plan);
	}
	const made = [...plans.values()].flatMap((plan) => toPeer(input, self, plan, problems).map((peer) => ({ peer, plan })));
	const reached = peerRoutes(
		// A pod is on a link of its own.
		made.map(({ plan }) => plan).filter(({ kind }) => kind !== 'Local_Workload'),
		addressesOf(self),
	);
	return {
		...base,
		routerId: self.ipv4.address,
		peers: made.map(({ peer }) => peer),
		peerRoutes: reached.routes,
		problems: [...problems, ...reached.problems, ...communityProblems(configuration)],
	};
}

/** One socket serves both families; at the addresses of a node with both there would have to be two, and that is told. */
function listenAddressOf({ bindToNodeAddress }: BgpConfiguration, self: NodeFacts | undefined): string {
	if (self?.ipv6 !== undefined) return '::';
	return bindToNodeAddress && self?.ipv4 !== undefined ? self.ipv4.address : '0.0.0.0';
}

const portOf = ({ listenPortOf, configuration }: TopologyInput, { node }: Pick<Plan, 'node'>): number =>
	node === undefined ? 179 : (listenPortOf(node.name) ?? configuration.listenPort);

const addressesOf = ({ ipv4, ipv6 }: NodeFacts): string[] => [ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address]));

const isV6 = (address: string): boolean => address.includes(':');

const hasFamilyOf = (node: NodeFacts, address: string): boolean => (isV6(address) ? node.ipv6 : node.ipv4) !== undefined;

/** Reflectors stay out of the mesh, on both sides. */
function meshPlans({ configuration, nodes }: TopologyInput, self: NodeFacts): Plan[] {
	if (!configuration.nodeToNodeMesh || self.clusterId !== undefined) return [];
	return nodes
		.filter(({ name, clusterId }) => name !== self.name && clusterId === undefined)
		.flatMap((node) =>
			addressesOf(node)
				.filter((address) => hasFamilyOf(self, address))
				.map((address): Plan => ({ kind: 'Mesh', address, port: undefined, node, resource: undefined })),
		);
}

function resourcePlans(input: TopologyInput, self: NodeFacts, problems: string[]): Plan[] {
	const byName = [...input.peers].sort((left, right) => (left.name < right.name ? -1 : 1));
	const local = byName.filter((peer) => peer.localWorkloadSelector !== undefined && selects(peer, self));
	for (const peer of local)
		for (const { text, usable } of workloadProblems(peer)) problems.push(`BGPPeer ${peer.name}: ${text}${usable ? '' : '; no session is made for it'}`);
	const usable = byName.filter(({ localWorkloadSelector }) => localWorkloadSelector === undefined);
	const isGlobal = ({ node, nodeSelector }: BgpPeer) => node === undefined && nodeSelector === undefined;
	const named = (kind: Plan['kind'], resources: readonly BgpPeer[]) =>
		resources.flatMap((resource) => targetsOf(input, self, resource).map((target): Plan => ({ kind, resource, ...target })));
	return [
		...named('Global', usable.filter(isGlobal)),
		...named(
			'Node',
			usable.filter((peer) => !isGlobal(peer) && selects(peer, self)),
		),
		...workloadTargets(local, input.workloads)
			.filter(({ address }) => hasFamilyOf(self, address))
			.map((target): Plan => ({ kind: 'Local_Workload', port: undefined, node: undefined, ...target })),
		...usable.filter(({ reversePeering }) => reversePeering === 'Auto').flatMap((peer) => reversePlans(input, self, peer)),
	];
}

/** Is the resource about this node's own sessions? */
export function selects({ node, nodeSelector }: BgpPeer, { name, labels }: NodeFacts): boolean {
	if (node !== undefined) return node === name;
	return nodeSelector === undefined || selectorMatches(nodeSelector, labels);
}

type Target = Pick<Plan, 'address' | 'port' | 'node'>;

/** The other sides that a resource names, seen from `self`. */
function targetsOf({ nodes }: TopologyInput, self: NodeFacts, { peer, peerSelector }: BgpPeer): Target[] {
	if (peer !== undefined) {
		const node = nodes.find((candidate) => addressesOf(candidate).includes(peer.address));
		return node?.name === self.name ? [] : [{ address: peer.address, port: peer.port, node }];
	}
	if (peerSelector === undefined) return [];
	return nodes
		.filter((node) => node.name !== self.name && selectorMatches(peerSelector, node.labels))
		.flatMap((node) =>
			addressesOf(node)
				.filter((address) => hasFamilyOf(self, address))
				.map((address) => ({ address, port: undefined, node })),
		);
}

/**
 * Nodes whose resource names this node: the session needs its other side. A selector names it whatever its AS, an address only with this node's AS (the
 * cluster's, where the resource has none) and port, and in one family.
 */
function reversePlans(input: TopologyInput, self: NodeFacts, resource: BgpPeer): Plan[] {
	if (!namesNode(input, resource, self)) return [];
	const { peer } = resource;
	return input.nodes
		.filter((node) => node.name !== self.name && selects(resource, node))
		.flatMap((node) =>
			addressesOf(node)
				.filter((address) => hasFamilyOf(self, address) && (peer === undefined || isV6(peer.address) === isV6(address)))
				.map((address): Plan => ({ kind: 'Node', address, port: undefined, node, resource, reversed: true })),
		);
}

function namesNode({ configuration, listenPortOf }: TopologyInput, { peer, peerSelector, asNumber }: BgpPeer, self: NodeFacts): boolean {
	if (peerSelector !== undefined) return selectorMatches(peerSelector, self.labels);
	if (peer === undefined || !addressesOf(self).includes(peer.address)) return false;
	if (peer.port !== undefined && peer.port !== (listenPortOf(self.name) ?? configuration.listenPort)) return false;
	return (asNumber ?? configuration.asNumber) === (self.asNumber ?? configuration.asNumber);
}

function toPeer(input: TopologyInput, self: NodeFacts, plan: Plan, problems: string[]): PeerOptions[] {
	const { configuration } = input;
	const { resource, node, address, kind } = plan;
	const ownAddress = isV6(address) ? self.ipv6?.address : self.ipv4?.address;
	// On the way back `localASNumber` is what the other side is there.
	const [ownOfResource, theirOfResource] = plan.reversed ? [undefined, resource?.localAsNumber] : [resource?.localAsNumber, undefined];
	const ownAs = ownOfResource ?? self.asNumber ?? configuration.asNumber;
	const asNumber = theirOfResource ?? (node === undefined ? resource?.asNumber : node.asNumber) ?? configuration.asNumber;
	const label = resource === undefined ? `mesh with ${address}` : `BGPPeer ${resource.name}`;
	const secret = resource === undefined ? configuration.meshPassword : resource.password;
	const md5Key = secret === undefined ? undefined : input.password(secret);
	if (secret !== undefined && md5Key === undefined) {
		// Without its password a session would not come up, and must not come up unprotected.
		problems.push(`${label}: Secret ${secret.name} has no key ${secret.key}; the session to ${address} waits for it`);
		return [];
	}
	const filters = (resource?.filters ?? []).flatMap((name) => {
		const filter = input.filters.get(name);
		if (filter === undefined) problems.push(`${label}: BGPFilter ${name} does not exist; it is passed over`);
		return filter === undefined ? [] : [filter];
	});
	const internal = asNumber === ownAs;
	return [
		peerOptions({
			name: nameOf(plan),
			address,
			asNumber,
			port: plan.port ?? portOf(input, plan),
			localAsNumber: ownOfResource,
			// As BIRD's `local as`: towards that neighbour we are this AS and no other one.
			replaceOwnAs: ownOfResource !== undefined,
			noPrependInbound: ownOfResource !== undefined,
			// BIRD takes what a route server sends.
			enforceFirstAs: false,
			// Calico compares the addresses as text, and so must we: compared as numbers, both sides could wait for each other.
			// A pod speaks to whichever of the node's addresses it was told of: only it can begin.
			passive: kind === 'Local_Workload' || (node !== undefined && ownAddress !== undefined && address > ownAddress),
			localAddress: kind !== 'Local_Workload' && (resource?.useNodeAddress ?? true) ? ownAddress : undefined,
			reflectorClient: internal && self.clusterId !== undefined && node?.clusterId !== self.clusterId,
			md5Key,
			ttlSecurityHops: resource?.ttlSecurityHops,
			multihopTtl: resource?.ttlSecurityHops === undefined ? 255 : undefined,
			nextHopMode: nextHopModeOf(resource, internal),
			nextHopSelf: { ...(self.ipv4 === undefined ? {} : { ipv4: self.ipv4.address }), ...(self.ipv6 === undefined ? {} : { ipv6: self.ipv6.address }) },
			allowOwnAs: resource?.allowOwnAs ?? 0,
			gracefulRestart: { restartSeconds: resource === undefined ? configuration.meshRestartSeconds : (resource.restartSeconds ?? 120), notification: true },
			...(resource?.keepaliveSeconds === undefined ? {} : { holdTimeSeconds: resource.keepaliveSeconds * 3 }),
			addPath: { receive: true, send: true },
			families: self.ipv6 === undefined ? ['ipv4'] : ['ipv4', 'ipv6'],
			importPolicies: [importPolicy(`${kind}:${address}`, filters)],
			exportPolicies: [exportPolicy(`${kind}:${address}`, filters, configuration, input.pools)],
			description: resource === undefined ? 'node-to-node mesh' : resource.name,
		}),
	];
}

function nextHopModeOf(resource: BgpPeer | undefined, internal: boolean): PeerOptions['nextHopMode'] {
	const mode = resource?.nextHopMode ?? 'auto';
	if (mode !== 'keep-external') return mode;
	return internal ? 'auto' : 'keep';
}

/** `Mesh_10_0_1_3`, `Node_fd00__1_port_1790`: the names Calico's users know from BIRD. */
function nameOf({ kind, address, port }: Plan): string {
	return `${kind}_${address.replaceAll(/[.:]/g, '_')}${port === undefined ? '' : `_port_${port}`}`;
}
