/** Policies of one endpoint and direction as chains. Pure. */
import {
	type Direction,
	type DirectionPolicy,
	HostMark,
	type Policy,
	type PolicyKey,
	type Rule,
	type RuleBook,
	type TierPolicies,
} from '../../policy/index.ts';
import { type ChainSpec, chainNamed, type SetSpec, shortHash } from '../table.ts';
import type { Effect, Step } from './branches.ts';
import { type AddressesOf, branchByMember, type MemberPlan } from './by-member.ts';
import { type RuleMatch, ruleMatches, type SetNames } from './match.ts';
import { netsSet, portsSet } from './sets.ts';

/**
 * Where the chains stand. The rules are the same; `allow` differs: `untracked` takes the packet out
 * of connection tracking, `pre-dnat` marks it so that later stages of host endpoints let it
 * through.
 */
export type Stage = 'filter' | 'untracked' | 'pre-dnat';

/** Bits of the packet's mark that are ours. */
export const Mark = {
	...HostMark,
	/** Starts from this host. */
	fromHost: 0x200,
	/** Services: leaves with the node's address. */
	masquerade: 0x400,
} as const;

/** Bit of a connection's mark: policy does not allow it any more, though it is established. */
export const cutConnection = 0x100;

/**
 * The nflog group of dropped and logged packets, and how many of them a second and rule are copied.
 */
export interface LogSettings {
	readonly group: number;
	readonly packetsPerSecond: number;
}

/** What dropped or logged a packet; found by the reference in the log's prefix. */
export interface DropReference {
	readonly direction: Direction;
	readonly stage: Stage;
	readonly cause:
		| { readonly type: 'rule'; readonly policy: PolicyKey; readonly index: number; readonly origin: string }
		| { readonly type: 'tier-default'; readonly tier: string }
		| { readonly type: 'end' };
	readonly action: 'deny' | 'log';
}

/** What a named counter counts: packets that a policy decided. */
export interface CounterReference {
	readonly direction: Direction;
	/** Absent: the end of a tier, or of all tiers and profiles. */
	readonly policy?: PolicyKey;
	readonly tier?: string;
	readonly action: 'allow' | 'deny' | 'pass' | 'staged';
}

/**
 * Chains, and what they need besides the policy's sets. The names of chains, counters and sets are
 * keys.
 */
export interface ChainGroup {
	/** The chain to go to. */
	readonly root: string;
	readonly chains: ReadonlyMap<string, ChainSpec>;
	readonly counters: ReadonlyMap<string, CounterReference>;
	readonly drops: ReadonlyMap<string, DropReference>;
	/** Sets of ports and prefixes that rules name. */
	readonly sets: ReadonlyMap<string, SetSpec>;
	/** Maps whose elements follow the members of the policy's sets. */
	readonly memberMaps: ReadonlyMap<string, MemberPlan>;
}

export interface ChainContext {
	readonly book: RuleBook;
	readonly setName: SetNames['of'];
	readonly addressesOf: AddressesOf;
	readonly log: LogSettings;
	/** Rules that a look-up must spare each packet, see `branch`. */
	readonly leastGain: number;
	/** Rules before all tiers. */
	readonly preface: readonly string[];
}

const letter: Readonly<Record<Direction, string>> = { ingress: 'i', egress: 'e' };

/** Collects what one direction of one endpoint needs. */
class Group {
	readonly chains = new Map<string, ChainSpec>();
	readonly counters = new Map<string, CounterReference>();
	readonly drops = new Map<string, DropReference>();
	readonly sets = new Map<string, SetSpec>();
	readonly memberMaps = new Map<string, MemberPlan>();
	readonly #names: SetNames;
	readonly #context: ChainContext;
	readonly #direction: Direction;
	readonly #stage: Stage;

	constructor(context: ChainContext, direction: Direction, stage: Stage) {
		this.#context = context;
		this.#direction = direction;
		this.#stage = stage;
		const constant = (set: SetSpec): string => {
			this.sets.set(set.name, set);
			return set.name;
		};
		this.#names = {
			of: context.setName,
			ports: (ranges) => constant(portsSet(ranges)),
			nets: (prefixes, family) => constant(netsSet(prefixes, family)),
		};
	}

	add(prefix: string, rules: readonly string[]): string {
		const chain = chainNamed(prefix, rules);
		this.chains.set(chain.name, chain);
		return chain.name;
	}

	counter(reference: Omit<CounterReference, 'direction'>): string {
		const full = { ...reference, direction: this.#direction };
		const name = `c-${shortHash(`${full.policy ?? ''} ${full.tier ?? ''}`)}-${letter[this.#direction]}-${full.action}`;
		this.counters.set(name, full);
		return name;
	}

	#reference(cause: DropReference['cause'], action: DropReference['action']): string {
		const reference: DropReference = { direction: this.#direction, stage: this.#stage, cause, action };
		const id = shortHash(JSON.stringify(reference));
		this.drops.set(id, reference);
		return id;
	}

	/** The statement that drops: a chain that logs within a rate, counts and drops. */
	drop(cause: DropReference['cause'], counter: string): string {
		const chain = this.add('x', [this.logStatement(this.#reference(cause, 'deny')), `counter name ${counter} drop`]);
		return `goto ${chain}`;
	}

	logStatement(id: string): string {
		const { group, packetsPerSecond } = this.#context.log;
		return (
			`limit rate ${packetsPerSecond}/second burst ${packetsPerSecond} packets log prefix ` +
			`"bm-${id}" group ${group} snaplen 128`
		);
	}

	/** The rules of a policy. `pass` must leave the chain that holds them. */
	#steps(policy: Policy): Step[] {
		return policy[this.#direction].flatMap((rule, index) => {
			const matches = ruleMatches(rule, this.#direction, this.#names);
			if (matches.length === 0) return [];
			const statement = this.#statement(policy, rule, index);
			if (rule.action === 'log' && !policy.staged && areAlternatives(matches)) return this.#once(matches, statement);
			return matches.map(({ text, reach }) => ({
				text: text === '' ? statement : `${text} ${statement}`,
				reaches: [reach],
				effect: effectOf(policy, rule),
			}));
		});
	}

	/**
	 * A statement that decides nothing, for packets of one or more of the matches: once. The first
	 * match leads to the chain of the statement, whose end is that of the chain with the matches.
	 */
	#once(matches: readonly RuleMatch[], statement: string): Step[] {
		const chain = this.add('l', [statement]);
		const root = this.add(
			'l',
			matches.map(({ text }) => `${text} goto ${chain}`),
		);
		return [{ text: `jump ${root}`, reaches: matches.map(({ reach }) => reach), effect: 'other' }];
	}

	/**
	 * Rules one after another, with `end` behind them, in a form in which a packet passes few of
	 * them.
	 */
	#branched(steps: readonly Step[], end: readonly string[]): readonly string[] {
		return branchByMember(steps, end, {
			direction: this.#direction,
			leastGain: this.#context.leastGain,
			addressesOf: this.#context.addressesOf,
			chain: (prefix, rules) => this.add(prefix, rules),
			map: (map) => {
				this.sets.set(map.name, map);
				return map.name;
			},
			memberMap: (plan) => {
				this.memberMaps.set(plan.name, plan);
				return plan.name;
			},
		});
	}

	/** A policy as rules of another chain; `pass` leaves that chain. */
	policy(policy: Policy): readonly Step[] {
		const steps = this.#steps(policy);
		// `pass` leaves the tier, thus its rules stand in the tier's own chain. The rules of a staged
		// policy need one of their own; others get one so that endpoints share it.
		const passes = !policy.staged && policy[this.#direction].some(({ action }) => action === 'pass');
		if (passes) return steps;
		if (policy.staged) return this.#jump(steps, true);
		if (!steps.every(({ effect }) => effect === 'allow')) return this.#jump(steps);
		// Apart, so that each part can be looked up by what its rules have in common.
		const isByMember = ({ reaches }: Step) => reaches.every(({ members }) => members !== undefined);
		return [...this.#jump(steps.filter(isByMember)), ...this.#jump(steps.filter((step) => !isByMember(step)))];
	}

	/** Steps as one, in a chain that endpoints share; a single one stays as it is unless `always`. */
	#jump(steps: readonly Step[], always = false): readonly Step[] {
		if (steps.length === 0 || (steps.length === 1 && !always)) return steps;
		const [effect = 'other', ...others] = new Set(steps.map((step) => step.effect));
		const chain = this.add('p', this.#branched(steps, []));
		return [
			{
				text: `jump ${chain}`,
				reaches: steps.flatMap(({ reaches }) => reaches),
				effect: others.length === 0 ? effect : 'other',
			},
		];
	}

	#statement(policy: Policy, { action, origin }: Rule, index: number): string {
		const counter = (what: CounterReference['action']) => this.counter({ policy: policy.key, action: what });
		const cause = { type: 'rule', policy: policy.key, index, origin } as const;
		// A staged policy decides nothing: what it would have decided is counted, and it ends.
		if (policy.staged) return action === 'log' ? 'continue' : `counter name ${counter('staged')} return`;
		switch (action) {
			case 'allow':
				return `counter name ${counter('allow')} ${allowStatements[this.#stage]}`;
			case 'deny':
				return this.drop(cause, counter('deny'));
			case 'pass':
				return `counter name ${counter('pass')} return`;
			case 'log':
				return this.logStatement(this.#reference(cause, 'log'));
			default:
				return action satisfies never;
		}
	}

	/** The chain of a profile; `undefined`: it has no rules. */
	profile(profile: Policy): string | undefined {
		const steps = this.#steps(profile);
		return steps.length === 0 ? undefined : this.add('p', this.#branched(steps, []));
	}

	tier({ tier, defaultAction, policies: keys }: TierPolicies): string {
		const policies = keys.map((key) => policyOf(this.#context.book, key));
		const end =
			defaultAction === 'deny' && policies.some(({ staged }) => !staged)
				? [this.drop({ type: 'tier-default', tier }, this.counter({ tier, action: 'deny' }))]
				: [];
		const steps = policies.flatMap((policy) => this.policy(policy));
		return this.add('t', this.#branched(steps, end));
	}
}

/** May a packet match two of them? Not if each is of another family. */
const areAlternatives = (matches: readonly RuleMatch[]): boolean =>
	new Set(matches.map(({ reach }) => reach.family)).size < matches.length;

const effectOf = ({ staged }: Policy, { action }: Rule): Effect =>
	!staged && (action === 'allow' || action === 'deny') ? action : 'other';

/** What `allow` does. */
export const allowStatements: Readonly<Record<Stage, string>> = {
	filter: 'accept',
	untracked: 'notrack accept',
	'pre-dnat': `meta mark set meta mark or ${Mark.allowedBeforeDnat} accept`,
};

/** Everything for one direction of endpoints with these policies. @throws DanglingPolicyError */
export function renderDirection(policy: DirectionPolicy, stage: Stage, context: ChainContext): ChainGroup {
	const group = new Group(context, policy.direction, stage);
	const rules = [...context.preface, ...policy.tiers.map((tier) => `jump ${group.tier(tier)}`)];
	for (const key of policy.profiles) {
		const profile = context.book.policies.get(key);
		// `pass` of a profile goes on to the next one, thus each has a chain of its own.
		const chain = profile === undefined ? undefined : group.profile(profile);
		if (chain !== undefined) rules.push(`jump ${chain}`);
	}
	switch (policy.otherwise) {
		case 'allow':
			rules.push('accept');
			break;
		case 'deny':
			rules.push(group.drop({ type: 'end' }, group.counter({ action: 'deny' })));
			break;
		case 'continue':
			break;
		default:
			policy.otherwise satisfies never;
	}
	const root = group.add(`d${letter[policy.direction]}`, rules);
	return {
		root,
		chains: group.chains,
		counters: group.counters,
		drops: group.drops,
		sets: group.sets,
		memberMaps: group.memberMaps,
	};
}

/** A direction names a policy that the state does not have. */
export class DanglingPolicyError extends Error {
	override readonly name = 'DanglingPolicyError';
}

function policyOf(book: RuleBook, key: PolicyKey): Policy {
	const policy = book.policies.get(key);
	if (policy === undefined) throw new DanglingPolicyError(`the policy state refers to ${key}, which is missing`);
	return policy;
}
