import test from 'ava';
import {
	GatedKernel,
	type HostEndpoint,
	type NodePolicy,
	type NodePolicyChange,
	type PolicyKernel,
} from '../../src/policy/index.ts';
import { direction, noChange, nodePolicy, policy, rule, set, workload } from '../nftables/fixtures.ts';

const web = policy('web', [rule('allow', { source: { sets: ['sclients'] } })]);
const guard = policy('guard', [rule('allow', { source: { notSets: ['sbad'] } })]);
const sets = [set('sclients', ['10.0.0.1/32']), set('sbad', ['10.0.0.2/32'])];
const pod = (name: string) => workload(name, '10.2.0.1', [web]);

const host = (): HostEndpoint => {
	const none = { ingress: direction('ingress', []), egress: direction('egress', []) };
	return {
		...{ type: 'host', key: 'uplink', interfaceName: 'eth0', forward: none, preDnat: none, untracked: none },
		normal: { ingress: direction('ingress', [guard]), egress: direction('egress', []) },
	};
};

/** Both kernels, with a record of what they are asked. */
function open(attached: ReadonlySet<string>) {
	const calls: string[] = [];
	let gate: NodePolicy | undefined;
	const names = (items: Iterable<{ readonly key: string }>) => [...items].map(({ key }) => key).join('+');
	const recorder = (name: string): PolicyKernel => ({
		name,
		sync: async (state) => {
			calls.push(`${name} sync ${names(state.workloads.values())}`);
			if (name === 'gate') gate = state;
			return { added: 1, removed: 2 };
		},
		apply: async ({ workloads, removedWorkloads }: NodePolicyChange) => {
			calls.push(`${name} apply ${names(workloads)} -${removedWorkloads.join('+')}`);
		},
	});
	const kernel = new GatedKernel({ ...recorder('programs'), attached }, recorder('gate'));
	return { kernel, calls, gate: () => gate };
}

test('programs stand before the gate opens, and the gate closes before they go', async (t) => {
	const attached = new Set(['ns/a']);
	const { kernel, calls } = open(attached);
	t.deepEqual(await kernel.sync(nodePolicy([pod('a'), pod('b')], [web], sets)), { added: 2, removed: 4 });
	attached.add('ns/b');
	await kernel.apply({ ...noChange, workloads: [pod('b')] }, nodePolicy([pod('a'), pod('b')], [web], sets));
	attached.delete('ns/a');
	await kernel.apply({ ...noChange, removedWorkloads: ['ns/a'] }, nodePolicy([pod('b')], [web], sets));
	t.deepEqual(calls, [
		'programs sync ns/a+ns/b',
		'gate sync ns/a',
		'programs apply ns/b -',
		'gate apply ns/b -',
		'gate apply  -ns/a',
		'programs apply  -ns/a',
	]);
});

test('a change of rules alone does not reach the gate', async (t) => {
	const { kernel, calls } = open(new Set(['ns/a']));
	const state = nodePolicy([pod('a')], [web], sets);
	await kernel.sync(state);
	await kernel.apply({ ...noChange, policies: [web] }, state);
	t.deepEqual(calls.slice(2), ['programs apply  -']);
});

test('the gate has open pods, host endpoints, and nothing else of the policy', async (t) => {
	const { kernel, gate } = open(new Set(['ns/a']));
	await kernel.sync(nodePolicy([pod('a')], [web], sets));
	t.deepEqual([...(gate()?.policies.keys() ?? [])], []);
	t.deepEqual([...(gate()?.sets.keys() ?? [])], []);
	t.is(gate()?.workloads.get('ns/a')?.ingress.otherwise, 'allow');
	t.deepEqual(gate()?.workloads.get('ns/a')?.ingress.tiers, []);
	await kernel.apply(
		{ ...noChange, hosts: [host()] },
		nodePolicy([pod('a')], [web, guard], sets, { hosts: new Map([['uplink', host()]]) }),
	);
	t.deepEqual([...(gate()?.policies.keys() ?? [])], [guard.key]);
	t.deepEqual([...(gate()?.sets.keys() ?? [])], ['snodes', 'sbad']);
	t.deepEqual([...(gate()?.hosts.keys() ?? [])], ['uplink']);
});

test('rules of a host endpoint stand before its programs go, and go behind the programs that come', async (t) => {
	const hostInterfaces = new Map<string, string>();
	const calls: string[] = [];
	let chosen: ReadonlyMap<string, HostEndpoint> = new Map();
	const hostsOf = ({ hosts }: NodePolicy) => [...hosts.keys()].join('+');
	const recorder = (name: string): PolicyKernel => ({
		name,
		sync: async (state) => {
			calls.push(`${name} ${hostsOf(state)}`);
			if (name === 'programs') replace(state);
			return { added: 0, removed: 0 };
		},
		apply: async (_change, state) => {
			calls.push(`${name} ${hostsOf(state)}`);
			if (name === 'programs') replace(state);
		},
	});
	const replace = ({ hosts }: NodePolicy) => {
		hostInterfaces.clear();
		for (const { key, interfaceName } of hosts.values())
			hostInterfaces.set(interfaceName === '*' ? 'eth1' : interfaceName, key);
	};
	const kernel = new GatedKernel(
		{ ...recorder('programs'), attached: new Set(), hostInterfaces },
		recorder('gate'),
		() => chosen,
	);
	const uplink = host();
	const state = nodePolicy([], [guard], sets, { hosts: new Map([['uplink', uplink]]) });
	await kernel.sync(state);
	chosen = new Map([['uplink', uplink]]);
	await kernel.apply({ ...noChange, hosts: [uplink] }, state);
	chosen = new Map();
	await kernel.apply({ ...noChange, hosts: [uplink] }, state);
	t.deepEqual(calls, [
		...['programs ', 'gate uplink'],
		...['programs uplink', 'gate '],
		...['gate uplink', 'programs ', 'gate uplink'],
	]);
	calls.length = 0;
	const all: HostEndpoint = { ...uplink, key: 'all', interfaceName: '*' };
	chosen = new Map([['all', all]]);
	await kernel.sync(nodePolicy([], [guard], sets, { hosts: chosen }));
	t.deepEqual(calls, ['programs all', 'gate all+open eth1'], 'an interface that appears is closed');
});
