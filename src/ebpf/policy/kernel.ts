import { inSlices } from '../../core/index.ts';
import type { Flow, TrafficHook } from '../../linux/index.ts';
import type {
	Direction,
	NodePolicy,
	NodePolicyChange,
	PolicyKernel,
	SetId,
	WorkloadEndpoint,
} from '../../policy/index.ts';
import { ProgramTooLargeError } from '../assembly/layout.ts';
import type { Attacher, AttachPoint } from '../kernel/attach.ts';
import { MapFullError } from '../kernel/map.ts';
import { VerifierError } from '../kernel/program.ts';
import type { RuleChain } from './chain.ts';
import { ChainKeeper, type ChainRequest, type PreparedChains } from './chain-keeper.ts';
import { PodConnections } from './connections.ts';
import { type DecisionCount, readCounters } from './counters.ts';
import type { ProgramDecision } from './decision.ts';
import { EndpointKeeper, type EndpointState } from './endpoint-keeper.ts';
import { type Entries, loadEntries } from './entries.ts';
import type { ProgramEvent } from './events.ts';
import { HostInterfaces, type HostInterfacesDependencies } from './host-interfaces.ts';
import type { PolicyMaps } from './maps.ts';
import { SetKeeper } from './set-keeper.ts';
import { connectionEntries, type PresentEndpoint, takeOver } from './take-over.ts';

/** Directions of an endpoint at the hooks of the host's end of its veth pair. */
const hooks: Readonly<Record<Direction, TrafficHook>> = { ingress: 'egress', egress: 'ingress' };
const directions = ['ingress', 'egress'] as const;

/** The policy needs something that this backend does not enforce. Nothing was changed. */
export class UnsupportedPolicyError extends Error {
	override readonly name = 'UnsupportedPolicyError';
}

/**
 * The policy as it is does not become programs here, at no later try either: its size, what the
 * verifier accepts, or its kind.
 */
export const isTooMuch = (error: unknown): boolean =>
	[ProgramTooLargeError, VerifierError, MapFullError, UnsupportedPolicyError].some((kind) => error instanceof kind);

export interface EbpfPolicyDependencies {
	readonly maps: PolicyMaps;
	readonly attacher: Attacher;
	/** Indexes of the interfaces that exist, by name. */
	readonly interfaces: () => Promise<ReadonlyMap<string, number>>;
	/** The connections that the kernel tracks; the first `sync` takes them over. Absent: none are. */
	readonly flows?: () => Promise<readonly Flow[]>;
	/** Of the host, canonical text: what it sends to its pods is not judged. By default none. */
	readonly ownAddresses?: () => ReadonlySet<string>;
	/** Absent: host endpoints are refused. */
	readonly hosts?: HostInterfacesDependencies;
}

/** An endpoint whose programs are attached. */
interface AttachedEndpoint extends EndpointState {
	readonly interfaceName: string;
	/** Ids of its chains. */
	readonly chains: Readonly<Record<Direction, string>>;
}

/** The words of `Stage` for what programs judge. */
type ExplainedStage = 'workload' | 'host' | 'forward' | 'untracked' | 'pre-dnat';

/**
 * Policy of workloads by programs: one entry for each direction at the interfaces of all pods, and
 * chains of programs with the rules, which pods with the same policies share. All programs of a
 * change are compiled and loaded before the first endpoint uses one, so that a policy that does not
 * fit or is refused leaves everything as it was. Host endpoints: `HostInterfaces`.
 */
export class EbpfPolicy implements PolicyKernel {
	readonly name = 'ebpf';
	readonly #dependencies: EbpfPolicyDependencies;
	readonly #sets: SetKeeper;
	readonly #chains: ChainKeeper;
	readonly #endpoints: EndpointKeeper;
	readonly #attached = new Map<string, AttachedEndpoint>();
	#entries: Entries | undefined;
	#unattached: ReadonlySet<string> = new Set();
	/** Indexes of interfaces that had no programs at the last look of `isIntact`. */
	#withoutPrograms: ReadonlySet<number> = new Set();
	/** The interfaces at the last look. */
	#interfaces: ReadonlyMap<string, number> = new Map();
	#redirects: boolean;
	readonly #hosts: HostInterfaces | undefined;

	constructor(dependencies: EbpfPolicyDependencies) {
		this.#dependencies = dependencies;
		this.#sets = new SetKeeper(dependencies.maps);
		this.#chains = new ChainKeeper(dependencies.maps);
		this.#endpoints = new EndpointKeeper(dependencies.maps);
		this.#redirects = this.redirected.size > 0;
		this.#hosts =
			dependencies.hosts && new HostInterfaces(dependencies.hosts, dependencies.maps, this.#chains, this.#endpoints);
	}

	/** Names of interfaces of the host that programs judge, with the keys of their endpoints. */
	get hostInterfaces(): ReadonlyMap<string, string> {
		return this.#hosts?.judged ?? new Map();
	}

	/** Names of the programs of early stages by interface of the host. */
	get earlyPrograms(): ReadonlyMap<string, readonly string[]> {
		return this.#hosts?.early ?? new Map();
	}

	/** Endpoints whose interface did not exist at the last call; the next `sync` attaches them. */
	get unattached(): ReadonlySet<string> {
		return this.#unattached;
	}

	/** Addresses of pods that packets of other pods are sent to past the kernel, see `redirect`. */
	get redirected(): ReadonlySet<string> {
		return this.#endpoints.redirected();
	}

	/** Keys of the endpoints whose programs are attached. */
	get attached(): ReadonlySet<string> {
		return new Set(this.#attached.keys());
	}

	/** The programs with the rules of an endpoint, for people and events. */
	chainsOf(endpoint: string): Readonly<Record<Direction, RuleChain>> | undefined {
		const chains = this.#attached.get(endpoint)?.chains;
		const ingress = this.#chains.get(chains?.ingress ?? '')?.chain;
		const egress = this.#chains.get(chains?.egress ?? '')?.chain;
		return ingress === undefined || egress === undefined ? undefined : { ingress, egress };
	}

	/** What an event of a program is about; `undefined`: the program has been replaced meanwhile. */
	explain({
		endpoint,
		direction,
		rules,
		decision,
	}: Pick<ProgramEvent, 'endpoint' | 'direction' | 'rules' | 'decision'>):
		| { readonly endpoint: string; readonly of: ExplainedStage; readonly decision: ProgramDecision }
		| undefined {
		const host = this.#hosts?.find(endpoint, rules, direction);
		const ofHost = host?.chain?.decisions[decision];
		if (host !== undefined && ofHost !== undefined)
			return { endpoint: host.endpoint, of: rules === 'own' ? 'host' : rules, decision: ofHost };
		for (const [pod, { interfaceIndex }] of this.#attached) {
			if (interfaceIndex !== endpoint) continue;
			const found = this.chainsOf(pod)?.[direction].decisions[decision];
			return found === undefined ? undefined : { endpoint: pod, of: 'workload', decision: found };
		}
		return undefined;
	}

	/** Packets by decision, over all endpoints. @throws SystemCallError */
	counters(): DecisionCount[] {
		return readCounters(
			this.#dependencies.maps,
			[...this.#chains.chains].map(({ chain }) => chain),
		);
	}

	/** Endpoints with their interfaces and the instructions of their rules, for people. */
	endpoints(): {
		readonly pod: string;
		readonly interfaceName: string;
		readonly instructions: Record<Direction, number>;
	}[] {
		return [...this.#attached].map(([pod, { interfaceName }]) => {
			const chains = this.chainsOf(pod);
			const instructions = (direction: Direction) =>
				[...(chains?.[direction].programs.ipv4 ?? []), ...(chains?.[direction].programs.ipv6 ?? [])].reduce(
					(sum, program) => sum + program.instructions.length,
					0,
				);
			return { pod, interfaceName, instructions: { ingress: instructions('ingress'), egress: instructions('egress') } };
		});
	}

	/**
	 * New state first: elements of sets, then programs; then what no program looks up any more goes.
	 */
	async sync(policy: NodePolicy): Promise<{ readonly added: number; readonly removed: number }> {
		this.#requireSupported(policy);
		const isFirst = this.#attached.size === 0;
		this.#interfaces = await this.#dependencies.interfaces();
		await this.#hosts?.look(policy);
		const present = this.#present(policy);
		const prepared = await this.#prepare(present, policy, true);
		const extra = prepared.chains.flatMap(({ chain }) => extraSetsOf(chain));
		const { added, removed, sweep } = this.#sets.fill([...policy.sets.values(), ...extra]);
		if (isFirst) await this.#takeOver(present, policy);
		await this.#hosts?.takeOver(policy, this.#dependencies.flows);
		await this.#install(present, prepared, policy, true);
		await this.#detach([
			...[...this.#attached.keys()].filter((key) => !policy.workloads.has(key)),
			...this.#unattached,
		]);
		await this.#dependencies.attacher.prune([...this.#attached.values()].flatMap(pointsOf));
		await this.#hosts?.prune();
		this.#endpoints.prune([...this.#attached.values(), ...(this.#hosts?.states ?? [])]);
		this.#dropChains();
		sweep();
		return { added, removed };
	}

	/**
	 * Packets between pods of this node go from interface to interface, past the rules and
	 * connections of the kernel: from the next `sync` or `apply` on, or no more from now on. At
	 * first as an earlier process left it. @throws SystemCallError
	 */
	redirect(isOn: boolean): void {
		if (this.#redirects === isOn) return;
		this.#redirects = isOn;
		if (!isOn) this.#endpoints.redirect([]);
	}

	/**
	 * Also attaches endpoints whose interface has appeared or was replaced since the last call,
	 * unless rules or sets change and nothing else.
	 */
	async apply(change: NodePolicyChange, policy: NodePolicy): Promise<void> {
		this.#requireSupported(policy);
		const before = this.#extraSets();
		// To list the interfaces of many pods takes longer than to change the rules of one.
		if (!isOfRulesAlone(change)) {
			this.#interfaces = await this.#dependencies.interfaces();
			await this.#hosts?.look(policy);
		}
		const present = this.#present(policy);
		const prepared = await this.#prepare(present, policy, false);
		for (const set of change.newSets) this.#sets.add(set);
		for (const set of change.changedSets) this.#sets.change(set);
		for (const set of prepared.chains.flatMap(({ chain }) => extraSetsOf(chain)))
			if (!this.#sets.has(set.id)) this.#sets.add(set);
		await this.#hosts?.takeOver(policy, this.#dependencies.flows);
		await this.#install(present, prepared, policy, false);
		await this.#detach([...change.removedWorkloads, ...this.#unattached]);
		this.#dropChains();
		const after = this.#extraSets();
		for (const id of [...change.removedSets, ...[...before].filter((one) => !after.has(one))]) this.#sets.remove(id);
	}

	get connections(): PodConnections {
		return new PodConnections(this.#dependencies.maps, this.#attached);
	}

	/**
	 * Are the programs at the interfaces that exist now? A pod that starts has an interface a moment
	 * before its plugin asks for programs, and is closed until it has them: only what had none at the
	 * last look either is damage.
	 */
	async isIntact(policy: NodePolicy): Promise<boolean> {
		const indexes = await this.#dependencies.interfaces();
		if ((await this.#hosts?.isIntact(policy)) === false) return false;
		const before = this.#withoutPrograms;
		this.#withoutPrograms = new Set(
			[...policy.workloads.values()].flatMap(({ key, interfaceName }) => {
				const index = indexes.get(interfaceName);
				return index === undefined || this.#attached.get(key)?.interfaceIndex === index ? [] : [index];
			}),
		);
		return [...this.#withoutPrograms].every((index) => !before.has(index));
	}

	close(): void {
		for (const program of Object.values(this.#entries?.programs ?? {})) program.close();
		this.#entries = undefined;
		this.#dependencies.attacher.close();
		this.#hosts?.close();
	}

	/** Removes the programs of all endpoints. @throws SystemCallError, NetlinkError */
	async cleanup(): Promise<void> {
		await this.#detach([...this.#attached.keys()]);
		await this.#hosts?.keepOnly([]);
		this.#dropChains();
	}

	/**
	 * Open connections that the policy allows pass on, as they did before the programs were there.
	 */
	async #takeOver(present: readonly PresentEndpoint[], policy: NodePolicy): Promise<void> {
		if (present.length === 0) return;
		const own = this.#dependencies.ownAddresses?.() ?? new Set<string>();
		await takeOver(this.#dependencies, (flows, now) =>
			inSlices(connectionEntries(flows, present, { policy, own }, now)),
		);
	}

	/** @throws UnsupportedPolicyError */
	#requireSupported({ hosts }: NodePolicy): void {
		if (hosts.size > 0 && this.#hosts === undefined)
			throw new UnsupportedPolicyError(`programs do not judge host endpoints here: ${[...hosts.keys()].join(', ')}`);
	}

	#present(policy: NodePolicy): PresentEndpoint[] {
		const unattached = new Set<string>();
		const present: PresentEndpoint[] = [];
		for (const workload of policy.workloads.values()) {
			const interfaceIndex = this.#interfaces.get(workload.interfaceName);
			if (interfaceIndex === undefined) unattached.add(workload.key);
			else present.push({ workload, interfaceIndex });
		}
		this.#unattached = unattached;
		return present;
	}

	/**
	 * Compiles and loads, changes nothing. @throws ProgramTooLargeError, VerifierError,
	 * SystemCallError
	 */
	#prepare(present: readonly PresentEndpoint[], policy: NodePolicy, checked: boolean): Promise<PreparedChains> {
		const requests = present.flatMap(({ workload }) =>
			directions.map((direction) => chainOf(workload, direction, policy)),
		);
		const ofHosts = this.#hosts?.requests(this.#hosts.present(policy)) ?? [];
		return this.#chains.prepare([...requests, ...ofHosts], policy, checked);
	}

	async #install(
		present: readonly PresentEndpoint[],
		prepared: PreparedChains,
		policy: NodePolicy,
		checked: boolean,
	): Promise<void> {
		const former = this.#entries;
		const hosts = this.#hosts;
		const presentHosts = hosts?.present(policy) ?? [];
		const hostSettings = hosts?.settings ?? '';
		let closeFormer: (() => void) | undefined;
		let giveUp: () => void;
		try {
			if (present.length > 0) {
				const options = { settings: policy.settings, redirects: this.#redirects };
				this.#entries = loadEntries(this.#dependencies.maps, options, former);
			}
			closeFormer = hosts?.load(presentHosts, policy);
			giveUp = this.#chains.commit(prepared);
		} finally {
			// The array refers to the programs in use.
			prepared.close();
		}
		const entries = this.#entries;
		const moved: AttachedEndpoint[] = [];
		for (const { workload, interfaceIndex } of present) {
			const { key, interfaceName, addresses } = workload;
			const chains = {
				ingress: this.#chains.idOf(chainOf(workload, 'ingress', policy)),
				egress: this.#chains.idOf(chainOf(workload, 'egress', policy)),
			};
			const first = (direction: Direction) => this.#chains.get(chains[direction])?.first ?? { ipv4: 0, ipv6: 0 };
			const before = this.#attached.get(key);
			const next: AttachedEndpoint = {
				...{ interfaceIndex, interfaceName, addresses, chains },
				first: { ingress: first('ingress'), egress: first('egress') },
			};
			this.#endpoints.set(next, checked ? undefined : before);
			const stays = before?.interfaceIndex === interfaceIndex;
			if (checked || !stays || entries !== former)
				for (const direction of directions) {
					const program = entries?.programs[direction];
					const point = { interfaceIndex, interfaceName, hook: hooks[direction] };
					if (program !== undefined) await this.#dependencies.attacher.set(point, program);
				}
			if (before !== undefined && !stays) moved.push(before);
			this.#attached.set(key, next);
		}
		for (const endpoint of moved) await this.#removeEndpoint(endpoint);
		if (entries !== former) for (const program of Object.values(former?.programs ?? {})) program.close();
		await hosts?.install(presentHosts, checked, hostSettings);
		await hosts?.keepOnly(presentHosts);
		closeFormer?.();
		giveUp();
		if (this.#redirects || checked) this.#endpoints.redirect(this.#redirects ? this.#attached.values() : []);
	}

	async #detach(keys: Iterable<string>): Promise<void> {
		const gone = [...keys].flatMap((key) => {
			const endpoint = this.#attached.get(key);
			this.#attached.delete(key);
			return endpoint ?? [];
		});
		if (this.#redirects && gone.length > 0) this.#endpoints.redirect(this.#attached.values());
		for (const endpoint of gone) await this.#removeEndpoint(endpoint);
	}

	/** Programs stay where another endpoint has the interface by now. */
	async #removeEndpoint(endpoint: AttachedEndpoint): Promise<void> {
		const { interfaceIndex } = endpoint;
		const heir = [...this.#attached.values()].find((one) => one !== endpoint && one.interfaceIndex === interfaceIndex);
		if (heir === undefined) for (const point of pointsOf(endpoint)) await this.#dependencies.attacher.remove(point);
		this.#endpoints.remove(endpoint, heir);
	}

	#dropChains(): void {
		const ofPods = [...this.#attached.values()].flatMap(({ chains }) => Object.values(chains));
		this.#chains.keepOnly(new Set([...ofPods, ...(this.#hosts?.chainIds ?? [])]));
	}

	#extraSets(): ReadonlySet<SetId> {
		return new Set([...this.#chains.chains].flatMap(({ chain }) => [...chain.extraSets.keys()]));
	}
}

const pointsOf = ({ interfaceIndex, interfaceName }: AttachedEndpoint): AttachPoint[] =>
	directions.map((direction) => ({ interfaceIndex, interfaceName, hook: hooks[direction] }));

const extraSetsOf = ({ extraSets }: RuleChain) =>
	[...extraSets].map(([id, members]) => ({ id, type: 'nets' as const, members: new Set<string>(members) }));

/** Endpoints and settings are as before, and something else is not. */
const isOfRulesAlone = ({
	workloads,
	removedWorkloads,
	hosts,
	removedHosts,
	settings,
	...rest
}: NodePolicyChange): boolean =>
	workloads.length + removedWorkloads.length + hosts.length + removedHosts.length === 0 &&
	settings === undefined &&
	Object.values(rest).some((part) => part.length > 0);

const chainOf = (workload: WorkloadEndpoint, direction: Direction, { settings }: NodePolicy): ChainRequest => ({
	policy: workload[direction],
	toHost: settings.endpointToHostAction,
});
