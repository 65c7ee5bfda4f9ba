/**
 * The sessions of this node as a pure function of the cluster's resources: the full mesh, BGPPeer
 * resources, and the reverse side of sessions that resources of other nodes define. Equal to the
 * configuration that Calico generates for BIRD (`confd`): in a mixed cluster both sides must
 * compute the same sessions, with opposite roles.
 */
import { createHash } from 'node:crypto';
import { type PeerOptions, peerOptions } from '../../bgp/index.ts';
import { parseAddress } from '../../core/index.ts';
import { selectorMatches } from '../../selector/index.ts';
import type { BgpConfiguration, BgpPeer, SecretKey } from '../model/bgp.ts';
import type { BgpFilter } from '../model/bgp-filter.ts';
import type { NodeFacts } from '../model/node.ts';
import type { Workload } from '../model/workload.ts';
import { type PeerRoute, peerRoutes } from './peer-routes.ts';
import { communityProblems, exportPolicy, importPolicy, type PoolAdvertisement } from './policies.ts';
import { workloadProblems, workloadTargets } from './workloads.ts';

/** All inputs of a node's sessions. */
export interface TopologyInput {
	readonly node: string;
	readonly nodes: readonly NodeFacts[];
	readonly configuration: BgpConfiguration;
	/** The listening port of a node, if its own configuration sets it. */
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
	/**
	 * Dotted quad: the node's IPv4 address, or for an IPv6-only node a hash of its name (Calico
	 * `CALICO_ROUTER_ID=hash`). `undefined` while the node has no address: then there are no
	 * sessions.
	 */
	readonly routerId: string | undefined;
	readonly clusterId: string | undefined;
	readonly listenPort: number;
	/**
	 * The listening address: any (both families on a dual-stack node), or with `bindMode: NodeIP`
	 * the node's address.
	 */
	readonly listenAddress: string;
	/** Unique, by name. */
	readonly peers: readonly PeerOptions[];
	/** Routes to peers with `reachableBy`. */
	readonly peerRoutes: readonly PeerRoute[];
	/** The addresses of all nodes of the cluster. */
	readonly nodeAddresses: ReadonlySet<string>;
	/** Contradictory or missing settings, as text. */
	readonly problems: readonly string[];
}

/** A planned session, without its policies. */
interface Plan {
	readonly kind: 'Mesh' | 'Global' | 'Node' | 'Local_Workload';
	readonly address: string;
	readonly port: number | undefined;
	/** The node at the other side, if the peer is a node of the cluster. */
	readonly node: NodeFacts | undefined;
	readonly resource: BgpPeer | undefined;
	/** True for the reverse side of a session that a resource of the other node defines. */
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
	if (self === undefined || addressesOf(self).length === 0)
		return {
			...base,
			routerId: undefined,
			peers: [],
			peerRoutes: [],
			problems: [
				`node ${input.node} has no address yet: annotations projectcalico.org/IPv4Address and ` +
					'projectcalico.org/IPv6Address',
			],
		};
	if (configuration.bindToNodeAddress && self.ipv4 !== undefined && self.ipv6 !== undefined)
		problems.push(
			'BGPConfiguration default: bindMode NodeIP is not obeyed on a node with addresses of both ' +
				'families: sessions are accepted at all of its addresses',
		);
	const plans = new Map<string, Plan>();
	// The first plan of a session determines its options: global before node-specific, both before
	// reverse.
	for (const plan of [...meshPlans(input, self), ...resourcePlans(input, self, problems)]) {
		const key = `${plan.address} ${plan.port ?? portOf(input, plan)}`;
		const problem = plans.has(key) ? undefined : targetProblem(plan, self);
		if (problem !== undefined) problems.push(problem);
		else if (!plans.has(key)) plans.set(key, plan);
	}
	const made = [...plans.values()].flatMap((plan) =>
		toPeer(input, self, plan, problems).map((peer) => ({ peer, plan })),
	);
	const reached = peerRoutes(
		// Each pod is on its own link.
		made.map(({ plan }) => plan).filter(({ kind }) => kind !== 'Local_Workload'),
		addressesOf(self),
	);
	return {
		...base,
		routerId: self.ipv4?.address ?? routerIdByHash(self.name),
		peers: made.map(({ peer }) => peer),
		peerRoutes: reached.routes,
		problems: [...problems, ...reached.problems, ...communityProblems(configuration)],
	};
}

/**
 * One socket serves both families. With NodeIP, a dual-stack node would need two sockets, which is
 * reported as a problem.
 */
function listenAddressOf({ bindToNodeAddress }: BgpConfiguration, self: NodeFacts | undefined): string {
	const [only, ...more] = self === undefined ? [] : addressesOf(self);
	if (bindToNodeAddress && only !== undefined && more.length === 0) return only;
	return self?.ipv6 === undefined ? '0.0.0.0' : '::';
}

/** The reason why there is no session to this address; `undefined`: there is one. */
function targetProblem({ address, node, resource }: Plan, self: NodeFacts): string | undefined {
	const source = resource === undefined ? `mesh with node ${node?.name ?? ''}` : `BGPPeer ${resource.name}`;
	if (addressesOf(self).includes(address))
		return (
			`${source}: ${address} is this node's own ` +
			`address${node === undefined ? '' : `, and node ${node.name} has it too`}; no session is made`
		);
	return isUnicast(address) ? undefined : `${source}: ${address} is no address of a host; no session is made`;
}

/** True unless unspecified, multicast or the limited broadcast address. */
function isUnicast(address: string): boolean {
	const [first = 0] = parseAddress(address).bytes;
	if (isV6(address)) return first !== 0xff && address !== '::';
	return address !== '0.0.0.0' && first < 224;
}

/**
 * Calico `CALICO_ROUTER_ID=hash`: the first four octets of SHA-256 of the name, as an address below
 * 224.0.0.0.
 */
export function routerIdByHash(node: string): string {
	const [first = 0, ...rest] = createHash('sha256').update(node).digest().subarray(0, 4);
	return [first > 223 ? first - 32 : first, ...rest].join('.');
}

const portOf = ({ listenPortOf, configuration }: TopologyInput, { node }: Pick<Plan, 'node'>): number =>
	node === undefined ? 179 : (listenPortOf(node.name) ?? configuration.listenPort);

const addressesOf = ({ ipv4, ipv6 }: NodeFacts): string[] =>
	[ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address]));

const isV6 = (address: string): boolean => address.includes(':');

const hasFamilyOf = (node: NodeFacts, address: string): boolean =>
	(isV6(address) ? node.ipv6 : node.ipv4) !== undefined;

/** Route reflectors are not part of the mesh. */
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
		for (const { text, usable } of workloadProblems(peer))
			problems.push(`BGPPeer ${peer.name}: ${text}${usable ? '' : '; no session is made for it'}`);
	const usable = byName.filter(({ localWorkloadSelector }) => localWorkloadSelector === undefined);
	// If several nodes have one address, the first in order counts.
	const byAddress = new Map(
		[...input.nodes]
			.reverse()
			.flatMap((node) => addressesOf(node).map((address): [string, NodeFacts] => [address, node])),
	);
	const isGlobal = ({ node, nodeSelector }: BgpPeer) => node === undefined && nodeSelector === undefined;
	const named = (kind: Plan['kind'], resources: readonly BgpPeer[]) =>
		resources.flatMap((resource) =>
			targetsOf(input, byAddress, self, resource).map((target): Plan => ({ kind, resource, ...target })),
		);
	return [
		...named('Global', usable.filter(isGlobal)),
		...named(
			'Node',
			usable.filter((peer) => !isGlobal(peer) && selects(peer, self)),
		),
		...workloadTargets(local, input.workloads)
			.filter(({ address }) => hasFamilyOf(self, address))
			.map((target): Plan => ({ kind: 'Local_Workload', port: undefined, node: undefined, ...target })),
		...usable
			.filter(({ reversePeering }) => reversePeering === 'Auto')
			.flatMap((peer) => reversePlans(input, self, peer)),
	];
}

/** True if the resource applies to this node. */
export function selects({ node, nodeSelector }: BgpPeer, { name, labels }: NodeFacts): boolean {
	if (node !== undefined) return node === name;
	return nodeSelector === undefined || selectorMatches(nodeSelector, labels);
}

type Target = Pick<Plan, 'address' | 'port' | 'node'>;

/** The peers that a resource selects, seen from `self`. */
function targetsOf(
	{ nodes }: TopologyInput,
	byAddress: ReadonlyMap<string, NodeFacts>,
	self: NodeFacts,
	{ peer, peerSelector }: BgpPeer,
): Target[] {
	if (peer !== undefined) {
		const node = byAddress.get(peer.address);
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
 * Nodes whose resource selects this node: the session needs its reverse side. A selector matches
 * this node regardless of its AS. An address matches only with this node's AS (the cluster's, if
 * the resource has none) and port, and in one family.
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

function namesNode(
	{ configuration, listenPortOf }: TopologyInput,
	{ peer, peerSelector, asNumber }: BgpPeer,
	self: NodeFacts,
): boolean {
	if (peerSelector !== undefined) return selectorMatches(peerSelector, self.labels);
	if (peer === undefined || !addressesOf(self).includes(peer.address)) return false;
	if (peer.port !== undefined && peer.port !== (listenPortOf(self.name) ?? configuration.listenPort)) return false;
	return (asNumber ?? configuration.asNumber) === (self.asNumber ?? configuration.asNumber);
}

function toPeer(input: TopologyInput, self: NodeFacts, plan: Plan, problems: string[]): PeerOptions[] {
	const { configuration } = input;
	const { resource, node, address, kind } = plan;
	const ownAddress = isV6(address) ? self.ipv6?.address : self.ipv4?.address;
	// On the reverse side `localASNumber` is the AS number of the peer.
	const [ownOfResource, theirOfResource] = plan.reversed
		? [undefined, resource?.localAsNumber]
		: [resource?.localAsNumber, undefined];
	const ownAs = ownOfResource ?? self.asNumber ?? configuration.asNumber;
	const asNumber =
		theirOfResource ?? (node === undefined ? resource?.asNumber : node.asNumber) ?? configuration.asNumber;
	const label = resource === undefined ? `mesh with ${address}` : `BGPPeer ${resource.name}`;
	const secret = resource === undefined ? configuration.meshPassword : resource.password;
	const md5Key = secret === undefined ? undefined : input.password(secret);
	if (secret !== undefined && md5Key === undefined) {
		// A session with a missing password must not be established.
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
			// As BIRD's `local as`: only this AS number is visible to that neighbour.
			replaceOwnAs: ownOfResource !== undefined,
			noPrependInbound: ownOfResource !== undefined,
			// BIRD accepts routes of a route server.
			enforceFirstAs: false,
			// Calico compares the addresses as text. A numeric comparison could make both sides
			// passive. A pod connects to any of the node's addresses: only the pod can open the
			// connection.
			passive: kind === 'Local_Workload' || (node !== undefined && ownAddress !== undefined && address > ownAddress),
			localAddress: kind !== 'Local_Workload' && (resource?.useNodeAddress ?? true) ? ownAddress : undefined,
			reflectorClient: internal && self.clusterId !== undefined && node?.clusterId !== self.clusterId,
			md5Key,
			multihopTtl: 255,
			nextHopMode: nextHopModeOf(resource, internal),
			nextHopSelf: {
				...(self.ipv4 === undefined ? {} : { ipv4: self.ipv4.address }),
				...(self.ipv6 === undefined ? {} : { ipv6: self.ipv6.address }),
			},
			...(resource === undefined
				? { gracefulRestart: { restartSeconds: configuration.meshRestartSeconds, notification: true } }
				: resource.options),
			addPath: { receive: true, send: true },
			families: [
				...(self.ipv4 === undefined ? [] : (['ipv4'] as const)),
				...(self.ipv6 === undefined ? [] : (['ipv6'] as const)),
			],
			importPolicies: [importPolicy(`${kind}:${address}`, filters)],
			exportPolicies: [exportPolicy(`${kind}:${address}`, filters, configuration, input.pools)],
			description: descriptionOf(resource, node),
		}),
	];
}

function nextHopModeOf(resource: BgpPeer | undefined, internal: boolean): PeerOptions['nextHopMode'] {
	const mode = resource?.nextHopMode ?? 'auto';
	if (mode !== 'keep-external') return mode;
	return internal ? 'auto' : 'keep';
}

/**
 * The resources that define a session: `Node worker-2`, `BGPPeer tor`, `BGPPeer reflectors, Node
 * worker-2`.
 */
function descriptionOf(resource: BgpPeer | undefined, node: NodeFacts | undefined): string {
	return [resource && `BGPPeer ${resource.name}`, node && `Node ${node.name}`]
		.filter((part) => part !== undefined)
		.join(', ');
}

/** Protocol names as Calico generates them for BIRD: `Mesh_10_0_1_3`, `Node_fd00__1_port_1790`. */
export const bgpPeerNameOf = (description: string | undefined): string | undefined =>
	/^BGPPeer ([^,]+)/.exec(description ?? '')?.[1];

/** `Mesh_10_0_1_3`, `Node_fd00__1_port_1790`: the names Calico's users know from BIRD. */
function nameOf({ kind, address, port }: Plan): string {
	return `${kind}_${address.replaceAll(/[.:]/g, '_')}${port === undefined ? '' : `_port_${port}`}`;
}
