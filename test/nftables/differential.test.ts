import test from 'ava';
import * as fc from 'fast-check';
import { parseAddress } from '../../src/core/index.ts';
import { interfaceKey } from '../../src/linux/index.ts';
import { PolicyRuleset } from '../../src/nftables/policy/ruleset.ts';
import { tableDifference } from '../../src/nftables/table.ts';
import {
	type DirectionPolicy,
	defaultNodeSettings,
	evaluate,
	type NodePolicy,
	type Packet,
	PolicyCalculator,
	PolicyFeed,
	type Verdict,
} from '../../src/policy/index.ts';
import { object, world } from '../policy/arbitraries.ts';
import { historyStep, replayHistory } from '../policy/history.ts';
import { describe, type Outcome, SimulatedTable } from './simulated-table.ts';

const [node] = world.nodes;
const seed = Number(process.env['BGPMESH_SEED'] ?? Date.now() & 0x7fff_ffff);
const numRuns = Number(process.env['BGPMESH_RUNS'] ?? 30);

const addresses = [...world.addresses, '10.1.0.77', '203.0.113.9'];
const probes = [
	{ protocol: 6, sourcePort: 40_000, destinationPort: 80 },
	{ protocol: 6, sourcePort: 40_000, destinationPort: 8080 },
	{ protocol: 17, sourcePort: 53, destinationPort: 53 },
	{ protocol: 1, sourcePort: 0, destinationPort: 0, icmp: { type: 8, code: 0 } },
] as const;

const step = historyStep(object);

const open = (leastGain: number) =>
	new PolicyRuleset({ workloadPrefix: 'cali', log: { group: 1, packetsPerSecond: 10 }, leastGain });

/** How often a map of members decided, and what was decided. */
const seen = { memberMaps: 0, allow: 0, deny: 0, staged: 0, logged: 0 };

/** What differs between the rules and the meaning of the policy; `undefined`: nothing. */
function difference(
	{ action, decision, logged, staged }: Verdict,
	{ verdict, logs, counters }: Outcome,
	ruleset: PolicyRuleset,
): string | undefined {
	const expected = { allow: 'accept', deny: 'drop', continue: undefined }[action];
	if (verdict !== expected) return `${verdict} instead of ${action}`;
	const references = logs.map((prefix) => ruleset.dropReference(prefix.slice('bm-'.length)));
	const loggedBy = references.flatMap((reference) =>
		reference?.action === 'log' && reference.cause.type === 'rule'
			? [`${reference.cause.policy} ${reference.cause.index}`]
			: [],
	);
	const shouldLog = logged.map(({ policy, index }) => `${policy} ${index}`);
	if (loggedBy.join() !== shouldLog.join()) return `logged by [${loggedBy.join()}], not [${shouldLog.join()}]`;
	const counted = counters.map((name) => ruleset.counterReference(name));
	const stagedBy = counted.flatMap((counter) => (counter?.action === 'staged' ? [counter.policy] : []));
	if (stagedBy.join() !== staged.map(({ rule }) => rule.policy).join()) return `staged: ${stagedBy.join()}`;
	seen.logged += logged.length;
	seen.staged += staged.length;
	if (action !== 'deny') return undefined;
	const cause = references.at(-1)?.cause;
	if (cause === undefined) return 'dropped without a cause';
	const by = cause.type === 'rule' ? `${cause.policy} ${cause.index}` : cause.type === 'tier-default' ? cause.tier : '';
	const decidedBy =
		decision.type === 'rule' || decision.type === 'profile'
			? `${decision.rule.policy} ${decision.rule.index}`
			: decision.type === 'tier-default'
				? decision.tier
				: '';
	return by === decidedBy ? undefined : `dropped by '${by}', not '${decidedBy}'`;
}

function* packetsOf(own: string, direction: 'ingress' | 'egress'): Iterable<Packet> {
	for (const other of addresses) {
		const [source, destination] = direction === 'ingress' ? [other, own] : [own, other];
		if (source.includes(':') !== destination.includes(':')) continue;
		for (const probe of probes)
			yield { source: parseAddress(source), destination: parseAddress(destination), ...probe };
	}
}

/** The first difference at any pod or host endpoint. */
function firstDifference(state: NodePolicy, table: SimulatedTable, ruleset: PolicyRuleset): string | undefined {
	const check = (map: string, name: string, own: string, policy: DirectionPolicy): string | undefined => {
		const chain = table.chainOf(map, interfaceKey(name));
		if (chain === undefined) return `no chain for ${name} in ${map}`;
		for (const packet of packetsOf(own, policy.direction)) {
			const verdict = evaluate(policy, packet, state);
			const outcome = table.run(chain, packet);
			if (verdict.action !== 'continue') seen[verdict.action]++;
			const found = difference(verdict, outcome, ruleset);
			if (found !== undefined) return `${policy.direction} of ${name}: ${found}: ${JSON.stringify(packet)}`;
		}
		return undefined;
	};
	for (const { interfaceName, addresses: own, ingress, egress } of state.workloads.values()) {
		const found =
			check('to-workload', interfaceName, own[0] ?? '', ingress) ??
			check('from-workload', interfaceName, own[0] ?? '', egress);
		if (found !== undefined) return found;
	}
	for (const { interfaceName, normal, forward } of state.hosts.values()) {
		if (interfaceName === '*') continue;
		const found =
			check('host-in', interfaceName, '10.9.0.1', normal.ingress) ??
			check('host-out', interfaceName, '10.9.0.1', normal.egress) ??
			check('host-forward-in', interfaceName, '10.9.0.1', forward.ingress) ??
			check('host-forward-out', interfaceName, '10.9.0.1', forward.egress);
		if (found !== undefined) return found;
	}
	return undefined;
}

test(`rules decide as the policy's meaning, and follow it change by change (seed ${seed})`, (t) => {
	fc.assert(
		fc.property(
			fc.array(step, { minLength: 60, maxLength: 160 }),
			fc.constantFrom(0, 1, 3, 8),
			(history, leastGain) => {
				const calculator = new PolicyCalculator({ node, settings: defaultNodeSettings });
				const feed = new PolicyFeed(calculator);
				const ruleset = open(leastGain);
				const table = new SimulatedTable();
				// As a start does, before there is any object.
				calculator.takeChange();
				ruleset.replace(calculator.state);
				table.apply(tableDifference({ chains: new Map(), sets: new Map(), counters: new Set() }, ruleset.spec()));
				const take = () => {
					const change = calculator.takeChange();
					if (change !== undefined) table.apply(ruleset.change(change, calculator.state));
				};
				replayHistory(history, feed, take);
				const { state } = calculator;
				const fresh = open(leastGain);
				fresh.replace(state);
				t.deepEqual(table.content(), describe(fresh.spec()));
				seen.memberMaps += table.content().filter((line) => line.startsWith('set of-')).length;
				const found = firstDifference(state, table, ruleset);
				if (found !== undefined) t.fail(found);
			},
		),
		{ numRuns, seed },
	);
	t.log(seen);
	// Thousands of each, and a dozen maps, in any draw. Rules that log and staged policies are rare:
	// many draws have none, and rows of other tests have them always.
	for (const what of ['allow', 'deny', 'memberMaps'] as const) t.true(seen[what] > 0, what);
});
