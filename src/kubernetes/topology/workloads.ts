import { evaluate, parseSelector, type Selector } from '../../selector/index.ts';
import type { BgpConfiguration, BgpPeer } from '../model/bgp.ts';
import type { NodeFacts } from '../model/node.ts';
import type { Workload } from '../model/workload.ts';

/** Labels that Calico adds to a workload from its namespace and its service account. */
const inherited = /^(pcns|pcsa)\./;

/**
 * Settings of a resource with `localWorkloadSelector` that can not be applied, and the consequence.
 * `usable`: the sessions are created anyway.
 */
export function workloadProblems({
	localWorkloadSelector,
	peer,
	peerSelector,
	reachableBy,
}: BgpPeer): readonly { readonly text: string; readonly usable: boolean }[] {
	if (localWorkloadSelector === undefined) return [];
	const foreign = [...labelsIn(parseSelector(localWorkloadSelector))].filter((label) => inherited.test(label));
	if (foreign.length > 0)
		return [
			{
				text:
					'localWorkloadSelector names labels of namespaces or service accounts ' +
					`(${foreign.join(', ')}), which are not looked at`,
				usable: false,
			},
		];
	const beside = Object.entries({ peerIP: peer, peerSelector, reachableBy }).flatMap(([key, value]) =>
		value === undefined ? [] : [key],
	);
	return beside.length === 0
		? []
		: [{ text: `${beside.join(', ')} beside localWorkloadSelector: passed over`, usable: true }];
}

function labelsIn(selector: Selector): ReadonlySet<string> {
	switch (selector.type) {
		case 'all':
		case 'global':
			return new Set();
		case 'not':
			return labelsIn(selector.operand);
		case 'and':
		case 'or':
			return new Set(selector.operands.flatMap((operand) => [...labelsIn(operand)]));
		default:
			return new Set([selector.label]);
	}
}

/** The address of a pod for a session, and the resource that selects it. */
export interface WorkloadTarget {
	readonly resource: BgpPeer;
	readonly address: string;
}

/**
 * The pods of this node for sessions. If several resources select a pod, the first by name counts
 * (Felix's calculator of active peers). `resources`: those that select this node, by name. Pure.
 */
export function workloadTargets(resources: readonly BgpPeer[], workloads: readonly Workload[]): WorkloadTarget[] {
	const selecting = resources.flatMap((resource) => {
		const { localWorkloadSelector: text } = resource;
		return text === undefined || workloadProblems(resource).some(({ usable }) => !usable)
			? []
			: [{ resource, selector: parseSelector(text) }];
	});
	return workloads.flatMap(({ labels, addresses }) => {
		const found = selecting.find(({ selector }) => evaluate(selector, labels));
		return found === undefined ? [] : addresses.map((address) => ({ resource: found.resource, address }));
	});
}

/**
 * Problems with `localWorkloadPeeringIPV4` or `IPV6`: only Felix assigns these addresses to the
 * interfaces of pods; without Felix they do not exist.
 */
export function peeringAddressProblems(
	{ localWorkloadPeering }: BgpConfiguration,
	{ ipv4, ipv6 }: Pick<NodeFacts, 'ipv4' | 'ipv6'>,
): string[] {
	const families = [
		['localWorkloadPeeringIPV4', localWorkloadPeering.ipv4, ipv4],
		['localWorkloadPeeringIPV6', localWorkloadPeering.ipv6, ipv6],
	] as const;
	return families.flatMap(([key, address, own]) => {
		if (address === undefined) return [];
		const instead = own === undefined ? '' : `; they may speak to ${own.address} instead`;
		return [
			`BGPConfiguration default: ${key} ${address} is put on the interfaces of pods by Felix ` +
				'alone, which does not run on this node: pods reach it only where another program has put it ' +
				`on an interface${instead}`,
		];
	});
}
