import type { DirectionPolicy, HostEndpoint, WorkloadEndpoint } from '../../policy/index.ts';
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
export function workloadAssignments({ interfaceName, ingress, egress }: WorkloadEndpoint): Assignment[] {
	return [
		{ map: 'from-workload', interfaceName, policy: egress, stage: 'filter' },
		{ map: 'to-workload', interfaceName, policy: ingress, stage: 'filter' },
	];
}

/** The addresses that a pod may send from, as elements of `sourceSets`. */
export function workloadSources({ interfaceName, addresses }: WorkloadEndpoint): string[] {
	return addresses.map(
		(address) => `${sourceSets[address.includes(':') ? 'ipv6' : 'ipv4']} ${interfaceName} ${address}`,
	);
}

/** The entries of a host endpoint. */
export function hostAssignments({ interfaceName, normal, forward, preDnat, untracked }: HostEndpoint): Assignment[] {
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
