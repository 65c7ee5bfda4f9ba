import { setTimeout as pause } from 'node:timers/promises';
import type { CounterInfo, LoadRules } from '../../linux/index.ts';
import type { NodePolicy, NodePolicyChange } from '../../policy/index.ts';
import { sizeOf, tableDifference } from '../table.ts';
import { TableKernel } from '../table-kernel.ts';
import { defaultLeastGain } from './branches.ts';
import type { CounterReference, DropReference, LogSettings } from './chains.ts';
import type { ConnectionCutter } from './cut.ts';
import { PolicyPhases } from './phases.ts';
import { PolicyRuleset } from './ruleset.ts';

/** Our table of policy: it holds nothing but policy, and survives the daemon. */
export const policyTable = 'bgpmesh_policy';

export interface NftablesPolicyOptions {
	/** Interfaces of pods begin with this; `cali` by default. */
	readonly workloadPrefix?: string;
	readonly log?: Partial<LogSettings>;
	/** A look-up replaces rules in a row where it spares a packet this many of them. */
	readonly leastGain?: number;
}

export interface NftablesPolicyDependencies {
	readonly load: LoadRules;
	/** Ends established connections that a change denies; absent: they go on. */
	readonly cutter?: ConnectionCutter;
}

/** A named counter and what it counts. */
export interface PolicyCounter extends CounterReference {
	readonly packets: number;
	readonly bytes: number;
}

/** No packet meets two phases: a packet is judged in microseconds. */
const betweenPhasesMs = 1;

/** A timer counts from the beginning of its turn of the event loop, and may end early. */
async function atLeast(durationMs: number): Promise<void> {
	const endMs = performance.now() + durationMs;
	do await pause(durationMs);
	while (performance.now() < endMs);
}

/** The nflog group of packets that policy dropped or logged. */
export const defaultLogGroup = 4090;
const defaultLog: LogSettings = { group: defaultLogGroup, packetsPerSecond: 10 };

/** Policy in nftables, in the network namespace that this was made in. */
export class NftablesPolicy {
	readonly name = 'nftables';
	readonly #table: TableKernel;
	#isSynced = false;
	readonly #ruleset: PolicyRuleset;
	readonly #phases = new PolicyPhases();
	readonly #cutter: ConnectionCutter | undefined;

	/** @throws SystemCallError */
	constructor(
		{ workloadPrefix = 'cali', log, leastGain = defaultLeastGain }: NftablesPolicyOptions,
		{ load, cutter }: NftablesPolicyDependencies,
	) {
		this.#cutter = cutter;
		this.#table = new TableKernel('inet', policyTable, { load });
		this.#ruleset = new PolicyRuleset({ workloadPrefix, log: { ...defaultLog, ...log }, leastGain });
	}

	close(): void {
		this.#cutter?.close();
		this.#table.close();
	}

	/**
	 * `false`: others removed or changed chains or sets of the table; `sync` puts them right. Before
	 * the first `sync`: `true`.
	 */
	async isIntact(): Promise<boolean> {
		if (!this.#isSynced) return true;
		const { chains, sets } = this.#ruleset.structure();
		return this.#table.holds(chains, sets);
	}

	/** Resolves when the kernel holds nothing that nothing refers to. */
	settled(): Promise<void> {
		return this.#table.settled();
	}

	/** Number of the kernel's ruleset; it changes when others change anything. */
	generation(): Promise<number> {
		return this.#table.generation();
	}

	/**
	 * Reads the table back and writes what differs: at the start, after a failure, and where others
	 * changed it.
	 */
	async sync(policy: NodePolicy): Promise<{ readonly added: number; readonly removed: number }> {
		this.#ruleset.replace(this.#phases.replace(policy));
		const change = tableDifference(await this.#table.read(), this.#ruleset.spec());
		await this.#table.change(change);
		this.#isSynced = true;
		this.#cutter?.changed(policy);
		return sizeOf(change);
	}

	/**
	 * Writes a difference; the kernel holds the policy before it. After a failure only `sync` may
	 * follow.
	 */
	async apply(change: NodePolicyChange, policy: NodePolicy): Promise<void> {
		for (const [index, phase] of this.#phases.take(change, policy).entries()) {
			if (index > 0) await atLeast(betweenPhasesMs);
			await this.#table.change(this.#ruleset.change(phase.change, phase.policy));
		}
		this.#cutter?.changed(policy);
	}

	/** Removes the table; `false`: there was none. */
	remove(): Promise<boolean> {
		this.#isSynced = false;
		return this.#table.remove();
	}

	/** Packets that policies decided. */
	async counters(): Promise<PolicyCounter[]> {
		return (await this.#table.counters()).flatMap(({ name, packets, bytes }: CounterInfo) => {
			const reference = this.#ruleset.counterReference(name);
			return reference === undefined ? [] : [{ ...reference, packets, bytes }];
		});
	}

	/**
	 * What dropped or logged a packet, by the prefix of the logged packet; `undefined`: not ours, or
	 * gone.
	 */
	dropReference(prefix: string): DropReference | undefined {
		return prefix.startsWith('bm-') ? this.#ruleset.dropReference(prefix.slice('bm-'.length)) : undefined;
	}
}
