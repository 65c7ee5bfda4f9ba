import test from 'ava';
import { parseAddress } from '../../src/core/index.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { defaultNodeSettings, evaluate, type Packet, PolicyCalculator, PolicyFeed } from '../../src/policy/index.ts';

const v3 = (kind: string, name: string, spec: JsonObject): JsonObject => ({
	apiVersion: 'projectcalico.org/v3',
	kind,
	metadata: { name },
	spec,
});
const host = (profiles: readonly string[], labels = {}) => ({
	...v3('HostEndpoint', 'n', { node: 'node-a', interfaceName: 'eth0', expectedIPs: ['192.0.2.1'], profiles }),
	metadata: { name: 'n', labels },
});
const rules = v3('Profile', 'web', {
	labelsToApply: { role: 'web', zone: 'inner' },
	ingress: [
		{ action: 'Deny', protocol: 'TCP', source: { nets: ['198.51.100.0/24'] } },
		{ action: 'Allow', protocol: 'TCP', destination: { ports: [443] } },
	],
	egress: [{ action: 'Allow' }],
});

const begin = () => {
	const calculator = new PolicyCalculator({ node: 'node-a', settings: defaultNodeSettings });
	return { calculator, feed: new PolicyFeed(calculator) };
};
const incoming = (source: string, destinationPort: number): Packet => ({
	source: parseAddress(source),
	destination: parseAddress('192.0.2.1'),
	protocol: 6,
	sourcePort: 40_000,
	destinationPort,
});
function verdict({ calculator }: ReturnType<typeof begin>, packet: Packet): string {
	calculator.takeChange();
	const endpoint = calculator.state.hosts.get('n');
	return endpoint === undefined ? 'no endpoint' : evaluate(endpoint.normal.ingress, packet, calculator.state).action;
}

test('the rules of a profile decide where no policy does, in whichever order the objects come', (t) => {
	for (const objects of [
		[rules, host(['web'])],
		[host(['web']), rules],
	]) {
		const world = begin();
		for (const object of objects) {
			world.feed.put(object);
			world.calculator.takeChange();
		}
		t.is(verdict(world, incoming('203.0.113.9', 443)), 'allow');
		t.is(verdict(world, incoming('198.51.100.9', 443)), 'deny');
		t.is(verdict(world, incoming('203.0.113.9', 80)), 'deny');
		world.feed.put({ ...rules, spec: { ingress: [{ action: 'Allow' }] } });
		t.is(verdict(world, incoming('203.0.113.9', 80)), 'allow');
		world.feed.remove(rules);
		t.is(verdict(world, incoming('203.0.113.9', 443)), 'deny');
	}
});

test('profiles follow each other, and a policy comes before them', (t) => {
	const world = begin();
	for (const object of [rules, host(['empty', 'web'])]) world.feed.put(object);
	t.is(verdict(world, incoming('203.0.113.9', 443)), 'allow');
	world.feed.put(v3('GlobalNetworkPolicy', 'closed', { selector: "role == 'web'", types: ['Ingress'] }));
	t.is(verdict(world, incoming('203.0.113.9', 443)), 'deny');
});

test('an endpoint has the labels of its profiles; its own and those of earlier profiles win', (t) => {
	const world = begin();
	const labelled = (name: string, labelsToApply: Record<string, string>) => v3('Profile', name, { labelsToApply });
	const objects = [
		host(['first', 'second'], { own: 'endpoint' }),
		labelled('first', { shared: 'first', own: 'profile' }),
		labelled('second', { shared: 'second', more: 'second' }),
		...['own', 'shared', 'more'].map((label) => ({
			...v3('GlobalNetworkPolicy', label, {
				types: ['Egress'],
				egress: [{ action: 'Allow', destination: { selector: `has(${label})` } }],
				selector: label === 'own' ? "own == 'endpoint'" : label === 'shared' ? "shared == 'first'" : "more == 'second'",
			}),
		})),
	];
	for (const object of objects) world.feed.put(object);
	world.calculator.takeChange();
	const selecting = () =>
		world.calculator.state.hosts.get('n')?.normal.egress.tiers.flatMap(({ policies }) => policies) ?? [];
	t.deepEqual(
		selecting(),
		['more', 'own', 'shared'].map((name) => `global-network-policy/${name}`),
	);
	// The endpoint is a member of the sets by its inherited labels, too.
	const members = [...world.calculator.state.sets.values()].filter(({ meaning }) => meaning.startsWith('has('));
	t.is(members.length, 3);
	for (const { members: addresses } of members) t.deepEqual([...addresses], ['192.0.2.1/32']);
	world.feed.remove(labelled('second', {}));
	world.calculator.takeChange();
	t.deepEqual(
		selecting(),
		['own', 'shared'].map((name) => `global-network-policy/${name}`),
	);
});

test('derived profiles are not changed by objects of their names', (t) => {
	const world = begin();
	for (const object of [
		host(['projectcalico-default-allow']),
		v3('Profile', 'projectcalico-default-allow', { ingress: [{ action: 'Deny' }] }),
		v3('Profile', 'kns.prod', { ingress: [{ action: 'Deny' }] }),
	])
		world.feed.put(object);
	t.is(verdict(world, incoming('203.0.113.9', 80)), 'allow');
	t.deepEqual(world.feed.problems, []);
});

test('Pass in a profile is reported and denies', (t) => {
	const world = begin();
	world.feed.put(host(['odd']));
	world.feed.put(v3('Profile', 'odd', { ingress: [{ action: 'Pass' }, { action: 'Allow' }] }));
	t.is(verdict(world, incoming('203.0.113.9', 80)), 'deny');
	t.deepEqual(
		world.feed.problems.map(({ subject, problems }) => [subject, problems[0]?.field]),
		[['Profile odd', 'spec.ingress[0].action']],
	);
});
