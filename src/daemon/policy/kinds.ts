import type { JsonObject } from '../../json/index.ts';
import { type ApiLayout, coreKinds, type ResourceKind } from '../../kubernetes/index.ts';
import {
	pruneLabelled,
	prunePolicyNode,
	prunePolicyPod,
	prunePolicySlice,
	pruneSpecified,
} from '../../policy/index.ts';

/** A kind of resource that policy follows. */
export interface FollowedKind {
	/** The name of the source in the plane. */
	readonly source: string;
	readonly kind: ResourceKind;
	readonly prune: (object: JsonObject) => JsonObject;
	/** The definition may be absent in a cluster. */
	readonly mayLack?: true;
}

const sigNetwork = 'policy.networking.k8s.io';
const kind = (apiVersion: string, name: string, plural: string, namespaced: boolean): ResourceKind => ({
	kind: name,
	apiVersion,
	plural,
	namespaced,
});

/** Endpoints of services: followed once a rule references a service. */
export const sliceKind: FollowedKind = {
	source: 'endpoint-slices',
	kind: coreKinds.endpointSlices,
	prune: prunePolicySlice,
};

/** All other kinds, with Calico's in the layout of the cluster. A new kind is a row. */
export function followedKinds(layout: ApiLayout): readonly FollowedKind[] {
	const calico = (name: string, plural: string, namespaced: boolean): FollowedKind => ({
		source: `calico-${plural}`,
		kind: kind(layout, name, plural, namespaced),
		prune: pruneSpecified,
		mayLack: true,
	});
	const cluster = (version: string, name: string, plural: string): FollowedKind => ({
		source: plural,
		kind: kind(`${sigNetwork}/${version}`, name, plural, false),
		prune: pruneSpecified,
		mayLack: true,
	});
	return [
		{ source: 'pods', kind: coreKinds.pods, prune: prunePolicyPod },
		{ source: 'namespaces', kind: coreKinds.namespaces, prune: pruneLabelled },
		{ source: 'nodes', kind: coreKinds.nodes, prune: prunePolicyNode },
		{
			source: 'service-accounts',
			kind: kind('v1', 'ServiceAccount', 'serviceaccounts', true),
			prune: pruneLabelled,
		},
		{
			source: 'network-policies',
			kind: kind('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies', true),
			prune: pruneSpecified,
		},
		cluster('v1alpha2', 'ClusterNetworkPolicy', 'clusternetworkpolicies'),
		cluster('v1alpha1', 'AdminNetworkPolicy', 'adminnetworkpolicies'),
		cluster('v1alpha1', 'BaselineAdminNetworkPolicy', 'baselineadminnetworkpolicies'),
		calico('Tier', 'tiers', false),
		calico('NetworkPolicy', 'networkpolicies', true),
		calico('GlobalNetworkPolicy', 'globalnetworkpolicies', false),
		calico('StagedNetworkPolicy', 'stagednetworkpolicies', true),
		calico('StagedGlobalNetworkPolicy', 'stagedglobalnetworkpolicies', false),
		calico('StagedKubernetesNetworkPolicy', 'stagedkubernetesnetworkpolicies', true),
		calico('NetworkSet', 'networksets', true),
		calico('GlobalNetworkSet', 'globalnetworksets', false),
		calico('HostEndpoint', 'hostendpoints', false),
		calico('Profile', 'profiles', false),
		calico('FelixConfiguration', 'felixconfigurations', false),
	];
}
