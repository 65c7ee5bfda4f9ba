import test from 'ava';
import * as fc from 'fast-check';
import { parseAddress } from '../../src/core/index.ts';
import { isObject, type JsonObject, type JsonValue } from '../../src/json/index.ts';
import { interfaceKey } from '../../src/linux/index.ts';
import { PolicyPhases } from '../../src/nftables/policy/phases.ts';
import { PolicyRuleset } from '../../src/nftables/policy/ruleset.ts';
import { tableDifference } from '../../src/nftables/table.ts';
import {
	defaultNodeSettings,
	evaluate,
	type NodePolicy,
	type Packet,
	PolicyCalculator,
	PolicyFeed,
} from '../../src/policy/index.ts';
import { object, world } from '../policy/arbitraries.ts';
import { historyStep, replayHistory } from '../policy/history.ts';
import { direction, noChange, nodePolicy, policy, rule, set, workload } from './fixtures.ts';
import { describe, SimulatedTable } from './simulated-table.ts';

const [node] = world.nodes;
const seed = Number(process.env['BGPMESH_SEED'] ?? Date.now() & 0x7fff_ffff);
const numRuns = Number(process.env['BGPMESH_RUNS'] ?? 25);
const probes = [
	{ protocol: 6, sourcePort: 40_000, destinationPort: 80 },
	{ protocol: 17, sourcePort: 53, destinationPort: 53 },
] as const;

/**
 * `Pass` as `Deny`: what passes a tier is neither more nor less allowed. Its sets change in a
 * transaction of their own, which is no proof where the rules change as well.
 */
const withoutPass = (value: JsonValue): JsonValue =>
	Array.isArray(value)
		? value.map(withoutPass)
		: isObject(value)
			? Object.fromEntries(
					Object.entries(value).map(([key, inner]) => [
						key,
						key === 'action' && inner === 'Pass' ? 'Deny' : withoutPass(inner as JsonValue),
					]),
				)
			: value;

/** A pod may change its address: of each one, so that the states before and after have the same probes. */
const ipv4 = world.addresses.filter((address) => !address.includes(':')).slice(0, 4);
const pairs = ipv4.flatMap((own) => ipv4.map((other) => [own, other] as const));

/** What is sent from and to a pod. */
interface Probe {
	readonly id: string;
	readonly map: 'to-workload' | 'from-workload';
	readonly key: Uint8Array;
	readonly packet: Packet;
}

function* probesOf({ workloads }: NodePolicy): Iterable<Probe & { readonly allowed: (state: NodePolicy) => boolean }> {
	for (const { key, interfaceName, ingress, egress } of workloads.values())
		for (const policy of [ingress, egress])
			for (const [own, other] of pairs)
				for (const probe of probes) {
					const [source, destination] = policy.direction === 'ingress' ? [other, own] : [own, other];
					const packet = { source: parseAddress(source), destination: parseAddress(destination), ...probe };
					yield {
						id: `${policy.direction} of ${key}: ${source} to ${destination}, ${probe.protocol}`,
						map: policy.direction === 'ingress' ? 'to-workload' : 'from-workload',
						key: interfaceKey(interfaceName),
						packet,
						allowed: (state) => evaluate(policy, packet, state).action === 'allow',
					};
				}
}

/** What the present state allows, by the probe's id. */
const verdicts = (state: NodePolicy): ReadonlyMap<string, { readonly probe: Probe; readonly allowed: boolean }> =>
	new Map([...probesOf(state)].map((probe) => [probe.id, { probe, allowed: probe.allowed(state) }]));

const step = historyStep(
	object.map((raw) => withoutPass(raw) as JsonObject),
	{ put: 8, remove: 3, take: 3 },
);

const seen = { transactions: 0, phased: 0, judged: 0, mixed: 0 };

test(`no packet that a change meets passes against the state before and the one after (seed ${seed})`, (t) => {
	fc.assert(
		fc.property(fc.array(step, { minLength: 60, maxLength: 120 }), fc.constantFrom(0, 3, 8), (history, leastGain) => {
			const calculator = new PolicyCalculator({ node, settings: defaultNodeSettings });
			const feed = new PolicyFeed(calculator);
			const phases = new PolicyPhases();
			const ruleset = new PolicyRuleset({ workloadPrefix: 'cali', log: { group: 1, packetsPerSecond: 10 }, leastGain });
			const table = new SimulatedTable();
			calculator.takeChange();
			ruleset.replace(phases.replace(calculator.state));
			table.apply(tableDifference({ chains: new Map(), sets: new Map(), counters: new Set() }, ruleset.spec()));
			let earlier = verdicts(calculator.state);
			const take = () => {
				const change = calculator.takeChange();
				if (change === undefined) return;
				const later = verdicts(calculator.state);
				const all = phases.take(change, calculator.state);
				if (all.length > 1) seen.phased++;
				for (const phase of all) {
					const before = table.copy();
					table.apply(ruleset.change(phase.change, phase.policy));
					seen.transactions++;
					for (const [id, { probe }] of [...earlier, ...later]) {
						if (earlier.get(id)?.allowed === true || later.get(id)?.allowed === true) continue;
						for (let lookUps = 0; ; lookUps++) {
							const verdict = table.runAcross(before, lookUps, probe.map, probe.key, probe.packet);
							if (verdict === 'through') break;
							seen.judged++;
							if (lookUps > 1) seen.mixed++;
							if (verdict === 'accept') t.fail(`${id} passes, ${lookUps} look-ups before the change`);
						}
					}
				}
				earlier = later;
			};
			replayHistory(history, feed, take);
			// In phases it has become the same as at once.
			const fresh = new PolicyRuleset({ workloadPrefix: 'cali', log: { group: 1, packetsPerSecond: 10 }, leastGain });
			fresh.replace(new PolicyPhases().replace(calculator.state));
			t.deepEqual(describe(ruleset.spec()), describe(fresh.spec()));
		}),
		// A smaller example would take minutes.
		{ numRuns, seed, endOnFailure: true },
	);
	t.log(seen);
	t.true(seen.phased > 0 && seen.mixed > 1000, JSON.stringify(seen));
});

/** Per phase: what joins and leaves sets, and the pods that get other rules. */
const summary = (phases: ReturnType<PolicyPhases['take']>) =>
	phases.map(({ change }) => [
		...change.changedSets.map(({ id, added, removed }) => `${id} +${added.join()} -${removed.join()}`),
		...change.workloads.map(({ key }) => key),
	]);
const joins = (id: string) => ({ id, type: 'nets' as const, added: ['10.3.0.1/32'], removed: [] });
const leaves = (id: string) => ({ id, type: 'nets' as const, added: [], removed: ['10.3.0.1/32'] });

test('an exception of an allow rule changes as a deny rule does: first what joins it, last what leaves it', (t) => {
	const one = policy('one', [rule('allow', { source: { sets: ['s1'], notSets: ['s2'] } })]);
	const state = nodePolicy([workload('a', '10.2.0.1', [one])], [one], [set('s1', []), set('s2', [])]);
	const phases = new PolicyPhases();
	phases.replace(state);
	t.deepEqual(summary(phases.take({ ...noChange, changedSets: [joins('s1'), joins('s2')] }, state)), [
		['s2-deny +10.3.0.1/32 -'],
		['s1 +10.3.0.1/32 -'],
	]);
	t.deepEqual(summary(phases.take({ ...noChange, changedSets: [leaves('s2'), leaves('s1')] }, state)), [
		['s1 + -10.3.0.1/32'],
		['s2-deny + -10.3.0.1/32'],
	]);
});

test('a pod has its new rules before addresses join their sets; a pod that is new needs no phase of its own', (t) => {
	const one = policy('one', [rule('allow', { source: { sets: ['s1'] } })]);
	const pod = workload('a', '10.2.0.1', [one]);
	const open = { ...pod, ingress: direction('ingress', []) };
	const phases = new PolicyPhases();
	const stateOf = (pods: readonly (typeof pod)[]) => nodePolicy(pods, [one], [set('s1', [])]);
	phases.replace(stateOf([open]));
	const change = { ...noChange, changedSets: [joins('s1')], workloads: [pod] };
	t.deepEqual(summary(phases.take(change, stateOf([pod]))), [['ns/a'], ['s1 +10.3.0.1/32 -']]);
	const other = workload('b', '10.2.0.2', [one]);
	t.deepEqual(summary(phases.take({ ...change, workloads: [other] }, stateOf([pod, other]))), [
		['s1 +10.3.0.1/32 -', 'ns/b'],
	]);
});
