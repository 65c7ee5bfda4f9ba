import { type JsonObject, textAt } from '../../json/index.ts';
import type { Conversion } from '../model.ts';
import { fromCalicoPolicy } from './calico-policy.ts';
import {
	fromAdminNetworkPolicy,
	fromBaselineAdminNetworkPolicy,
	fromClusterNetworkPolicy,
} from './cluster-network-policy.ts';
import { fromKubernetesPolicy } from './kubernetes.ts';

export * from './metadata.ts';
export * from './profile.ts';
export * from './resources.ts';

/** A kind of resource that becomes a policy. */
export interface PolicyResource {
	readonly kind: string;
	/** API groups that serve it, in the order in which they are looked for. */
	readonly groups: readonly string[];
	readonly namespaced: boolean;
	readonly convert: (raw: JsonObject) => Conversion;
}

const calico = ['projectcalico.org', 'crd.projectcalico.org'];

/** Every kind of policy. A new kind is a row here. */
export const policyResources: readonly PolicyResource[] = [
	{
		kind: 'NetworkPolicy',
		groups: ['networking.k8s.io'],
		namespaced: true,
		convert: (raw) => fromKubernetesPolicy(raw),
	},
	{
		kind: 'ClusterNetworkPolicy',
		groups: ['policy.networking.k8s.io'],
		namespaced: false,
		convert: fromClusterNetworkPolicy,
	},
	{
		kind: 'AdminNetworkPolicy',
		groups: ['policy.networking.k8s.io'],
		namespaced: false,
		convert: fromAdminNetworkPolicy,
	},
	{
		kind: 'BaselineAdminNetworkPolicy',
		groups: ['policy.networking.k8s.io'],
		namespaced: false,
		convert: fromBaselineAdminNetworkPolicy,
	},
	{
		kind: 'NetworkPolicy',
		groups: calico,
		namespaced: true,
		convert: (raw) => fromCalicoPolicy(raw, 'network-policy'),
	},
	{
		kind: 'GlobalNetworkPolicy',
		groups: calico,
		namespaced: false,
		convert: (raw) => fromCalicoPolicy(raw, 'global-network-policy'),
	},
	{
		kind: 'StagedNetworkPolicy',
		groups: calico,
		namespaced: true,
		convert: (raw) => fromCalicoPolicy(raw, 'staged-network-policy'),
	},
	{
		kind: 'StagedGlobalNetworkPolicy',
		groups: calico,
		namespaced: false,
		convert: (raw) => fromCalicoPolicy(raw, 'staged-global-network-policy'),
	},
	{
		kind: 'StagedKubernetesNetworkPolicy',
		groups: calico,
		namespaced: true,
		convert: (raw) => fromKubernetesPolicy(raw, true),
	},
];

/** The row of an object, by its `apiVersion` and `kind`; `undefined`: it is no policy. */
export function policyResourceOf(raw: JsonObject): PolicyResource | undefined {
	const [group = ''] = (textAt(raw, 'apiVersion') ?? '').split('/');
	return policyResources.find(({ kind, groups }) => kind === raw['kind'] && groups.includes(group));
}
