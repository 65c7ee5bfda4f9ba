import test from 'ava';
import { parseAddress } from '../../src/core/index.ts';
import { interfaceKey } from '../../src/linux/index.ts';
import { PolicyRuleset } from '../../src/nftables/policy/ruleset.ts';
import { tableDifference } from '../../src/nftables/table.ts';
import { evaluate, type NodePolicy, type Packet, type Policy } from '../../src/policy/index.ts';
import { nets, noChange, nodePolicy, policy, rule, set, workload } from './fixtures.ts';
import { SimulatedTable } from './simulated-table.ts';

function start(state: NodePolicy) {
	const ruleset = new PolicyRuleset({
		workloadPrefix: 'cali',
		log: { group: 1, packetsPerSecond: 10 },
		leastGain: 8,
	});
	ruleset.replace(state);
	const table = new SimulatedTable();
	table.apply(tableDifference({ chains: new Map(), sets: new Map(), counters: new Set() }, ruleset.spec()));
	const run = (packet: Packet) => table.run(table.chainOf('to-workload', interfaceKey('calia')) ?? '', packet);
	return { ruleset, table, run };
}

const packetFrom = (source: string, destinationPort: number): Packet => ({
	source: parseAddress(source),
	destination: parseAddress('10.2.0.1'),
	protocol: 6,
	sourcePort: 40_000,
	destinationPort,
});

const address = (index: number): string => `10.3.${index >> 8}.${index & 255}`;
const expected = { allow: 'accept', deny: 'drop', continue: undefined } as const;

/** Policies that allow the members of one set each to one port. */
const allowing = (count: number, portOf: (index: number) => number): Policy[] =>
	Array.from({ length: count }, (_, index) => {
		const ports = { ranges: [{ first: portOf(index), last: portOf(index) }], sets: [] };
		return policy(`p${index}`, [
			rule('allow', { protocol: 6, source: { sets: [`s${index}`] }, destination: { ports } }),
		]);
	});

test('of 1,000 policies that differ by selector and port, a packet passes few rules', (t) => {
	const policies = allowing(1000, (index) => 8000 + (index % 5));
	const sets = policies.map((_, index) =>
		set(`s${index}`, [`${address(index)}/32`, `${address(2000 + (index % 39))}/32`]),
	);
	const { run } = start(nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets));
	for (const [source, port, verdict, most] of [
		[address(0), 8000, 'accept', 8],
		[address(999), 8004, 'accept', 8],
		[address(999), 8003, 'drop', 8],
		['10.9.9.9', 8000, 'drop', 8],
		// In 25 or 26 of the sets.
		[address(2038), 8004, 'accept', 12],
		[address(2038), 8100, 'drop', 8],
	] as const) {
		const outcome = run(packetFrom(source, port));
		t.is(outcome.verdict, verdict, `${source} ${port}`);
		t.true(outcome.rules <= most, `${outcome.rules} rules for ${source} ${port}`);
	}
});

test('addresses in ever other sets do not make chains without bound', (t) => {
	const policies = allowing(12, (index) => 8000 + index);
	const sets = policies.map((_, index) =>
		set(
			`s${index}`,
			Array.from({ length: 4096 }, (_, own) => own)
				.filter((own) => ((own >> index) & 1) === 1)
				.map((own) => `${address(own)}/32`),
		),
	);
	const state = nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets);
	const { ruleset, run } = start(state);
	const rules = ruleset.structure().chains.reduce((sum, chain) => sum + chain.rules.length, 0);
	t.true(rules < 1500, `${rules} rules`);
	const ingress = state.workloads.get('ns/a')?.ingress;
	if (ingress === undefined) return t.fail();
	for (let own = 0; own < 4096; own += 37)
		for (const port of [8000, 8005, 8011]) {
			const packet = packetFrom(address(own), port);
			if (run(packet).verdict !== expected[evaluate(ingress, packet, state).action]) t.fail(`${own} ${port}`);
		}
	return t.pass();
});

test('the first of several denies is the one that is logged, and comes before what allows behind it', (t) => {
	const denies = Array.from({ length: 12 }, (_, index) =>
		policy(`d${index}`, [rule('deny', { source: { sets: [`s${index}`] } })]),
	);
	const policies = [...denies, ...allowing(12, () => 8000)];
	const sets = denies.map((_, index) => set(`s${index}`, [`${address(index)}/32`, `${address(index + 1)}/32`]));
	const { ruleset, run } = start(nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets));
	const outcome = run(packetFrom(address(5), 8000));
	t.is(outcome.verdict, 'drop');
	const cause = ruleset.dropReference(outcome.logs[0]?.slice('bm-'.length) ?? '')?.cause;
	t.is(cause?.type === 'rule' ? cause.policy : undefined, 'network-policy/d4');
	t.true(outcome.rules < 8, `${outcome.rules} rules`);
});

test('denies by network and by selector keep their order', (t) => {
	const first = policy('first', [rule('deny', { source: { nets: nets('10.3.0.0/24') } })]);
	const denies = Array.from({ length: 12 }, (_, index) =>
		policy(`d${index}`, [rule('deny', { source: { sets: [`s${index}`] } })]),
	);
	const policies = [first, ...denies];
	const sets = denies.map((_, index) => set(`s${index}`, [`${address(index)}/32`]));
	const { ruleset, run } = start(nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets));
	const outcome = run(packetFrom(address(5), 8000));
	const cause = ruleset.dropReference(outcome.logs[0]?.slice('bm-'.length) ?? '')?.cause;
	t.is(cause?.type === 'rule' ? cause.policy : undefined, first.key);
	t.true(outcome.rules < 8, `${outcome.rules} rules`);
});

test('log, staged and pass rules among many selectors act as one after another', (t) => {
	const many = allowing(12, () => 8000);
	const log = policy('log', [rule('log', { protocol: 6 })]);
	const staged = policy('staged', [rule('deny', { source: { sets: ['s3'] } })], [], true);
	const passes = Array.from({ length: 10 }, (_, index) =>
		policy(`pass${index}`, [rule('pass', { source: { sets: ['s9'] } })]),
	);
	const policies = [...many.slice(0, 6), log, staged, ...passes, ...many.slice(6)];
	const sets = many.map((_, index) => set(`s${index}`, [`${address(index)}/32`, `${address(100)}/32`]));
	const state = nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets);
	const { ruleset, run } = start(state);
	const ingress = state.workloads.get('ns/a')?.ingress;
	if (ingress === undefined) return t.fail();
	for (let own = 0; own <= 100; own++)
		for (const port of [8000, 8001]) {
			const packet = packetFrom(address(own), port);
			const verdict = evaluate(ingress, packet, state);
			const outcome = run(packet);
			t.is(outcome.verdict, expected[verdict.action], `${own} ${port}`);
			const references = outcome.logs.map((prefix) => ruleset.dropReference(prefix.slice('bm-'.length)));
			t.is(references.filter((reference) => reference?.action === 'log').length, verdict.logged.length);
			t.is(outcome.counters.filter((name) => name.endsWith('-staged')).length, verdict.staged.length);
		}
	return t.pass();
});

test('a packet that matches a log rule by a number and by a name of a port is logged once', (t) => {
	const ports = { ranges: [{ first: 80, last: 80 }], sets: ['snamed', 'sagain'] };
	const log = policy('log', [rule('log', { protocol: 6, destination: { ports } }), rule('allow')]);
	const sets = ['snamed', 'sagain'].map((id) => set(id, ['10.2.0.1,6,80', '10.2.0.1,6,81'], 'address-ports'));
	const { run } = start(nodePolicy([workload('a', '10.2.0.1', [log])], [log], sets));
	for (const [port, times] of [
		[80, 1],
		[81, 1],
		[82, 0],
	] as const) {
		const outcome = run(packetFrom(address(0), port));
		t.deepEqual([outcome.verdict, outcome.logs.length], ['accept', times], `${port}`);
	}
});

test('named ports and sets that a rule excludes are excluded, by themselves and beside others', (t) => {
	const sets = [
		set('snamed', ['10.2.0.1,6,81'], 'address-ports'),
		set(
			'sclients',
			[1, 2, 7].map((own) => `${address(own)}/32`),
		),
		set('sbad', [`${address(2)}/32`]),
	];
	for (const rules of [
		rule('allow', { protocol: 6, destination: { notPorts: { ranges: [], sets: ['snamed'] } } }),
		rule('allow', { protocol: 6, destination: { notPorts: { ranges: [{ first: 82, last: 90 }], sets: ['snamed'] } } }),
		rule('allow', { source: { sets: ['sclients'], notSets: ['sbad'] } }),
		rule('allow', { source: { notSets: ['sbad'], notNets: nets(`${address(3)}/32`) } }),
		rule('deny', { notProtocol: 17, source: { notSets: ['sclients'] } }),
	]) {
		const one = policy('one', [rules, rule('allow', { source: { nets: nets(`${address(7)}/32`) } })]);
		const state = nodePolicy([workload('a', '10.2.0.1', [one])], [one], sets);
		const { run } = start(state);
		const ingress = state.workloads.get('ns/a')?.ingress;
		if (ingress === undefined) return t.fail();
		const verdicts = new Set<string>();
		for (const own of [1, 2, 3, 7])
			for (const port of [80, 81, 82]) {
				const packet = packetFrom(address(own), port);
				const { action } = evaluate(ingress, packet, state);
				verdicts.add(action);
				t.is(run(packet).verdict, expected[action], `${JSON.stringify(rules)} ${own} ${port}`);
			}
		t.is(verdicts.size, 2, JSON.stringify(rules));
	}
	return undefined;
});

test('a change of members changes their elements, and chains only for what is new', (t) => {
	const policies = allowing(20, () => 8000);
	const sets = policies.map((_, index) => set(`s${index}`, [`${address(index)}/32`]));
	const state = nodePolicy([workload('a', '10.2.0.1', policies)], policies, sets);
	const { ruleset, table, run } = start(state);
	const member = `${address(7)}/32`;
	const joins = ruleset.change(
		{ ...noChange, changedSets: [{ id: 's3', type: 'nets', added: [`${address(99)}/32`], removed: [] }] },
		state,
	);
	t.deepEqual([joins.addChains.length, joins.removeChains.length, joins.elements.length], [0, 0, 2]);
	table.apply(joins);
	t.is(run(packetFrom(address(99), 8000)).verdict, 'accept');
	const leaves = ruleset.change(
		{ ...noChange, changedSets: [{ id: 's7', type: 'nets', added: [], removed: [member] }] },
		state,
	);
	t.deepEqual([leaves.addChains.length, leaves.removeChains.length], [0, 1]);
	table.apply(leaves);
	t.is(run(packetFrom(address(7), 8000)).verdict, 'drop');
});
