import { aFew, formatPrefix, parseAddress, parsePrefix, prefixContains } from '../../core/index.ts';
import type { NodeAddress, NodeFacts } from '../model/node.ts';
import type { Topology } from '../topology/topology.ts';
import { type LintFinding, mostNamed } from './types.ts';

const subnetOf = ({ address, length }: NodeAddress) => parsePrefix(`${address}/${length}`, 'clear');

/** `reachableBy` settings that can not be applied on some or all selected nodes. */
export function reachRules(seen: ReadonlyMap<string, Topology>, nodes: readonly NodeFacts[]): LintFinding[] {
	const problems = new Set(
		[...seen.values()].flatMap((topology) => topology.problems.filter((problem) => problem.includes('reachableBy'))),
	);
	const off = new Map<string, { readonly resource: string; readonly gateway: string; readonly nodes: string[] }>();
	for (const { name, ipv4, ipv6 } of nodes)
		for (const { gateway, resource } of seen.get(name)?.peerRoutes ?? []) {
			const own = gateway.includes(':') ? ipv6 : ipv4;
			// A host address alone does not determine the link.
			if (
				own === undefined ||
				own.length === (gateway.includes(':') ? 128 : 32) ||
				prefixContains(subnetOf(own), parseAddress(gateway))
			)
				continue;
			const key = `${resource} ${gateway}`;
			const entry = off.get(key) ?? { resource, gateway, nodes: [] };
			entry.nodes.push(`${name} (${formatPrefix(subnetOf(own).bytes, own.length)})`);
			off.set(key, entry);
		}
	return [
		...[...problems].map(
			(problem): LintFinding => ({
				severity: 'error',
				rule: 'reachable-by',
				subject: problem.split(':')[0] ?? '',
				problem: problem.slice(problem.indexOf(': ') + 2),
				hint:
					"reachableBy is the address of a router on the node's own link, of the peer's address " +
					'family, and one for each peer address',
			}),
		),
		...[...off.values()].map(
			({ resource, gateway, nodes: names }): LintFinding => ({
				severity: 'warning',
				rule: 'gateway-off-link',
				subject: `BGPPeer ${resource}`,
				problem: `reachableBy ${gateway} is not in the subnet of node ${aFew(names, mostNamed)}`,
				hint:
					'without another interface in its subnet the kernel refuses the route: a BGPPeer for each ' +
					'subnet, by nodeSelector',
			}),
		),
	];
}
