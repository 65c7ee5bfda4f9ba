/**
 * The order in which a change reaches the kernel. A packet that is judged while a transaction
 * commits sees some sets as before it and those that it looks up later as after it. If members left
 * a set of allow rules and joined another one in one transaction, or joined a set of deny rules and
 * one of allow rules, such a packet could pass although it may neither before nor after. So what
 * allows less comes first, in a transaction of its own, and what allows more comes last: each state
 * on the way allows nothing that its neighbours on both sides deny. Pure.
 */
import {
	type IpSet,
	type NodePolicy,
	type NodePolicyChange,
	noPolicyChange,
	type Policy,
	type PolicyKey,
	type Rule,
	type SetChange,
	type SetId,
	type SideMatch,
} from '../../policy/index.ts';

/** What more members of a set do: more packets are allowed, fewer are, or more leave their tier. */
type Use = 'allow' | 'deny' | 'pass';
const uses = ['allow', 'deny', 'pass'] as const;

/** A set that rules use in several ways is there once for each of them. */
const copyOf: Readonly<Record<Use, (id: SetId) => SetId>> = {
	allow: (id) => id,
	deny: (id) => `${id}-deny`,
	pass: (id) => `${id}-pass`,
};

/** A change and the whole policy after it. */
export interface Phase {
	readonly change: NodePolicyChange;
	readonly policy: NodePolicy;
}

/** Follows a policy, and cuts its changes into phases. */
export class PolicyPhases {
	/** As given, to know what a change takes away. */
	readonly #given = new Map<PolicyKey, Policy>();
	/** With the copies of sets in the place of the sets. */
	readonly #policies = new Map<PolicyKey, Policy>();
	readonly #sets = new Map<SetId, IpSet>();
	/** How many policies use a set in which way. */
	readonly #users = new Map<SetId, Record<Use, number>>();
	readonly #endpoints = new Set<string>();

	/** Takes over a whole policy, from any earlier state. */
	replace(policy: NodePolicy): NodePolicy {
		for (const map of [this.#given, this.#policies, this.#sets, this.#users, this.#endpoints]) map.clear();
		for (const one of policy.policies.values()) this.#put(one, new Set());
		for (const id of policy.sets.keys()) this.#settle(id, policy);
		for (const key of endpointKeys(policy)) this.#endpoints.add(key);
		return this.#view(policy);
	}

	/** One transaction for each phase, in their order. `policy` is the state after the change. */
	take(change: NodePolicyChange, policy: NodePolicy): readonly Phase[] {
		const touched = new Set([...change.newSets.map(({ id }) => id), ...change.removedSets]);
		if (change.settings !== undefined) touched.add(policy.settings.nodes);
		const steers = this.#steers(change);
		for (const key of change.removedPolicies) this.#remove(key, touched);
		for (const one of change.policies) this.#put(one, touched);
		const settled = [...touched].map((id) => this.#settle(id, policy));
		const newSets = settled.flatMap(({ added }) => added);
		const fresh = new Set(newSets.map(({ id }) => id));
		const { less, pass, more } = this.#parts(change.changedSets, fresh);
		const first: NodePolicyChange = {
			...change,
			newSets,
			removedSets: settled.flatMap(({ removed }) => removed),
			policies: change.policies.map(({ key }) => this.#policies.get(key)).filter((one) => one !== undefined),
			changedSets: less,
		};
		const view = this.#view(policy);
		const parts = [less.length > 0 || steers, pass.length > 0, more.length > 0].filter((part) => part).length;
		if (parts <= 1) return [{ change: { ...first, changedSets: [...less, ...pass, ...more] }, policy: view }];
		return [
			{ change: first, policy: view },
			...[pass, more]
				.filter((sets) => sets.length > 0)
				.map((changedSets) => ({ change: { ...noPolicyChange, changedSets }, policy: view })),
		];
	}

	/** Does a change lead packets of known endpoints to other rules, or cut endpoints off? */
	#steers({ policies, workloads, removedWorkloads, hosts, removedHosts, settings }: NodePolicyChange): boolean {
		const known = (one: { readonly type: string; readonly key: string }) => this.#endpoints.has(endpointKey(one));
		const steers =
			settings !== undefined ||
			removedWorkloads.length + hosts.length + removedHosts.length > 0 ||
			policies.some(({ key }) => this.#given.has(key)) ||
			workloads.some(known);
		for (const key of removedWorkloads) this.#endpoints.delete(endpointKey({ type: 'workload', key }));
		for (const key of removedHosts) this.#endpoints.delete(endpointKey({ type: 'host', key }));
		for (const one of [...workloads, ...hosts]) this.#endpoints.add(endpointKey(one));
		return steers;
	}

	/** Members that come and go, by what that means. Copies in `fresh` have them already. */
	#parts(changedSets: readonly SetChange[], fresh: ReadonlySet<SetId>) {
		const [less, pass, more]: [SetChange[], SetChange[], SetChange[]] = [[], [], []];
		for (const { id: given, type, added, removed } of changedSets)
			for (const use of uses) {
				const id = copyOf[use](given);
				if (!this.#sets.has(id) || fresh.has(id)) continue;
				const joining = { id, type, added, removed: [] };
				const leaving = { id, type, added: [], removed };
				if (use === 'pass') pass.push({ id, type, added, removed });
				if (use !== 'pass' && removed.length > 0) (use === 'allow' ? less : more).push(leaving);
				if (use !== 'pass' && added.length > 0) (use === 'allow' ? more : less).push(joining);
			}
		return { less, pass, more };
	}

	#put(policy: Policy, touched: Set<SetId>): void {
		this.#remove(policy.key, touched);
		this.#given.set(policy.key, policy);
		this.#policies.set(policy.key, withCopies(policy));
		this.#count(policy, 1, touched);
	}

	#remove(key: PolicyKey, touched: Set<SetId>): void {
		const before = this.#given.get(key);
		if (before === undefined) return;
		this.#count(before, -1, touched);
		this.#given.delete(key);
		this.#policies.delete(key);
	}

	#count(policy: Policy, by: 1 | -1, touched: Set<SetId>): void {
		const seen = new Set<string>();
		mapSets(policy, (id, use) => {
			if (seen.has(`${use} ${id}`)) return id;
			seen.add(`${use} ${id}`);
			const users = this.#users.get(id) ?? { allow: 0, deny: 0, pass: 0 };
			users[use] += by;
			if (uses.some((one) => users[one] > 0)) this.#users.set(id, users);
			else this.#users.delete(id);
			touched.add(id);
			return id;
		});
	}

	/** Makes and removes copies of a set, as it is used now. */
	#settle(id: SetId, { sets, settings }: NodePolicy): { added: IpSet[]; removed: SetId[] } {
		const [added, removed]: [IpSet[], SetId[]] = [[], []];
		const set = sets.get(id);
		const users = this.#users.get(id);
		for (const use of uses) {
			const copy = copyOf[use](id);
			// One that no policy uses is of the settings.
			const isUsed = (users?.[use] ?? 0) > 0 || (use === 'allow' && (users === undefined || id === settings.nodes));
			if (set !== undefined && isUsed) {
				if (this.#sets.has(copy)) continue;
				const { type, meaning } = set;
				const made: IpSet = { id: copy, type, meaning, members: set.members };
				this.#sets.set(copy, made);
				added.push(made);
			} else if (this.#sets.delete(copy)) removed.push(copy);
		}
		return { added, removed };
	}

	#view = (policy: NodePolicy): NodePolicy => ({ ...policy, policies: this.#policies, sets: this.#sets });
}

const endpointKey = ({ type, key }: { readonly type: string; readonly key: string }): string => `${type} ${key}`;

function* endpointKeys({ workloads, hosts }: NodePolicy): Iterable<string> {
	for (const one of workloads.values()) yield endpointKey(one);
	for (const one of hosts.values()) yield endpointKey(one);
}

const withCopies = (policy: Policy): Policy => mapSets(policy, (id, use) => copyOf[use](id));

/** A policy with other sets in the place of its own. */
function mapSets(policy: Policy, map: (id: SetId, use: Use) => SetId): Policy {
	const inRule = (rule: Rule): Rule => {
		// A rule that logs, and one of a staged policy, decides nothing.
		const action = policy.staged || rule.action === 'log' ? undefined : rule.action;
		const inSide = (side: SideMatch): SideMatch => {
			const all = (ids: readonly SetId[], use: Use) => ids.map((id) => map(id, use));
			const positive: Use = action ?? 'allow';
			const negative: Use = action === 'allow' ? 'deny' : action === 'pass' ? 'pass' : 'allow';
			const { sets, notSets, ports, notPorts, addressPortSets } = side;
			return {
				...side,
				...(sets === undefined ? {} : { sets: all(sets, positive) }),
				...(notSets === undefined ? {} : { notSets: all(notSets, negative) }),
				...(ports === undefined ? {} : { ports: { ...ports, sets: all(ports.sets, positive) } }),
				...(notPorts === undefined ? {} : { notPorts: { ...notPorts, sets: all(notPorts.sets, negative) } }),
				...(addressPortSets === undefined ? {} : { addressPortSets: all(addressPortSets, positive) }),
			};
		};
		return { ...rule, source: inSide(rule.source), destination: inSide(rule.destination) };
	};
	return { ...policy, ingress: policy.ingress.map(inRule), egress: policy.egress.map(inRule) };
}
