import type {
	PlanView,
	PolicyDropEvent,
	PolicyEndpointsView,
	PolicyEndpointView,
	PolicyOverviewView,
	PolicyProblemView,
	PolicyStackView,
	PolicyStatusView,
	TraceStepView,
	TraceView,
} from '../../control/index.ts';
import { count, type ListScreen, moment, paint, type Screen, type Style, tame } from './screen.ts';
import { type Cell, type Column, facts, TableWriter, table } from './table.ts';

const endpointColumns: readonly Column<PolicyEndpointView>[] = [
	{ title: 'ENDPOINT', cell: ({ name }) => name },
	{ title: 'TYPE', cell: ({ type }) => type },
	{ title: 'INTERFACE', cell: (endpoint) => endpoint.interface },
	{ title: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
	{ title: 'INGRESS', cell: (endpoint) => policiesText(endpoint, 'ingress') },
	{ title: 'EGRESS', cell: (endpoint) => policiesText(endpoint, 'egress') },
];

function policiesText({ stacks }: PolicyEndpointView, direction: 'ingress' | 'egress'): string {
	const own = stacks.filter((stack) => stack.direction === direction);
	const names = own.flatMap(({ tiers }) => tiers.flatMap(({ policies }) => policies));
	const enforced = names.filter(({ staged }) => !staged).length;
	if (enforced > 0) return count(enforced, 'policy', 'policies');
	// A host endpoint without policy and profile is closed.
	const closed = own.some(({ stage, profiles }) => stage === 'normal' && profiles.length === 0);
	return closed ? 'closed' : 'open';
}

/** Pods and host endpoints of this node, one a line. */
export function policyEndpointsScreen(
	screen: Screen,
): ListScreen<PolicyEndpointView, Omit<PolicyEndpointsView, 'endpoints'>> {
	const writer = new TableWriter(screen, endpointColumns);
	return {
		add: (endpoint) => writer.add(endpoint),
		end: () => `${writer.end()}${writer.count === 0 ? 'No pods and no host endpoints on this node.\n' : ''}`,
	};
}

/** What applies to one endpoint, in order. */
export function renderPolicyEndpoint(screen: Screen, endpoint: PolicyEndpointView): string {
	const head = facts(screen, [
		[endpoint.type === 'pod' ? 'Pod' : 'Host endpoint', endpoint.name],
		['Interface', endpoint.interface],
		['Addresses', endpoint.addresses.join(', ')],
	]);
	return head + endpoint.stacks.map((stack) => renderStack(screen, stack)).join('');
}

function renderStack(screen: Screen, { stage, direction, tiers, profiles, otherwise }: PolicyStackView): string {
	const lines = [`\n${paint(screen, 'bold', stage === 'workload' ? direction : `${direction}, ${stage}`)}\n`];
	for (const { tier, policies, defaultAction } of tiers) {
		lines.push(`  tier ${tame(tier)}\n`);
		for (const { policy, staged, rules, allowedPackets, deniedPackets } of policies) {
			const packets =
				allowedPackets === undefined ? '' : `, packets allowed ${allowedPackets}, denied ${deniedPackets ?? 0}`;
			lines.push(
				`    ${tame(policy)}${staged ? ' (counted only)' : ''}  ` +
					`${paint(screen, 'dim', `${count(rules, 'rule')}${packets}`)}\n`,
			);
		}
		lines.push(`    ${paint(screen, 'dim', `no rule matched: ${defaultAction}`)}\n`);
	}
	for (const profile of profiles) lines.push(`  profile ${tame(profile)}\n`);
	lines.push(`  ${paint(screen, 'dim', `nothing decided: ${otherwise}`)}\n`);
	return lines.join('');
}

const actionStyle = { allow: 'good', deny: 'bad', continue: 'plain' } as const satisfies Record<string, Style>;

/** What each side does to a connection. */
export function renderTrace(screen: Screen, { from, to, protocol, port, allowed, steps, notes }: TraceView): string {
	const end = ({ name, address, node }: TraceView['from']) => {
		const where = node === undefined || node === '' ? '' : ` on ${tame(node)}`;
		return `${tame(name)}${name === address ? '' : ` (${address})`}${where}`;
	};
	const head = facts(screen, [
		['From', end(from)],
		['To', end(to)],
		['Connection', protocol === 'icmp' ? 'icmp echo' : `${protocol} port ${port}`],
		['Verdict', { text: allowed ? 'allowed' : 'denied', style: allowed ? 'good' : 'bad' }],
	]);
	const columns: readonly Column<TraceStepView>[] = [
		{ title: 'SIDE', cell: ({ side }) => side },
		{ title: 'NODE', cell: ({ node }) => node },
		{ title: 'CHECK', cell: ({ stage, direction, endpoint = '' }) => `${stage} ${direction} ${endpoint}`.trimEnd() },
		{ title: 'ACTION', cell: ({ action }) => ({ text: action, style: actionStyle[action] }) },
		{ title: 'DECIDED BY', cell: decider },
		{
			title: 'STAGED',
			cell: ({ staged }) => staged.map(({ policy, rule, action }) => `${policy} ${rule}: ${action}`).join('; '),
		},
	];
	const body = steps.length === 0 ? 'No policy of a pod or host endpoint applies.\n' : table(screen, columns, steps);
	return `${head}\n${body}${notes.map((note) => `Note: ${tame(note)}.\n`).join('')}`;
}

function decider({ decidedBy, tier, policy, rule }: TraceStepView): string {
	switch (decidedBy) {
		case undefined:
			return 'the node';
		case 'rule':
			return `tier ${tier}, ${policy}, ${rule}`;
		case 'tier-default':
			return `end of tier ${tier}`;
		case 'profile':
			return `${policy}`;
		default:
			return 'end of all tiers and profiles';
	}
}

/** What a file of policies would change. */
export function renderPlan(screen: Screen, plan: PlanView): string {
	const changes = plan.changes.map(
		({ from, to, protocol, port, before, after }) =>
			`${paint(screen, after === 'allowed' ? 'good' : 'bad', after === 'allowed' ? '+' : '-')} ` +
			`${tame(from)} to ${tame(to)}, ${protocol}${protocol === 'ICMP' ? '' : ` ${port}`}: ` +
			`${before} now, ${after} then\n`,
	);
	const { connections } = plan;
	const current = (connections?.changes ?? []).map(
		({ from, to, protocol, sourcePort, port, before, after }) =>
			`${paint(screen, after === 'allowed' ? 'good' : 'bad', after === 'allowed' ? '+' : '-')} ` +
			`open now: ${tame(from)} port ${sourcePort} to ${tame(to)}, ` +
			`${protocol}${protocol.startsWith('ICMP') ? '' : ` ${port}`}: ${before} now, ${after} then\n`,
	);
	const open =
		connections &&
		`${count(connections.changed, 'connection')} of ${connections.looked} that are open on this node would change.\n`;
	const [changed, kinds] = [count(plan.changed, 'connection'), count(plan.kindsCompared, 'kind')];
	const summary = `${changed} between ${kinds} of pods would change.\n`;
	return (
		changes.join('') +
		current.join('') +
		summary +
		(open ?? '') +
		plan.problems.map((problem) => renderProblem(screen, problem)).join('') +
		plan.notes.map((note) => `Note: ${tame(note)}.\n`).join('')
	);
}

const problemStyle = { refused: 'bad', 'fails-closed': 'bad', warning: 'odd' } as const satisfies Record<string, Style>;

const renderProblem = (screen: Screen, { subject, type, field, problem }: PolicyProblemView): string =>
	`${paint(screen, problemStyle[type], type)} ${tame(subject)}, ${tame(field)}: ${tame(problem)}\n`;

const statusColumns: readonly Column<PolicyStatusView>[] = [
	{ title: 'POLICY', cell: ({ policy, staged }) => `${policy}${staged ? ' (staged)' : ''}` },
	{ title: 'TIER', cell: ({ tier }) => tier },
	{ title: 'ORDER', align: 'right', cell: ({ order }) => order ?? '-' },
	{ title: 'GENERATION', align: 'right', cell: ({ generation }) => generation },
	{ title: 'ENDPOINTS HERE', align: 'right', cell: ({ localEndpoints }) => localEndpoints },
	{ title: 'ALLOWED', align: 'right', cell: ({ allowedPackets }) => allowedPackets },
	{ title: 'DENIED', align: 'right', cell: ({ deniedPackets }) => deniedPackets },
	{ title: 'NODES', align: 'right', cell: nodesCell },
	{ title: 'SINCE', cell: ({ rollout }) => (rollout?.since === undefined ? '' : moment(rollout.since)) },
	{ title: 'LAGGING', cell: ({ rollout }) => rollout?.lagging.join(',') },
];

function nodesCell({ rollout }: PolicyStatusView): Cell {
	if (rollout === undefined) return '';
	const { enforcedOn, nodes } = rollout;
	return { text: `${enforcedOn}/${nodes}`, style: enforcedOn === nodes ? 'good' : 'odd' };
}

/** Each policy at this node, then how enforcement is doing. */
export function policyStatusScreen(screen: Screen): ListScreen<PolicyStatusView, Omit<PolicyOverviewView, 'policies'>> {
	const writer = new TableWriter(screen, statusColumns);
	return {
		add: (policy) => writer.add(policy),
		end: (rest) => `${writer.end()}${writer.count === 0 ? 'No policies.\n' : ''}\n${renderOverview(screen, rest)}`,
	};
}

const modes = {
	enforced: { text: 'enforced on this node', style: 'good' },
	off: { text: 'computed only: networkPolicy.enforce is false', style: 'odd' },
	refused: { text: 'refused: another engine is on this node', style: 'bad' },
} as const satisfies Record<PolicyOverviewView['mode'], { text: string; style: Style }>;

function renderOverview(screen: Screen, view: Omit<PolicyOverviewView, 'policies'>): string {
	return (
		facts(screen, [
			['Network policy', modes[view.mode]],
			['Other engine', view.refusal && `${view.refusal.engine}: ${view.refusal.seen.join('; ')}`],
			['To do', view.refusal?.hint],
			['Pods by', view.dataplane === 'ebpf' ? 'eBPF programs' : view.dataplane],
			['eBPF', view.dataplaneProblem && { text: view.dataplaneProblem, style: 'bad' }],
			['Waiting for', view.inSync ? undefined : view.waitingFor.join(', ')],
			['In the kernel', view.programmedAt && `since ${moment(view.programmedAt)}`],
			['Kernel refuses', view.failure && { text: view.failure, style: 'bad' }],
			['Endpoints', `${count(view.workloads, 'pod')}, ${count(view.hostEndpoints, 'host endpoint')}`],
			['Sets', view.sets],
			['Other nodes', view.othersUnknown && { text: `not known: ${view.othersUnknown}`, style: 'odd' }],
			['Silent nodes', view.silentNodes?.join(', ') || undefined],
		]) + view.problems.map((problem) => renderProblem(screen, problem)).join('')
	);
}

const verdicts = {
	deny: { text: 'denied', style: 'bad' },
	log: { text: 'logged', style: 'odd' },
	allow: { text: 'allowed', style: 'good' },
} as const satisfies Record<PolicyDropEvent['action'], { text: string; style: Style }>;

/** A packet that policy dropped or logged, or that began a connection. */
export function renderDrop(screen: Screen, event: PolicyDropEvent): string {
	const { at, action, direction, stage, from, to, protocol, sourcePort, port, decidedBy } = event;
	const ports = port === undefined ? '' : ` port ${port} (from ${sourcePort ?? 0})`;
	const { text, style } = verdicts[action];
	const what = paint(screen, style, text);
	return (
		`${moment(at)} ${what} ${direction} ${stage}: ${tame(from)} to ${tame(to)}, ` +
		`${protocol}${ports}; ${tame(decidedBy)}\n`
	);
}
