import type { DirectionPolicy, HostEndpoint, NodePolicyChange, WorkloadEndpoint } from '../../policy/index.ts';
import { type DispatchMap, sourceSets } from './base.ts';
import type { Stage } from './chains.ts';

/** One entry of a dispatch map: which chain packets of an interface go to. */
export interface Assignment {
	readonly map: DispatchMap;
	readonly interfaceName: string;
	readonly policy: DirectionPolicy;
	readonly stage: Stage;
}

/** Endpoints with the same key share their chains. */
export const groupId = ({ stage, policy }: Assignment): string => `${stage} ${policy.id}`;

/** The key of the entry in its dispatch map. */
export const userOf = ({ map, interfaceName }: Assignment): string => `${map} ${interfaceName}`;

/** The entries of a pod's interface. */
function workloadAssignments({ interfaceName, ingress, egress }: WorkloadEndpoint): Assignment[] {
	return [
		{ map: 'from-workload', interfaceName, policy: egress, stage: 'filter' },
		{ map: 'to-workload', interfaceName, policy: ingress, stage: 'filter' },
	];
}

/** The addresses that a pod may send from, as elements of `sourceSets`. */
function workloadSources({ interfaceName, addresses }: WorkloadEndpoint): string[] {
	return addresses.map(
		(address) => `${sourceSets[address.includes(':') ? 'ipv6' : 'ipv4']} ${interfaceName} ${address}`,
	);
}

/** The entries of a host endpoint. */
function hostAssignments({ interfaceName, normal, forward, preDnat, untracked }: HostEndpoint): Assignment[] {
	const all: Assignment[] = [
		{ map: 'host-in', interfaceName, policy: normal.ingress, stage: 'filter' },
		{ map: 'host-out', interfaceName, policy: normal.egress, stage: 'filter' },
		{ map: 'host-forward-in', interfaceName, policy: forward.ingress, stage: 'filter' },
		{ map: 'host-forward-out', interfaceName, policy: forward.egress, stage: 'filter' },
		{ map: 'host-before-dnat', interfaceName, policy: preDnat.ingress, stage: 'pre-dnat' },
		{ map: 'host-untracked-in', interfaceName, policy: untracked.ingress, stage: 'untracked' },
		{ map: 'host-untracked-out', interfaceName, policy: untracked.egress, stage: 'untracked' },
	];
	// Without tiers the two early stages decide nothing, and failsafe ports have no meaning there.
	return all.filter(({ stage, policy }) => stage === 'filter' || policy.tiers.length > 0);
}

/** What an endpoint has after a change; nothing: it is gone. */
export interface EndpointEntries {
	/** `workload KEY` or `host KEY`. */
	readonly endpoint: string;
	readonly next: readonly Assignment[];
	/** Elements of `sourceSets`. */
	readonly sources: readonly string[];
}

/** The entries of all endpoints that a change concerns. */
export const entriesOf = ({
	removedWorkloads,
	removedHosts,
	workloads,
	hosts,
}: Pick<NodePolicyChange, 'removedWorkloads' | 'removedHosts' | 'workloads' | 'hosts'>): EndpointEntries[] => [
	...removedWorkloads.map((key) => ({ endpoint: `workload ${key}`, next: [], sources: [] })),
	...removedHosts.map((key) => ({ endpoint: `host ${key}`, next: [], sources: [] })),
	...workloads.map((one) => ({
		endpoint: `workload ${one.key}`,
		next: workloadAssignments(one),
		sources: workloadSources(one),
	})),
	...hosts.map((one) => ({ endpoint: `host ${one.key}`, next: hostAssignments(one), sources: [] })),
];
