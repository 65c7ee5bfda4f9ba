import test from 'ava';
import { PolicyRuleset } from '../../src/nftables/policy/ruleset.ts';
import { tableDifference } from '../../src/nftables/table.ts';
import type { HostEndpoint, NodePolicy, NodePolicyChange, SideMatch } from '../../src/policy/index.ts';
import { direction, noChange, nodePolicy, policy, rule, set, workload } from './fixtures.ts';
import { describe, SimulatedTable } from './simulated-table.ts';

const open = () => new PolicyRuleset({ workloadPrefix: 'cali', log: { group: 1, packetsPerSecond: 10 }, leastGain: 1 });

const web = policy('web', [rule('allow')], [rule('allow')]);
const db = policy('db', [rule('deny')], [rule('allow')]);

/** The table after one change, and the same made at once. */
function both(before: NodePolicy, change: Partial<NodePolicyChange>, after: NodePolicy) {
	const [changed, fresh] = [open(), open()];
	changed.replace(before);
	const table = new SimulatedTable();
	table.apply(tableDifference({ chains: new Map(), sets: new Map(), counters: new Set() }, changed.spec()));
	table.apply(changed.change({ ...noChange, ...change }, after));
	fresh.replace(after);
	return [table.content(), describe(fresh.spec())] as const;
}

const host = (key: string, interfaceName: string): HostEndpoint => {
	const of = key === 'a' ? web : db;
	const filter = { ingress: direction('ingress', [of]), egress: direction('egress', [of]) };
	const none = { ingress: direction('ingress', []), egress: direction('egress', []) };
	return {
		...{ type: 'host', key, interfaceName, normal: filter, forward: none },
		...{ preDnat: { ingress: none.ingress }, untracked: none },
	};
};

for (const order of ['first', 'last'] as const)
	test(`an interface that passes from a host endpoint to another, which is ${order} in the change, keeps rules`, (t) => {
		const [a, b] = [host('a', 'eth0'), host('b', 'eth1')];
		const [movedA, movedB] = [host('a', 'eth2'), host('b', 'eth0')];
		const state = (hosts: readonly HostEndpoint[]) =>
			nodePolicy([], [web, db], [], { hosts: new Map(hosts.map((one) => [one.key, one])) });
		const hosts = order === 'first' ? [movedB, movedA] : [movedA, movedB];
		const [changed, fresh] = both(state([a, b]), { hosts }, state([movedA, movedB]));
		t.deepEqual(changed, fresh);
	});

test('pods that exchange interfaces and addresses have the rules of their new ones', (t) => {
	const pods = (first: string, second: string, one: string, other: string) => [
		{ ...workload('a', one, [web], [web]), interfaceName: first },
		{ ...workload('b', other, [db], [db]), interfaceName: second },
	];
	const [before, after] = [
		pods('cali1', 'cali2', '10.0.0.1', '10.0.0.2'),
		pods('cali2', 'cali1', '10.0.0.2', '10.0.0.1'),
	];
	for (const workloads of [after, [...after].reverse()]) {
		const [changed, fresh] = both(nodePolicy(before, [web, db], []), { workloads }, nodePolicy(after, [web, db], []));
		t.deepEqual(changed, fresh);
	}
	// An endpoint of another name at the interface and the address of one that is gone.
	const [left] = before;
	const heir = { ...workload('c', '10.0.0.1', [web], [web]), interfaceName: 'cali1' };
	if (left === undefined) return t.fail();
	const [changed, fresh] = both(
		nodePolicy([left], [web, db], []),
		{ removedWorkloads: [left.key], workloads: [heir] },
		nodePolicy([heir], [web, db], []),
	);
	t.deepEqual(changed, fresh);
});

for (const [what, type, match] of [
	['members', 'nets', { sets: ['s1'] }],
	['exceptions', 'nets', { notSets: ['s1'] }],
	['members with ports', 'address-ports', { addressPortSets: ['s1'] }],
	['named ports', 'address-ports', { ports: { ranges: [], sets: ['s1'] } }],
	['exceptions by named ports', 'address-ports', { notPorts: { ranges: [], sets: ['s1'] } }],
] as const satisfies readonly (readonly [string, 'nets' | 'address-ports', SideMatch])[])
	for (const side of ['source', 'destination'] as const)
		test(`rules follow a set of ${what} in the ${side} that gets its first address of another family`, (t) => {
			const one = policy('one', [rule('allow', { protocol: 6, [side]: match })]);
			const [four, six] = type === 'nets' ? ['10.3.0.1/32', 'fd00::1/128'] : ['10.3.0.1,6,80', 'fd00::1,6,80'];
			const stateOf = (members: readonly string[]) =>
				nodePolicy([workload('a', '10.2.0.1', [one])], [one], [set('s1', members, type)]);
			for (const [before, after] of [
				[[four], [four, six]],
				[[four, six], [four]],
				[[], [six]],
			]) {
				const added = after?.filter((member) => !before?.includes(member)) ?? [];
				const removed = before?.filter((member) => !after?.includes(member)) ?? [];
				const change = { changedSets: [{ id: 's1', type, added, removed }] };
				const [changed, fresh] = both(stateOf(before ?? []), change, stateOf(after ?? []));
				t.deepEqual(changed, fresh);
			}
		});

test('failsafe ports that change are those of preDNAT policy, too', (t) => {
	const none = { ingress: direction('ingress', []), egress: direction('egress', []) };
	const early: HostEndpoint = {
		...{ type: 'host', key: 'a', interfaceName: 'eth0', normal: none, forward: none },
		...{ preDnat: { ingress: direction('ingress', [web]) }, untracked: none },
	};
	const before = nodePolicy([], [web], [], { hosts: new Map([['a', early]]) });
	const settings = { ...before.settings, failsafeInbound: [{ protocol: 6, port: 2222 }] };
	const [changed, fresh] = both(before, { settings }, { ...before, settings });
	t.deepEqual(changed, fresh);
	t.true(fresh.some((line) => line.includes('2222') && line.includes('meta mark set')));
});
