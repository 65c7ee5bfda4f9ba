import {
	type Direction,
	type DirectionPolicy,
	type HostEndpoint,
	type NodePolicy,
	type NodePolicyChange,
	noPolicyChange,
	type Policy,
	type PolicyKey,
	type Rule,
	type SetId,
	type WorkloadEndpoint,
} from '../rules.ts';
import type { PolicyKernel } from './plane.ts';

/** A kernel that judges packets of workloads at their interfaces. */
export interface WorkloadKernel extends PolicyKernel {
	/** Keys of the endpoints that it judges now; all others are open or have no interface. */
	readonly attached: ReadonlySet<string>;
	/**
	 * Names of the host's interfaces that it judges now, with the keys of their endpoints; absent: it
	 * judges none.
	 */
	readonly hostInterfaces?: ReadonlyMap<string, string>;
}

/** Which host endpoints the kernel of workloads is to judge; the gate judges the others. */
export type ChooseHosts = (policy: NodePolicy) => ReadonlyMap<string, HostEndpoint>;

/** Allows what the other kernel let through. */
const open = (direction: Direction): DirectionPolicy => ({
	id: `dopen-${direction}`,
	direction,
	tiers: [],
	profiles: [],
	otherwise: 'allow',
});

/**
 * Two kernels for one policy: `workloads` (eBPF programs) judges packets of pods, and at host
 * endpoints that are chosen for it. `gate` (nftables) judges the others, and keeps the interface of
 * a pod closed until the programs of the pod are attached. The gate also keeps the kernel's
 * connection table alive, from which each of the two can take over the work of the other.
 */
export class GatedKernel implements PolicyKernel {
	readonly name: string;
	readonly followsInterfaces = true;
	readonly #workloads: WorkloadKernel;
	readonly #gate: PolicyKernel;
	readonly #chooseHosts: ChooseHosts;
	/** What the gate was given last; `undefined`: not known. */
	#gatePolicy: NodePolicy | undefined;

	constructor(workloads: WorkloadKernel, gate: PolicyKernel, chooseHosts: ChooseHosts = () => new Map()) {
		this.#chooseHosts = chooseHosts;
		this.name = workloads.name;
		this.#workloads = workloads;
		this.#gate = gate;
	}

	async sync(policy: NodePolicy): Promise<{ readonly added: number; readonly removed: number }> {
		this.#gatePolicy = undefined;
		const chosen = this.#chooseHosts(policy);
		await this.#takeBack(policy, chosen);
		const programs = await this.#workloads.sync({ ...policy, hosts: chosen });
		const next = gatePolicy(policy, this.#workloads.attached, this.#workloads.hostInterfaces);
		const gate = await this.#gate.sync(next);
		this.#gatePolicy = next;
		return { added: programs.added + gate.added, removed: programs.removed + gate.removed };
	}

	async apply(change: NodePolicyChange, policy: NodePolicy): Promise<void> {
		if (change.removedWorkloads.length > 0) await this.#close(change.removedWorkloads);
		const chosen = this.#chooseHosts(policy);
		await this.#takeBack(policy, chosen);
		await this.#workloads.apply(change, { ...policy, hosts: chosen });
		const before = this.#gatePolicy;
		const next = gatePolicy(policy, this.#workloads.attached, this.#workloads.hostInterfaces);
		// Rules of host endpoints are few; the gate reads back what it has.
		if (before === undefined || before.hosts.size > 0 || next.hosts.size > 0 || before.settings !== next.settings)
			await this.#gate.sync(next);
		else {
			const gateChange = workloadChange(before, next);
			if (gateChange !== undefined) await this.#gate.apply(gateChange, next);
		}
		this.#gatePolicy = next;
	}

	/** Rules of host endpoints that programs give up stand before these go. */
	async #takeBack(policy: NodePolicy, chosen: ReadonlyMap<string, HostEndpoint>): Promise<void> {
		const { attached, hostInterfaces = new Map<string, string>() } = this.#workloads;
		const kept = new Map([...hostInterfaces].filter(([, key]) => chosen.has(key)));
		const lost = [...hostInterfaces.values()].some((key) => !chosen.has(key) && policy.hosts.has(key));
		if (!lost) return;
		const next = gatePolicy(policy, attached, kept);
		await this.#gate.sync(next);
		this.#gatePolicy = next;
	}

	/** Closes interfaces before their programs go. */
	async #close(keys: readonly string[]): Promise<void> {
		const before = this.#gatePolicy;
		if (before === undefined) return;
		const removedWorkloads = keys.filter((key) => before.workloads.has(key));
		if (removedWorkloads.length === 0) return;
		const next = {
			...before,
			workloads: new Map([...before.workloads].filter(([key]) => !removedWorkloads.includes(key))),
		};
		await this.#gate.apply({ ...noPolicyChange, removedWorkloads }, next);
		this.#gatePolicy = next;
	}
}

/**
 * Judges nothing at an interface that the one for every interface would judge. What programs
 * allow by doNotTrack policy is not tracked: on the way in by the mark, on the way out by the
 * rules, since programs see a packet behind the connection table.
 */
function openHost(interfaceName: string, judged: HostEndpoint | undefined): HostEndpoint {
	const both = { ingress: open('ingress'), egress: open('egress') };
	const early = (direction: Direction): DirectionPolicy => ({ ...open(direction), otherwise: 'continue' });
	return {
		...{ type: 'host', key: `open ${interfaceName}`, interfaceName, normal: both, forward: both },
		preDnat: { ingress: early('ingress') },
		untracked: { ingress: early('ingress'), egress: judged?.untracked.egress ?? early('egress') },
		...((judged?.untracked.ingress.tiers.length ?? 0) > 0 ? { marksUntracked: true } : {}),
	};
}

/**
 * What the gate enforces of host endpoints: those whose interface is not judged elsewhere. The one
 * for every interface stays, so that an interface that appears is closed at once; one whose
 * packets are not to be tracked stays for that alone. Pure.
 */
function gateHosts({ hosts }: NodePolicy, judged: ReadonlyMap<string, string>): ReadonlyMap<string, HostEndpoint> {
	const kept = new Map([...hosts].filter(([, { interfaceName }]) => !judged.has(interfaceName)));
	const hasWildcard = [...kept.values()].some(({ interfaceName }) => interfaceName === '*');
	for (const [name, key] of judged) {
		const host = hosts.get(key);
		const untracked = host === undefined ? [] : [host.untracked.ingress, host.untracked.egress];
		if (hasWildcard || untracked.some(({ tiers }) => tiers.length > 0)) kept.set(`open ${name}`, openHost(name, host));
	}
	return kept;
}

/**
 * The part of a policy that the gate enforces: host endpoints that are not judged elsewhere, and
 * workloads that are as open. `judged`: interfaces of the host. Pure.
 */
export function gatePolicy(
	policy: NodePolicy,
	attached: ReadonlySet<string>,
	judged: ReadonlyMap<string, string> = new Map(),
): NodePolicy {
	const workloads = new Map<string, WorkloadEndpoint>();
	for (const [key, workload] of policy.workloads)
		if (attached.has(key)) workloads.set(key, { ...workload, ingress: open('ingress'), egress: open('egress') });
	const hosts = gateHosts(policy, judged);
	const { policies, sets } = referencesOf([...hosts.values()], policy);
	return {
		...policy,
		hosts,
		workloads,
		policies: new Map([...policy.policies].filter(([key]) => policies.has(key))),
		// The nodes' tunnels pass host endpoints.
		sets: new Map([...policy.sets].filter(([id]) => sets.has(id) || (hosts.size > 0 && id === policy.settings.nodes))),
	};
}

/** Policies and sets that host endpoints refer to. */
function referencesOf(
	hosts: readonly HostEndpoint[],
	book: NodePolicy,
): { readonly policies: ReadonlySet<PolicyKey>; readonly sets: ReadonlySet<SetId> } {
	const stacks = hosts.flatMap(({ normal, forward, preDnat, untracked }) => [
		...[normal.ingress, normal.egress, forward.ingress, forward.egress],
		...[preDnat.ingress, untracked.ingress, untracked.egress],
	]);
	const policies = new Set(
		stacks.flatMap(({ tiers, profiles }) => [...tiers.flatMap((tier) => tier.policies), ...profiles]),
	);
	const rules = [...policies].flatMap((key) => {
		const policy: Policy | undefined = book.policies.get(key);
		return policy === undefined ? [] : [...policy.ingress, ...policy.egress];
	});
	return { policies, sets: new Set(rules.flatMap(setsOf)) };
}

const setsOf = ({ source, destination }: Rule): SetId[] =>
	[source, destination].flatMap(({ sets, notSets, ports, notPorts, addressPortSets }) => [
		...(sets ?? []),
		...(notSets ?? []),
		...(ports?.sets ?? []),
		...(notPorts?.sets ?? []),
		...(addressPortSets ?? []),
	]);

/** The difference between two policies of the gate without host endpoints; `undefined`: none. */
function workloadChange(before: NodePolicy, after: NodePolicy): NodePolicyChange | undefined {
	const isSame = (left: WorkloadEndpoint | undefined, right: WorkloadEndpoint) =>
		left !== undefined &&
		left.interfaceName === right.interfaceName &&
		left.addresses.join() === right.addresses.join();
	const workloads = [...after.workloads.values()].filter((one) => !isSame(before.workloads.get(one.key), one));
	const removedWorkloads = [...before.workloads.keys()].filter((key) => !after.workloads.has(key));
	if (workloads.length + removedWorkloads.length === 0) return undefined;
	return { ...noPolicyChange, workloads, removedWorkloads };
}
