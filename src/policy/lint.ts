import { builtInTiers, type PolicyModel, type TierModel } from './model.ts';
import type { NodePolicy } from './rules.ts';

/** Something that is valid and probably not meant. */
export interface PolicyWarning {
	/** `NetworkPolicy prod/web`, `HostEndpoint node-a`. */
	readonly subject: string;
	readonly problem: string;
}

/** What policies, tiers and host endpoints of this node are together; each alone is valid. Pure. */
export function lintPolicies(
	policies: Iterable<PolicyModel>,
	tiers: ReadonlyMap<string, TierModel>,
	{ hosts }: Pick<NodePolicy, 'hosts'>,
): readonly PolicyWarning[] {
	const warnings: PolicyWarning[] = [];
	for (const { kind, namespace, name, tier, selector, staged, stage } of policies) {
		const subject = `${kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
		if (!tiers.has(tier))
			warnings.push({
				subject,
				problem: `its tier ${tier} does not exist: its policies come after all others, and the tier denies at its end`,
			});
		if (kind === 'global-network-policy' && selector.type === 'all' && stage === 'normal' && !staged && hosts.size > 0)
			warnings.push({
				subject,
				problem: 'it has neither selector nor namespaceSelector and selects the host endpoints of nodes as well',
			});
	}
	for (const [name, { normal }] of hosts) {
		const closed = [normal.ingress, normal.egress].filter(
			({ tiers: own, profiles }) => own.length === 0 && profiles.length === 0,
		);
		for (const { direction } of closed)
			warnings.push({
				subject: `HostEndpoint ${name}`,
				problem: `no policy selects it for ${direction} and it has no profile: everything but failsafe ports is denied`,
			});
	}
	const builtIn = new Set(builtInTiers.map(({ name }) => name));
	const byOrder = new Map<number, string>();
	for (const { name, order } of tiers.values()) {
		const other = byOrder.get(order);
		if (other !== undefined && Number.isFinite(order) && !(builtIn.has(name) && builtIn.has(other)))
			warnings.push({ subject: `Tier ${name}`, problem: `it has the order of tier ${other}: the name decides` });
		byOrder.set(order, name);
	}
	return warnings;
}
