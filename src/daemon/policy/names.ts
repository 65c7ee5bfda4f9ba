import { type JsonObject, textAt } from '../../json/index.ts';
import { type HostEndpoint, type PolicyKey, type PolicyKind, policyResourceOf } from '../../policy/index.ts';

/** The user-visible name of a kind. */
const kindNames: Readonly<Record<PolicyKind, string>> = {
	'kubernetes-network-policy': 'NetworkPolicy',
	'network-policy': 'NetworkPolicy (Calico)',
	'global-network-policy': 'GlobalNetworkPolicy',
	'cluster-network-policy': 'ClusterNetworkPolicy',
	'admin-network-policy': 'AdminNetworkPolicy',
	'baseline-admin-network-policy': 'BaselineAdminNetworkPolicy',
	'staged-network-policy': 'StagedNetworkPolicy',
	'staged-global-network-policy': 'StagedGlobalNetworkPolicy',
	'staged-kubernetes-network-policy': 'StagedKubernetesNetworkPolicy',
	profile: 'profile',
};

/** `NetworkPolicy prod/web` from the key of a policy. */
export function policyName(key: PolicyKey): string {
	const [kind = '', ...rest] = key.split('/');
	// The key was derived from a kind.
	return `${kindNames[kind as PolicyKind] ?? kind} ${rest.join('/')}`;
}

/**
 * The same from a resource, also where it is refused and has no key; `undefined`: it is no policy.
 */
export function policyNameOf(raw: JsonObject): string | undefined {
	const row = policyResourceOf(raw);
	if (row === undefined) return undefined;
	const isCalico = row.kind === 'NetworkPolicy' && row.groups.includes('projectcalico.org');
	const [name, namespace] = [textAt(raw, 'metadata', 'name') ?? '', textAt(raw, 'metadata', 'namespace')];
	return `${row.kind}${isCalico ? ' (Calico)' : ''} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

/**
 * The HostEndpoint that protects an interface of this node: its own, else the one of `*`.
 * `undefined`: there is none, or the interface is not of this node. Pure.
 */
export function hostEndpointAt(
	interfaceName: string | undefined,
	endpoints: Iterable<Pick<HostEndpoint, 'key' | 'interfaceName'>>,
): string | undefined {
	if (interfaceName === undefined) return undefined;
	let ofAll: string | undefined;
	for (const { key, interfaceName: of } of endpoints) {
		if (of === interfaceName) return key;
		if (of === '*') ofAll = key;
	}
	return ofAll;
}
