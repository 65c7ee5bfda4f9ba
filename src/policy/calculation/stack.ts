import { contentId, type PolicyModel, type TierModel } from '../model.ts';
import type { Direction, DirectionPolicy, HostEndpoint, PolicyKey, TierPolicies } from '../rules.ts';

/** A tier and the policies in it that select an endpoint, in order. */
export interface OrderedTier {
	readonly tier: TierModel;
	readonly policies: readonly PolicyModel[];
}

/** What an endpoint of a pod gets. */
export interface WorkloadStacks {
	readonly ingress: DirectionPolicy;
	readonly egress: DirectionPolicy;
}

/** What an interface of the host gets. */
export type HostStacks = Pick<HostEndpoint, 'normal' | 'forward' | 'preDnat' | 'untracked'>;

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

/** Order, then name, namespace and kind. Calico. */
export const comparePolicies = (left: PolicyModel, right: PolicyModel): number =>
	(left.order === right.order ? 0 : left.order - right.order) ||
	compareText(left.name, right.name) ||
	compareText(left.namespace ?? '', right.namespace ?? '') ||
	compareText(left.kind, right.kind);

/**
 * Tiers by order, then name; policies of a tier that does not exist come last, and their tier
 * denies at its end.
 */
export function orderTiers(
	policies: Iterable<PolicyModel>,
	tiers: ReadonlyMap<string, TierModel>,
): readonly OrderedTier[] {
	const byTier = new Map<string, PolicyModel[]>();
	for (const policy of policies) {
		const list = byTier.get(policy.tier);
		if (list === undefined) byTier.set(policy.tier, [policy]);
		else list.push(policy);
	}
	return [...byTier]
		.map(([name, list]) => ({
			exists: tiers.has(name),
			tier: tiers.get(name) ?? { name, order: Number.POSITIVE_INFINITY, defaultAction: 'deny' as const },
			policies: list.sort(comparePolicies),
		}))
		.sort(
			(left, right) =>
				Number(right.exists) - Number(left.exists) ||
				(left.tier.order === right.tier.order ? 0 : left.tier.order - right.tier.order) ||
				compareText(left.tier.name, right.tier.name),
		);
}

interface StackOptions {
	readonly direction: Direction;
	readonly applies: (policy: PolicyModel) => boolean;
	readonly profiles: readonly PolicyKey[];
	readonly otherwise: DirectionPolicy['otherwise'];
	/** Stages without an end-of-tier drop: what no rule matches goes on. */
	readonly endOfTierPasses?: true;
}

function directionPolicy(ordered: readonly OrderedTier[], options: StackOptions): DirectionPolicy {
	const { direction, applies, profiles, otherwise } = options;
	const tiers = ordered.flatMap(({ tier, policies }): TierPolicies[] => {
		const keys = policies.filter((policy) => policy[direction] !== undefined && applies(policy)).map(({ key }) => key);
		if (keys.length === 0) return [];
		const defaultAction = options.endOfTierPasses === true ? 'pass' : tier.defaultAction;
		return [{ tier: tier.name, defaultAction, policies: keys }];
	});
	const content = { direction, tiers, profiles, otherwise };
	return { id: contentId('d', JSON.stringify(content)), ...content };
}

const normal = ({ stage }: PolicyModel): boolean => stage === 'normal';

/**
 * Both directions of a pod. Policies for stages of host endpoints (doNotTrack, preDNAT) do not
 * apply to pods.
 */
export function workloadStacks(ordered: readonly OrderedTier[], profiles: readonly PolicyKey[]): WorkloadStacks {
	const stack = (direction: Direction) =>
		directionPolicy(ordered, { direction, applies: normal, profiles, otherwise: 'deny' });
	return { ingress: stack('ingress'), egress: stack('egress') };
}

/** All stages of an interface of the host. */
export function hostStacks(
	ordered: readonly OrderedTier[],
	profiles: readonly PolicyKey[],
	wildcard: boolean,
): HostStacks {
	const ended = (direction: Direction) =>
		directionPolicy(ordered, { direction, applies: normal, profiles, otherwise: 'deny' });
	const forwarded = (direction: Direction) =>
		directionPolicy(ordered, {
			direction,
			applies: (policy) => normal(policy) && policy.applyOnForward,
			profiles: [],
			otherwise: 'allow',
		});
	const early = (direction: Direction, stage: PolicyModel['stage']) =>
		directionPolicy(ordered, {
			direction,
			applies: (policy) => policy.stage === stage && !(wildcard && stage === 'untracked'),
			profiles: [],
			otherwise: 'continue',
			endOfTierPasses: true,
		});
	return {
		normal: { ingress: ended('ingress'), egress: ended('egress') },
		forward: { ingress: forwarded('ingress'), egress: forwarded('egress') },
		preDnat: { ingress: early('ingress', 'pre-dnat') },
		untracked: { ingress: early('ingress', 'untracked'), egress: early('egress', 'untracked') },
	};
}

/** The keys of all policies and profiles of a stack. */
export function* policiesOf({ tiers, profiles }: DirectionPolicy): Iterable<PolicyKey> {
	for (const { policies } of tiers) yield* policies;
	yield* profiles;
}
