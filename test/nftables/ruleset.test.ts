import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
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

test('what every node lets through stands before policy: failsafe ports with their answers, neighbours of pods', (t) => {
	const ports = {
		tcp: { protocol: 6, port: 2222, net: prefixKey('10.9.0.0/16') },
		udp: { protocol: 17, port: 5353 },
	} as const;
	const state = nodePolicy([], [web, db], [], { hosts: new Map([['a', host('a', 'eth0')]]) });
	const ruleset = open();
	ruleset.replace({
		...state,
		settings: { ...state.settings, failsafeInbound: [ports.tcp], failsafeOutbound: [ports.udp] },
	});
	/** Of a base chain, what stands before the rule that matches. */
	const before = (chain: string, last: RegExp): readonly string[] => {
		const found = ruleset
			.structure()
			.chains.filter(({ name }) => name.startsWith(`base-${chain}-`) || name.startsWith(`${chain}-`));
		t.is(found.length, 1, chain);
		const rules = found[0]?.rules ?? [];
		const end = rules.findIndex((rule) => last.test(rule));
		t.true(end >= 0, `${chain}: ${rules.join('; ')}`);
		return rules.slice(0, end);
	};
	const accepts = (chain: string, last: RegExp, ...rules: readonly string[]) => {
		const found = before(chain, last);
		for (const one of rules) t.true(found.includes(`${one} accept`), `${chain}: ${one} in ${found.join('; ')}`);
	};
	const [inbound, answersIn] = ['meta l4proto 6 th dport 2222 ip saddr 10.9.0.0/16', 'meta l4proto 17 th sport 5353'];
	const [outbound, answersOut] = ['meta l4proto 17 th dport 5353', 'meta l4proto 6 th sport 2222 ip daddr 10.9.0.0/16'];
	accepts('untracked-in', /vmap @host-untracked-in/, inbound, answersIn);
	accepts('untracked-out', /vmap @host-untracked-out/, outbound, answersOut);
	accepts('host-in', /vmap @host-in/, inbound);
	accepts('host-egress', /vmap @host-out/, outbound);
	const neighbours = 'meta nfproto ipv6 meta l4proto 58 @th,0,8 { 130-133, 135-136 }';
	accepts('from-input', /saddr != @workload-sources-6/, neighbours);
	// From where a router forwards it, it is not from a neighbour.
	t.false(before('from-forward', /vmap @from-workload/).some((rule) => rule.includes('130-133')));
});

test('members that join a set they are in, or leave one they are not in, do not reach the kernel', (t) => {
	const one = policy('one', [rule('allow', { source: { sets: ['s1'] } })]);
	const stateOf = (members: readonly string[]) =>
		nodePolicy([workload('a', '10.2.0.1', [one])], [one], [set('s1', members)]);
	const [first, second, third] = ['10.3.0.1/32', '10.3.0.2/32', '10.3.0.3/32'] as const;
	const change = { changedSets: [{ id: 's1', type: 'nets' as const, added: [first, second], removed: [third] }] };
	const [changed, fresh] = both(stateOf([first]), change, stateOf([first, second]));
	t.deepEqual(changed, fresh);
});

test('tunnels of pods are dropped before policy unless the settings permit them', (t) => {
	const state = nodePolicy([workload('a', '10.2.0.1', [web], [web])], [web], []);
	for (const [allowIpipFromWorkloads, allowVxlanFromWorkloads] of [
		[false, false],
		[true, false],
		[false, true],
	] as const) {
		const ruleset = open();
		const settings = { ...state.settings, allowIpipFromWorkloads, allowVxlanFromWorkloads, vxlanPort: 8472 };
		ruleset.replace({ ...state, settings });
		const chains = ruleset.structure().chains.filter(({ name }) => /^base-from-(forward|input)-/.test(name));
		t.is(chains.length, 2);
		for (const { rules } of chains) {
			const before = rules.slice(0, rules.indexOf('iifname vmap @from-workload'));
			t.is(before.includes('meta l4proto 4 counter drop'), !allowIpipFromWorkloads);
			t.is(before.includes('meta l4proto 17 th dport 8472 counter drop'), !allowVxlanFromWorkloads);
		}
	}
});
