import type { PeerOptions } from '../../bgp/index.ts';
import { aFew } from '../../core/index.ts';
import type { BgpPeer } from '../model/bgp.ts';
import type { NodeFacts } from '../model/node.ts';
import { communityProblems } from '../topology/policies.ts';
import { selects, type Topology } from '../topology/topology.ts';
import { workloadProblems } from '../topology/workloads.ts';
import { type LintFinding, type LintModel, mostNamed } from './types.ts';

const addressesOf = ({ ipv4, ipv6 }: NodeFacts): string[] => [ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address]));

/** What a BGPPeer says, and leaves out, by itself. */
export function peerRules({ peers, nodes, configuration }: LintModel): LintFinding[] {
	const ofNodes = new Set(nodes.flatMap(addressesOf));
	return peers.flatMap((peer) => {
		const subject = `BGPPeer ${peer.name}`;
		const foreign = peer.localWorkloadSelector !== undefined || (peer.peer !== undefined && !ofNodes.has(peer.peer.address));
		return [
			...workloadProblems(peer).map(
				({ text, usable }): LintFinding => ({
					severity: usable ? 'warning' : 'error',
					rule: 'local-workload',
					subject,
					problem: usable ? text : `${text}: no session is made for it`,
					hint: usable ? 'remove it, or make two resources' : 'select pods by labels of their own, or by projectcalico.org/namespace',
				}),
			),
			...(foreign && peer.asNumber === undefined
				? [
						{
							severity: 'warning',
							rule: 'no-as-number',
							subject,
							problem: `the other side is none of the cluster's nodes, and asNumber is missing: it is taken for one of AS ${configuration.asNumber}`,
							hint: 'set asNumber to the AS of the other side',
						} satisfies LintFinding,
					]
				: []),
		];
	});
}

/** What the whole of the configuration lacks for the sessions that it asks for. */
export function configurationRules({ configuration, nodes, password }: LintModel): LintFinding[] {
	const { meshPassword, nodeToNodeMesh } = configuration;
	const meshed = nodes.filter(({ ipv4, clusterId }) => ipv4 !== undefined && clusterId === undefined);
	const lacksPassword = nodeToNodeMesh && meshed.length > 1 && meshPassword !== undefined && password(meshPassword) === undefined;
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
						problem: `nodeMeshPassword: Secret ${meshPassword.name} has no key ${meshPassword.key}; no session of the mesh is made`,
						hint: 'create the Secret in kube-system or calico-system',
					} satisfies LintFinding,
				]
			: []),
	];
}

/** What of the resources comes to nothing on some node, seen from the sessions that it would make. `looked` are the nodes of `seen`. */
export function outcomeRules({ peers, configuration }: LintModel, looked: readonly NodeFacts[], seen: ReadonlyMap<string, Topology>): LintFinding[] {
	const sessions = (node: NodeFacts): readonly PeerOptions[] => seen.get(node.name)?.peers ?? [];
	return [
		...passedOver(peers, looked, sessions),
		...otherFamily(looked, sessions),
		...(configuration.nodeToNodeMesh ? [] : withoutReflector(looked, sessions)),
	];
}

type SessionsOf = (node: NodeFacts) => readonly PeerOptions[];

/** Two resources about one address and port: one decides, and the other one is not obeyed at all. */
function passedOver(peers: readonly BgpPeer[], looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const named = peers.filter((peer) => peer.peer !== undefined && peer.localWorkloadSelector === undefined);
	return named.flatMap((peer) => {
		const rivals = named.filter(({ peer: other }) => other?.address === peer.peer?.address && other?.port === peer.peer?.port);
		if (rivals.length < 2) return [];
		const winners = looked
			.filter((node) => selects(peer, node))
			.flatMap((node) => sessions(node).filter(({ address, description }) => address === peer.peer?.address && rivals.some(({ name }) => name === description)))
			.map(({ description = '' }) => description);
		const winner = winners.find((name) => name !== peer.name);
		if (winner === undefined || winners.includes(peer.name)) return [];
		return {
			severity: 'warning',
			rule: 'passed-over',
			subject: `BGPPeer ${peer.name}`,
			problem: `BGPPeer ${winner} is about ${peer.peer?.address ?? ''} on the same nodes, and comes first: nothing of this one is obeyed`,
			hint: 'make one resource of the two: global ones come first, then the first by name',
		};
	});
}

/** Sessions over a family in which the node has no address of its own. */
function otherFamily(looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const found = new Map<string, { readonly resource: string; readonly address: string; readonly nodes: string[] }>();
	for (const node of looked)
		for (const { address, description = '' } of sessions(node)) {
			if (node.ipv6 !== undefined || !address.includes(':')) continue;
			const entry = found.get(`${description} ${address}`) ?? { resource: description, address, nodes: [] };
			entry.nodes.push(node.name);
			found.set(`${description} ${address}`, entry);
		}
	return [...found.values()].map(({ resource, address, nodes }) => ({
		severity: 'warning',
		rule: 'other-family',
		subject: `BGPPeer ${resource}`,
		problem: `${address} is an IPv6 address, and node ${aFew(nodes, mostNamed)} has none for BGP`,
		hint: 'set projectcalico.org/IPv6Address of the node, or select nodes that have it',
	}));
}

/** Without the mesh: nodes of one AS that no reflector brings together (RFC 4456 §6), and reflectors that reflect for nobody. */
function withoutReflector(looked: readonly NodeFacts[], sessions: SessionsOf): LintFinding[] {
	const owner = new Map(looked.flatMap((node) => addressesOf(node).map((address): [string, NodeFacts] => [address, node])));
	const isInside = (node: NodeFacts) => sessions(node).length > 0 && sessions(node).every(({ address }) => owner.has(address));
	const neighbours = new Map(looked.map((node) => [node, new Set(sessions(node).flatMap(({ address }) => owner.get(address) ?? []))]));
	const isReflector = ({ clusterId }: NodeFacts) => clusterId !== undefined;
	const idle = looked.filter((node) => isReflector(node) && sessions(node).length > 0 && !sessions(node).some(({ reflectorClient }) => reflectorClient));
	/** The reflectors whose routes reach one another: what carries their own cluster ID they refuse. */
	const realm = (node: NodeFacts): ReadonlySet<NodeFacts> => {
		const reached = new Set<NodeFacts>();
		const queue = isReflector(node) ? [node] : [...(neighbours.get(node) ?? [])].filter(isReflector);
		for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
			if (reached.has(next)) continue;
			reached.add(next);
			const { clusterId } = next;
			for (const other of neighbours.get(next) ?? []) if (isReflector(other) && other.clusterId !== clusterId) queue.push(other);
		}
		return reached;
	};
	// Of nodes with other neighbours nobody knows here what these pass on.
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
						problem: `the mesh is disabled, and they have neither a session nor a reflector in common${apart.length > 1 ? `, as ${apart.length - 1} more pairs of nodes` : ''}: neither learns the other's routes`,
						hint: 'a route reflector that both are clients of, a BGPPeer between them, or the mesh',
					} satisfies LintFinding,
				]),
	];
}
