import {
	type Address,
	clearHostBits,
	formatAddress,
	formatPrefix,
	parsePrefix,
	prefixContains,
} from '../core/index.ts';
import {
	type DirectionPolicy,
	formatAddressPort,
	type IcmpMatch,
	type IpSet,
	type PolicyKey,
	type PortMatch,
	portProtocols,
	type Rule,
	type RuleBook,
	type SetId,
	type SideMatch,
} from './rules.ts';

/** The first packet of a connection, as the policy stage sees it: after DNAT, before SNAT. */
export interface Packet {
	/** Same family as `destination`. */
	readonly source: Address;
	readonly destination: Address;
	/** IP protocol number. */
	readonly protocol: number;
	/** 0 where the protocol has no ports. */
	readonly sourcePort: number;
	/** 0 where the protocol has no ports. */
	readonly destinationPort: number;
	/** Type and code of ICMP and ICMPv6. */
	readonly icmp?: { readonly type: number; readonly code: number };
}

/** Which rule: its index in the direction's list of its policy. */
export interface RuleReference {
	readonly policy: PolicyKey;
	readonly index: number;
	readonly origin: string;
}

/** What decided. */
export type Decision =
	| { readonly type: 'rule'; readonly tier: string; readonly rule: RuleReference }
	| { readonly type: 'tier-default'; readonly tier: string }
	| { readonly type: 'profile'; readonly rule: RuleReference }
	/** Neither a tier nor a profile decided. */
	| { readonly type: 'end' };

/** A rule of a staged policy that would have decided, had the policy been enforced. */
export interface StagedMatch {
	readonly tier: string;
	readonly rule: RuleReference;
	readonly action: 'allow' | 'deny' | 'pass';
}

/** The outcome for one packet at one endpoint in one direction. */
export interface Verdict {
	/** `continue`: this stage does not decide (see `DirectionPolicy.otherwise`). */
	readonly action: 'allow' | 'deny' | 'continue';
	readonly decision: Decision;
	/** `log` rules that matched before the decision. */
	readonly logged: readonly RuleReference[];
	/** The first match of each staged policy that was reached. */
	readonly staged: readonly StagedMatch[];
}

/**
 * The meaning of the representation: the verdict for the first packet of a connection. Established
 * connections, failsafe ports and what a node lets through by itself are decided before it.
 */
export function evaluate(policy: DirectionPolicy, packet: Packet, book: RuleBook): Verdict {
	const logged: RuleReference[] = [];
	const staged: StagedMatch[] = [];
	const verdict = (action: Verdict['action'], decision: Decision): Verdict => ({ action, decision, logged, staged });

	tiers: for (const { tier, defaultAction, policies } of policy.tiers) {
		let enforced = false;
		for (const key of policies) {
			const found = book.policies.get(key);
			if (found === undefined) throw new DanglingReferenceError(key);
			if (!found.staged) enforced = true;
			const match = firstMatch(key, found[policy.direction], packet, book, found.staged ? undefined : logged);
			if (match === undefined) continue;
			if (found.staged) staged.push({ tier, rule: match.rule, action: match.action });
			else if (match.action === 'pass') continue tiers;
			else return verdict(match.action, { type: 'rule', tier, rule: match.rule });
		}
		if (enforced && defaultAction === 'deny') return verdict('deny', { type: 'tier-default', tier });
	}
	for (const key of policy.profiles) {
		const match = firstMatch(key, book.policies.get(key)?.[policy.direction] ?? [], packet, book, logged);
		if (match !== undefined && match.action !== 'pass')
			return verdict(match.action, { type: 'profile', rule: match.rule });
	}
	return verdict(policy.otherwise, { type: 'end' });
}

/** A policy or set is referred to and missing: a fault of the calculation, never of a resource. */
export class DanglingReferenceError extends Error {
	override readonly name = 'DanglingReferenceError';
	readonly key: string;

	constructor(key: string) {
		super(`the policy state refers to ${key}, which is missing`);
		this.key = key;
	}
}

/** The first rule that matches and is not `log`; `log` rules before it are recorded. */
function firstMatch(
	policy: PolicyKey,
	rules: readonly Rule[],
	packet: Packet,
	book: RuleBook,
	logged: RuleReference[] | undefined,
): { rule: RuleReference; action: 'allow' | 'deny' | 'pass' } | undefined {
	for (const [index, rule] of rules.entries()) {
		if (!ruleMatches(rule, packet, book.sets)) continue;
		const reference = { policy, index, origin: rule.origin };
		if (rule.action !== 'log') return { rule: reference, action: rule.action };
		logged?.push(reference);
	}
	return undefined;
}

/** Does every match of the rule hold? */
export function ruleMatches(rule: Rule, packet: Packet, sets: ReadonlyMap<SetId, IpSet>): boolean {
	const { protocol } = packet;
	if (rule.ipVersion !== undefined && rule.ipVersion !== (packet.source.family === 'ipv4' ? 4 : 6)) return false;
	if (rule.protocol !== undefined && protocol !== rule.protocol) return false;
	if (rule.notProtocol !== undefined && protocol === rule.notProtocol) return false;
	if (rule.icmp !== undefined && !icmpMatches(rule.icmp, packet)) return false;
	if (rule.notIcmp !== undefined && icmpMatches(rule.notIcmp, packet)) return false;
	return (
		sideMatches(rule.source, packet.source, protocol, packet.sourcePort, sets) &&
		sideMatches(rule.destination, packet.destination, protocol, packet.destinationPort, sets)
	);
}

function icmpMatches({ type, code }: IcmpMatch, { icmp }: Packet): boolean {
	return icmp !== undefined && icmp.type === type && (code === undefined || icmp.code === code);
}

function sideMatches(
	side: SideMatch,
	address: Address,
	protocol: number,
	port: number,
	sets: ReadonlyMap<SetId, IpSet>,
): boolean {
	const inNets = (nets: SideMatch['nets']) => nets?.some((net) => prefixContains(parsePrefix(net), address));
	const members = (id: SetId): ReadonlySet<string> => {
		const set = sets.get(id);
		if (set === undefined) throw new DanglingReferenceError(id);
		return set.members;
	};
	const inSet = (id: SetId) => netsContain(members(id), address);
	const inAddressPorts = (id: SetId) =>
		portProtocols.has(protocol) && members(id).has(formatAddressPort(formatAddress(address.bytes), protocol, port));
	const inPorts = ({ ranges, sets: named }: PortMatch) =>
		portProtocols.has(protocol) &&
		(ranges.some(({ first, last }) => port >= first && port <= last) || named.some(inAddressPorts));

	if (inNets(side.nets) === false) return false;
	if (inNets(side.notNets) === true) return false;
	if (side.sets?.every(inSet) === false) return false;
	if (side.notSets?.some(inSet) === true) return false;
	if (side.ports !== undefined && !inPorts(side.ports)) return false;
	if (side.notPorts !== undefined && inPorts(side.notPorts)) return false;
	return side.addressPortSets?.every(inAddressPorts) !== false;
}

/** Below this size a walk over the members is cheaper than one look-up per prefix length. */
const smallSet = 16;

/** Is an address inside one of the prefixes of a set of type `nets`? */
export function netsContain(members: ReadonlySet<string>, address: Address): boolean {
	const bits = address.bytes.length * 8;
	if (members.has(formatPrefix(address.bytes, bits))) return true;
	if (members.size <= smallSet) {
		for (const member of members) if (prefixContains(parsePrefix(member), address)) return true;
		return false;
	}
	for (let length = bits - 1; length >= 0; length--)
		if (members.has(formatPrefix(clearHostBits(address.bytes, length), length))) return true;
	return false;
}
