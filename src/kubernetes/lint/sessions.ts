import type { PeerOptions } from '../../bgp/index.ts';
import { selectorMatches } from '../../selector/index.ts';
import type { BgpPeer } from '../model/bgp.ts';
import type { NodeFacts } from '../model/node.ts';
import { bgpPeerNameOf, topology } from '../topology/topology.ts';
import { outcomeRules } from './peers.ts';
import { reachRules } from './reach.ts';
import type { LintFinding, LintModel } from './types.ts';

/**
 * Sessions are computed per node. In large clusters only this number of nodes is examined,
 * reflectors first.
 */
const mostNodes = 200;

/** References of a BGPPeer to absent objects, and settings that are ignored. */
export function selectorRules({ peers, nodes, filters }: LintModel): LintFinding[] {
	return peers.flatMap((peer) => {
		const finding = (severity: LintFinding['severity'], rule: string, problem: string, hint: string): LintFinding => ({
			severity,
			rule,
			subject: `BGPPeer ${peer.name}`,
			problem,
			hint,
		});
		const selectors = [
			['nodeSelector', peer.nodeSelector],
			['peerSelector', peer.peerSelector],
		] as const;
		const idle = selectors.filter(
			([, text]) => text !== undefined && !nodes.some(({ labels }) => selectorMatches(text, labels)),
		);
		return [
			...idle.map(([key, text]) =>
				finding(
					'warning',
					'selects-nothing',
					`${key}: no node has the labels of ${text}`,
					'label nodes, or remove the resource',
				),
			),
			...(peer.node !== undefined && !nodes.some(({ name }) => name === peer.node)
				? [
						finding(
							'warning',
							'selects-nothing',
							`there is no node ${peer.node}`,
							'correct `node`, or remove the resource',
						),
					]
				: []),
			...(peer.peer === undefined && peer.peerSelector === undefined && peer.localWorkloadSelector === undefined
				? [finding('error', 'no-target', 'it names no other side', 'set peerIP or peerSelector')]
				: []),
			...peer.filters
				.filter((name) => !filters.has(name))
				.map((name) =>
					finding(
						'error',
						'no-filter',
						`BGPFilter ${name} does not exist`,
						'create it: until then routes pass as if it were not named',
					),
				),
			...asNumberRule(peer, nodes).map((problem) =>
				finding(
					'warning',
					'as-number',
					problem,
					"of a node of the cluster the node's own AS number counts: remove asNumber",
				),
			),
		];
	});
}

/** A peer that is a node, with an AS number different from the node's. */
function asNumberRule({ peer, asNumber }: BgpPeer, nodes: readonly NodeFacts[]): string[] {
	const node = peer && nodes.find(({ ipv4, ipv6 }) => ipv4?.address === peer.address || ipv6?.address === peer.address);
	return node?.asNumber === undefined || asNumber === undefined || node.asNumber === asNumber
		? []
		: [`asNumber is ${asNumber}, and node ${node.name} at ${peer?.address ?? ''} has ${node.asNumber}`];
}

const addressesOf = ({ ipv4, ipv6 }: NodeFacts): string[] =>
	[ipv4, ipv6].flatMap((own) => (own === undefined ? [] : [own.address]));

/**
 * Findings from the sessions of each node. The mesh is symmetric and is omitted where it does not
 * matter.
 */
export function sessionRules(model: LintModel): LintFinding[] {
	const { nodes, configuration } = model;
	const routed = nodes.filter(({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined);
	const reflectors = routed.filter(({ clusterId }) => clusterId !== undefined);
	const looked = [...reflectors, ...routed.filter(({ clusterId }) => clusterId === undefined)].slice(0, mostNodes);
	const seen = new Map(
		looked.map((node) => [
			node.name,
			topology({
				...model,
				workloads: [],
				node: node.name,
				configuration: { ...configuration, nodeToNodeMesh: false },
			}),
		]),
	);
	const sessions = (node: NodeFacts): readonly PeerOptions[] => seen.get(node.name)?.peers ?? [];
	const speaks = (node: NodeFacts, other: NodeFacts) =>
		sessions(node).some(({ address }) => addressesOf(other).includes(address));
	const inMesh = (node: NodeFacts) =>
		configuration.nodeToNodeMesh &&
		node.clusterId === undefined &&
		routed.some((other) => other !== node && other.clusterId === undefined);
	const findings: LintFinding[] = [];
	const add = (severity: LintFinding['severity'], rule: string, subject: string, problem: string, hint: string) =>
		findings.push({ severity, rule, subject, problem, hint });

	const owner = new Map(
		looked.flatMap((node) => addressesOf(node).map((address): [string, NodeFacts] => [address, node])),
	);
	for (const node of looked) {
		for (const { address, description } of sessions(node)) {
			const other = owner.get(address);
			if (other === undefined || speaks(other, node)) continue;
			const hint =
				'both sides must know of a session: reversePeering Auto with the same AS number, or a BGPPeer for the way back';
			if (!(inMesh(node) && inMesh(other)))
				add(
					'error',
					'one-way',
					`BGPPeer ${bgpPeerNameOf(description) ?? ''}`,
					`${node.name} has a session with ${other.name}, which has none with it`,
					hint,
				);
		}
		if (sessions(node).length === 0 && !inMesh(node) && routed.length > 1)
			add(
				'error',
				'no-sessions',
				`Node ${node.name}`,
				'it has no neighbour',
				'select it by a BGPPeer, or enable the mesh',
			);
	}
	for (const [index, reflector] of reflectors.entries())
		for (const other of reflectors.slice(index + 1)) {
			if (reflector.clusterId !== other.clusterId || !seen.has(other.name) || speaks(reflector, other)) continue;
			// RFC 4456 §7: each rejects the routes that the other reflects, so clients of one do
			// not get the routes of the other's clients.
			add(
				'error',
				'same-cluster-id',
				`Node ${reflector.name}, ${other.name}`,
				`both reflect with cluster ID ${reflector.clusterId ?? ''}, and there is no session between them`,
				'a BGPPeer with nodeSelector and peerSelector for the reflectors, or a cluster ID of its own for each',
			);
		}
	if (configuration.nodeToNodeMesh && reflectors.length > 0 && routed.length > reflectors.length)
		add(
			'warning',
			'mesh-and-reflectors',
			'BGPConfiguration default',
			`the mesh is enabled, and ${reflectors.length} nodes reflect: every node speaks to every other all the same`,
			'set nodeToNodeMeshEnabled to false once the sessions with the reflectors are up',
		);
	const secrets = new Set(
		[...seen.values()].flatMap(({ problems }) => problems).filter((problem) => problem.includes('Secret')),
	);
	for (const problem of secrets)
		add(
			'error',
			'no-password',
			problem.split(':')[0] ?? '',
			problem,
			'create the Secret in kube-system or calico-system',
		);
	findings.push(...reachRules(seen, looked), ...outcomeRules(model, looked, seen));
	if (looked.length < routed.length)
		add(
			'warning',
			'not-everything',
			`Node ${looked.length} of ${routed.length}`,
			'sessions were looked at on so many nodes only',
			'those left out are the last by name',
		);
	return findings;
}
