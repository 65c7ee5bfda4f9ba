import { prefixKey } from '../../src/core/index.ts';
import type {
	DirectionPolicy,
	IpSet,
	NodePolicy,
	NodePolicyChange,
	NodeSettings,
	Policy,
	Rule,
	RuleAction,
	WorkloadEndpoint,
} from '../../src/policy/index.ts';

/** Settings as Calico's manifests have them. */
export const settings: NodeSettings = {
	endpointToHostAction: 'accept',
	failsafeInbound: [{ protocol: 6, port: 22 }],
	failsafeOutbound: [{ protocol: 17, port: 53 }],
	dropInvalid: true,
	allowVxlanFromWorkloads: false,
	allowIpipFromWorkloads: false,
	vxlanPort: 4789,
	nodes: 'snodes',
};

export const set = (id: string, members: readonly string[], type: IpSet['type'] = 'nets'): IpSet => ({
	id,
	type,
	meaning: id,
	members: new Set(members),
});

export const rule = (action: RuleAction, match: Partial<Rule> = {}): Rule => ({
	action,
	source: {},
	destination: {},
	origin: 'rule',
	...match,
});

export const policy = (
	name: string,
	ingress: readonly Rule[],
	egress: readonly Rule[] = [],
	staged = false,
): Policy => ({
	key: `network-policy/${name}`,
	kind: 'network-policy',
	name,
	staged,
	ingress,
	egress,
});

/** One tier with these policies, then allow. */
export const direction = (
	toward: DirectionPolicy['direction'],
	policies: readonly Policy[],
	defaultAction: 'deny' | 'pass' = 'deny',
): DirectionPolicy => ({
	id: `d${toward}-${policies.map(({ name }) => name).join('-')}-${defaultAction}`,
	direction: toward,
	tiers: policies.length === 0 ? [] : [{ tier: 'default', defaultAction, policies: policies.map(({ key }) => key) }],
	profiles: [],
	otherwise: policies.length === 0 ? 'allow' : 'deny',
});

export const workload = (
	name: string,
	address: string,
	ingress: readonly Policy[],
	egress: readonly Policy[] = [],
): WorkloadEndpoint => ({
	type: 'workload',
	key: `ns/${name}`,
	interfaceName: `cali${name}`,
	addresses: [address],
	ingress: direction('ingress', ingress),
	egress: direction('egress', egress),
});

export function nodePolicy(
	workloads: readonly WorkloadEndpoint[],
	policies: readonly Policy[],
	sets: readonly IpSet[],
	changes: Partial<NodePolicy> = {},
): NodePolicy {
	return {
		node: 'node-a',
		workloads: new Map(workloads.map((item) => [item.key, item])),
		hosts: new Map(),
		policies: new Map(policies.map((item) => [item.key, item])),
		sets: new Map([set('snodes', ['192.0.2.1/32']), ...sets].map((item) => [item.id, item])),
		settings,
		...changes,
	};
}

export const noChange: NodePolicyChange = {
	newSets: [],
	changedSets: [],
	removedSets: [],
	policies: [],
	removedPolicies: [],
	workloads: [],
	removedWorkloads: [],
	hosts: [],
	removedHosts: [],
};

export const nets = (...texts: string[]) => texts.map((text) => prefixKey(text));
