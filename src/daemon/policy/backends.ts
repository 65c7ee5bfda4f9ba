import type { Clock, Logger } from '../../core/index.ts';
import { earlyByRules, hostsForPrograms, isTooMuch } from '../../ebpf/index.ts';
import type { NewFlow } from '../../linux/index.ts';
import type { ConnectionCutter, NftablesPolicy, PolicyCounter } from '../../nftables/index.ts';
import {
	GatedKernel,
	type NodePolicy,
	type NodePolicyChange,
	type PolicyKernel,
	type WorkloadEndpoint,
} from '../../policy/index.ts';
import type { OpenedEbpf } from './ebpf.ts';
import { type DataplaneProblem, Fallback } from './fallback.ts';

/** The names of `dataplane` in the configuration. */
export type DataplaneName = 'nftables' | 'ebpf';

export interface PolicyBackendsDependencies {
	readonly nftables: NftablesPolicy;
	/** @throws EbpfUnavailableError and others: eBPF is not possible here */
	readonly openEbpf: () => Promise<OpenedEbpf>;
	/**
	 * What an earlier process left of eBPF, in use until `remove`; `undefined`: nothing. @throws as
	 * `openEbpf`
	 */
	readonly adoptEbpf: () => Promise<OpenedEbpf | undefined>;
	/** Removes what an earlier process left of eBPF; gives what was there. */
	readonly removeEbpf: () => Promise<readonly string[]>;
	/** What translates ports of the host to pods, such as the CNI plugin portmap, in words. */
	readonly hostPorts?: () => Promise<string | undefined>;
	readonly cutter: ConnectionCutter | undefined;
	/**
	 * A host endpoint whose rules of nftables judge before services are translated; `undefined`:
	 * there is none. Called before such rules stand, and behind every change.
	 */
	readonly onEarlyRules?: (endpoint: string | undefined) => void;
	/**
	 * A host endpoint of this node; `undefined`: there is none. Called before its policy stands.
	 */
	readonly onHosts?: (endpoint: string | undefined) => void;
	/**
	 * Packets between pods go from interface to interface while there is no host endpoint, whose
	 * policy would judge them; `auto`: and while others have nothing on the way.
	 */
	readonly redirectsPods?: boolean | 'auto';
	/** What others have on the way between pods, rules of the kernel, in words. */
	readonly foreignRules?: () => Promise<string | undefined>;
	/** Tracks connections between pods that passed the kernel by. */
	readonly track?: (flows: readonly NewFlow[]) => Promise<number>;
	/** Asks for the next `sync`: eBPF is to be tried again. */
	readonly retry: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

interface Counts {
	readonly added: number;
	readonly removed: number;
}

/** Failures in succession, after which eBPF is given up for a while. */
const mostFailures = 3;

const interfaceNames = (workloads: Iterable<WorkloadEndpoint>): ReadonlySet<string> =>
	new Set([...workloads].map(({ interfaceName }) => interfaceName));

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Enforcement by nftables alone or by eBPF behind a gate of nftables, changed while packets pass.
 * The new way stands before the old one goes: to eBPF, programs are attached while the rules still
 * judge; back, the rules judge before programs are detached. Where eBPF is not possible, and where
 * a policy does not fit into programs, nftables enforces, and `problem` is the reason; eBPF is
 * tried again after a change of the policy, and from time to time.
 */
export class PolicyBackends implements PolicyKernel {
	readonly followsInterfaces = true;
	readonly #dependencies: PolicyBackendsDependencies;
	#wanted: DataplaneName = 'nftables';
	#ebpf: { readonly opened: OpenedEbpf; readonly gated: GatedKernel } | undefined;
	readonly #fallback: Fallback;
	/**
	 * Tries that failed one after the other for reasons that may pass, such as an interface that went
	 * away meanwhile.
	 */
	#failures = 0;
	/** What translates ports of the host, as of a generation of the kernel's ruleset. */
	#hostPorts: { readonly generation: number; readonly by: string | undefined } | undefined;
	/** Rules of others on the way between pods, as of a generation of the kernel's ruleset. */
	#foreignRules: { readonly generation: number; readonly found: string | undefined } | undefined;
	/** What others have on the way between pods, as of the last look. */
	#passedBy: string | undefined;
	/** What an earlier process left is removed once. */
	#mayHaveLeftovers = true;

	constructor(dependencies: PolicyBackendsDependencies) {
		this.#dependencies = dependencies;
		this.#fallback = new Fallback(dependencies.clock, dependencies.retry);
	}

	/** What enforces now. */
	get name(): DataplaneName {
		return this.#ebpf === undefined ? 'nftables' : 'ebpf';
	}

	/** What was asked for. */
	get wanted(): DataplaneName {
		return this.#wanted;
	}

	/** Why eBPF, which was asked for, is not in use. */
	get problem(): DataplaneProblem | undefined {
		return this.#fallback.problem;
	}

	get ebpf(): OpenedEbpf | undefined {
		return this.#ebpf?.opened;
	}

	/** Host endpoints that nftables judges beside the programs, with the reason. */
	hostsLeft(policy: NodePolicy): ReadonlyMap<string, string> {
		return this.#ebpf === undefined ? new Map() : this.#chooseHosts(this.#ebpf.opened, policy).left;
	}

	/** From the next `sync` on. `true`: it differs from what was wanted before. */
	want(name: DataplaneName): boolean {
		if (this.#wanted === name) return false;
		this.#wanted = name;
		return true;
	}

	async sync(policy: NodePolicy): Promise<Counts> {
		const usesEbpf = this.#wanted === 'ebpf' && this.#fallback.isDue;
		const counts = usesEbpf ? await this.#syncEbpf(policy) : await this.#syncNftables(policy);
		this.#dependencies.cutter?.changed(policy);
		this.#dependencies.onEarlyRules?.(this.#earlyRules(policy));
		return counts;
	}

	async apply(change: NodePolicyChange, policy: NodePolicy): Promise<void> {
		if (this.#ebpf === undefined) {
			await this.#dependencies.nftables.apply(change, policy);
			this.#fallback.changed();
		} else {
			try {
				await this.#lookForChange(this.#ebpf.opened, change, policy);
				await this.#redirect(this.#ebpf.opened, this.noRedirect(policy) === undefined);
				this.#leaveTranslation(policy);
				await this.#ebpf.gated.apply(change, policy);
			} catch (error) {
				if (!isTooMuch(error)) throw error;
				await this.#fallBack(error, policy);
			}
		}
		this.#dependencies.cutter?.changed(policy);
		this.#dependencies.onEarlyRules?.(this.#earlyRules(policy));
	}

	/** Packets that policies decided, of both ways. @throws SystemCallError, NetlinkError */
	async counters(): Promise<PolicyCounter[]> {
		const ofRules = await this.#dependencies.nftables.counters();
		const ofPrograms = this.#ebpf?.opened.kernel.counters() ?? [];
		return [
			...ofRules,
			...ofPrograms.map(({ direction, action, decision, packets }) => ({
				...{ direction, action, packets, bytes: 0 },
				...(decision.type === 'rule' ? { policy: decision.policy } : {}),
				...(decision.type === 'tier-default' ? { tier: decision.tier } : {}),
			})),
		];
	}

	/** `false`: others changed what the kernel holds, or an interface has no programs. */
	async isIntact(policy: NodePolicy): Promise<boolean> {
		if (!(await this.#dependencies.nftables.isIntact())) return false;
		if (this.#ebpf === undefined) return true;
		if (policy.hosts.size > 0 && (await this.#hostPortsChanged())) return false;
		const { opened } = this.#ebpf;
		if (await this.#passedByChanged(opened, policy)) return false;
		return opened.kernel.isIntact({ ...policy, hosts: this.#chooseHosts(opened, policy).programs });
	}

	/**
	 * Policy is enforced no more: removes what an earlier process left, of both. Call it before any
	 * `sync`. @throws NetlinkError, errors of nftables
	 */
	async removeEarlier(): Promise<void> {
		const { nftables, log } = this.#dependencies;
		const programs = await this.#removeEarlier(await this.#adoptEarlier());
		const table = await nftables.remove();
		if (programs || table) log.info('network policy of an earlier process removed', { programs, table });
	}

	/** The kernel keeps everything. */
	close(): void {
		this.#fallback.end();
		this.#ebpf?.opened.close();
		this.#dependencies.nftables.close();
		this.#dependencies.cutter?.close();
	}

	async #syncEbpf(policy: NodePolicy): Promise<Counts> {
		const { openEbpf, nftables, log } = this.#dependencies;
		const starting = this.#ebpf === undefined;
		if (this.#ebpf === undefined) {
			try {
				const opened = await openEbpf();
				const choose = (all: NodePolicy) => this.#chooseHosts(opened, all).programs;
				this.#ebpf = { opened, gated: new GatedKernel(opened.kernel, nftables, choose) };
			} catch (error) {
				const reason = messageOf(error);
				if (this.#fallback.begin({ type: 'unavailable', reason }))
					log.error('eBPF not possible, nftables enforces', { missing: reason });
				return this.#leaveEbpf(policy);
			}
		}
		const { opened, gated } = this.#ebpf;
		try {
			if (policy.hosts.size > 0) await this.#hostPortsChanged();
			await this.#passedByChanged(opened, policy);
			await this.#redirect(opened, this.noRedirect(policy) === undefined);
			this.#leaveTranslation(policy);
			const counts = await gated.sync(policy);
			this.#failures = 0;
			this.#fallback.end();
			if (starting)
				log.info('eBPF programs enforce network policy', {
					attachment: opened.attachment,
					pods: opened.kernel.attached.size,
				});
			return counts;
		} catch (error) {
			this.#failures++;
			if (isTooMuch(error) || this.#failures >= mostFailures) return this.#fallBack(error, policy);
			// The programs do not stand: what enforced before goes on.
			if (starting) {
				this.#ebpf = undefined;
				opened.close();
			}
			throw error;
		}
	}

	#chooseHosts({ translator }: OpenedEbpf, policy: NodePolicy): ReturnType<typeof hostsForPrograms> {
		return hostsForPrograms(policy, this.#hostPorts?.by ?? translator?.(policy));
	}

	/** A host endpoint with a policy before translation that programs do not judge. */
	#earlyRules(policy: NodePolicy): string | undefined {
		const all = new Map([...policy.hosts.keys()].map((key) => [key, '']));
		return earlyByRules(policy, this.#ebpf === undefined ? all : this.#chooseHosts(this.#ebpf.opened, policy).left);
	}

	/** Programs translate no new connection before rules need the address of the service. */
	#leaveTranslation(policy: NodePolicy): void {
		const [host] = policy.hosts.keys();
		this.#dependencies.onHosts?.(host);
		const endpoint = this.#earlyRules(policy);
		if (endpoint !== undefined) this.#dependencies.onEarlyRules?.(endpoint);
	}

	/** Looks again where anything changed the kernel's ruleset. */
	async #hostPortsChanged(): Promise<boolean> {
		const { hostPorts, nftables } = this.#dependencies;
		if (hostPorts === undefined) return false;
		const generation = await nftables.generation();
		if (this.#hostPorts?.generation === generation) return false;
		const before = this.#hostPorts?.by;
		this.#hostPorts = { generation, by: await hostPorts() };
		return this.#hostPorts.by !== before;
	}

	/** Why packets between pods do not go from interface to interface; `undefined`: they do. */
	noRedirect({ hosts }: Pick<NodePolicy, 'hosts'>): string | undefined {
		const { redirectsPods = false } = this.#dependencies;
		if (redirectsPods === false) return 'ebpf.podRedirect is false';
		const [host] = hosts.keys();
		if (host !== undefined) return `the host endpoint ${host}`;
		return redirectsPods === 'auto' ? this.#passedBy : undefined;
	}

	/**
	 * A change of our own adds interfaces of pods: what others have at these. Rules and the other
	 * interfaces are looked at from time to time (`isIntact`): a look at all of them for each pod
	 * that starts takes longer than its policy.
	 */
	async #lookForChange(opened: OpenedEbpf, change: NodePolicyChange, policy: NodePolicy): Promise<void> {
		if (change.removedHosts.length > 0) await this.#passedByChanged(opened, policy);
		else if (this.#dependencies.redirectsPods === 'auto' && change.workloads.length > 0)
			this.#passedBy ??= await opened.others?.(interfaceNames(change.workloads));
	}

	/**
	 * Looks for what others have on the way between pods. `true`: it differs from before. Not while
	 * there is a host endpoint, for which nothing is redirected: rules are listed for one reason
	 * alone, see `#hostPortsChanged`.
	 */
	async #passedByChanged({ others }: OpenedEbpf, { workloads, hosts }: NodePolicy): Promise<boolean> {
		const { redirectsPods, foreignRules, nftables } = this.#dependencies;
		if (redirectsPods !== 'auto' || hosts.size > 0) return false;
		const generation = await nftables.generation();
		if (foreignRules !== undefined && this.#foreignRules?.generation !== generation)
			this.#foreignRules = { generation, found: await foreignRules() };
		const before = this.#passedBy;
		this.#passedBy = this.#foreignRules?.found ?? (await others?.(interfaceNames(workloads.values())));
		return this.#passedBy !== before;
	}

	/**
	 * Before packets between pods take the usual way again, the kernel learns their connections: it
	 * would take the next packet, an answer perhaps, for the first one.
	 */
	async #redirect({ kernel }: OpenedEbpf, isOn: boolean): Promise<void> {
		const { track, log } = this.#dependencies;
		const pods = kernel.redirected;
		const ends = pods.size > 0 && !isOn;
		const learn = async () => {
			try {
				if (ends) await track?.(kernel.connections.between(pods));
			} catch (error) {
				log.warn('connections between pods not handed over', { reason: String(error) });
			}
		};
		await learn();
		kernel.redirect(isOn);
		await learn();
	}

	/** The rules judge before the programs, which have an earlier state of the policy, go. */
	async #fallBack(error: unknown, policy: NodePolicy): Promise<Counts> {
		const reason = messageOf(error);
		const counts = await this.#leaveEbpf(policy);
		this.#failures = 0;
		if (this.#fallback.begin({ type: 'does-not-fit', reason }))
			this.#dependencies.log.error('eBPF programs do not fit, nftables enforces', { reason });
		return counts;
	}

	/** nftables was asked for, or stands in for eBPF until the next try. */
	async #syncNftables(policy: NodePolicy): Promise<Counts> {
		const usedEbpf = this.#ebpf !== undefined;
		const counts = await this.#leaveEbpf(policy);
		if (this.#wanted === 'nftables') this.#fallback.end();
		if (usedEbpf) this.#dependencies.log.info('eBPF programs removed, nftables enforces');
		return counts;
	}

	async #leaveEbpf(policy: NodePolicy): Promise<Counts> {
		const ebpf = this.#ebpf?.opened;
		if (ebpf === undefined) return this.#leaveEarlier(policy);
		await this.#redirect(ebpf, false);
		const counts = await this.#dependencies.nftables.sync(policy);
		this.#ebpf = undefined;
		this.#mayHaveLeftovers = false;
		await ebpf.remove();
		return counts;
	}

	/** The programs of an earlier process hand over as those of this one do. */
	async #leaveEarlier(policy: NodePolicy): Promise<Counts> {
		const { nftables, log } = this.#dependencies;
		if (!this.#mayHaveLeftovers) return nftables.sync(policy);
		const earlier = await this.#adoptEarlier();
		try {
			const counts = await nftables.sync(policy);
			this.#mayHaveLeftovers = false;
			if (await this.#removeEarlier(earlier)) log.info('eBPF programs removed, nftables enforces');
			return counts;
		} catch (error) {
			earlier?.close();
			throw error;
		}
	}

	async #adoptEarlier(): Promise<OpenedEbpf | undefined> {
		const { adoptEbpf, log } = this.#dependencies;
		let earlier: OpenedEbpf | undefined;
		try {
			earlier = await adoptEbpf();
			if (earlier !== undefined) await this.#redirect(earlier, false);
		} catch (error) {
			log.warn('connections of earlier eBPF programs not handed over', { reason: messageOf(error) });
		}
		return earlier;
	}

	/** `true`: there were programs, and they are gone. */
	async #removeEarlier(earlier: OpenedEbpf | undefined): Promise<boolean> {
		const { removeEbpf, log } = this.#dependencies;
		try {
			if (earlier === undefined) return (await removeEbpf()).length > 0;
			await earlier.remove();
			return true;
		} catch (error) {
			// Without rights for eBPF nothing of it was left either.
			log.debug('leftovers of eBPF not looked for', { reason: String(error) });
			return false;
		}
	}
}
