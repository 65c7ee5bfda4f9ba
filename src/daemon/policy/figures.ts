import type { PolicyCounter } from '../../nftables/index.ts';
import { policyName } from './names.ts';
import type { OpenedPolicy } from './open.ts';

/** Packets that one policy, or the end of a tier, decided. */
export interface PolicyPackets {
	/** `NetworkPolicy prod/web`, `end of tier default`, `end`, or `(other)` beyond the named ones. */
	readonly policy: string;
	readonly action: PolicyCounter['action'];
	readonly packets: number;
}

/** Network policy of this node, for metrics. */
export interface PolicyFigures {
	readonly policies: number;
	readonly pods: number;
	readonly hostEndpoints: number;
	readonly sets: number;
	readonly problems: Readonly<Record<'refused' | 'fails-closed' | 'warning', number>>;
	/** eBPF was asked for, and nftables enforces; `undefined`: eBPF was not asked for. */
	readonly fallsBack: boolean | undefined;
	/** Seconds since 1970 of the last write that succeeded; `undefined`: none yet. */
	readonly programmedAtSeconds: number | undefined;
	readonly packets: readonly PolicyPackets[];
}

/** Each of them costs up to four time series: a cluster may have thousands of policies. */
export const mostNamedPolicies = 100;

/**
 * Gives a bounded number of policies a label of their own: the first ones that decided packets, as
 * long as they exist. All others share one label.
 */
export class PolicyLabels {
	readonly #named = new Set<string>();

	/** Sums by label and action. */
	packets(counters: readonly PolicyCounter[]): readonly PolicyPackets[] {
		const present = new Set(counters.map(subjectOf));
		for (const name of this.#named) if (!present.has(name)) this.#named.delete(name);
		const sums = new Map<string, { policy: string; action: PolicyCounter['action']; packets: number }>();
		for (const counter of counters) {
			const subject = subjectOf(counter);
			if (counter.packets > 0 && this.#named.size < mostNamedPolicies) this.#named.add(subject);
			const policy = this.#named.has(subject) ? subject : '(other)';
			const { action, packets } = counter;
			const key = `${action} ${policy}`;
			const sum = sums.get(key) ?? { policy, action, packets: 0 };
			sum.packets += packets;
			sums.set(key, sum);
		}
		return [...sums.values()];
	}
}

function subjectOf({ policy, tier }: PolicyCounter): string {
	if (policy !== undefined) return policyName(policy);
	return tier === undefined ? 'end' : `end of tier ${tier}`;
}

/** Reads the counters of the kernel. */
export async function policyFigures(
	{ side, kernel, counters }: Pick<OpenedPolicy, 'side' | 'kernel' | 'counters'>,
	labels: PolicyLabels,
): Promise<PolicyFigures> {
	const { state } = side.calculator;
	const problems = { refused: 0, 'fails-closed': 0, warning: 0 };
	for (const { problems: own } of side.feed.problems) for (const { type } of own) problems[type]++;
	const { programmedAtMs } = side.plane;
	return {
		policies: side.calculator.counts.policies,
		pods: state.workloads.size,
		hostEndpoints: state.hosts.size,
		sets: state.sets.size,
		problems,
		fallsBack: kernel?.wanted === 'ebpf' ? kernel.name !== 'ebpf' : undefined,
		programmedAtSeconds: programmedAtMs === undefined ? undefined : programmedAtMs / 1000,
		packets: labels.packets((await counters()) ?? []),
	};
}
