import type {
	DirectionPolicy,
	NodePolicy,
	NodePolicyChange,
	Policy,
	PolicyKey,
	SetId,
	SideMatch,
} from '../../policy/index.ts';
import {
	type ChainSpec,
	nothingChanges,
	type SetElementsChange,
	type SetSpec,
	type TableChange,
	type TableSpec,
} from '../table.ts';
import { type Assignment, type EndpointEntries, entriesOf, groupId, userOf } from './assignments.ts';
import { baseChains, type DispatchMap, dispatchMaps, failsafesBeforeDnat } from './base.ts';
import {
	type ChainGroup,
	type CounterReference,
	type DropReference,
	type LogSettings,
	renderDirection,
	type Stage,
} from './chains.ts';
import { dispatchChanges, everyInterface, fixedSets, sourceChanges } from './fixed-sets.ts';
import { MemberMaps } from './member-maps.ts';
import { PolicySet } from './sets.ts';
import { Tracked } from './tracked.ts';

export interface PolicyRulesetOptions {
	/** Interfaces of pods begin with this. */
	readonly workloadPrefix: string;
	readonly log: LogSettings;
	/** Rules that a look-up must spare each packet, see `branch`. */
	readonly leastGain: number;
}

/** Endpoints with the same policies at the same stage share their chains. */
interface SharedGroup {
	readonly policy: DirectionPolicy;
	readonly stage: Stage;
	group: ChainGroup;
	/** Entries of dispatch maps that lead here. */
	readonly users: Set<string>;
}

/**
 * A node's policy as one table, changed step by step: what is new of it follows from what is new in
 * the policy, not from its size. Chains are named by their content, thus a chain is never changed,
 * only replaced.
 */
export class PolicyRuleset {
	readonly #options: PolicyRulesetOptions;
	readonly #sets = new Map<SetId, PolicySet>();
	readonly #groups = new Map<string, SharedGroup>();
	readonly #groupsOfPolicy = new Map<PolicyKey, Set<string>>();
	readonly #assignments = new Map<string, readonly Assignment[]>();
	readonly #sources = new Map<string, readonly string[]>();
	readonly #chains = new Tracked<ChainSpec>(() => true);
	readonly #counters = new Tracked<CounterReference>(() => true);
	readonly #drops = new Tracked<DropReference>(() => true);
	/** Sets of ports and prefixes that rules name. */
	readonly #constants = new Tracked<SetSpec>(() => true);
	readonly #memberMaps = new MemberMaps((set, family) => this.#sets.get(set)?.addresses(family), {
		hold: ({ chains, sets }) => {
			for (const [name, chain] of chains) this.#chains.hold(name, chain);
			for (const [name, set] of sets) this.#constants.hold(name, set);
		},
		release: ({ chains, sets }) => {
			for (const [name] of chains) this.#chains.release(name);
			for (const [name] of sets) this.#constants.release(name);
		},
	});
	/** By `MAP INTERFACE`: the chain. */
	readonly #dispatch = new Tracked<string>();
	/** By `SET INTERFACE ADDRESS`. */
	readonly #mayUse = new Tracked<true>();
	#base: readonly ChainSpec[] = [];
	#policy: NodePolicy | undefined;

	constructor(options: PolicyRulesetOptions) {
		this.#options = options;
	}

	/** What a drop's reference stands for; references of rules that are gone are unknown. */
	dropReference(id: string): DropReference | undefined {
		return this.#drops.get(id);
	}

	/** What a counter's name stands for. */
	counterReference(name: string): CounterReference | undefined {
		return this.#counters.get(name);
	}

	/** Names of what is there, with the chains' rules; elements are left out. */
	structure(): { readonly chains: readonly ChainSpec[]; readonly sets: readonly string[] } {
		return {
			chains: [...this.#chains.entries()].map(([, chain]) => chain),
			sets: [...this.#sets.values()].flatMap((set) =>
				[set.nameOf('ipv4'), set.nameOf('ipv6')].filter((name) => name !== undefined),
			),
		};
	}

	/** The whole table. */
	spec(): TableSpec {
		const sets = new Map<string, SetSpec>();
		const add = (spec: SetSpec) => sets.set(spec.name, spec);
		for (const set of this.#sets.values()) set.specs().forEach(add);
		for (const [, set] of this.#constants.entries()) add(set);
		for (const set of this.#memberMaps.specs()) add(set);
		for (const set of fixedSets(this.#dispatch, this.#mayUse)) add(set);
		return {
			chains: new Map(this.#chains.entries()),
			sets,
			counters: new Set([...this.#counters.entries()].map(([name]) => name)),
		};
	}

	/** Takes over a whole policy, from any earlier state. */
	replace(policy: NodePolicy): void {
		this.change(
			{
				newSets: [...policy.sets.values()].filter(({ id }) => !this.#sets.has(id)),
				changedSets: [...policy.sets.values()].flatMap((set) => this.#sets.get(set.id)?.differenceTo(set) ?? []),
				removedSets: [...this.#sets.keys()].filter((id) => !policy.sets.has(id)),
				policies: [...policy.policies.values()],
				removedPolicies: [],
				workloads: [...policy.workloads.values()],
				removedWorkloads: [...this.#assignments.keys()]
					.filter((key) => key.startsWith('workload '))
					.map((key) => key.slice('workload '.length))
					.filter((key) => !policy.workloads.has(key)),
				hosts: [...policy.hosts.values()],
				removedHosts: [...this.#assignments.keys()]
					.filter((key) => key.startsWith('host '))
					.map((key) => key.slice('host '.length))
					.filter((key) => !policy.hosts.has(key)),
				settings: policy.settings,
			},
			policy,
		);
	}

	/** What a change of the policy changes in the table. `policy` is the state after it. */
	change(change: NodePolicyChange, policy: NodePolicy): TableChange {
		this.#policy = policy;
		for (const tracked of [this.#chains, this.#counters, this.#drops, this.#constants, this.#dispatch, this.#mayUse])
			tracked.begin();
		const sets = this.#changeSets(change);
		const entries = entriesOf(change);
		// All leave before one joins: an interface or an address may pass from one endpoint to another.
		for (const one of entries) this.#leaveOld(one);
		for (const one of entries) this.#joinNew(one);
		// Behind the endpoints: what only an old assignment refers to is gone from the policy.
		const dirty = new Set<string>();
		for (const { key } of change.policies) for (const id of this.#groupsOfPolicy.get(key) ?? []) dirty.add(id);
		if (sets.renamed.size > 0)
			for (const { key } of usersOfSets(policy, sets.renamed))
				for (const id of this.#groupsOfPolicy.get(key) ?? []) dirty.add(id);
		if (change.settings !== undefined)
			for (const [id, { stage }] of this.#groups) if (stage === 'pre-dnat') dirty.add(id);
		for (const id of dirty) this.#renderAgain(id);
		this.#renderBase();
		const memberMaps = this.#memberMaps.finish(change.changedSets);
		return {
			...nothingChanges,
			addCounters: this.#counters.added().map(([name]) => name),
			addSets: [...sets.added, ...this.#constants.added().map(([, set]) => set), ...memberMaps.added],
			addChains: this.#chains.added().map(([, chain]) => chain),
			elements: [
				...sets.elements,
				...memberMaps.elements,
				...dispatchChanges(this.#dispatch),
				...sourceChanges(this.#mayUse),
			],
			removeChains: this.#chains.removed().map(([, chain]) => chain),
			removeSets: [...sets.removed, ...this.#constants.removed().map(([, set]) => set), ...memberMaps.removed],
			removeCounters: this.#counters.removed().map(([name]) => name),
		};
	}

	#changeSets({ newSets, changedSets, removedSets }: NodePolicyChange) {
		const renamed = new Set<SetId>();
		const added: SetSpec[] = [];
		const removed: Pick<SetSpec, 'name' | 'kind'>[] = [];
		const elements: SetElementsChange[] = [];
		const names = (set: PolicySet) => [set.nameOf('ipv4'), set.nameOf('ipv6')].filter((name) => name !== undefined);
		for (const set of newSets) {
			const made = new PolicySet(set);
			this.#sets.set(set.id, made);
			added.push(...made.specs());
		}
		for (const { id, added: joined, removed: left } of changedSets) {
			const set = this.#sets.get(id);
			if (set === undefined) continue;
			const before = names(set);
			const result = set.change(joined, left);
			elements.push(...result.elements);
			if (!result.renamed) continue;
			renamed.add(id);
			const after = names(set);
			removed.push(...before.filter((name) => !after.includes(name)).map(asSet));
			added.push(...set.specs().filter(({ name }) => !before.includes(name)));
		}
		for (const id of removedSets) {
			const set = this.#sets.get(id);
			if (set === undefined) continue;
			removed.push(...names(set).map(asSet));
			this.#sets.delete(id);
		}
		return { renamed, added, removed, elements };
	}

	#setName = (id: SetId, family: 'ipv4' | 'ipv6'): string | undefined => {
		const set = this.#sets.get(id);
		if (set === undefined) throw new Error(`the policy state refers to the set ${id}, which is missing`);
		return set.nameOf(family);
	};

	#render(policy: DirectionPolicy, stage: Stage): ChainGroup {
		const book = this.#policy;
		if (book === undefined) throw new Error('no policy state');
		return renderDirection(policy, stage, {
			book,
			setName: this.#setName,
			addressesOf: (set, family) => this.#sets.get(set)?.addresses(family),
			log: this.#options.log,
			leastGain: this.#options.leastGain,
			preface: stage === 'pre-dnat' ? failsafesBeforeDnat(book.settings) : [],
		});
	}

	#hold({ chains, counters, drops, sets, memberMaps }: ChainGroup, verb: 'hold' | 'release'): void {
		for (const [name, chain] of chains) this.#chains[verb](name, chain);
		for (const [name, reference] of counters) this.#counters[verb](name, reference);
		for (const [name, reference] of drops) this.#drops[verb](name, reference);
		for (const [name, set] of sets) this.#constants[verb](name, set);
		for (const plan of memberMaps.values()) this.#memberMaps[verb](plan);
	}

	#renderAgain(id: string): void {
		const shared = this.#groups.get(id);
		if (shared === undefined) return;
		const group = this.#render(shared.policy, shared.stage);
		this.#hold(group, 'hold');
		this.#hold(shared.group, 'release');
		if (group.root !== shared.group.root) for (const user of shared.users) this.#dispatch.set(user, group.root);
		shared.group = group;
	}

	/** Takes away what an endpoint had and has no more. */
	#leaveOld({ endpoint, next, sources }: EndpointEntries): void {
		const kept = new Set(next.map((assignment) => `${groupId(assignment)} ${userOf(assignment)}`));
		for (const assignment of this.#assignments.get(endpoint) ?? [])
			if (!kept.has(`${groupId(assignment)} ${userOf(assignment)}`))
				this.#leave(assignment, !next.some((other) => userOf(other) === userOf(assignment)));
		for (const source of this.#sources.get(endpoint) ?? []) if (!sources.includes(source)) this.#mayUse.delete(source);
	}

	#joinNew({ endpoint, next, sources }: EndpointEntries): void {
		for (const assignment of next) this.#join(assignment);
		if (next.length === 0) this.#assignments.delete(endpoint);
		else this.#assignments.set(endpoint, next);
		for (const source of sources) this.#mayUse.set(source, true);
		if (sources.length === 0) this.#sources.delete(endpoint);
		else this.#sources.set(endpoint, sources);
	}

	#join(assignment: Assignment): void {
		const id = groupId(assignment);
		const user = userOf(assignment);
		let shared = this.#groups.get(id);
		if (shared === undefined) {
			const { policy, stage } = assignment;
			shared = { policy, stage, group: this.#render(policy, stage), users: new Set() };
			this.#groups.set(id, shared);
			this.#hold(shared.group, 'hold');
			for (const key of policiesOf(policy)) {
				const groups = this.#groupsOfPolicy.get(key) ?? new Set();
				this.#groupsOfPolicy.set(key, groups.add(id));
			}
		}
		shared.users.add(user);
		this.#dispatch.set(user, shared.group.root);
	}

	#leave(assignment: Assignment, entryGoes: boolean): void {
		const id = groupId(assignment);
		const shared = this.#groups.get(id);
		if (shared === undefined) return;
		shared.users.delete(userOf(assignment));
		if (entryGoes) this.#dispatch.delete(userOf(assignment));
		if (shared.users.size > 0) return;
		this.#groups.delete(id);
		this.#hold(shared.group, 'release');
		for (const key of policiesOf(shared.policy)) {
			const groups = this.#groupsOfPolicy.get(key);
			groups?.delete(id);
			if (groups?.size === 0) this.#groupsOfPolicy.delete(key);
		}
	}

	/** The chains that packets enter first; replaced where they differ. */
	#renderBase(): void {
		const policy = this.#policy;
		if (policy === undefined) return;
		const wildcard = new Map<DispatchMap, string>();
		for (const map of dispatchMaps) {
			const chain = this.#dispatch.get(`${map} ${everyInterface}`);
			if (chain !== undefined) wildcard.set(map, chain);
		}
		const next = baseChains({
			settings: policy.settings,
			setName: this.#setName,
			workloadPrefix: this.#options.workloadPrefix,
			wildcard,
			hosts: policy.hosts.size > 0,
			marksUntracked: [...policy.hosts.values()].flatMap(({ interfaceName, marksUntracked }) =>
				marksUntracked === true ? [interfaceName] : [],
			),
		});
		this.#holdAll(next, this.#base);
		this.#base = next;
	}

	#holdAll(next: readonly ChainSpec[], before: readonly ChainSpec[]): void {
		for (const chain of next) this.#chains.hold(chain.name, chain);
		for (const chain of before) this.#chains.release(chain.name, chain);
	}
}

const asSet = (name: string) => ({ name, kind: 'set' as const });
const policiesOf = ({ tiers, profiles }: DirectionPolicy): PolicyKey[] => [
	...tiers.flatMap(({ policies }) => policies),
	...profiles,
];

function usersOfSets(policy: NodePolicy, sets: ReadonlySet<SetId>): Policy[] {
	const uses = ({ sets: own, notSets, addressPortSets, ports, notPorts }: SideMatch) =>
		[own, notSets, addressPortSets, ports?.sets, notPorts?.sets].some((ids) => ids?.some((id) => sets.has(id)));
	return [...policy.policies.values()].filter(({ ingress, egress }) =>
		[...ingress, ...egress].some(({ source, destination }) => uses(source) || uses(destination)),
	);
}
