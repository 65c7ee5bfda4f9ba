import test from 'ava';
import { defaultNodeSettings, lintPolicies, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';

const v3 = (kind: string, name: string, spec: Record<string, unknown>, namespace?: string) => ({
	apiVersion: 'projectcalico.org/v3',
	kind,
	metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
	spec,
});
const host = v3('HostEndpoint', 'n', { node: 'node-a', interfaceName: '*' });
const openHost = v3('HostEndpoint', 'n', {
	node: 'node-a',
	interfaceName: '*',
	profiles: ['projectcalico-default-allow'],
});

// biome-ignore lint/suspicious/noExplicitAny: objects as they are written
const rows: readonly { title: string; objects: readonly any[]; warnings: readonly string[] }[] = [
	{ title: 'nothing', objects: [], warnings: [] },
	{
		title: 'a tier that does not exist',
		objects: [v3('NetworkPolicy', 'a', { tier: 'none' }, 'prod')],
		warnings: ['network-policy prod/a'],
	},
	{
		title: 'a global policy that unintentionally selects host endpoints',
		objects: [openHost, v3('GlobalNetworkPolicy', 'deny', { types: ['Ingress', 'Egress'] })],
		warnings: ['global-network-policy deny'],
	},
	{
		title: 'the same without host endpoints',
		objects: [v3('GlobalNetworkPolicy', 'deny', { types: ['Ingress', 'Egress'] })],
		warnings: [],
	},
	{ title: 'a closed host', objects: [host], warnings: ['HostEndpoint n', 'HostEndpoint n'] },
	{ title: 'a host with a profile', objects: [openHost], warnings: [] },
	{
		title: 'tiers of the same order',
		objects: [v3('Tier', 'a', { order: 7 }), v3('Tier', 'b', { order: 7 })],
		warnings: ['Tier b'],
	},
];
for (const { title, objects, warnings } of rows) {
	test(`policies are linted: ${title}`, (t) => {
		const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings });
		const feed = new PolicyFeed(calculator);
		for (const object of objects) feed.put(object);
		calculator.takeChange();
		const found = lintPolicies(feed.policies.values(), calculator.tiers, calculator.state);
		t.deepEqual(
			found.map(({ subject }) => subject),
			warnings,
		);
	});
}
