import type { PeerOptions } from '../../bgp/index.ts';
import { aFew } from '../../core/index.ts';
import type { BgpPeer } from '../model/bgp.ts';
import type { NodeFacts } from '../model/node.ts';
import { communityProblems } from '../topology/policies.ts';
import { bgpPeerNameOf, selects, type Topology } from '../topology/topology.ts';
import { workloadProblems } from '../topology/workloads.ts';
import { type LintFinding, type LintModel, mostNamed } from './types.ts';

const addressesOf = ({ ipv4, ipv6 }: NodeFacts): string[] =>
	[ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address]));

/** Findings in a single BGPPeer. */
export function peerRules({ peers, nodes, configuration }: LintModel): LintFinding[] {
	const ofNodes = new Set(nodes.flatMap(addressesOf));
	return peers.flatMap((peer) => {
		const subject = `BGPPeer ${peer.name}`;
		const foreign =
			peer.localWorkloadSelector !== undefined || (peer.peer !== undefined && !ofNodes.has(peer.peer.address));
		return [
			...workloadProblems(peer).map(
				({ text, usable }): LintFinding => ({
					severity: usable ? 'warning' : 'error',
					rule: 'local-workload',
					subject,
					problem: usable ? text : `${text}: no session is made for it`,
					hint: usable
						? 'remove it, or make two resources'
						: 'select pods by labels of their own, or by projectcalico.org/namespace',
				}),
			),
			...(foreign && peer.asNumber === undefined
				? [
						{
							severity: 'warning',
							rule: 'no-as-number',
							subject,
							problem:
								"the other side is none of the cluster's nodes, and asNumber is missing: it is taken for one " +
								`of AS ${configuration.asNumber}`,
							hint: 'set asNumber to the AS of the other side',
						} satisfies LintFinding,
					]
				: []),
		];
	});
}

/** Settings that the sessions require and the cluster's configuration lacks. */
export function configurationRules({ configuration, nodes, password }: LintModel): LintFinding[] {
	const { meshPassword, nodeToNodeMesh } = configuration;
	const meshed = nodes.filter(
		({ ipv4, ipv6, clusterId }) => (ipv4 !== undefined || ipv6 !== undefined) && clusterId === undefined,
	);
	const lacksPassword =
		nodeToNodeMesh && meshed.length > 1 && meshPassword !== undefined && password(meshPassword) === undefined;
	return [
		...communityProblems(configuration).map(
			(problem): LintFinding => ({
				severity: 'error',
				rule: 'no-community',
				subject: 'BGPConfiguration default',
				problem: problem.slice(problem.indexOf(': ') + 2),
				hint: 'define it in communities, or write a value such as 65000:100 or 65000:1:2',
			}),
		),
		...(lacksPassword
			? [
					{
						severity: 'error',
						rule: 'no-password',
						subject: 'BGPConfiguration default',
						problem:
							`nodeMeshPassword: Secret ${meshPassword.name} has no key ${meshPassword.key}; no session of ` +
							'the mesh is made',
						hint: 'create the Secret in kube-system or calico-system',
					} satisfies LintFinding,
				]
			: []),
	];
}

/**
 * Resources without effect on some node, derived from the sessions. `looked`: the nodes of `seen`.
 */
export function outcomeRules(
	{ peers, configuration }: LintModel,
	looked: readonly NodeFacts[],
	seen: ReadonlyMap<string, Topology>,
): LintFinding[] {
	const sessions = (node: NodeFacts): readonly PeerOptions[] => seen.get(node.name)?.peers ?? [];
	return [
		...passedOver(peers, looked, sessions),
		...otherFamily(looked, sessions),
		...(configuration.nodeToNodeMesh ? [] : withoutReflector(looked, sessions)),
	];
}

type SessionsOf = (node: NodeFacts) => readonly PeerOptions[];

/** Two resources for one address and port: one applies, the other one is ignored completely. */
function passedOver(peers: readonly BgpPeer[], looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const named = peers.filter((peer) => peer.peer !== undefined && peer.localWorkloadSelector === undefined);
	return named.flatMap((peer) => {
		const rivals = named.filter(
			({ peer: other }) => other?.address === peer.peer?.address && other?.port === peer.peer?.port,
		);
		if (rivals.length < 2) return [];
		const winners = looked
			.filter((node) => selects(peer, node))
			.flatMap((node) =>
				sessions(node).filter(
					({ address, description }) =>
						address === peer.peer?.address && rivals.some(({ name }) => name === bgpPeerNameOf(description)),
				),
			)
			.map(({ description }) => bgpPeerNameOf(description));
		const winner = winners.find((name) => name !== peer.name);
		if (winner === undefined || winners.includes(peer.name)) return [];
		return {
			severity: 'warning',
			rule: 'passed-over',
			subject: `BGPPeer ${peer.name}`,
			problem:
				`BGPPeer ${winner} is about ${peer.peer?.address ?? ''} on the same nodes, and comes first: ` +
				'nothing of this one is obeyed',
			hint: 'make one resource of the two: global ones come first, then the first by name',
		};
	});
}

/** Sessions over a family in which the node has no address. */
function otherFamily(looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const found = new Map<string, { readonly resource: string; readonly address: string; readonly nodes: string[] }>();
	for (const node of looked)
		for (const { address, description } of sessions(node)) {
			if (node.ipv6 !== undefined || !address.includes(':')) continue;
			const resource = bgpPeerNameOf(description) ?? '';
			const entry = found.get(`${resource} ${address}`) ?? { resource, address, nodes: [] };
			entry.nodes.push(node.name);
			found.set(`${resource} ${address}`, entry);
		}
	return [...found.values()].map(({ resource, address, nodes }) => ({
		severity: 'warning',
		rule: 'other-family',
		subject: `BGPPeer ${resource}`,
		problem: `${address} is an IPv6 address, and node ${aFew(nodes, mostNamed)} has none for BGP`,
		hint: 'set projectcalico.org/IPv6Address of the node, or select nodes that have it',
	}));
}

/**
 * Without the mesh: nodes of one AS that no reflector connects (RFC 4456 §6), and reflectors
 * without clients.
 */
function withoutReflector(looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const owner = new Map(
		looked.flatMap((node) => addressesOf(node).map((address): [string, NodeFacts] => [address, node])),
	);
	const isInside = (node: NodeFacts) =>
		sessions(node).length > 0 && sessions(node).every(({ address }) => owner.has(address));
	const neighbours = new Map(
		looked.map((node) => [node, new Set(sessions(node).flatMap(({ address }) => owner.get(address) ?? []))]),
	);
	const isReflector = ({ clusterId }: NodeFacts) => clusterId !== undefined;
	const idle = looked.filter(
		(node) =>
			isReflector(node) && sessions(node).length > 0 && !sessions(node).some(({ reflectorClient }) => reflectorClient),
	);
	/**
	 * The reflectors that exchange routes with each other. A reflector rejects routes with its own
	 * cluster ID.
	 */
	const realm = (node: NodeFacts): ReadonlySet<NodeFacts> => {
		const reached = new Set<NodeFacts>();
		const queue = isReflector(node) ? [node] : [...(neighbours.get(node) ?? [])].filter(isReflector);
		for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
			if (reached.has(next)) continue;
			reached.add(next);
			const { clusterId } = next;
			for (const other of neighbours.get(next) ?? [])
				if (isReflector(other) && other.clusterId !== clusterId) queue.push(other);
		}
		return reached;
	};
	// Nodes with external neighbours are excluded: the routes that those pass on are unknown.
	const closed = looked.filter((node) => isInside(node) && !isReflector(node));
	const realms = new Map(closed.map((node) => [node, realm(node)]));
	const apart: [NodeFacts, NodeFacts][] = [];
	for (const [index, node] of closed.entries())
		for (const other of closed.slice(index + 1)) {
			if (node.asNumber !== other.asNumber || neighbours.get(node)?.has(other)) continue;
			const theirs = realms.get(other);
			if (![...(realms.get(node) ?? [])].some((reflector) => theirs?.has(reflector))) apart.push([node, other]);
		}
	const [first] = apart;
	return [
		...idle.map(
			({ name, clusterId }): LintFinding => ({
				severity: 'warning',
				rule: 'idle-reflector',
				subject: `Node ${name}`,
				problem: `it has cluster ID ${clusterId ?? ''}, and no client: it reflects nothing`,
				hint: 'a BGPPeer with nodeSelector for its clients and peerSelector for it, or remove RouteReflectorClusterID',
			}),
		),
		...(first === undefined
			? []
			: [
					{
						severity: 'error',
						rule: 'no-path',
						subject: `Node ${first[0].name}, ${first[1].name}`,
						problem:
							'the mesh is disabled, and they have neither a session nor a reflector in ' +
							`common${apart.length > 1 ? `, as ${apart.length - 1} more pairs of nodes` : ''}: neither ` +
							"learns the other's routes",
						hint: 'a route reflector that both are clients of, a BGPPeer between them, or the mesh',
					} satisfies LintFinding,
				]),
	];
}
