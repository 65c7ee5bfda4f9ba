import type { DirectionPolicy, HostEndpoint, NodePolicy, Rule, SideMatch } from '../../policy/index.ts';
import { hasEarlyPolicy } from './early-stages.ts';

/** Who judges the host endpoints of a node. */
export interface HostChoice {
	readonly programs: ReadonlyMap<string, HostEndpoint>;
	/** By key: why nftables judges this endpoint. */
	readonly left: ReadonlyMap<string, string>;
}

const everyInterface = '*';
const hasTiers = ({ tiers }: DirectionPolicy): boolean => tiers.length > 0;

/**
 * Which host endpoints programs at interfaces judge as nftables does. What needs a place inside of
 * the kernel's stack stays with nftables: before its translation, or between that of destination
 * and source. `translator`: what of nftables translates packets from outside, in words; programs
 * would see addresses before that. Pure.
 */
export function hostsForPrograms(policy: Pick<NodePolicy, 'hosts' | 'policies'>, translator?: string): HostChoice {
	const programs = new Map<string, HostEndpoint>();
	const left = new Map<string, string>();
	const all = [...policy.hosts.values()].find(({ interfaceName }) => interfaceName === everyInterface);
	for (const [key, host] of policy.hosts) {
		const reason = reasonFor(host, all, policy) ?? translator;
		if (reason === undefined) programs.set(key, host);
		else left.set(key, reason);
	}
	return { programs, left };
}

/**
 * The first endpoint with a policy before translation that nftables judges: while there is one,
 * programs must not translate. `left`: the endpoints that it judges. Pure.
 */
export function earlyByRules(
	policy: Pick<NodePolicy, 'hosts' | 'policies'>,
	left: HostChoice['left'],
): string | undefined {
	return [...policy.hosts.values()].find((host) => left.has(host.key) && hasEarlyPolicy(host))?.key;
}

function reasonFor(
	{ interfaceName, preDnat, forward }: HostEndpoint,
	all: HostEndpoint | undefined,
	{ policies }: Pick<NodePolicy, 'policies'>,
): string | undefined {
	if (interfaceName === everyInterface && hasTiers(preDnat.ingress))
		return 'a preDNAT policy for every interface, those of pods included';
	// It also holds for interfaces whose endpoint has none.
	if (all !== undefined && hasTiers(all.preDnat.ingress)) return 'a preDNAT policy for every interface';
	if (interfaceName === everyInterface && (hasTiers(forward.ingress) || hasTiers(forward.egress)))
		return 'an applyOnForward policy for every interface, those of pods included';
	const keys = [...forward.egress.tiers.flatMap((tier) => tier.policies), ...forward.egress.profiles];
	// The packet leaves with another source where the node masquerades.
	if (keys.some((key) => policies.get(key)?.egress.some(namesSource) === true))
		return 'an applyOnForward policy whose egress rules name sources';
	return undefined;
}

const namesSource = ({ source }: Rule): boolean =>
	Object.values(source satisfies SideMatch).some((match) => match !== undefined);
