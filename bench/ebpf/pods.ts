/** Programs of all pods of a node: time to load, to take over, and to change the policy of one. */
import { addRouterNamespace, ipBatch, removeNamespace } from '../../lab/frames/namespaces.ts';
import { inside } from '../../lab/frames/sockets.ts';
import { openEbpf } from '../../lab/policy-table/ebpf-enforcer.ts';
import { prefixKey } from '../../src/core/index.ts';
import { defaultPolicyMapSizes } from '../../src/ebpf/index.ts';
import { loadRuleset } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import {
	type DirectionPolicy,
	defaultNodeSettings,
	type NodePolicy,
	noPolicyChange,
	type Policy,
	type PolicyKernel,
	type WorkloadEndpoint,
} from '../../src/policy/index.ts';
import { type Distribution, repeated, residentMib, round, timed } from '../nftables/measures.ts';
import { type KernelMemory, kernelMemory } from './memory.ts';

export interface PodsResult {
	readonly dataplane: 'nftables' | 'ebpf';
	readonly pods: number;
	/** `own`: a policy for each pod; `shared`: one for all. */
	readonly policies: 'own' | 'shared';
	/** Nothing stands before. */
	readonly firstMs: number;
	/** All stands, as after a restart. */
	readonly againMs: number;
	/** The rules of the one policy of one pod, or of all. */
	readonly change: Distribution;
	/** With maps of the default size. */
	readonly memory?: KernelMemory;
	/** Of this process, in which nothing else runs, MiB. */
	readonly residentMiB: number;
}

const rulesPerPod = 10;

/** The policy of one pod; `variant` changes a rule. */
function policyOf(pod: number, variant: number): Policy {
	return {
		...{ key: `network-policy/ns/p${pod}`, kind: 'network-policy', namespace: 'ns', name: `p${pod}`, staged: false },
		ingress: Array.from({ length: rulesPerPod }, (_, index) => ({
			action: 'allow',
			protocol: 6,
			source: { nets: [prefixKey(`10.${100 + index}.${variant & 255}.0/24`)] },
			destination: { ports: { ranges: [{ first: 80 + index, last: 80 + index }], sets: [] } },
			origin: `ingress[${index}]`,
		})),
		egress: [],
	};
}

function workloadOf(pod: number, policy: number): WorkloadEndpoint {
	const direction = (toward: 'ingress' | 'egress'): DirectionPolicy => ({
		...{ id: `d${toward}${policy}`, direction: toward, profiles: [], otherwise: 'allow' },
		tiers: toward === 'egress' ? [] : [{ tier: 'default', defaultAction: 'deny', policies: [policyOf(policy, 0).key] }],
	});
	return {
		...{ type: 'workload', key: `ns/p${pod}`, interfaceName: `calip${pod}` },
		addresses: [`10.2.${pod >> 8}.${pod & 255}`],
		...{ ingress: direction('ingress'), egress: direction('egress') },
	};
}

const stateOf = (workloads: readonly WorkloadEndpoint[], policies: readonly Policy[]): NodePolicy => ({
	node: 'here',
	workloads: new Map(workloads.map((one) => [one.key, one])),
	hosts: new Map(),
	policies: new Map(policies.map((one) => [one.key, one])),
	sets: new Map([
		[defaultNodeSettings.nodes, { id: defaultNodeSettings.nodes, type: 'nets', meaning: 'nodes', members: new Set() }],
	]),
	settings: defaultNodeSettings,
});

/** Both data planes on the same node. */
export async function benchPods({
	pods,
	changes,
}: {
	readonly pods: number;
	readonly changes: number;
}): Promise<PodsResult[]> {
	const namespace = `bmp${process.pid}`;
	addRouterNamespace(namespace);
	const numbers = Array.from({ length: pods }, (_, index) => index);
	try {
		ipBatch(
			numbers.flatMap((pod) => [`link add calip${pod} type veth peer name p${pod}`, `link set calip${pod} up`]),
			namespace,
		);
		const measure = async (
			dataplane: PodsResult['dataplane'],
			kernel: PolicyKernel,
			shared: boolean,
			memory?: () => KernelMemory,
		): Promise<PodsResult> => {
			const workloads = numbers.map((pod) => workloadOf(pod, shared ? 0 : pod));
			const policies = (shared ? [0] : numbers).map((pod) => policyOf(pod, 0));
			const state = stateOf(workloads, policies);
			const firstMs = round(await timed(() => kernel.sync(state)));
			const againMs = round(await timed(() => kernel.sync(state)));
			const change = await repeated(changes, (index) => {
				const changed = policyOf(index % policies.length, index + 1);
				policies[index % policies.length] = changed;
				return kernel.apply({ ...noPolicyChange, policies: [changed] }, stateOf(workloads, policies));
			});
			return {
				...{ dataplane, pods, policies: shared ? 'shared' : 'own', firstMs, againMs, change },
				...(memory === undefined ? {} : { memory: memory() }),
				residentMiB: residentMib(),
			};
		};
		const results: PodsResult[] = [];
		for (const shared of [false, true]) {
			const rules = inside(
				namespace,
				() => new NftablesPolicy({}, { load: (text) => inside(namespace, () => loadRuleset(text)) }),
			);
			results.push(await measure('nftables', rules, shared));
			await rules.remove();
			rules.close();
			const ebpf = openEbpf(namespace, 'best', { sizes: defaultPolicyMapSizes });
			try {
				results.push(await measure('ebpf', ebpf.kernel, shared, () => kernelMemory(ebpf.maps)));
			} finally {
				ebpf.close();
			}
		}
		return results;
	} finally {
		removeNamespace(namespace);
	}
}
