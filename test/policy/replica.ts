import type { HostEndpoint, NodePolicyChange, NodeSettings, Policy, WorkloadEndpoint } from '../../src/policy/index.ts';

/** Applies changes as a data plane, and refuses changes that a data plane could not apply. */
export class Replica {
	readonly sets = new Map<string, Set<string>>();
	readonly policies = new Map<string, Policy>();
	readonly workloads = new Map<string, WorkloadEndpoint>();
	readonly hosts = new Map<string, HostEndpoint>();
	settings: NodeSettings | undefined;

	apply(change: NodePolicyChange): void {
		for (const { id, members } of change.newSets) {
			if (this.sets.has(id)) throw new Error(`the new set ${id} exists`);
			this.sets.set(id, new Set(members));
		}
		for (const { id, added, removed } of change.changedSets) {
			const set = this.sets.get(id);
			if (set === undefined) throw new Error(`the changed set ${id} does not exist`);
			for (const member of removed) if (!set.delete(member)) throw new Error(`${member} is not in ${id}`);
			for (const member of added) {
				if (set.has(member)) throw new Error(`${member} is in ${id} already`);
				set.add(member);
			}
		}
		for (const policy of change.policies) this.policies.set(policy.key, policy);
		for (const workload of change.workloads) this.workloads.set(workload.key, workload);
		for (const host of change.hosts) this.hosts.set(host.key, host);
		for (const key of change.removedWorkloads)
			if (!this.workloads.delete(key)) throw new Error(`the workload ${key} does not exist`);
		for (const key of change.removedHosts)
			if (!this.hosts.delete(key)) throw new Error(`the host endpoint ${key} does not exist`);
		for (const key of change.removedPolicies)
			if (!this.policies.delete(key)) throw new Error(`the policy ${key} does not exist`);
		for (const id of change.removedSets)
			if (!this.sets.delete(id)) throw new Error(`the removed set ${id} does not exist`);
		if (change.settings !== undefined) this.settings = change.settings;
		this.#checkReferences();
	}

	/** Plain data with everything in a fixed order. */
	snapshot() {
		const sorted = <Value>(map: ReadonlyMap<string, Value>) =>
			[...map].sort(([left], [right]) => (left < right ? -1 : 1));
		return {
			sets: sorted(this.sets).map(([id, members]) => [id, [...members].sort()]),
			policies: sorted(this.policies),
			workloads: sorted(this.workloads),
			hosts: sorted(this.hosts),
			settings: this.settings,
		};
	}

	#checkReferences(): void {
		const used = new Set<string>();
		const stacks = [
			...[...this.workloads.values()].flatMap(({ ingress, egress }) => [ingress, egress]),
			...[...this.hosts.values()].flatMap(({ normal, forward, preDnat, untracked }) => [
				normal.ingress,
				normal.egress,
				forward.ingress,
				forward.egress,
				preDnat.ingress,
				untracked.ingress,
				untracked.egress,
			]),
		];
		for (const { tiers, profiles } of stacks)
			for (const key of [...tiers.flatMap(({ policies }) => policies), ...profiles]) used.add(key);
		for (const key of used) if (!this.policies.has(key)) throw new Error(`the policy ${key} is used and missing`);
		for (const key of this.policies.keys()) if (!used.has(key)) throw new Error(`the policy ${key} is of no use`);
		const usedSets = new Set<string>(this.settings === undefined ? [] : [this.settings.nodes]);
		for (const { ingress, egress } of this.policies.values())
			for (const { source, destination } of [...ingress, ...egress])
				for (const side of [source, destination])
					for (const id of [
						...(side.sets ?? []),
						...(side.notSets ?? []),
						...(side.ports?.sets ?? []),
						...(side.notPorts?.sets ?? []),
						...(side.addressPortSets ?? []),
					])
						usedSets.add(id);
		for (const id of usedSets) if (!this.sets.has(id)) throw new Error(`the set ${id} is used and missing`);
		for (const id of this.sets.keys()) if (!usedSets.has(id)) throw new Error(`the set ${id} is of no use`);
	}
}
