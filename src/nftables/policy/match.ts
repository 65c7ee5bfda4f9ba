/** One rule of the representation as matches in nft's language. Pure. */
import { type Family, type PrefixKey, parsePrefix, prefixContains } from '../../core/index.ts';
import type { Direction, IcmpMatch, PortMatch, PortRange, Rule, SetId, SideMatch } from '../../policy/index.ts';

/** Names of sets in the table. */
export interface SetNames {
	/** The set of one family; `undefined`: it is empty and not there. */
	of(id: SetId, family: Family): string | undefined;
	/** A set that holds these ranges, which are disjoint, and nothing else. */
	ports(ranges: readonly PortRange[]): string;
	/** A set that holds these prefixes, which are disjoint and of one family, and nothing else. */
	nets(prefixes: readonly PrefixKey[], family: Family): string;
}

const words: Readonly<Record<Family, 'ip' | 'ip6'>> = { ipv4: 'ip', ipv6: 'ip6' };
const sides = {
	source: { address: 'saddr', port: 'sport' },
	destination: { address: 'daddr', port: 'dport' },
} as const;
type Side = keyof typeof sides;

/** Packets that contain all those that a match matches. What is absent is not restricted. */
export interface Reach {
	readonly family?: Family;
	/** IP protocol number. */
	readonly protocol?: number;
	/** Of the destination; only together with a protocol that has ports. */
	readonly ports?: readonly PortRange[];
	/**
	 * Of the peer: the source of ingress, the destination of egress. Of `family`, disjoint, without
	 * `/0`.
	 */
	readonly nets?: readonly PrefixKey[];
	/** The peer is a member of this set of type `nets`; only together with `family`. */
	readonly members?: SetId;
}

/** A match in nft's language, and packets that contain all those that it matches. */
export interface RuleMatch {
	readonly text: string;
	readonly reach: Reach;
}

/**
 * The matches of a rule, one per nft rule: a packet matches the rule if it matches one of them.
 * Named and numbered ports, and the two families, are alternatives. Empty: the rule matches no
 * packet.
 */
export function ruleMatches(rule: Rule, direction: Direction, names: SetNames): RuleMatch[] {
	const families: (Family | undefined)[] = hasAddresses(rule)
		? ['ipv4', 'ipv6']
		: [rule.ipVersion === undefined ? undefined : rule.ipVersion === 4 ? 'ipv4' : 'ipv6'];
	return families.flatMap((family) => {
		if (family !== undefined && rule.ipVersion !== undefined && (rule.ipVersion === 4) !== (family === 'ipv4'))
			return [];
		const source = sideTexts(rule.source, 'source', family, names);
		const destination = sideTexts(rule.destination, 'destination', family, names);
		const common = [
			...(family === undefined ? [] : [`meta nfproto ${family}`]),
			...(rule.protocol === undefined ? [] : [`meta l4proto ${rule.protocol}`]),
			...(rule.notProtocol === undefined ? [] : [`meta l4proto != ${rule.notProtocol}`]),
			...(rule.icmp === undefined ? [] : [icmpText(rule.icmp, '')]),
			...(rule.notIcmp === undefined ? [] : [icmpText(rule.notIcmp, '!= ')]),
		];
		const peer = rule[direction === 'ingress' ? 'source' : 'destination'];
		const nets = family === undefined ? undefined : ownNets(peer.nets, family);
		const [members] = (family === undefined ? undefined : peer.sets) ?? [];
		return source.flatMap((from) =>
			destination.map((to) => ({
				text: [...common, ...from.texts, ...to.texts].join(' '),
				reach: {
					...(family === undefined ? {} : { family }),
					...(rule.protocol === undefined ? {} : { protocol: rule.protocol }),
					...(to.ports === undefined ? {} : { ports: to.ports }),
					...(nets === undefined || nets.some(isEverything) ? {} : { nets }),
					...(members === undefined ? {} : { members }),
				},
			})),
		);
	});
}

const ownNets = (nets: readonly PrefixKey[] | undefined, family: Family): PrefixKey[] | undefined =>
	nets && minimalPrefixes(nets.filter((net) => familyOfPrefix(net) === family));

const addressFields = ['nets', 'notNets', 'sets', 'notSets', 'addressPortSets'] as const;

function hasAddresses({ source, destination }: Rule): boolean {
	return [source, destination].some(
		(side) =>
			addressFields.some((field) => side[field] !== undefined) ||
			(side.ports?.sets.length ?? 0) > 0 ||
			(side.notPorts?.sets.length ?? 0) > 0,
	);
}

/** Type, or type and code as one 16-bit number; they stand at the beginning of the ICMP header. */
const icmpText = ({ type, code }: IcmpMatch, not: string): string =>
	code === undefined ? `@th,0,8 ${not}${type}` : `@th,0,16 ${not}${type * 256 + code}`;

/** Matches of one side that must all hold; with `ports`, the port is in one of these ranges. */
interface SideAlternative {
	readonly texts: readonly string[];
	readonly ports?: readonly PortRange[];
}

function sideTexts(match: SideMatch, side: Side, family: Family | undefined, names: SetNames): SideAlternative[] {
	const { address, port } = sides[side];
	const matches: string[] = [];
	if (family !== undefined) {
		const word = words[family];
		const nets = ownNets(match.nets, family);
		if (nets !== undefined) {
			if (nets.length === 0) return [];
			if (!nets.some(isEverything)) matches.push(`${word} ${address} ${netsText(nets, family, names)}`);
		}
		const notNets = ownNets(match.notNets, family) ?? [];
		if (notNets.some(isEverything)) return [];
		if (notNets.length > 0) matches.push(`${word} ${address} != ${netsText(notNets, family, names)}`);
		const triple = `${word} ${address} . meta l4proto . th ${port}`;
		const setsOf = (ids: readonly SetId[] | undefined) => (ids ?? []).map((id) => names.of(id, family));
		const required = [
			...setsOf(match.sets).map((name) => name && `${word} ${address} @${name}`),
			...setsOf(match.addressPortSets).map((name) => name && `${triple} @${name}`),
		];
		for (const text of required) {
			// Nothing is in a set that is not there.
			if (text === undefined) return [];
			matches.push(text);
		}
		for (const name of setsOf(match.notSets)) if (name !== undefined) matches.push(`${word} ${address} != @${name}`);
		for (const name of setsOf(match.notPorts?.sets)) if (name !== undefined) matches.push(`${triple} != @${name}`);
	}
	if ((match.notPorts?.ranges.length ?? 0) > 0)
		matches.push(`th ${port} != ${portsText(match.notPorts?.ranges ?? [], names)}`);
	if (match.ports === undefined) return [{ texts: matches }];
	return portAlternatives(match.ports, side, family, names).map(({ texts, ...more }) => ({
		texts: [...matches, ...texts],
		...more,
	}));
}

function portAlternatives(
	{ ranges, sets }: PortMatch,
	side: Side,
	family: Family | undefined,
	names: SetNames,
): SideAlternative[] {
	const { address, port } = sides[side];
	return [
		...(ranges.length === 0 ? [] : [{ texts: [`th ${port} ${portsText(ranges, names)}`], ports: ranges }]),
		...(family === undefined
			? []
			: sets.flatMap((id) => {
					const name = names.of(id, family);
					return name === undefined
						? []
						: [{ texts: [`${words[family]} ${address} . meta l4proto . th ${port} @${name}`] }];
				})),
	];
}

/** One prefix as it is, several as a set. */
const netsText = (prefixes: readonly PrefixKey[], family: Family, names: SetNames): string =>
	prefixes.length === 1 ? `${prefixes[0]}` : `@${names.nets(prefixes, family)}`;

/** Disjoint and sorted: nft refuses ranges that overlap. */
function portsText(ranges: readonly PortRange[], names: SetNames): string {
	const merged: { first: number; last: number }[] = [];
	for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
		const previous = merged.at(-1);
		if (previous !== undefined && first <= previous.last + 1) previous.last = Math.max(previous.last, last);
		else merged.push({ first, last });
	}
	const [only, ...more] = merged;
	if (only === undefined || more.length > 0) return `@${names.ports(merged)}`;
	return only.first === only.last ? `${only.first}` : `${only.first}-${only.last}`;
}

export const familyOfPrefix = (prefix: string): Family => (prefix.includes(':') ? 'ipv6' : 'ipv4');
const isEverything = (prefix: string): boolean => prefix.endsWith('/0');

/** The prefixes without those that lie in others: what is left does not overlap. */
export function minimalPrefixes(prefixes: readonly PrefixKey[]): PrefixKey[] {
	const parsed = [...new Set(prefixes)]
		.map((key) => ({ key, prefix: parsePrefix(key) }))
		.sort((a, b) => Buffer.compare(a.prefix.bytes, b.prefix.bytes) || a.prefix.length - b.prefix.length);
	const kept: typeof parsed = [];
	for (const entry of parsed) {
		const last = kept.at(-1);
		if (last === undefined || last.prefix.length > entry.prefix.length || !prefixContains(last.prefix, entry.prefix))
			kept.push(entry);
	}
	return kept.map(({ key }) => key);
}
