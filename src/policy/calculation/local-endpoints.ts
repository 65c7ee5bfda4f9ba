import { isDerivedProfile, type ProfileModel } from '../convert/profile.ts';
import { builtInTiers, type PolicyModel, type TierModel } from '../model.ts';
import {
	type HostEndpoint,
	type NodePolicyChange,
	type Policy,
	type PolicyKey,
	policyKey,
	type Rule,
	type WorkloadEndpoint,
} from '../rules.ts';
import { LabelIndex, type LabelledItem } from './label-index.ts';
import type { MembershipIndex } from './members.ts';
import { type HostStacks, hostStacks, orderTiers, policiesOf, type WorkloadStacks, workloadStacks } from './stack.ts';

/** An endpoint of this node, before its policy is known. */
export type LocalItem = LabelledItem & {
	/** Of the resource, for people: `NAMESPACE/NAME` of a pod, name of a HostEndpoint. */
	readonly name: string;
	readonly interfaceName: string;
	/** Names of profiles. */
	readonly profiles: readonly string[];
} & ({ readonly type: 'workload'; readonly addresses: readonly string[] } | { readonly type: 'host' });

type EndpointChanges = Pick<
	NodePolicyChange,
	'policies' | 'removedPolicies' | 'workloads' | 'removedWorkloads' | 'hosts' | 'removedHosts'
>;

/**
 * Which policies select the endpoints of this node, in which order; and which policies are thus in
 * use.
 */
export class LocalEndpoints {
	readonly #members: MembershipIndex;
	readonly #index: LabelIndex<LocalItem>;
	readonly #models = new Map<PolicyKey, PolicyModel>();
	readonly #profiles = new Map<PolicyKey, ProfileModel>();
	readonly #tiers = new Map<string, TierModel>(builtInTiers.map((tier) => [tier.name, tier]));
	/** Keys of items whose policy must be computed again. */
	readonly #dirty = new Set<string>();
	readonly #workloads = new Map<string, WorkloadEndpoint>();
	readonly #hosts = new Map<string, HostEndpoint>();
	/** In use, as reported; with the number of uses by endpoints. */
	readonly #active = new Map<PolicyKey, { policy: Policy; model: RulesModel | undefined; uses: number }>();
	/** The same policies: what a data plane reads. */
	readonly #policies = new Map<PolicyKey, Policy>();
	/** Active policies whose model changed. */
	readonly #changedModels = new Set<PolicyKey>();
	/** Host endpoints of this node by interface name, then by name. */
	readonly #byInterface = new Map<string, Map<string, LocalItem>>();
	/** Keys of items and what they are reported as. */
	readonly #reported = new Map<string, { readonly type: LocalItem['type']; readonly name: string }>();

	constructor(members: MembershipIndex) {
		this.#members = members;
		const dirty = (_: string, { key }: LocalItem) => void this.#dirty.add(key);
		this.#index = new LabelIndex<LocalItem>({ joined: dirty, left: dirty, replaced: dirty });
	}

	get policies(): ReadonlyMap<PolicyKey, Policy> {
		return this.#policies;
	}

	get workloads(): ReadonlyMap<string, WorkloadEndpoint> {
		return this.#workloads;
	}

	get hosts(): ReadonlyMap<string, HostEndpoint> {
		return this.#hosts;
	}

	get tiers(): ReadonlyMap<string, TierModel> {
		return this.#tiers;
	}

	/** Of the whole cluster. */
	get policyCount(): number {
		return this.#models.size;
	}

	put(item: LocalItem): void {
		const before = this.#index.item(item.key);
		if (before !== undefined && JSON.stringify(before) === JSON.stringify(item)) return;
		if (before !== undefined) this.#leaveInterface(before);
		this.#joinInterface(item);
		this.#index.put(item);
		this.#dirty.add(item.key);
	}

	delete(key: string): void {
		const before = this.#index.item(key);
		if (before === undefined) return;
		this.#leaveInterface(before);
		this.#index.delete(key);
		this.#dirty.add(key);
	}

	setParent(
		namespace: string,
		serviceAccount: string | undefined,
		labels: Readonly<Record<string, string>> | undefined,
	): void {
		this.#index.setParent(namespace, serviceAccount, labels);
	}

	setPolicy(model: PolicyModel): void {
		const before = this.#models.get(model.key);
		this.#models.set(model.key, model);
		if (this.#active.has(model.key)) this.#changedModels.add(model.key);
		if (before !== undefined && sameApplication(before, model)) return;
		if (before !== undefined) this.#unsubscribe(model.key);
		this.#index.subscribe(model.key, model.selector);
	}

	removePolicy(key: PolicyKey): void {
		if (!this.#models.delete(key)) return;
		this.#unsubscribe(key);
	}

	setProfile(model: ProfileModel): void {
		this.#profiles.set(model.key, model);
		if (this.#active.has(model.key)) this.#changedModels.add(model.key);
	}

	/** Endpoints that name the profile have one without rules then. */
	removeProfile(key: PolicyKey): void {
		if (this.#profiles.delete(key) && this.#active.has(key)) this.#changedModels.add(key);
	}

	setTier(tier: TierModel): void {
		this.#tiers.set(tier.name, tier);
		this.#touchTier(tier.name);
	}

	removeTier(name: string): void {
		const builtIn = builtInTiers.find((tier) => tier.name === name);
		if (builtIn === undefined) this.#tiers.delete(name);
		else this.#tiers.set(name, builtIn);
		this.#touchTier(name);
	}

	/** Computes what is dirty, and which policies came into use or out of it. */
	takeChanges(): EndpointChanges {
		const workloads: WorkloadEndpoint[] = [];
		const hosts: HostEndpoint[] = [];
		const removedWorkloads: string[] = [];
		const removedHosts: string[] = [];
		const policies = new Map<PolicyKey, Policy>();
		const before = new Map<PolicyKey, number>();
		const use = (key: PolicyKey, change: 1 | -1) => this.#use(key, change, before);
		const stacks = new StackCache(this.#models, this.#tiers);
		for (const key of this.#dirty) {
			const item = this.#inForce(key);
			const reported = this.#reported.get(key);
			if (
				reported !== undefined &&
				(item === undefined || item.name !== reported.name || item.type !== reported.type)
			) {
				this.#remove(reported, use);
				(reported.type === 'workload' ? removedWorkloads : removedHosts).push(reported.name);
				this.#reported.delete(key);
			}
			if (item === undefined) continue;
			this.#reported.set(key, { type: item.type, name: item.name });
			const matches = [...this.#index.matchesOf(key)];
			if (item.type === 'workload') {
				const made = this.#workload(item, stacks.workload(matches, item), use);
				if (made !== undefined) workloads.push(made);
			} else {
				const made = this.#host(item, stacks.host(matches, item), use);
				if (made !== undefined) hosts.push(made);
			}
		}
		this.#dirty.clear();
		const removedPolicies = this.#settleUse(before, policies);
		return { policies: [...policies.values()], removedPolicies, workloads, removedWorkloads, hosts, removedHosts };
	}

	#workload(item: LocalItem & { type: 'workload' }, stacks: WorkloadStacks, use: Use): WorkloadEndpoint | undefined {
		const before = this.#workloads.get(item.name);
		const { interfaceName, addresses } = item;
		if (
			before !== undefined &&
			before.ingress.id === stacks.ingress.id &&
			before.egress.id === stacks.egress.id &&
			before.interfaceName === interfaceName &&
			before.addresses.join() === addresses.join()
		)
			return undefined;
		const made: WorkloadEndpoint = { type: 'workload', key: item.name, interfaceName, addresses, ...stacks };
		for (const key of keysOf(made)) use(key, 1);
		if (before !== undefined) for (const key of keysOf(before)) use(key, -1);
		this.#workloads.set(item.name, made);
		return made;
	}

	#host(item: LocalItem & { type: 'host' }, stacks: HostStacks, use: Use): HostEndpoint | undefined {
		const before = this.#hosts.get(item.name);
		const made: HostEndpoint = { type: 'host', key: item.name, interfaceName: item.interfaceName, ...stacks };
		if (before !== undefined && JSON.stringify(before) === JSON.stringify(made)) return undefined;
		for (const key of keysOf(made)) use(key, 1);
		if (before !== undefined) for (const key of keysOf(before)) use(key, -1);
		this.#hosts.set(item.name, made);
		return made;
	}

	#remove({ type, name }: { readonly type: LocalItem['type']; readonly name: string }, use: Use): void {
		const endpoint = type === 'workload' ? this.#workloads.get(name) : this.#hosts.get(name);
		if (endpoint !== undefined) for (const key of keysOf(endpoint)) use(key, -1);
		if (type === 'workload') this.#workloads.delete(name);
		else this.#hosts.delete(name);
	}

	/** Counts the uses of a policy; `before` keeps how many there were. */
	#use(key: PolicyKey, change: 1 | -1, before: Map<PolicyKey, number>): void {
		const active = this.#active.get(key) ?? { policy: emptyProfile(key), model: undefined, uses: 0 };
		this.#active.set(key, active);
		if (!before.has(key)) before.set(key, active.uses);
		active.uses += change;
	}

	/**
	 * Policies that came into use or changed go to `policies`; returns those that are no longer used.
	 */
	#settleUse(before: ReadonlyMap<PolicyKey, number>, policies: Map<PolicyKey, Policy>): PolicyKey[] {
		const removed: PolicyKey[] = [];
		for (const key of new Set([...before.keys(), ...this.#changedModels])) {
			const active = this.#active.get(key);
			if (active === undefined) continue;
			const earlier = before.get(key) ?? active.uses;
			const model = active.uses > 0 ? (this.#models.get(key) ?? this.#profiles.get(key)) : undefined;
			if (model !== active.model || (earlier === 0 && active.uses > 0)) {
				for (const definition of model?.sets.values() ?? []) this.#members.acquire(definition);
				for (const id of active.model?.sets.keys() ?? []) this.#members.release(id);
				active.model = model;
				active.policy = model === undefined ? profile(key) : toPolicy(model);
				if (active.uses > 0) {
					policies.set(key, active.policy);
					this.#policies.set(key, active.policy);
				}
			}
			if (active.uses === 0) {
				this.#active.delete(key);
				this.#policies.delete(key);
				if (earlier > 0) removed.push(key);
			}
		}
		this.#changedModels.clear();
		return removed;
	}

	/**
	 * The item, unless another host endpoint has the same interface: the first by name is in force.
	 */
	#inForce(key: string): LocalItem | undefined {
		const item = this.#index.item(key);
		if (item?.type !== 'host') return item;
		const rivals = this.#byInterface.get(item.interfaceName)?.keys() ?? [];
		return [...rivals].some((name) => name < item.name) ? undefined : item;
	}

	#joinInterface(item: LocalItem): void {
		if (item.type !== 'host') return;
		const hosts = this.#byInterface.get(item.interfaceName) ?? new Map<string, LocalItem>();
		this.#byInterface.set(item.interfaceName, hosts.set(item.name, item));
		for (const { key } of hosts.values()) this.#dirty.add(key);
	}

	#leaveInterface(item: LocalItem): void {
		if (item.type !== 'host') return;
		const hosts = this.#byInterface.get(item.interfaceName);
		hosts?.delete(item.name);
		for (const { key } of hosts?.values() ?? []) this.#dirty.add(key);
	}

	#touchTier(name: string): void {
		for (const model of this.#models.values())
			if (model.tier === name) for (const { key } of this.#index.itemsOf(model.key)) this.#dirty.add(key);
	}

	#unsubscribe(key: PolicyKey): void {
		for (const item of this.#index.itemsOf(key)) this.#dirty.add(item.key);
		this.#index.unsubscribe(key);
	}
}

type Use = (key: PolicyKey, change: 1 | -1) => void;

/**
 * Stacks by what they follow from, during one calculation: endpoints with equal policies share
 * them.
 */
class StackCache {
	readonly #models: ReadonlyMap<PolicyKey, PolicyModel>;
	readonly #tiers: ReadonlyMap<string, TierModel>;
	readonly #workloads = new Map<string, WorkloadStacks>();

	constructor(models: ReadonlyMap<PolicyKey, PolicyModel>, tiers: ReadonlyMap<string, TierModel>) {
		this.#models = models;
		this.#tiers = tiers;
	}

	workload(matches: readonly PolicyKey[], { profiles }: LocalItem): WorkloadStacks {
		const cacheKey = `${[...matches].sort().join('\n')}\n\n${profiles.join('\n')}`;
		const known = this.#workloads.get(cacheKey);
		if (known !== undefined) return known;
		const made = workloadStacks(this.#ordered(matches), profiles.map(profileKey));
		this.#workloads.set(cacheKey, made);
		return made;
	}

	host(matches: readonly PolicyKey[], { profiles, interfaceName }: LocalItem): HostStacks {
		return hostStacks(this.#ordered(matches), profiles.map(profileKey), interfaceName === '*');
	}

	#ordered(matches: readonly PolicyKey[]) {
		return orderTiers(
			matches.map((key) => this.#models.get(key)).filter((model) => model !== undefined),
			this.#tiers,
		);
	}
}

/**
 * Does a changed policy apply to the same endpoints at the same place? Then endpoints need no new
 * calculation.
 */
function sameApplication(left: PolicyModel, right: PolicyModel): boolean {
	const application = ({ selector, tier, order, stage, applyOnForward, staged, ingress, egress }: PolicyModel) =>
		JSON.stringify([
			selector,
			tier,
			String(order),
			stage,
			applyOnForward,
			staged,
			ingress !== undefined,
			egress !== undefined,
		]);
	return application(left) === application(right);
}

/** Keys of policies and profiles of an endpoint, repeated where several stages use them. */
function* keysOf(endpoint: WorkloadEndpoint | HostEndpoint): Iterable<PolicyKey> {
	const stacks =
		endpoint.type === 'workload'
			? [endpoint.ingress, endpoint.egress]
			: [
					endpoint.normal.ingress,
					endpoint.normal.egress,
					endpoint.forward.ingress,
					endpoint.forward.egress,
					endpoint.preDnat.ingress,
					endpoint.untracked.ingress,
					endpoint.untracked.egress,
				];
	for (const stack of stacks) yield* policiesOf(stack);
}

/** A policy or a profile. */
type RulesModel = Pick<PolicyModel, 'key' | 'kind' | 'namespace' | 'name' | 'staged' | 'ingress' | 'egress' | 'sets'>;

/** The rules of a policy as the representation has them. */
export function toPolicy(model: RulesModel): Policy {
	const { key, kind, namespace, name, staged, ingress, egress } = model;
	return {
		key,
		kind,
		...(namespace === undefined ? {} : { namespace }),
		name,
		staged,
		ingress: ingress ?? [],
		egress: egress ?? [],
	};
}

export const profileKey = (name: string): PolicyKey => policyKey('profile', undefined, name);

/**
 * A profile without an object: `kns.NAMESPACE` and `projectcalico-default-allow` allow everything,
 * any other has no rules. Calico derives them in the same way where Kubernetes is the datastore.
 */
export function profile(key: PolicyKey): Policy {
	const name = key.slice(profileKey('').length);
	const allows = isDerivedProfile(name) && !name.startsWith('ksa.');
	const rules = (direction: string): readonly Rule[] =>
		allows ? [{ action: 'allow', source: {}, destination: {}, origin: `${direction}[0]` }] : [];
	return { key, kind: 'profile', name, staged: false, ingress: rules('ingress'), egress: rules('egress') };
}

const emptyProfile = (key: PolicyKey): Policy => ({
	key,
	kind: 'profile',
	name: key,
	staged: false,
	ingress: [],
	egress: [],
});
