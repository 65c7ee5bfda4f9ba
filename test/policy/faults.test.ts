import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readTable } from '../../lab/policy-table/cases.ts';
import type { PreparedStep } from '../../lab/policy-table/cluster.ts';
import { EvaluateBackend } from '../../lab/policy-table/evaluate-backend.ts';
import { runTable } from '../../lab/policy-table/run.ts';
import type { DirectionPolicy, IpSet, NodePolicy, Policy, Rule, SideMatch } from '../../src/policy/index.ts';

const folder = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'test/policy/testdata');
const tables = ['policy-k8s-generated', 'policy-k8s', 'policy-cnp', 'policy-calico'].map((name) =>
	readTable(join(folder, `${name}.jsonl`)),
);

/** A representation with a fault in it. */
type Fault = (policy: NodePolicy) => NodePolicy;

const inRules =
	(change: (rule: Rule) => Rule): Fault =>
	(policy) => ({
		...policy,
		policies: new Map(
			[...policy.policies].map(([key, one]): [string, Policy] => [
				key,
				{ ...one, ingress: one.ingress.map(change), egress: one.egress.map(change) },
			]),
		),
	});
const inSides = (change: (side: SideMatch) => SideMatch): Fault =>
	inRules((rule) => ({ ...rule, source: change(rule.source), destination: change(rule.destination) }));
const without =
	(name: keyof SideMatch) =>
	({ [name]: _, ...side }: SideMatch): SideMatch =>
		side;
const inSets =
	(change: (set: IpSet) => Set<string>): Fault =>
	(policy) => ({
		...policy,
		sets: new Map(
			[...policy.sets].map(([id, set]): [string, IpSet] => [
				id,
				{ id, type: set.type, meaning: set.meaning, members: change(set) },
			]),
		),
	});
const inStacks =
	(change: (stack: DirectionPolicy) => DirectionPolicy): Fault =>
	(policy) => ({
		...policy,
		workloads: new Map(
			[...policy.workloads].map(([key, one]) => [
				key,
				{ ...one, ingress: change(one.ingress), egress: change(one.egress) },
			]),
		),
	});

const faults: Readonly<Record<string, Fault>> = {
	'excluded nets are forgotten': inSides(without('notNets')),
	'nets are forgotten': inSides(without('nets')),
	'excluded sets are forgotten': inSides(without('notSets')),
	'sets are forgotten': inSides(without('sets')),
	'ports are forgotten': inSides(without('ports')),
	'excluded ports are forgotten': inSides(without('notPorts')),
	'services are forgotten': inSides(without('addressPortSets')),
	'ranges of ports end one too early': inSides((side) =>
		side.ports === undefined
			? side
			: {
					...side,
					ports: {
						...side.ports,
						ranges: side.ports.ranges.map(({ first, last }) => ({ first, last: last - 1 })),
					},
				},
	),
	'the protocol is forgotten': inRules(({ protocol: _, ...rule }) => rule),
	'the IP version is forgotten': inRules(({ ipVersion: _, ...rule }) => rule),
	'pass allows': inRules((rule) => (rule.action === 'pass' ? { ...rule, action: 'allow' } : rule)),
	'log denies': inRules((rule) => (rule.action === 'log' ? { ...rule, action: 'deny' } : rule)),
	'rules are in the wrong order': (policy) => ({
		...policy,
		policies: new Map(
			[...policy.policies].map(([key, one]): [string, Policy] => [
				key,
				{ ...one, ingress: [...one.ingress].reverse(), egress: [...one.egress].reverse() },
			]),
		),
	}),
	'the last member of each set is missing': inSets(({ members }) => new Set([...members].slice(0, -1))),
	'tiers are in the wrong order': inStacks((stack) => ({ ...stack, tiers: [...stack.tiers].reverse() })),
	'policies of a tier are in the wrong order': inStacks((stack) => ({
		...stack,
		tiers: stack.tiers.map((tier) => ({ ...tier, policies: [...tier.policies].reverse() })),
	})),
	'every tier passes at its end': inStacks((stack) => ({
		...stack,
		tiers: stack.tiers.map((tier) => ({ ...tier, defaultAction: 'pass' })),
	})),
	'profiles are forgotten': inStacks((stack) => ({ ...stack, profiles: [] })),
	'forwarded packets are not judged': (policy) => ({
		...policy,
		hosts: new Map(
			[...policy.hosts].map(([key, host]) => {
				const open = (stack: DirectionPolicy) => ({ ...stack, tiers: [] });
				return [key, { ...host, forward: { ingress: open(host.forward.ingress), egress: open(host.forward.egress) } }];
			}),
		),
	}),
	'preDNAT policy is forgotten': (policy) => ({
		...policy,
		hosts: new Map(
			[...policy.hosts].map(([key, host]) => [
				key,
				{ ...host, preDnat: { ingress: { ...host.preDnat.ingress, tiers: [] } } },
			]),
		),
	}),
};

class FaultyBackend extends EvaluateBackend {
	readonly #fault: Fault;

	constructor(fault: Fault) {
		super();
		this.#fault = fault;
	}

	override apply(step: PreparedStep): Promise<void> {
		const nodes = new Map(
			[...step.nodes].map(([name, { policy, change }]) => [name, { policy: this.#fault(policy), change }]),
		);
		return super.apply({ ...step, nodes });
	}
}

test('without a fault the tables pass', async (t) => {
	for (const table of tables) t.deepEqual((await runTable(table, new FaultyBackend((policy) => policy))).wrong, []);
});

for (const [title, fault] of Object.entries(faults)) {
	test(`the tables detect that ${title}`, async (t) => {
		let wrong = 0;
		for (const table of tables) wrong += (await runTable(table, new FaultyBackend(fault))).wrong.length;
		t.true(wrong > 0);
	});
}
