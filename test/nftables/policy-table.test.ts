import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { PolicyBackend } from '../../lab/policy-table/backend.ts';
import { readTable } from '../../lab/policy-table/cases.ts';
import type { PreparedStep } from '../../lab/policy-table/cluster.ts';
import { FramesBackend, openNftables } from '../../lab/policy-table/frames-backend.ts';
import { runTable } from '../../lab/policy-table/run.ts';
import type { NodePolicy, NodePolicyChange, Policy, Rule } from '../../src/policy/index.ts';
import { noNamespaces } from '../support/namespace.ts';

if (noNamespaces !== undefined) console.warn(`SKIPPED: policy by real frames: ${noNamespaces}`);
const namespaceTest = noNamespaces === undefined ? test.serial : test.skip;

// The whole tables take minutes: `npm run policy:table -- FILE... --backend nftables`.
const folder = join(resolve(dirname(fileURLToPath(import.meta.url)), '../../..'), 'test/policy/testdata');
const tables = readdirSync(folder)
	.filter((name) => name.startsWith('policy') && name.endsWith('.jsonl'))
	.sort();

/** Each table once; the one with the most kinds of rules as well with look-ups wherever rules allow them. */
const runs: readonly { readonly name: string; readonly leastGain?: number }[] = [
	...tables.map((name) => ({ name })),
	{ name: 'policy-calico.jsonl', leastGain: 0 },
];
for (const { name, ...options } of runs) {
	const how = options.leastGain === undefined ? '' : ', looked up';
	namespaceTest(`real frames through our rules${how}: ${name}`, async (t) => {
		t.timeout(300_000);
		const backend = new FramesBackend(`bmf${process.pid}`, (namespace) => openNftables(namespace, options));
		t.teardown(() => backend.close());
		const { cells, wrong } = await runTable(readTable(join(folder, name)), backend);
		t.true(cells > 500);
		t.deepEqual(wrong.slice(0, 10), []);
	});
}

/** A backend that enforces something else than its input. */
function spoiled(backend: PolicyBackend, spoil: (policy: Policy) => Policy): PolicyBackend {
	const inNode = (policy: NodePolicy): NodePolicy => ({
		...policy,
		policies: new Map([...policy.policies].map(([key, one]) => [key, spoil(one)])),
	});
	const inChange = (change: NodePolicyChange | undefined) =>
		change && { ...change, policies: change.policies.map(spoil) };
	return {
		begin: (id) => backend.begin(id),
		apply: (step: PreparedStep) =>
			backend.apply({
				...step,
				nodes: new Map(
					[...step.nodes].map(([name, { policy, change }]) => [
						name,
						{ policy: inNode(policy), change: inChange(change) },
					]),
				),
			}),
		probe: (cells) => backend.probe(cells),
		close: () => backend.close(),
	};
}

const inRules = (policy: Policy, change: (rule: Rule) => Rule): Policy => ({
	...policy,
	ingress: policy.ingress.map(change),
	egress: policy.egress.map(change),
});

const faults: readonly { readonly title: string; readonly spoil: (policy: Policy) => Policy }[] = [
	{ title: 'a deny that allows', spoil: (policy) => inRules(policy, (rule) => ({ ...rule, action: 'allow' })) },
	{
		title: 'a protocol that is not matched',
		spoil: (policy) => inRules(policy, ({ protocol: _, ...rule }) => rule),
	},
	{
		title: 'negated networks that are not matched',
		spoil: (policy) =>
			inRules(policy, (rule) => ({
				...rule,
				source: without(rule.source, 'notNets', 'notSets'),
				destination: without(rule.destination, 'notNets', 'notSets'),
			})),
	},
];

function without(side: Rule['source'], ...fields: readonly (keyof Rule['source'])[]): Rule['source'] {
	return Object.fromEntries(Object.entries(side).filter(([name]) => !fields.some((field) => field === name)));
}

for (const { title, spoil } of faults) {
	namespaceTest(`the frames detect an inserted fault: ${title}`, async (t) => {
		t.timeout(300_000);
		const backend = spoiled(new FramesBackend(`bmf${process.pid}`), spoil);
		t.teardown(() => backend.close());
		const { wrong } = await runTable(readTable(join(folder, 'policy-calico.jsonl')), backend);
		t.true(wrong.length > 0);
	});
}
