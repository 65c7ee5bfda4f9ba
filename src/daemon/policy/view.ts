import type {
	PolicyEndpointView,
	PolicyOverviewView,
	PolicyProblemView,
	PolicyReferenceView,
	PolicyStackView,
	PolicyStatusView,
} from '../../control/index.ts';
import type { HealthFacts } from '../../health/index.ts';
import type { PolicyCounter } from '../../nftables/index.ts';
import {
	type DirectionPolicy,
	type HostEndpoint,
	lintPolicies,
	type NodePolicyReport,
	type PolicyKey,
	type WorkloadEndpoint,
} from '../../policy/index.ts';
import { problemText } from './fallback.ts';
import { policyName } from './names.ts';
import type { OpenedPolicy } from './open.ts';
import { reportOf } from './reporter.ts';

/** Packets by policy: allowed and denied. */
type Counts = ReadonlyMap<string, { readonly allowed: number; readonly denied: number }>;

/** Sums of both directions or of one. */
export function countsOf(counters: readonly PolicyCounter[]): Counts {
	const counts = new Map<string, { allowed: number; denied: number }>();
	for (const { policy, direction, action, packets } of counters) {
		if (policy === undefined) continue;
		for (const key of [policy, `${policy} ${direction}`]) {
			const entry = counts.get(key) ?? { allowed: 0, denied: 0 };
			counts.set(key, entry);
			if (action === 'allow') entry.allowed += packets;
			if (action === 'deny') entry.denied += packets;
		}
	}
	return counts;
}

/** Pods and host endpoints of this node, or those whose name is or ends in `name`. */
export function* endpointViews(
	{ side }: OpenedPolicy,
	counts: Counts | undefined,
	name?: string,
): Iterable<PolicyEndpointView> {
	const { state } = side.calculator;
	const wanted = (key: string) => name === undefined || key === name || key.endsWith(`/${name}`);
	const stack = (stage: PolicyStackView['stage'], policy: DirectionPolicy) =>
		stackView(stage, policy, (key) => {
			const { staged = false } = state.policies.get(key) ?? {};
			const rules = state.policies.get(key)?.[policy.direction].length ?? 0;
			const count = counts?.get(`${key} ${policy.direction}`);
			return {
				policy: policyName(key),
				staged,
				rules,
				...(count === undefined ? {} : { allowedPackets: count.allowed, deniedPackets: count.denied }),
			};
		});
	for (const workload of state.workloads.values()) {
		if (!wanted(workload.key)) continue;
		yield {
			type: 'pod',
			name: workload.key,
			interface: workload.interfaceName,
			addresses: workload.addresses,
			stacks: [stack('workload', workload.ingress), stack('workload', workload.egress)],
		};
	}
	for (const host of state.hosts.values()) {
		if (!wanted(host.key)) continue;
		yield {
			type: 'host-endpoint',
			name: host.key,
			interface: host.interfaceName,
			addresses: [],
			stacks: hostStacks(host).map(([stage, policy]) => stack(stage, policy)),
		};
	}
}

/** Stages without any policy are omitted, except the one that closes the host by default. */
const hostStacks = (host: HostEndpoint): (readonly [PolicyStackView['stage'], DirectionPolicy])[] => [
	...[host.untracked.ingress, host.untracked.egress]
		.filter(({ tiers }) => tiers.length > 0)
		.map((policy) => ['untracked', policy] as const),
	...[host.preDnat.ingress].filter(({ tiers }) => tiers.length > 0).map((policy) => ['pre-dnat', policy] as const),
	['normal', host.normal.ingress],
	['normal', host.normal.egress],
	...[host.forward.ingress, host.forward.egress]
		.filter(({ tiers }) => tiers.length > 0)
		.map((policy) => ['forward', policy] as const),
];

const stackView = (
	stage: PolicyStackView['stage'],
	{ direction, tiers, profiles, otherwise }: DirectionPolicy,
	reference: (key: PolicyKey) => PolicyReferenceView,
): PolicyStackView => ({
	stage,
	direction,
	tiers: tiers.map(({ tier, defaultAction, policies }) => ({ tier, defaultAction, policies: policies.map(reference) })),
	profiles: profiles.map((key) => key.slice('profile/'.length)),
	otherwise,
});

/** The problems of resources, the most severe first. */
function problemViews({ side }: OpenedPolicy): readonly PolicyProblemView[] {
	const severity = { refused: 0, 'fails-closed': 1, warning: 2 } as const;
	return [
		...side.feed.problems.flatMap(({ subject, problems }) =>
			problems.map(({ type, field, problem }): PolicyProblemView => ({ subject, type, field, problem })),
		),
		...side.settingsProblems.map(
			({ type, field, problem }): PolicyProblemView => ({ subject: 'FelixConfiguration', type, field, problem }),
		),
	].sort((left, right) => severity[left.type] - severity[right.type]);
}

/** The inputs of health: problems of resources, and their summary. */
export function policyFacts(opened: OpenedPolicy): NonNullable<HealthFacts['networkPolicy']> {
	const { side, refusal, kernel } = opened;
	const { calculator, feed } = side;
	return {
		...(kernel?.problem === undefined ? {} : { fallback: problemText(kernel.problem) }),
		refusal: refusal && `${refusal.name}: ${refusal.seen.join('; ')}; ${refusal.hint}`,
		problems: [
			...problemViews(opened).map(({ subject, type, field, problem }) => ({
				subject,
				reason: `${type}: ${field}: ${problem}`,
			})),
			...lintPolicies(feed.policies.values(), calculator.tiers, calculator.state).map(({ subject, problem }) => ({
				subject,
				reason: problem,
			})),
		],
	};
}

/** The status of network policy at this node. */
export function overviewView(
	opened: OpenedPolicy,
	counts: Counts | undefined,
	others: ClusterReports | undefined,
): Omit<PolicyOverviewView, 'policies'> & { readonly policies: Iterable<PolicyStatusView> } {
	const { side, refusal, kernel } = opened;
	const { state } = side.calculator;
	const plane = side.plane.view();
	const failure = plane.failures[0]?.reason;
	return {
		mode: refusal !== undefined ? 'refused' : side.plane.isEnforcing ? 'enforced' : 'off',
		...(refusal === undefined ? {} : { refusal: { engine: refusal.name, seen: refusal.seen, hint: refusal.hint } }),
		...(kernel === undefined ? {} : { dataplane: kernel.name }),
		...(kernel?.problem === undefined ? {} : { dataplaneProblem: problemText(kernel.problem) }),
		inSync: plane.inSync,
		waitingFor: plane.waitingFor,
		...(side.plane.programmedAtMs === undefined
			? {}
			: { programmedAt: new Date(side.plane.programmedAtMs).toISOString() }),
		...(failure === undefined ? {} : { failure }),
		workloads: state.workloads.size,
		hostEndpoints: state.hosts.size,
		sets: state.sets.size,
		policies: policyViews(opened, counts, others?.type === 'reports' ? others.reports : undefined),
		problems: problemViews(opened),
		...(others?.type === 'unknown' ? { othersUnknown: others.reason } : {}),
		...(others?.type === 'reports' ? { silentNodes: silentNodes(side.nodes, others.reports) } : {}),
	};
}

/** What the nodes of the cluster report, or why that is not known. */
export type ClusterReports =
	| { readonly type: 'reports'; readonly reports: readonly NodePolicyReport[] }
	| { readonly type: 'unknown'; readonly reason: string };

/** Names in one list of a view. */
const mostNames = 20;

/**
 * Asks the API server; what this node itself enforces is known better here. `undefined`: no
 * cluster, or enforcement is not configured.
 */
export async function clusterReports({ side, reporter, refusal }: OpenedPolicy): Promise<ClusterReports | undefined> {
	if (reporter === undefined) return undefined;
	try {
		const { node } = side.calculator;
		const own = reportOf(node, side, refusal !== undefined);
		// A report may outlive its Node for a moment.
		const others = (await reporter.reports()).filter((one) => one.node !== node && side.nodes.has(one.node));
		return { type: 'reports', reports: [own, ...others] };
	} catch (error) {
		return { type: 'unknown', reason: error instanceof Error ? error.message : String(error) };
	}
}

/** Nodes without a report, or with one that is not renewed any more. */
function silentNodes(nodes: ReadonlyMap<string, unknown>, reports: readonly NodePolicyReport[]): readonly string[] {
	const reporting = new Set(reports.filter(({ isStale }) => isStale !== true).map(({ node }) => node));
	return [...nodes.keys()].filter((node) => !reporting.has(node)).slice(0, mostNames);
}

function* policyViews(
	{ side }: OpenedPolicy,
	counts: Counts | undefined,
	reports: readonly NodePolicyReport[] | undefined,
): Iterable<PolicyStatusView> {
	const { state, tiers } = side.calculator;
	const uses = new Map<PolicyKey, number>();
	for (const endpoint of [...state.workloads.values(), ...state.hosts.values()])
		for (const key of keysOf(endpoint)) uses.set(key, (uses.get(key) ?? 0) + 1);
	const tierOrder = (name: string) => tiers.get(name)?.order ?? Number.POSITIVE_INFINITY;
	const compare = (left: number, right: number) => (left === right ? 0 : left - right);
	const models = [...side.feed.policies.values()].sort(
		(left, right) =>
			compare(tierOrder(left.tier), tierOrder(right.tier)) ||
			compare(left.order, right.order) ||
			(left.key < right.key ? -1 : 1),
	);
	for (const { key, tier, order, generation, staged } of models) {
		const count = counts?.get(key);
		const name = policyName(key);
		const rollout = reports && side.progress.rollout(name, reports);
		yield {
			policy: name,
			tier,
			...(Number.isFinite(order) ? { order } : {}),
			generation,
			staged,
			localEndpoints: uses.get(key) ?? 0,
			...(count === undefined ? {} : { allowedPackets: count.allowed, deniedPackets: count.denied }),
			...(rollout === undefined ? {} : { rollout: { ...rollout, lagging: rollout.lagging.slice(0, mostNames) } }),
		};
	}
}

/** Each policy of an endpoint once. */
function keysOf(endpoint: WorkloadEndpoint | HostEndpoint): ReadonlySet<PolicyKey> {
	const stacks =
		endpoint.type === 'workload'
			? [endpoint.ingress, endpoint.egress]
			: hostStacks(endpoint).map(([, policy]) => policy);
	return new Set(stacks.flatMap(({ tiers }) => tiers.flatMap(({ policies }) => policies)));
}
