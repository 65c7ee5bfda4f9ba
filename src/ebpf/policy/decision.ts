import { createHash } from 'node:crypto';
import type { Direction, DirectionPolicy, PolicyKey, RuleBook } from '../../policy/index.ts';

/**
 * What a program returns: TC_ACT_UNSPEC (TCX_NEXT) lets programs of others see the packet;
 * TC_ACT_SHOT drops it.
 */
export const ProgramResult = { pass: 0xffffffff, drop: 2 } as const;

/** What decided about a packet, by the number in its event; see `RuleChain.decisions`. */
export type ProgramDecision =
	| { readonly type: 'rule'; readonly policy: PolicyKey; readonly index: number; readonly origin: string }
	| { readonly type: 'tier-default'; readonly tier: string }
	| {
			readonly type:
				| 'end'
				| 'invalid'
				| 'spoofed-source'
				| 'tunnel-from-workload'
				| 'to-host'
				/** Sent by this node. */
				| 'own-node'
				/** No policy selects the endpoint. */
				| 'no-policy'
				/** A port of a host endpoint that no policy closes. */
				| 'failsafe'
				/** IP in IP, not from a node of the cluster. */
				| 'foreign-tunnel'
				/** A preDNAT policy of the host endpoint allowed it. */
				| 'before-dnat';
	  };

/**
 * Action of an event. `allow`: a connection begins; reported only while `switches` has
 * `Switch.flows`.
 */
export const EventAction = { deny: 0, log: 1, allow: 2 } as const;

/** The first numbers in all programs; decisions of rules follow. */
export const commonDecisions: readonly ProgramDecision[] = [
	{ type: 'end' },
	{ type: 'invalid' },
	{ type: 'spoofed-source' },
	{ type: 'tunnel-from-workload' },
	{ type: 'to-host' },
	{ type: 'own-node' },
	{ type: 'no-policy' },
	{ type: 'failsafe' },
	{ type: 'foreign-tunnel' },
	{ type: 'before-dnat' },
];

/**
 * All decisions of a policy in one direction, by number: a function of the policy alone, so that
 * families share them.
 */
export function decisionsOf(
	{ tiers, profiles, direction }: DirectionPolicy,
	{ policies }: RuleBook,
): ProgramDecision[] {
	const rulesOf = (policy: PolicyKey): ProgramDecision[] =>
		(policies.get(policy)?.[direction] ?? []).map(({ origin }, index) => ({ type: 'rule', policy, index, origin }));
	return [
		...commonDecisions,
		...tiers.flatMap(({ tier, policies: keys }): ProgramDecision[] => [
			...keys.flatMap(rulesOf),
			{ type: 'tier-default', tier },
		]),
		...profiles.flatMap(rulesOf),
	];
}

/**
 * The key of the counter of a decision in one direction: 64 bits of a hash, so that programs share
 * it and a restart finds it.
 */
export function counterKey(direction: Direction, action: 'allow' | 'deny', decision: ProgramDecision): bigint {
	const text = JSON.stringify([direction, action, decision]);
	return createHash('sha256').update(text).digest().readBigUInt64LE();
}
