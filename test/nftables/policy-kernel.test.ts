import { execFileSync } from 'node:child_process';
import test from 'ava';
import { loadRuleset, systemEnvironment } from '../../src/linux/index.ts';
import { NftablesPolicy } from '../../src/nftables/index.ts';
import type { NodePolicy, NodePolicyChange } from '../../src/policy/index.ts';
import { enterNewNamespace, noNamespaces } from '../support/namespace.ts';
import { nets, noChange, nodePolicy, policy, rule, set, settings, workload } from './fixtures.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: policy in the kernel: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

const nft = (...words: string[]): string => execFileSync('nft', words, { encoding: 'utf8', env: systemEnvironment() });
const open = () => new NftablesPolicy({}, { load: loadRuleset });
/** The table without counters. */
const listing = () =>
	nft('list', 'table', 'inet', 'bgpmesh_policy')
		.split('\n')
		.map((line) => line.trim())
		.sort();

const web = policy(
	'web',
	[
		rule('allow', {
			protocol: 6,
			source: { sets: ['sclients'] },
			destination: {
				ports: {
					ranges: [
						{ first: 80, last: 80 },
						{ first: 8000, last: 8100 },
					],
					sets: ['snamed'],
				},
			},
		}),
		rule('log', { protocol: 17 }),
		rule('deny', { source: { nets: nets('10.9.0.0/16', '10.9.1.0/24', 'fd00:9::/64') } }),
		rule('pass', { protocol: 1, icmp: { type: 8 } }),
	],
	[rule('allow', { destination: { notNets: nets('192.0.2.0/24') } })],
);
const other = policy('other', [rule('allow', { protocol: 132, notProtocol: 17 }), rule('deny', { ipVersion: 6 })]);
const staged = policy('staged', [rule('deny')], [], true);
const clients = set('sclients', ['10.1.0.1/32', '10.1.0.2/32', 'fd00::1/128']);
const named = set('snamed', ['10.2.0.1,6,8443', 'fd00::2,6,8443'], 'address-ports');

const before = nodePolicy(
	[workload('a', '10.2.0.1', [web, staged], [web]), workload('b', '10.2.0.2', [other])],
	[web, other, staged],
	[clients, named],
);

/** So many that they are looked up: policies by network, and the rules of one policy by port. */
const many = Array.from({ length: 40 }, (_, index) =>
	policy(`many${index}`, [
		rule('deny', { source: { nets: nets(`10.${index}.0.0/16`, `10.${index}.7.0/24`, `fd00:${index}::/32`) } }),
		...(index % 20 === 0 ? [rule('allow', { source: { sets: ['sclients'] } })] : []),
	]),
);
const ports = policy(
	'ports',
	[],
	Array.from({ length: 30 }, (_, index) =>
		rule('allow', { protocol: 6, destination: { ports: { ranges: [{ first: index, last: index }], sets: [] } } }),
	),
);
/** So many selectors that the sender is looked up. */
const chosen = Array.from({ length: 12 }, (_, index) =>
	policy(`chosen${index}`, [rule('allow', { protocol: 6, source: { sets: [`schosen${index}`] } })]),
);
const chosenSets = chosen.map((_, index) =>
	set(`schosen${index}`, [`10.3.0.${index}/32`, '10.3.1.1/32', `fd00:3::${index + 1}/128`]),
);
const selected = nodePolicy([workload('a', '10.2.0.1', chosen)], chosen, chosenSets);

const crowded = nodePolicy([workload('a', '10.2.0.1', many, [ports])], [ports, ...many], [clients]);

const states: readonly {
	readonly title: string;
	readonly after: NodePolicy;
	readonly change: Partial<NodePolicyChange>;
}[] = [
	{
		title: 'members of a set',
		after: {
			...before,
			sets: new Map([...before.sets, [clients.id, set('sclients', ['10.1.0.2/32', '10.1.0.3/32'])]]),
		},
		change: {
			changedSets: [{ id: clients.id, type: 'nets', added: ['10.1.0.3/32'], removed: ['10.1.0.1/32', 'fd00::1/128'] }],
		},
	},
	{
		title: 'a set of addresses that gets overlapping prefixes',
		after: {
			...before,
			sets: new Map([
				...before.sets,
				[clients.id, set('sclients', [...clients.members, '10.1.0.0/24', '10.1.0.0/16', '0.0.0.0/0'])],
			]),
		},
		change: {
			changedSets: [{ id: clients.id, type: 'nets', added: ['10.1.0.0/24', '10.1.0.0/16', '0.0.0.0/0'], removed: [] }],
		},
	},
	{
		title: 'a policy that two endpoints share',
		after: {
			...before,
			policies: new Map([...before.policies, [web.key, { ...web, ingress: [rule('deny')] }]]),
		},
		change: { policies: [{ ...web, ingress: [rule('deny')] }] },
	},
	{
		title: 'another pod on the interface of a removed one',
		after: {
			...before,
			workloads: new Map([
				['ns/b', workload('b', '10.2.0.2', [other])],
				['ns/c', { ...workload('a', '10.2.0.1', [other]), key: 'ns/c' }],
			]),
			policies: new Map([[other.key, other]]),
		},
		change: {
			removedWorkloads: ['ns/a'],
			workloads: [{ ...workload('a', '10.2.0.1', [other]), key: 'ns/c' }],
			removedPolicies: [web.key, staged.key],
		},
	},
	{
		title: 'policies that come in such a number that they are looked up',
		after: crowded,
		change: {
			policies: [ports, ...many],
			removedPolicies: [web.key, other.key, staged.key],
			removedSets: [named.id],
			workloads: [...crowded.workloads.values()],
			removedWorkloads: ['ns/b'],
		},
	},
	{
		title: 'policies that come in such a number that the sender is looked up',
		after: selected,
		change: {
			newSets: chosenSets,
			policies: chosen,
			removedPolicies: [web.key, other.key, staged.key],
			removedSets: [clients.id, named.id],
			workloads: [...selected.workloads.values()],
			removedWorkloads: ['ns/b'],
		},
	},
	{
		title: 'settings',
		after: { ...before, settings: { ...settings, endpointToHostAction: 'drop', dropInvalid: false } },
		change: { settings: { ...settings, endpointToHostAction: 'drop', dropInvalid: false } },
	},
];

for (const { title, after, change } of states) {
	namespaceTest(`after a change of ${title} the table equals that of a start with the same state`, async (t) => {
		enterNewNamespace();
		const whole = open();
		await whole.sync(after);
		const expected = listing();
		const lookUps = ['ip saddr vmap @by-', 'ip6 saddr vmap @by-', 'meta l4proto . th dport vmap @by-'];
		for (const words of lookUps)
			t.is(
				expected.some((line) => line.includes(words)),
				after === crowded,
			);
		whole.close();
		enterNewNamespace();
		const stepwise = open();
		await stepwise.sync(before);
		t.notDeepEqual(listing(), expected);
		await stepwise.apply({ ...noChange, ...change }, after);
		await stepwise.settled();
		t.deepEqual(listing(), expected);
		// A restart finds no difference, and the way back from the old state works.
		const restarted = open();
		t.deepEqual(await restarted.sync(after), { added: 0, removed: 0 });
		await restarted.sync(before);
		await restarted.sync(after);
		await restarted.settled();
		t.deepEqual(listing(), expected);
		t.true(await restarted.remove());
		t.false(await restarted.remove());
		stepwise.close();
		restarted.close();
	});
}

namespaceTest(
	'after a change of members that are looked up the table equals that of a start with the same state',
	async (t) => {
		const members = ['10.3.0.0/32', '10.3.0.1/32', '10.3.2.2/32', 'fd00:3::8/128'];
		const after = { ...selected, sets: new Map([...selected.sets, ['schosen0', set('schosen0', members)]]) };
		enterNewNamespace();
		const whole = open();
		await whole.sync(after);
		const expected = listing();
		t.is(expected.filter((line) => /ip6? saddr vmap @of-/.test(line)).length, 2);
		whole.close();
		enterNewNamespace();
		const stepwise = open();
		await stepwise.sync(selected);
		const joined = ['10.3.0.1/32', '10.3.2.2/32', 'fd00:3::8/128'];
		const left = ['10.3.1.1/32', 'fd00:3::1/128'];
		await stepwise.apply(
			{ ...noChange, changedSets: [{ id: 'schosen0', type: 'nets', added: joined, removed: left }] },
			after,
		);
		await stepwise.settled();
		t.deepEqual(listing(), expected);
		t.deepEqual(await stepwise.sync(after), { added: 0, removed: 0 });
		stepwise.close();
	},
);

namespaceTest('a table that another program flushes is detected and created again', async (t) => {
	enterNewNamespace();
	const kernel = open();
	t.true(await kernel.isIntact(), 'nothing was written yet');
	await kernel.sync(before);
	const expected = listing();
	t.true(await kernel.isIntact());
	await loadRuleset('table inet theirs {\n}\n');
	t.true(await kernel.isIntact(), 'tables of others do not matter');
	for (const damage of [
		['flush', 'ruleset'],
		['delete', 'table', 'inet', 'bgpmesh_policy'],
		['flush', 'table', 'inet', 'bgpmesh_policy'],
	]) {
		nft(...damage);
		t.false(await kernel.isIntact(), damage.join(' '));
		await kernel.sync(before);
		t.true(await kernel.isIntact());
		t.deepEqual(listing(), expected);
	}
	kernel.close();
});

namespaceTest('a chain of a pod that another program empties leads to a drop', async (t) => {
	enterNewNamespace();
	const kernel = open();
	t.teardown(() => kernel.close());
	await kernel.sync(before);
	const table = nft('list', 'table', 'inet', 'bgpmesh_policy');
	// The base chain goes on behind the map.
	t.regex(table, /"calia" : jump di-[0-9a-f]{12}/);
	for (const map of ['from-workload', 'to-workload'])
		t.regex(table, new RegExp(`[io]ifname vmap @${map}\\n\\s+counter packets \\d+ bytes \\d+ drop`));
});

namespaceTest('changes of the table by other programs are corrected; their own tables stay', async (t) => {
	enterNewNamespace();
	await loadRuleset('table inet theirs {\nchain c {\ntype filter hook forward priority 0\ncounter accept\n}\n}\n');
	const kernel = open();
	await kernel.sync(before);
	const expected = listing();
	const chains = nft('list', 'chains', 'inet')
		.split('\n')
		.map((line) => /chain (\S+)/.exec(line)?.[1] ?? '');
	const base = chains.find((name) => name.startsWith('base-to-forward-')) ?? '';
	const inner = chains.find((name) => name.startsWith('di-')) ?? '';
	nft('flush', 'chain', 'inet', 'bgpmesh_policy', base);
	nft('insert', 'rule', 'inet', 'bgpmesh_policy', inner, 'accept');
	nft('add', 'element', 'inet', 'bgpmesh_policy', 'sclients-4', '{ 203.0.113.9 }');
	t.notDeepEqual(listing(), expected);
	t.like(await kernel.sync(before), { removed: 2 });
	t.deepEqual(listing(), expected);
	t.regex(nft('list', 'table', 'inet', 'theirs'), /counter packets 0 bytes 0 accept/);
	kernel.close();
});

namespaceTest('prefixes leave a set that an earlier process made', async (t) => {
	enterNewNamespace();
	const peers = policy('peers', [rule('allow', { source: { sets: ['speers'] } })]);
	const stateWith = (members: readonly string[]) =>
		nodePolicy([workload('a', '10.2.0.1', [peers])], [peers], [set('speers', members)]);
	const rounds = [
		['10.3.0.0/16', '10.4.0.0/31', '10.4.0.2/32', 'fd00:1::/64', 'fd00:2::9/128'],
		['10.4.0.2/31', 'fd00:3::/96'],
		['0.0.0.0/0', '10.3.1.0/24', 'fd00:1::/48', 'fd00:1::/64'],
		['10.3.1.0/24', 'fd00:1::/64'],
	];
	for (const members of rounds) {
		const kernel = open();
		await kernel.sync(stateWith(members));
		t.deepEqual(await kernel.sync(stateWith(members)), { added: 0, removed: 0 }, members.join(' '));
		kernel.close();
	}
});
